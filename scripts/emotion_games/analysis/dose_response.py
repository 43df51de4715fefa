"""How the effect depends on the intensity: slope and curvature per scenario, and a trend test.

Doses are intensities. Dose 0 is neutral, whose effect is 0 by definition.
"""

from itertools import product

import numpy as np
from scipy.stats import page_trend_test, t

from emotion_games.analysis import statistics_records as records
from emotion_games.analysis.cells import Cells
from emotion_games.analysis.contrasts import sound_nulls
from emotion_games.analysis.mean_tests import TEST, compare, possible
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import PairedTest, Tested, narrowed
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, Plan
from emotion_games.experiment.conditions import Arm

_METHOD = (
    f"least squares of each scenario's effects on the dose, with neutral at dose 0; {TEST}, not "
    "corrected; Page's trend test on scenarios and doses"
)


def dose_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[records.DoseResponse]:
    """Fit each emotion's doses at each history, for the main measures and that of the claims.

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model.
    """
    neutral = cells.find(Arm.NEUTRAL)
    steered = cells.conditions.iloc[cells.find(Arm.STEERED)].sort_values("intensity", kind="stable")
    primary = plan["claim"]["measure"]
    measures = [m for m in MEASURES.values() if neutral and (m.is_main or m.name == primary)]
    responses = []
    for measure, history in product(measures, cells.places):
        name = measure.name
        band = random_band(cells, name, history, plan["confidence"], damaged)
        for emotion in cells.conditions["emotion"].iloc[cells.find(Arm.STEERED)].unique():
            own = steered.index[steered["emotion"] == emotion]
            # Neutral comes first, then the doses in ascending order.
            places = [*neutral, *(c for c in own if cells.trials(name, history, c))]
            if len(places) == 1:
                continue
            levels = np.column_stack([cells.level(name, history, c) for c in places])
            effects = {c: cells.difference(name, history, c, neutral[0]) for c in places[1:]}
            doses = cells.conditions["intensity"].to_numpy()[places]
            matrix = np.column_stack(list(effects.values()))
            response = records.DoseResponse(
                emotion=emotion,
                history=history,
                measure=name,
                doses=_doses(cells, effects, plan["confidence"], damaged),
                slope=coefficient(doses[1:], matrix, 1, plan["confidence"]),
                curvature=coefficient(doses[1:], matrix, 2, plan["confidence"]),
                page_trend=page_trend(doses, levels),
                random_band=band,
                n_scenarios=int((~np.isnan(matrix).any(1)).sum()),
                unit=f"difference in {measure.of(plan['outcome'])}, per unit of intensity",
                method=_METHOD,
            )
            responses.append(response)
    return responses


def coefficient(
    doses: np.ndarray, effects: np.ndarray, degree: int, confidence: float
) -> PairedTest:
    """Test the highest coefficient of a polynomial that is fitted to each scenario's effects.

    Args:
        doses: `(doses,)`; no effect at dose 0 is added to them.
        effects: `(scenarios, doses)`. A scenario without every dose is left out.
        degree: 1 for the effect per unit of dose. 2 for the quadratic term, whose sign shows
            whether the effect accelerates or levels off.
        confidence: The level of the interval.
    """
    x = np.append(0.0, doses)
    complete = effects[~np.isnan(effects).any(1)]
    n, too_few = len(complete), len(set(x)) <= degree
    if too_few or not n:
        reason = "too few doses" if too_few else "no scenario has every dose"
        return PairedTest(estimate=None, interval=None, p=None, n_scenarios=n, reason=reason)
    # One fit for all scenarios: polyfit takes a column for each.
    y = np.column_stack([np.zeros(n), complete])
    fitted = np.polyfit(x, y.T, degree)[0]
    test = compare({degree: fitted}, confidence)[degree]
    del test["descriptive_only"]
    return test


def page_trend(doses: np.ndarray, levels: np.ndarray) -> records.PageTrend:
    """Compute Page's trend test, two-sided: p is twice the smaller one of rising and falling.

    Args:
        doses: `(doses,)`, with neutral.
        levels: `(scenarios, doses)`. A scenario without every dose is left out.
    """
    table = levels[~np.isnan(levels).any(1)][:, np.argsort(doses)]
    n = len(table)
    if n < MINIMUM_SCENARIOS or len(doses) < 3:
        reason = "too few scenarios or doses"
        return records.PageTrend(
            statistic=None, p=None, direction=None, n_scenarios=n, reason=reason
        )
    rising = page_trend_test(table, method="asymptotic")
    falling = page_trend_test(-table, method="asymptotic")
    return {
        "statistic": rising.statistic,
        "p": min(1.0, 2 * min(rising.pvalue, falling.pvalue)),
        "direction": "rising" if rising.pvalue < falling.pvalue else "falling",
        "n_scenarios": n,
        "reason": None,
    }


def random_band(
    cells: Cells, measure: str, history: str, confidence: float, damaged: set[str]
) -> records.RandomBand | None:
    """Return the prediction interval of one further null direction, None without two of them."""
    directions, matrix = sound_nulls(cells, Arm.RANDOM, measure, history, damaged)
    k = len(directions)
    if k < 2 or not len(matrix):
        return None
    effects = matrix.mean(0)
    mean = float(effects.mean())
    reach = t.ppf(0.5 + confidence / 2, k - 1) * np.std(effects, ddof=1) * np.sqrt(1 + 1 / k)
    low, high = possible(mean - reach, mean + reach)
    return {
        "intensity": cells.who(directions[0])["intensity"],
        "low": low,
        "mean": mean,
        "high": high,
        "n_directions": k,
    }


def _doses(
    cells: Cells, effects: dict[int, np.ndarray], confidence: float, damaged: set[str]
) -> list[records.Dose]:
    doses = []
    for c, test in compare(effects, confidence, 1.0).items():
        who = cells.who(c)
        tested, is_damaged = narrowed(test, Tested), who["condition"] in damaged
        doses.append(records.Dose(**tested, intensity=who["intensity"], damaged=is_damaged))
    return doses
