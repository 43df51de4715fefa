"""How far effects vary, as earlier finished experiments found it."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from emotion_games import layout
from emotion_games.experiment.planned_power import Known
from emotion_games.experiment.power import Variation
from emotion_games.experiment.spec import Plan

# The statistics of an experiment take some hundredths of a second to read.
_MOST_READ = 3
_STAMP_LENGTH = len("_20250131_120000")


class _Found(NamedTuple):
    """What an experiment was about, and how far effects varied in it."""

    game: str
    model: str
    terms: tuple[Any, ...]
    variation: Variation


def earlier_results(home: Path) -> list[Path]:
    """Return the statistics of all finished experiments, the newest first.

    Args:
        home: The folder of all series folders.
    """
    found = [
        file for file in home.glob(f"*/*/{layout.STATISTICS}") if layout.has_results(file.parent)
    ]
    return sorted(found, key=os.path.getmtime, reverse=True)


def known_variation(
    results: Sequence[Path], exp_id: str, model_name: str, plan: Plan
) -> Known | None:
    """Return the variation in the newest results with a game and model, or with the model alone.

    The dose and the primary measure must be those of the plan.

    Args:
        results: Those of `earlier_results`.
        exp_id: The experiment.
        model_name: The name of its model.
        plan: Its plan.
    """
    game, terms = plan["game"], _terms(plan)
    slug = exp_id.removeprefix(f"{game}_")
    same_game = [file for file in results if _exp_id(file) == exp_id]
    same_model = [file for file in results if _exp_id(file).endswith(f"_{slug}")]
    for file in [*same_game[:_MOST_READ], *same_model[:_MOST_READ]]:
        found = _read(file)
        if found and (found.model, found.terms) == (model_name, terms):
            return Known(found.variation, file.parent.name)
    return None


def _exp_id(file: Path) -> str:
    return file.parent.name[:-_STAMP_LENGTH]


def _terms(plan: Plan) -> tuple[Any, ...]:
    return plan["headline_intensity"], plan["intensity_unit"], plan["claim"]["measure"]


@cache
def _read(file: Path) -> _Found | None:
    """Read statistics; None if they have no variation, or are damaged or of another version."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        variation = Variation(**content["power"]["observed"]["sds"])
        meta = content["meta"]
        return _Found(meta["game"], meta["model"], _terms(content["plan"]), variation)
    # Damaged results of any series are no reason to stop this one.
    except (OSError, ValueError, LookupError, TypeError):
        return None
