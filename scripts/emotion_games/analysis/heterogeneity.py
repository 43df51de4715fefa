"""Whether an emotion's effect differs between models or between games: random-effects summaries.

Exploratory: models that decided in the same scenarios are not independent, so that Q tends to be
too small.
"""

from collections import defaultdict
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects  # type: ignore[import-untyped]

from emotion_games.analysis.measures import MEASURES

_METHOD = (
    "random effects with Paule and Mandel's tau squared (statsmodels combine_effects); Hartung and "
    "Knapp's interval, never narrower than with the plain error; Q test; exploratory"
)


def summarize_effects(
    effects: list[float], errors: list[float | None], confidence: float
) -> dict[str, Any]:
    """Combine effects by random effects; that takes two or more with a standard error above 0.

    Returns:
        k (the number of effects), estimate, interval, q, df, p_q, i2, tau2, reason and method.
    """
    pairs = [(e, s) for e, s in zip(effects, errors, strict=True) if e is not None and s]
    k = len(pairs)
    numbers = ("estimate", "interval", "q", "df", "p_q", "i2", "tau2", "reason")
    summary = {"k": k} | dict.fromkeys(numbers) | {"method": _METHOD}
    if k < 2:
        return summary | {"reason": "fewer than two effects with an interval"}
    values, variances = np.array(pairs).T ** np.array([[1], [2]])
    with np.errstate(divide="ignore"):  # statsmodels divides by Q, which may be 0
        found = combine_effects(values, variances, method_re="iterated", use_t=True)
    test, mean = found.test_homogeneity(), found.mean_effect_re
    # If a few effects happen to agree, the error of Hartung and Knapp alone can be smaller than
    # the effects' own errors allow.
    error = max(found.sd_eff_w_re_hksj, found.sd_eff_w_re)
    reach = stats.t.ppf(0.5 + confidence / 2, k - 1) * error
    i2 = max(0.0, 1 - test.df / test.statistic) if test.statistic > 0 else 0.0
    summary |= {"estimate": mean, "interval": [mean - reach, mean + reach]}
    summary |= {"q": test.statistic, "df": int(test.df), "p_q": test.pvalue}
    return summary | {"i2": i2, "tau2": max(0.0, found.tau2)}


def heterogeneity_records(rows: list[dict[str, Any]], confidence: float) -> list[dict[str, Any]]:
    """Compare models within each game and history, and games within each model.

    The histories of a game count as separate games. Damaged and unfinished rows are left out.

    Args:
        rows: The rows of the series table.
        confidence: The level of the intervals.

    Returns:
        Summaries, with what was combined: `over` (models or games), emotion, game, history, model,
        measure, members and unit.
    """
    records = []
    for over, keys in (
        ("models", ("emotion", "game", "history", "measure")),
        ("games", ("emotion", "model", "measure")),
    ):
        groups = defaultdict(list)
        for row in rows:
            if not row["damaged"] and not row["interim"] and row["estimate"] is not None:
                groups[tuple(row[key] for key in keys)].append(row)
        for group, members in groups.items():
            if len(members) < 2:
                continue
            record: dict[str, Any] = {"over": over}
            record |= dict.fromkeys(("emotion", "game", "history", "model", "measure"))
            record |= zip(keys, group, strict=True)
            estimates, errors = [m["estimate"] for m in members], [m["se"] for m in members]
            record |= summarize_effects(estimates, errors, confidence)
            if over == "models":
                measured = MEASURES[members[0]["measure"]].of(members[0]["outcome"])
                record["members"] = [m["model"] for m in members]
                record["unit"] = f"difference in {measured}, -1 to 1"
            else:
                record["members"] = [f"{m['game']}/{m['history']}" for m in members]
                record["unit"] = "difference in each game's own outcome, -1 to 1"
            records.append(record)
    return records
