"""The power of an experiment: as it was planned, and with the variation that was found."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.contrasts import sound_nulls
from emotion_games.analysis.null_tests import null_variance
from emotion_games.analysis.statistics_records import Power, PowerFigures
from emotion_games.experiment.analysis_plan import Plan
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.planned_power import design_of, planned_power, power_figures
from emotion_games.experiment.power import Variation

# Of a standard deviation or a share. Smaller differences do not change a power.
_DIGITS = 4


def detectable(
    cells: Cells, plan: Plan, damaged: set[str], planned: Mapping[str, Any] | None = None
) -> Power:
    """Return the power of an experiment, in the primary measure and with histories averaged.

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model. Their directions are left out.
        planned: The power as it was expected before the first trial, if that is known.
    """
    measure = plan["claim"]["measure"]
    if planned is None:
        orders = cells.means[measure].shape[2]
        planned = planned_power(plan, len(cells.scenarios), orders)
    effects, nulls = _effects(cells, plan), _null_effects(cells, plan, damaged)
    observed = None
    if min(len(effects), *nulls.shape) > 1:
        design = design_of(plan, len(effects), nulls.shape[1])
        observed = power_figures(design, observed_variation(effects, nulls))
        observed |= {"damaged": _damaged_share(cells, damaged), "source": "this experiment"}
    return Power(
        measure=measure,
        planned=cast(PowerFigures, planned),
        observed=cast(PowerFigures | None, observed),
        reason=None if observed else "fewer than two scenarios or null directions",
        unit="probability of a finding; effects and sds in the outcome, 0 to 1",
        method="simulation of the claim rule on means over scenarios",
    )


def observed_variation(effects: np.ndarray, nulls: np.ndarray) -> Variation:
    """Estimate how far effects vary (a balanced random two-way layout, see `null_variance`).

    Args:
        effects: The emotions' differences from neutral, `(scenarios, emotions)`.
        nulls: Those of the null directions, `(scenarios, directions)`, both without NaN.
    """
    k = nulls.shape[1]
    null_variances = nulls.var(axis=0, ddof=1).mean()
    # The mean over directions has what they share, and a k-th of what each has of its own.
    of_mean = nulls.mean(axis=1).var(ddof=1)
    shared = max(0.0, (k * of_mean - null_variances) / (k - 1))
    variances = effects.var(axis=0, ddof=1).mean(), null_variances, shared, null_variance(nulls)
    return Variation(*(round(float(np.sqrt(variance)), _DIGITS) for variance in variances))


def _effects(cells: Cells, plan: Plan) -> np.ndarray:
    """Return the differences from neutral of all emotions, in the scenarios that have all."""
    neutral = cells.find(Arm.NEUTRAL)
    steered = cells.find(Arm.STEERED, intensity=plan["headline_intensity"])
    if not (neutral and steered):
        return np.empty((0, 1))
    measure, place = plan["claim"]["measure"], cells.places[0]
    matrix = cells.differences(measure, place, steered, neutral[0])
    return matrix[~np.isnan(matrix).any(axis=1)]


def _damaged_share(cells: Cells, damaged: set[str]) -> float:
    """Return the share of null directions that damage the model."""
    nulls = [cells.who(position)["condition"] for position in cells.find(Arm.RANDOM)]
    return round(float(np.mean([null in damaged for null in nulls])), _DIGITS)


def _null_effects(cells: Cells, plan: Plan, damaged: set[str]) -> np.ndarray:
    measure, place = plan["claim"]["measure"], cells.places[0]
    return sound_nulls(cells, Arm.RANDOM, measure, place, damaged)[1]
