"""What is known of the effects of a model, as earlier finished experiments found it."""

import json
import os
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from emotion_games import layout
from emotion_games.experiment.planned_power import Known
from emotion_games.experiment.power import MEASURED_DAMAGED, Variation
from emotion_games.experiment.spec import Plan

# The statistics of an experiment take some hundredths of a second to read.
_MOST_READ = 3
_PRIOR = 10
_STAMP_LENGTH = len("_20250131_120000")


class _Found(NamedTuple):
    """The model and the terms of an experiment, and what was found about effects."""

    model: str
    terms: tuple[Any, ...]
    variation: Variation
    damaged: float


Results = dict[str, list[Path]]


def earlier_results(home: Path) -> Results:
    """Return the statistics of all finished experiments by exp_id, the newest first.

    Args:
        home: The folder of all series folders.
    """
    files = home.glob(f"*/*/{layout.STATISTICS}")
    finished = [file for file in files if layout.has_results(file.parent)]
    results: Results = {}
    for file in sorted(finished, key=os.path.getmtime, reverse=True):
        results.setdefault(file.parent.name[:-_STAMP_LENGTH], []).append(file)
    return results


def known_effects(results: Results, exp_id: str, model_name: str, plan: Plan) -> Known | None:
    """Return what the newest results with a game and model, or with the model alone, show.

    How the model was steered, how it answered, and the primary measure must be as in the plan.

    Args:
        results: Those of `earlier_results`.
        exp_id: The experiment.
        model_name: The name of its model, as its results give it.
        plan: Its plan.
    """
    slug = exp_id.removeprefix(plan["game"])
    others = (files[0] for other, files in results.items() if other.endswith(slug))
    for file in [*results.get(exp_id, [])[:_MOST_READ], *islice(others, _MOST_READ)]:
        found = _read(file)
        if found and (found.model, found.terms) == (model_name, _terms(plan)):
            return Known(found.variation, found.damaged, file.parent.name)
    return None


def _terms(plan: Plan) -> tuple[Any, ...]:
    dose = plan["headline_intensity"], plan["intensity_unit"], plan.get("position")
    directions = plan["layers"], plan["direction_method"]
    return (
        *dose,
        *directions,
        plan["decoding"],
        plan.get("thinking_budget"),
        plan["claim"]["measure"],
    )


@cache
def _read(file: Path) -> _Found | None:
    """Read statistics; None if they have no variation, or are damaged or of another version."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        observed = content["power"]["observed"]
        # Without the check of damage, only few signs of it were looked for.
        checked = any(record["complete"] or record["damaged"] for record in content["damage"])
        seen = observed["damaged"], observed["n_null_directions"]
        damaged = _expected_share(*seen) if checked else MEASURED_DAMAGED
        terms = content["meta"]["model"], _terms(content["plan"])
        return _Found(*terms, Variation(**observed["sds"]), damaged)
    # Damaged results of any series are no reason to stop this one.
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _expected_share(damaged: float, undamaged: int) -> float:
    """Return the share of null directions to expect damaged after a share of some was."""
    # Few directions say little, so the share of SmolLM2 counts as much as ten of them.
    n = undamaged / (1 - damaged)
    return (damaged * n + _PRIOR * MEASURED_DAMAGED) / (n + _PRIOR)
