"""Compute the content of stats_analysis.json from the trials and the checks of an experiment.

A new statistic is a function in a module of its own, a line in `STATISTICS`, and a field of
`Statistics`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis import rates
from emotion_games.analysis.cells import (
    Cells,
    average_trials,
    tidy,
    trial_measures,
)
from emotion_games.analysis.claims import emotion_analysis, intensity_analysis
from emotion_games.analysis.contrasts import contrast_records, null_records
from emotion_games.analysis.damage import damage_records, text_measures
from emotion_games.analysis.detectable import detectable
from emotion_games.analysis.dose_response import dose_records
from emotion_games.analysis.equivalence import equivalence_records
from emotion_games.analysis.format_check import format_records
from emotion_games.analysis.headroom import headroom_records
from emotion_games.analysis.human_alignment import alignment_records
from emotion_games.analysis.instructions import combined_records, instruction_records
from emotion_games.analysis.manipulation import (
    induced_records,
    manipulation_records,
    mark_failures,
    null_passes,
)
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.mixed_model import mixed_model_records
from emotion_games.analysis.rationality import rationality
from emotion_games.analysis.rises import Rises, rises
from emotion_games.analysis.sentences import describe, sentence
from emotion_games.analysis.statistics_parts import shared_basis
from emotion_games.analysis.statistics_records import Meta, Statistics
from emotion_games.experiment import analysis_plan
from emotion_games.experiment.check_records import CHECK_COLUMNS
from emotion_games.experiment.spec import Plan, Settings
from emotion_games.experiment.trial_table import on_offer
from emotion_games.games.records import Game


@dataclass(frozen=True)
class Evidence:
    """What the statistics of an experiment are computed from.

    Attributes:
        table: The trials, as returned by `tidy`.
        checks: One row per item of a check and condition.
        rises: What the pushes raise in the checks.
        about: How the directions were made, as far as it is known.
        cells: The trials, averaged.
        game: The game with the choices on offer.
        plan: The plan, from the settings.
        settings: The settings of the experiment.
        n_planned: The number of planned trials, if it is known.
        power: The power as it was expected before the first trial, if it is known.
    """

    table: pd.DataFrame
    checks: pd.DataFrame
    rises: list[Rises]
    about: Mapping[str, Any]
    cells: Cells
    game: Game
    plan: Plan
    settings: Settings
    n_planned: int | None
    power: Mapping[str, Any] | None

    @property
    def is_interim(self) -> bool:
        """Return True if planned trials are missing; then nothing is claimed."""
        return self.n_planned is not None and len(self.table) < self.n_planned


def analyse(
    trials: pd.DataFrame,
    checks: pd.DataFrame | None,
    game: Game,
    settings: Settings,
    n_planned: int | None = None,
    about: Mapping[str, Any] = MappingProxyType({}),
    power: Mapping[str, Any] | None = None,
) -> Statistics:
    """Compute all statistics of an experiment.

    Args:
        trials: The content of exp_results.csv.
        checks: One row per item of a check and condition, if there are any.
        game: The game.
        settings: The settings of the experiment.
        n_planned: The number of planned trials. With fewer, nothing is claimed.
        about: How the directions were made; see `engine.directions.About`.
        power: The power as it was expected before the first trial; see `planned_power`.

    Returns:
        The statistics, as JSON can hold them.
    """
    table, plan = tidy(trials), analysis_plan.the_plan(settings, game)
    game = on_offer(game, table)
    averaged = average_trials(table, trial_measures(table, game) | text_measures(table))
    if checks is None or checks.empty:
        checks = pd.DataFrame(columns=list(CHECK_COLUMNS))
    evidence = Evidence(
        table=table,
        checks=checks,
        rises=rises(checks),
        about=about,
        cells=averaged,
        game=game,
        plan=plan,
        settings=settings,
        n_planned=n_planned,
        power=power,
    )
    found: dict[str, Any] = {}
    for key, compute in STATISTICS.items():
        found[key] = compute(evidence, found)
    order = list(Statistics.__annotations__)
    statistics = strict({key: found[key] for key in sorted(found, key=order.index)})
    # Sentences contain numbers as they are in the file, with unknown ones as None.
    for effect in statistics["emotion_analysis"].values():
        effect["sentence"] = sentence(effect, statistics)
    statistics["text_description"] = describe(statistics)
    statistics["basis"] = shared_basis(statistics)
    return statistics


# Each statistic of the file, from the evidence `e` and the statistics `s` of earlier lines. The
# order is that of the dependencies; the file has the order of `Statistics`.
STATISTICS: dict[str, Callable[[Evidence, dict[str, Any]], Any]] = {
    "meta": lambda e, s: _meta(e),
    "plan": lambda e, s: e.plan | {"hash": analysis_plan.plan_hash(e.plan)},
    "rates": lambda e, s: rates.rate_records(e.cells, e.game, e.plan["confidence"]),
    "validity": lambda e, s: rates.validity_records(e.cells, e.table, e.plan["confidence"]),
    "format_check": lambda e, s: format_records(e.table, e.game, e.plan["confidence"]),
    "position_bias": lambda e, s: rates.preference_records(e.cells, "first", e.plan["confidence"]),
    "length_bias": lambda e, s: rates.preference_records(e.cells, "length", e.plan["confidence"]),
    "human_reference": lambda e, s: rates.human_records(e.cells, e.game, e.plan),
    "rationality": lambda e, s: rationality(e.game, e.table, e.settings["show_payoffs"]),
    "manipulation": lambda e, s: manipulation_records(e.rises, e.plan["confidence"]),
    "induced": lambda e, s: induced_records(
        e.rises, e.checks, e.about, e.plan["headline_intensity"]
    ),
    "null_passes": lambda e, s: null_passes(e.rises, e.plan["emotions"]),
    "damage": lambda e, s: damage_records(e.cells, e.checks, e.plan),
    "contrasts": lambda e, s: contrast_records(e.cells, e.plan, _damaged(s)),
    "null_directions": lambda e, s: null_records(e.cells, e.plan, _damaged(s)),
    "emotion_analysis": lambda e, s: mark_failures(
        emotion_analysis(
            e.cells, s["contrasts"], s["null_directions"], s["damage"], e.plan, e.is_interim
        ),
        s["induced"],
    ),
    "intensity_analysis": lambda e, s: intensity_analysis(s["contrasts"], e.plan),
    "dose_response": lambda e, s: dose_records(e.cells, e.plan, _damaged(s)),
    "equivalence": lambda e, s: equivalence_records(e.cells, e.plan, _damaged(s)),
    "mixed_model": lambda e, s: mixed_model_records(e.cells, e.plan, _damaged(s)),
    "instructions": lambda e, s: instruction_records(
        e.cells, e.plan, s["emotion_analysis"], _damaged(s)
    ),
    "combined": lambda e, s: combined_records(e.cells, e.plan, _damaged(s)),
    "human_alignment": lambda e, s: alignment_records(e.cells, e.game, e.plan, _damaged(s)),
    "headroom": lambda e, s: headroom_records(e.cells, e.plan),
    "power": lambda e, s: detectable(e.cells, e.plan, _damaged(s), e.power),
}


def strict(value: Any) -> Any:
    """Return a value as JSON can hold it.

    NaN and infinities become null, and so does an interval of two of them. Numbers keep ten
    significant digits.
    """
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        items = [strict(item) for item in value]
        return None if len(items) == 2 and items == [None, None] else items
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _damaged(statistics: dict[str, Any]) -> set[str]:
    return {record["condition"] for record in statistics["damage"] if record["damaged"]}


def _meta(evidence: Evidence) -> Meta:
    table, averaged, game = evidence.table, evidence.cells, evidence.game
    sizes = table["condition"].value_counts()
    n_trials = averaged.conditions["condition"].map(sizes)
    return {
        "game": game.name,
        "model": str(table["model_name"].iat[0]) if "model_name" in table else None,
        "outcome": game.outcome,
        "choices": [{"label": choice.label, "value": choice.value} for choice in game.choices],
        "histories": averaged.histories,
        "n_trials": len(table),
        "n_trials_planned": evidence.n_planned,
        "interim": evidence.is_interim,
        "n_scenarios": len(averaged.scenarios),
        "n_generated": int(averaged.counts["parsed"].sum()),
        "n_parsed": int(averaged.counts[analysis_plan.CHOSEN].sum()),
        "minimum_scenarios": analysis_plan.MINIMUM_SCENARIOS,
        "confidence": evidence.plan["confidence"],
        "measures": {name: measure.meaning for name, measure in MEASURES.items()},
        "conditions": averaged.conditions.assign(n_trials=n_trials).to_dict("records"),
        "n_events": rates.distinct_events(table),
    }
