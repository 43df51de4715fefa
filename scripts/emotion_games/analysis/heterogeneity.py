"""Whether an emotion's effect differs between models or between games: random-effects summaries.

Knows effects and their standard errors; knows no trial. Exploratory: models that decided in the same scenarios are
not quite independent of one another, so that Q tends to be small.
"""

from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

_METHOD = (
    "random effects, Paule-Mandel tau squared (statsmodels combine_effects); Hartung-Knapp interval, never narrower "
    "than with the plain error; Q test; exploratory"
)


def summarize_effects(
    effects: list[float], errors: list[float], confidence: float
) -> dict[str, Any]:
    """Mean effect with interval, Q and its p, I squared, tau squared.

    It takes two effects or more with a standard error above 0.
    """
    pairs = [(e, s) for e, s in zip(effects, errors, strict=True) if e is not None and s]
    empty = {"k": len(pairs)} | dict.fromkeys(
        ("estimate", "interval", "q", "df", "p_q", "i2", "tau2")
    )
    if len(pairs) < 2:
        return empty | {"reason": "fewer than two effects with an interval", "method": _METHOD}
    values, variances = np.array(pairs).T ** np.array([[1], [2]])
    k = len(pairs)
    with np.errstate(divide="ignore"):  # its own I squared divides by Q, which may be 0
        found = combine_effects(values, variances, method_re="iterated", use_t=True)
    test = found.test_homogeneity()
    # With few effects that happen to agree, Hartung-Knapp alone can be narrower than the effects' own errors allow.
    reach = stats.t.ppf(0.5 + confidence / 2, k - 1) * max(
        found.sd_eff_w_re_hksj, found.sd_eff_w_re
    )
    return {
        "k": k,
        "estimate": found.mean_effect_re,
        "interval": [found.mean_effect_re - reach, found.mean_effect_re + reach],
        "q": test.statistic,
        "df": int(test.df),
        "p_q": test.pvalue,
        "i2": max(0.0, 1 - test.df / test.statistic) if test.statistic > 0 else 0.0,
        "tau2": max(0.0, found.tau2),
        "reason": None,
        "method": _METHOD,
    }


def heterogeneity_records(rows: list[dict[str, Any]], confidence: float) -> list[dict[str, Any]]:
    """Between models (one record an emotion, game and history) and between games (one an emotion and model).

    Damaged and unfinished rows are left out. Histories of a game count as separate games and are never averaged.
    """
    usable = [
        row
        for row in rows
        if not row["damaged"] and not row["interim"] and row["estimate"] is not None
    ]
    records = []
    for over, keys in (
        ("models", ("emotion", "game", "history", "measure")),
        ("games", ("emotion", "model", "measure")),
    ):
        groups: dict[tuple, list[dict[str, Any]]] = {}
        for row in usable:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        for group, members in groups.items():
            if len(members) < 2:
                continue
            summary = summarize_effects(
                [m["estimate"] for m in members], [m["se"] for m in members], confidence
            )
            names = [
                m["model"] if over == "models" else f"{m['game']}/{m['history']}" for m in members
            ]
            unit = (
                f"difference in expected {members[0]['outcome']}"
                if over == "models"
                else "difference in each game's own outcome"
            )
            named = dict.fromkeys(("emotion", "game", "history", "model", "measure")) | dict(
                zip(keys, group, strict=True)
            )
            records.append(
                {"over": over} | named | summary | {"members": names, "unit": unit + ", -1 to 1"}
            )
    return records
