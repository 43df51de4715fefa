"""Tests and intervals for numbers per scenario.

The scenario is the unit of inference: a difference that varies between scenarios is noise for the
mean, so nothing here permutes trials. Functions of a matrix take one contrast per column,
`(scenarios, contrasts)`, with NaN for a scenario without a value.
"""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW  # type: ignore[import-untyped]

from emotion_games.analysis.statistics_parts import RateEstimate

# Up to 15 scenarios all 2**15 sign patterns are enumerated. Beyond, 9,999 drawn patterns and the
# observed one estimate a p of .01 with a standard error of a tenth of it.
EXACT_UP_TO = 15
DRAWS = 9_999
SIGN_SEED = 20_240_229
_TINY = 1e-12


def paired_t(differences: np.ndarray, confidence: float = 0.95) -> dict[str, np.ndarray]:
    """Compute a t test of each column's mean against 0.

    A column whose values are all equal has no t. Its interval bounds the mean by the share of
    unseen scenarios that could differ (exact binomial with none seen), so that no variation is
    never read as certainty.

    Args:
        differences: `(scenarios, contrasts)`, on a scale from -1 to 1.
        confidence: The level of the intervals.

    Returns:
        Arrays of shape `(contrasts,)`: n, estimate (the mean), sd, t, df, p_t (two-sided), low,
        high, and flat (whether all values are equal). NaN if a number does not exist.
    """
    n = (~np.isnan(differences)).sum(0)
    with warnings.catch_warnings():
        # NumPy and SciPy warn of columns that are empty, too short or flat.
        warnings.simplefilter("ignore")
        mean, sd = np.nanmean(differences, 0), np.nanstd(differences, 0, ddof=1)
        test = stats.ttest_1samp(differences, 0, nan_policy="omit")
        low, high = test.confidence_interval(confidence)
    flat = sd < _TINY
    unseen = 1 - ((1 - confidence) / 2) ** (1 / np.maximum(n, 1))
    return {
        "n": n,
        "estimate": mean,
        "sd": sd,
        "t": np.where(flat, np.nan, test.statistic),
        "df": n - 1,
        "p_t": np.where(flat, np.nan, test.pvalue),
        "low": np.where(flat, mean - unseen * (1 + mean), low),
        "high": np.where(flat, mean + unseen * (1 - mean), high),
        "flat": flat,
    }


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Compute the two-sided p of a sign-flip test of each column.

    p is the share of random signs of the scenarios for which the mean is further from 0 than the
    observed one. Equally far counts half (mid-p, Lancaster 1961): answers are discrete, and
    counting ties in full makes the test reject 3 % instead of 5 % and lose power. Zeros do not
    change under a flip and are left out. Up to 15 other values the test is exact. Beyond, it uses
    9,999 draws with a fixed seed, the same for each column, so the same data give the same p.

    Args:
        differences: `(scenarios, contrasts)`.

    Returns:
        `(contrasts,)`; 1 for a column of zeros, NaN for an empty one.
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
    # Sums that are equal in exact arithmetic must count as equal in any order of additions.
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
    """Compare an emotion's effect with the effects of k random directions.

    The direction is the random factor. t = (effect - mean) / (sd * sqrt(1 + 1 / k)) with k - 1
    degrees of freedom is the prediction of one further draw.

    Returns:
        n_directions (k), estimate (effect less the mean), sd over directions, t, df, p, low, high,
        and p_rank: the share of the k + 1 directions at least as far from their common mean, which
        is at least 1 / (k + 1). NaN if a number does not exist.
    """
    others = np.asarray(random_effects, float)
    others = others[~np.isnan(others)]
    k = len(others)
    numbers = ("estimate", "sd", "t", "p", "p_rank", "low", "high")
    found = {"n_directions": k, "df": k - 1} | dict.fromkeys(numbers, np.nan)
    if k < 2 or np.isnan(effect):
        return found
    estimate, sd = effect - others.mean(), others.std(ddof=1)
    everything = np.append(others, effect)
    distance = np.abs(everything - everything.mean())
    found |= {"estimate": estimate, "sd": sd, "p_rank": (distance >= distance[-1] - 1e-9).mean()}
    if sd < _TINY:
        # Directions without spread: equal is no evidence, and unequal cannot be judged.
        return found | {"sd": 0.0, "p": 1.0 if abs(estimate) < _TINY else np.nan}
    scale = sd * np.sqrt(1 + 1 / k)
    t, reach = estimate / scale, stats.t.ppf(0.5 + confidence / 2, k - 1) * scale
    p = 2 * stats.t.sf(abs(t), k - 1)
    return found | {"t": t, "p": p, "low": estimate - reach, "high": estimate + reach}


def equivalence(
    differences: np.ndarray, margin: float, confidence: float = 0.95
) -> dict[str, float]:
    """Test with two one-sided t tests (TOST) that the mean lies within -margin to margin.

    Args:
        differences: `(scenarios,)`.
        margin: The smallest difference that matters.
        confidence: The interval is of level 2 * confidence - 1; it lies within the margin if and
            only if p is less than 1 - confidence.

    Returns:
        p, low and high; NaN if the differences do not vary.
    """
    values = differences[~np.isnan(differences)]
    if len(values) < 2 or values.std(ddof=1) < _TINY:
        return {"p": np.nan, "low": np.nan, "high": np.nan}
    sample = DescrStatsW(values)
    low, high = sample.tconfint_mean(alpha=2 * (1 - confidence))
    return {"p": sample.ttost_mean(-margin, margin)[0], "low": low, "high": high}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p values of one family after Holm's correction.

    None and NaN stay None and do not count.
    """
    # Not statsmodels' multipletests, which collects garbage at each call: a tenth of a second
    # in a process that has loaded pandas.
    known = {i: p for i, p in enumerate(p_values) if p is not None and not np.isnan(p)}
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: known[i])):
        largest = max(largest, min(1.0, known[i] * (len(known) - rank)))
        adjusted[i] = float(largest)
    return adjusted


def rate_interval(
    levels: np.ndarray, n_trials: int, sampled: bool, confidence: float = 0.95
) -> RateEstimate:
    """Compute the mean of levels in [0, 1] with a Wilson interval that counts scenarios.

    The effective sample size is m(1 - m) / se**2. The standard error comes from the variance
    between scenarios, so that repeats do not count as independent, and Student's quantile with
    n - 1 degrees of freedom replaces the normal one (Franco et al. 2019, J. Surv. Stat. Methodol.
    7:334). The design effect is n_trials over the effective sample size.

    Args:
        levels: `(scenarios,)`.
        n_trials: The number of trials behind them.
        sampled: The levels are shares of drawn answers, which contain at most n_trials
            independent ones.
        confidence: The level of the interval.
    """
    values = levels[~np.isnan(levels)]
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    if n < 2:
        unknown = [np.nan, np.nan]
        return {"estimate": mean, "interval": unknown, "n_scenarios": n, "design_effect": np.nan}
    variance = values.var(ddof=1) / n
    inside = mean * (1 - mean)
    if inside < _TINY:
        # At 0 or 1 the scenarios do not vary; each counts once.
        effective = float(n)
    else:
        effective = inside / max(variance, 1e-15)
        effective = min(effective, n_trials) if sampled else effective
    z2 = stats.t.ppf(0.5 + confidence / 2, n - 1) ** 2
    shrunk = 1 + z2 / effective
    centre = (mean + z2 / (2 * effective)) / shrunk
    half = np.sqrt(z2 * (inside / effective + z2 / (4 * effective**2))) / shrunk
    return {
        "estimate": mean,
        "interval": [max(0.0, centre - half), min(1.0, centre + half)],
        "n_scenarios": n,
        "design_effect": n_trials / effective,
    }
