"""Whether a condition breaks the model, which would make its choices no emotion effect.

Knows limits on signs of damage, each against the neutral condition of its kind, and no direction in which an emotion
may move a choice. A condition over one limit is damaged; one for which perplexity, or a dominance item that neutral was
asked, is missing is not cleared.
"""

from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.rates import condition_of

# One answer in ten lost can hide or make an effect of .1, the usual equivalence margin.
PARSE_RATE_DROP = 0.10
# With less than half of neutral's mass on the options, the normalised probabilities describe mostly other answers.
VALID_MASS_RATIO = 0.5
# Share of repeated 4-word sequences: plain prose has next to none, a loop soon has most of them.
REPETITION_RISE = 0.10
# Half or twice neutral's number of words: truncated or rambling answers.
LENGTH_RATIO = 2.0
# One dominance item in ten lost ("10 or 5 euros") has nothing to do with any emotion.
DOMINANCE_DROP = 0.10
# Neutral text half as probable again a token: the language model itself is hurt.
PERPLEXITY_RATIO = 1.5
ITEM_CHECKS = ("dominance", "perplexity")
# check -> measure, allowed range given neutral's value, unit
_TRIAL_CHECKS = {
    "parse_rate": (
        "parsed",
        lambda neutral: (neutral - PARSE_RATE_DROP, np.inf),
        "share of answers",
    ),
    "valid_mass": (
        "valid_mass",
        lambda neutral: (neutral * VALID_MASS_RATIO, np.inf),
        "probability",
    ),
    "repetition": (
        "repetition",
        lambda neutral: (-np.inf, neutral + REPETITION_RISE),
        "share of 4-word sequences",
    ),
    "output_length": (
        "words",
        lambda neutral: (neutral / LENGTH_RATIO, neutral * LENGTH_RATIO),
        "words",
    ),
}


def text_measures(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Number of words and share of repeated 4-word sequences of each generated output; NaN for the others."""
    generated = table["generated"].to_numpy()
    words, repetition = np.full(len(table), np.nan), np.full(len(table), np.nan)
    texts = table["output"].to_numpy()
    for row in np.flatnonzero(generated):
        split = texts[row].split()
        grams = list(zip(split, split[1:], split[2:], split[3:], strict=False))
        words[row] = len(split)
        repetition[row] = 1 - len(set(grams)) / len(grams) if grams else 0.0
    return {"words": words, "repetition": repetition}


def damage_records(cells: Cells, checks: pd.DataFrame) -> list[dict[str, Any]]:
    """One record a condition: each check with its value, neutral's, the limit, and whether it passed."""
    records = []
    items = _items(checks)
    needed = {"perplexity"} | {name for name, arm, *_ in items if arm == "neutral"}
    for position in range(len(cells.conditions)):
        condition = condition_of(cells, position)
        if condition["arm"] in ("neutral", "prompted_neutral"):
            continue
        reference_arm = "prompted_neutral" if condition["arm"] == "prompted" else "neutral"
        reference = cells.find(reference_arm)
        found = _from_trials(cells, position, reference[0]) if reference else {}
        found |= _from_checks(items, condition, reference_arm)
        reasons = [_sentence(name, check) for name, check in found.items() if not check["passed"]]
        records.append(
            condition
            | {
                "damaged": bool(reasons),
                "complete": all(name in found for name in needed),
                "reasons": reasons,
                "checks": found,
                "unit": "each check its own",
                "method": "worst history against neutral; a fixed limit on the estimate, no test",
            }
        )
    return records


def _from_trials(cells: Cells, position: int, reference: int) -> dict[str, dict[str, Any]]:
    """The checks that the trials themselves carry; the worst history of each."""
    worst: dict[str, dict[str, Any]] = {}
    for history in cells.histories:
        for name, (measure, limit_of, unit) in _TRIAL_CHECKS.items():
            value, neutral = (_mean(cells, measure, history, c) for c in (position, reference))
            if np.isnan(value) or np.isnan(neutral):
                continue
            low, high = limit_of(neutral)
            excess = max(low - value, value - high)
            if name not in worst or excess > worst[name]["excess"]:
                n = cells.trials(measure, history, position)
                limit = low if low - value > value - high else high
                worst[name] = _check(value, neutral, limit, excess, n, unit) | {
                    "history": history if len(cells.histories) > 1 else None
                }
    return {name: _without_excess(check) for name, check in worst.items()}


def _from_checks(
    items: dict[tuple, pd.Series], condition: dict[str, Any], reference_arm: str
) -> dict[str, dict[str, Any]]:
    out = {}
    for name in ITEM_CHECKS:
        own = items.get((name, condition["arm"], condition["emotion"], condition["intensity"]))
        base = items.get(
            (name, reference_arm, "neutral", 0.0), items.get((name, "neutral", "neutral", 0.0))
        )
        paired = (
            pd.concat([own, base], axis=1, join="inner").dropna()
            if own is not None and base is not None
            else ()
        )
        if not len(paired):
            continue
        value, neutral = paired.mean()
        if name == "dominance":
            excess, limit = neutral - value - DOMINANCE_DROP, neutral - DOMINANCE_DROP
            unit = "probability of the better option"
        else:
            value, neutral = np.exp(value), np.exp(neutral)
            excess, limit, unit = (
                value / neutral - PERPLEXITY_RATIO,
                neutral * PERPLEXITY_RATIO,
                "perplexity",
            )
        check = _check(value, neutral, limit, excess, len(paired), unit)
        out[name] = _without_excess(check)
    return out


def _items(checks: pd.DataFrame) -> dict[tuple, pd.Series]:
    """(check, arm, emotion, intensity) -> value by item, of the checks that have items."""
    rows = checks[checks["check"].isin(ITEM_CHECKS)]
    rows = rows.assign(
        value=pd.to_numeric(rows["value"]), intensity=rows["intensity"].astype(float)
    )
    groups = rows.groupby(["check", "arm", "emotion", "intensity"])
    return {key: group.groupby("item")["value"].mean() for key, group in groups}


def _check(
    value: float, neutral: float, limit: float, excess: float, n: int, unit: str
) -> dict[str, Any]:
    """`excess` is how far the value lies beyond the limit, in the check's unit; negative within it."""
    passed = bool(excess <= 1e-9)
    return {
        "value": value,
        "neutral": neutral,
        "limit": limit,
        "passed": passed,
        "n": n,
        "unit": unit,
        "excess": excess,
    }


def _without_excess(check: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in check.items() if key != "excess"}


def _mean(cells: Cells, measure: str, history: str, position: int) -> float:
    level = cells.level(measure, history, position)
    return float(np.nanmean(level)) if (~np.isnan(level)).any() else np.nan


def _sentence(name: str, check: dict[str, Any]) -> str:
    where = f" at history {check['history']}" if check.get("history") else ""
    against = f"{check['value']:.3g} against {check['neutral']:.3g} in neutral{where}"
    return f"{name.replace('_', ' ')} {against} (limit {check['limit']:.3g})"
