"""How the effect grows with the intensity: slope and curvature of each scenario, then tests over scenarios.

Knows doses in natural gaps and the effect against neutral; dose 0 is neutral itself, with effect 0 by definition.
"""

from typing import Any

import numpy as np
from scipy.stats import page_trend_test, t

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.contrasts import compare
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS

_METHOD = (
    "least squares of each scenario's effects on the dose, neutral at dose 0; t interval and sign-flip mid-p over "
    "scenarios, not corrected; Page's trend test on scenario x dose"
)


def dose_records(
    cells: Cells, plan: dict[str, Any], outcome: str, damaged: set[str]
) -> list[dict[str, Any]]:
    """One record for each emotion, history and measure (chosen, scored) that was run at one dose or more."""
    neutral = cells.find("neutral")
    steered = cells.find("steered")
    emotions = dict.fromkeys(cells.conditions["emotion"].iloc[steered])
    records = []
    for measure in ("chosen", "scored") if neutral else ():
        for history in cells.histories:
            band = random_band(cells, measure, history, plan["confidence"])
            for emotion in emotions:
                places = [
                    c for c in cells.find("steered", emotion) if cells.trials(measure, history, c)
                ]
                places.sort(key=lambda c: cells.conditions["intensity"][c])
                if not places:
                    continue
                record = {"emotion": emotion, "history": history, "measure": measure}
                record |= _one(cells, plan["confidence"], measure, history, neutral[0], places)
                for dose, place in zip(record["doses"], places, strict=True):
                    dose["damaged"] = cells.conditions["condition"][place] in damaged
                record |= {
                    "random_band": band,
                    "unit": f"difference in expected {outcome} a natural gap",
                    "method": _METHOD,
                }
                records.append(record)
    return records


def _one(
    cells: Cells, confidence: float, measure: str, history: str, neutral: int, places: list[int]
) -> dict[str, Any]:
    doses = cells.conditions["intensity"].to_numpy()[places]
    effects = np.column_stack([cells.difference(measure, history, c, neutral) for c in places])
    levels = np.column_stack([cells.level(measure, history, c) for c in (neutral, *places)])
    at_dose = [
        {"intensity": float(dose)}
        | {key: result[key] for key in ("estimate", "interval", "p", "n_scenarios", "reason")}
        for dose, result in zip(doses, compare(effects, confidence), strict=True)
    ]
    return {
        "doses": at_dose,
        "slope": coefficient(doses, effects, 1, confidence),
        "curvature": coefficient(doses, effects, 2, confidence),
        "page_trend": page_trend(np.append(0.0, doses), levels),
        "n_scenarios": int((~np.isnan(effects).any(1)).sum()),
    }


def coefficient(
    doses: np.ndarray, effects: np.ndarray, degree: int, confidence: float
) -> dict[str, Any]:
    """The highest coefficient of a polynomial of `degree`, fitted to each scenario's `effects` (scenarios, doses).

    Every scenario has a further point, no effect at dose 0. Degree 1: effect a natural gap. Degree 2: the quadratic
    term; its sign tells whether the effect speeds up or levels off.
    """
    x = np.append(0.0, doses)
    complete = effects[~np.isnan(effects).any(1)]
    if len(set(x)) <= degree:
        return {
            "estimate": None,
            "interval": None,
            "p": None,
            "n_scenarios": len(complete),
            "reason": "too few doses",
        }
    if not len(complete):
        return {
            "estimate": None,
            "interval": None,
            "p": None,
            "n_scenarios": 0,
            "reason": "no scenario has every dose",
        }
    y = np.column_stack([np.zeros(len(complete)), complete])
    fitted = np.polyfit(x, y.T, degree)[0]
    result = compare(fitted[:, None], confidence)[0]
    return {
        key: result[key]
        for key in ("estimate", "interval", "sd", "t", "df", "p", "p_t", "n_scenarios", "reason")
    }


def page_trend(doses: np.ndarray, levels: np.ndarray) -> dict[str, Any]:
    """Page's L on the (scenarios, doses) table, two-sided: twice the smaller of the rising and the falling p."""
    table = levels[~np.isnan(levels).any(1)][:, np.argsort(doses)]
    if len(table) < MINIMUM_SCENARIOS or len(doses) < 3:
        nothing = dict.fromkeys(("statistic", "p", "direction"))
        return nothing | {"n_scenarios": len(table), "reason": "too few scenarios or doses"}
    rising = page_trend_test(table, method="asymptotic")
    falling = page_trend_test(-table, method="asymptotic")
    return {
        "statistic": rising.statistic,
        "p": min(1.0, 2 * min(rising.pvalue, falling.pvalue)),
        "direction": "rising" if rising.pvalue < falling.pvalue else "falling",
        "n_scenarios": len(table),
        "reason": None,
    }


def random_band(
    cells: Cells, measure: str, history: str, confidence: float
) -> dict[str, Any] | None:
    """Where one further random direction would fall: mean and prediction interval of their effects, at their dose."""
    neutral = cells.find("neutral")
    seeds = [c for c in cells.find("random") if cells.trials(measure, history, c)]
    if not neutral or len(seeds) < 2:
        return None
    effects = [np.nanmean(cells.difference(measure, history, c, neutral[0])) for c in seeds]
    k, mean = len(effects), float(np.mean(effects))
    reach = t.ppf(0.5 + confidence / 2, k - 1) * np.std(effects, ddof=1) * np.sqrt(1 + 1 / k)
    intensity = float(cells.conditions["intensity"][seeds[0]])
    return {
        "intensity": intensity,
        "low": mean - reach,
        "mean": mean,
        "high": mean + reach,
        "n_directions": k,
    }
