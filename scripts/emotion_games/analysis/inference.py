"""Tests and intervals on scenario-level numbers.

Knows arrays of scenario differences, effects of directions and p-values; knows no trial, condition or emotion. The
scenario is the unit: a difference that varies from scenario to scenario is noise for the mean, which is why nothing
here permutes trials. Functions of a matrix take one contrast a column, (scenarios, contrasts), NaN where a scenario
has no value.
"""

from functools import lru_cache
from itertools import product

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

# 2**15 sign patterns are enumerated; beyond, 9,999 drawn ones plus the observed give p to about a tenth of itself at
# .01.
EXACT_UP_TO = 15
DRAWS = 9_999
SIGN_SEED = 20_240_229
_TINY = 1e-12


def paired_t(differences: np.ndarray, confidence: float = 0.95) -> dict[str, np.ndarray]:
    """Mean, sd, n, t, df, two-sided p and t interval of each column.

    A column whose values are all equal has no t; its interval then bounds the mean by the share of unseen scenarios
    that could differ (exact binomial with none seen), so that no variation is never read as certainty.
    """
    n = (~np.isnan(differences)).sum(0)
    safe_n = np.maximum(n, 1)
    mean = np.nansum(differences, 0) / safe_n
    spread = np.where(np.isnan(differences), 0.0, differences - mean)
    sd = np.sqrt((spread**2).sum(0) / np.maximum(n - 1, 1))
    flat = sd < _TINY
    se = np.where(flat, 1.0, sd) / np.sqrt(safe_n)
    df = np.maximum(n - 1, 1)
    reach = stats.t.ppf(0.5 + confidence / 2, df) * se
    unseen = 1 - ((1 - confidence) / 2) ** (1 / safe_n)
    low = np.where(flat, mean - unseen * (1 + mean), mean - reach)
    high = np.where(flat, mean + unseen * (1 - mean), mean + reach)
    t = np.where(flat, np.nan, mean / se)
    few = n < 2
    return {
        "n": n,
        "estimate": np.where(n > 0, mean, np.nan),
        "sd": np.where(few, np.nan, sd),
        "t": np.where(few, np.nan, t),
        "df": n - 1,
        "p_t": np.where(few, np.nan, 2 * stats.t.sf(np.abs(t), df)),
        "low": np.where(few, np.nan, low),
        "high": np.where(few, np.nan, high),
        "flat": flat & ~few,
    }


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of each column: how often the mean is further from 0 when the scenarios' signs are drawn at random.

    Equally far counts half (mid-p): answers are discrete, and counting ties in full makes the test reject 3 % instead
    of 5 % and lose power. Zeros do not move under a flip and are left out. Exact up to 15 others, else 9,999 draws of a
    fixed seed, the same for every column, so the same data always give the same p. A column of zeros has p = 1, an
    empty one NaN.
    """
    values = np.nan_to_num(differences)
    out = np.where((~np.isnan(differences)).any(0), 1.0, np.nan)
    moving = (np.abs(values) > _TINY).sum(0)
    for column in np.flatnonzero((moving > 0) & (moving <= EXACT_UP_TO)):
        part = values[np.abs(values[:, column]) > _TINY, column]
        out[column] = _further(_all_signs(len(part)) @ part, part.sum()).mean()
    many = np.flatnonzero(moving > EXACT_UP_TO)
    if len(many):
        part = np.ascontiguousarray(values[:, many])
        chunks = np.array_split(_drawn_signs(len(values)), 9)
        hits = sum(_further(signs.astype(float) @ part, part.sum(0)).sum(0) for signs in chunks)
        # The observed signs are one more draw, which ties with itself.
        out[many] = (hits + 0.5) / (DRAWS + 1)
    return out


def _further(drawn: np.ndarray, observed: np.ndarray) -> np.ndarray:
    # Sums equal in exact arithmetic must count as equal whatever the order of the additions was.
    excess = np.abs(drawn) - np.abs(observed)
    return np.where(excess > 1e-9, 1.0, np.where(excess >= -1e-9, 0.5, 0.0))


@lru_cache
def _all_signs(n: int) -> np.ndarray:
    return np.array(list(product((1.0, -1.0), repeat=n)))


@lru_cache(maxsize=4)
def _drawn_signs(n: int) -> np.ndarray:
    return 2 * np.random.default_rng(SIGN_SEED).integers(0, 2, (DRAWS, n), dtype=np.int8) - 1


def against_random(
    effect: float, random_effects: np.ndarray, confidence: float = 0.95
) -> dict[str, float]:
    """An emotion's effect against the effects of k random directions, the direction being the random factor.

    t = (effect - mean_j) / (s_j * sqrt(1 + 1/k)) with k - 1 degrees of freedom: the prediction of one further draw.
    p_rank: share of the k + 1 directions at least as far from their common mean; it cannot fall below 1 / (k + 1)."""
    others = np.asarray(random_effects, float)
    others = others[~np.isnan(others)]
    k = len(others)
    nothing = {
        "n_directions": k,
        "estimate": np.nan,
        "t": np.nan,
        "df": k - 1,
        "p": np.nan,
        "p_rank": np.nan,
    }
    if k < 2 or np.isnan(effect):
        return nothing | {"low": np.nan, "high": np.nan, "sd": np.nan}
    estimate, sd = effect - others.mean(), others.std(ddof=1)
    everything = np.append(others, effect)
    distance = np.abs(everything - everything.mean())
    p_rank = (distance >= distance[-1] - 1e-9).mean()
    if sd < _TINY:
        same = 1.0 if abs(estimate) < _TINY else np.nan
        return nothing | {
            "estimate": estimate,
            "sd": 0.0,
            "p": same,
            "p_rank": p_rank,
            "low": np.nan,
            "high": np.nan,
        }
    scale = sd * np.sqrt(1 + 1 / k)
    reach = stats.t.ppf(0.5 + confidence / 2, k - 1) * scale
    return {
        "n_directions": k,
        "estimate": estimate,
        "sd": sd,
        "t": estimate / scale,
        "df": k - 1,
        "p": 2 * stats.t.sf(abs(estimate) / scale, k - 1),
        "p_rank": p_rank,
        "low": estimate - reach,
        "high": estimate + reach,
    }


def equivalence(
    differences: np.ndarray, margin: float, confidence: float = 0.95
) -> dict[str, float]:
    """Two one-sided t tests (TOST) that the mean difference lies within +-margin.

    The interval, of level 2 * confidence - 1, lies within the margin exactly where p is under 1 - confidence.
    """
    values = differences[~np.isnan(differences)]
    if len(values) < 2 or values.std(ddof=1) < _TINY:
        return {"n": len(values), "p": np.nan, "low": np.nan, "high": np.nan}
    sample = DescrStatsW(values)
    low, high = sample.tconfint_mean(alpha=2 * (1 - confidence))
    return {"n": len(values), "p": sample.ttost_mean(-margin, margin)[0], "low": low, "high": high}


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm-adjusted p of one family; what has no p stays without and does not count."""
    # Written out, since statsmodels' multipletests collects garbage at each call: a tenth of a second beside pandas.
    known = np.array(
        [i for i, p in enumerate(p_values) if p is not None and not np.isnan(p)], dtype=int
    )
    out: list[float | None] = [None] * len(p_values)
    values = np.array([p_values[i] for i in known])
    order = np.argsort(values)
    adjusted = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    for i, value in zip(known[order], adjusted, strict=True):
        out[i] = float(value)
    return out


def rate_interval(
    levels: np.ndarray, n_trials: int, sampled: bool, confidence: float = 0.95
) -> dict[str, float]:
    """Mean of scenario levels in [0, 1] with Wilson's interval on the effective sample size m(1 - m) / se**2.

    se comes from the variance between scenarios, so repeats of a scenario are not counted as independent; the normal
    quantile is replaced by Student's with n - 1 degrees of freedom (Franco et al. 2019, J. Surv. Stat. Methodol.
    7:334). A sampled rate has at most n_trials effective ones, and at 0 or 1 as many as scenarios. design_effect =
    n_trials / effective.
    """
    values = levels[~np.isnan(levels)]
    n = len(values)
    if n < 2:
        mean = float(values.mean()) if n else np.nan
        return {"n": n, "estimate": mean, "low": np.nan, "high": np.nan, "design_effect": np.nan}
    mean, variance = values.mean(), values.var(ddof=1) / n
    inside = mean * (1 - mean)
    if inside < _TINY:
        effective = float(n)
    else:
        effective = inside / max(variance, 1e-15)
        effective = min(effective, n_trials) if sampled else effective
    z2 = stats.t.ppf(0.5 + confidence / 2, n - 1) ** 2
    centre = (mean + z2 / (2 * effective)) / (1 + z2 / effective)
    half = (
        np.sqrt(z2) / (1 + z2 / effective) * np.sqrt(inside / effective + z2 / (4 * effective**2))
    )
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return {
        "n": n,
        "estimate": mean,
        "low": low,
        "high": high,
        "design_effect": n_trials / effective,
    }
