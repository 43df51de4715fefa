"""Tests and intervals for numbers per scenario.

The scenario is the unit of inference: a difference that varies between scenarios is noise for the
mean, so nothing here permutes trials. Functions of a matrix take one contrast per column,
`(scenarios, contrasts)`, with NaN for a scenario without a value.
"""

import warnings
from collections.abc import Callable, Sequence
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
# Columns that a test takes at once, so that its draws fit the memory.
COLUMNS_AT_ONCE = 128
_TINY = 1e-12
# The least standard deviation of a resample, as a share of the observed one.
_LEAST_SD = 0.1


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


def bootstrap_t_p(differences: np.ndarray) -> np.ndarray:
    """Compute the two-sided p of an equal-tailed bootstrap-t test of each column's mean against 0.

    p is twice the smaller share of resamples of the scenarios whose t around the observed mean is
    at least, or at most, the observed t (Efron and Tibshirani 1993, chapter 12). A sign-flip test
    rejects too often where few scenarios with large differences balance many small ones, because
    their mean has a skewed distribution; this test does not. It uses 9,999 draws with a fixed seed.
    The standard deviation of a resample is at least a tenth of the observed one.

    Args:
        differences: `(scenarios, contrasts)`.

    Returns:
        `(contrasts,)`; NaN for a column without two different values.
    """
    out = np.full(differences.shape[1], np.nan)
    present = ~np.isnan(differences)
    # Columns with the same scenarios share their resamples.
    patterns, of_column = np.unique(present, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        columns = np.flatnonzero(of_column.ravel() == number)
        for part in np.array_split(columns, -(-len(columns) // COLUMNS_AT_ONCE)):
            out[part] = _bootstrap_t(differences[np.ix_(pattern, part)])
    return out


def _bootstrap_t(values: np.ndarray) -> np.ndarray:
    n, centred = len(values), values - (values.mean(0) if len(values) else 0.0)
    varied = (np.abs(centred) > _TINY).any(0) if n else np.zeros(values.shape[1], bool)
    p = np.full(values.shape[1], np.nan)
    if not varied.any():
        return p
    values, centred = values[:, varied], centred[:, varied]
    weights = _drawn_weights(n)
    means, squares = weights @ centred / n, weights @ centred**2 / n
    # A resample that misses the few scenarios that differ has hardly any variation. Its t would be
    # endless, so that an effect of 1 in all scenarios but one would be no effect.
    floor = (_LEAST_SD * values.std(0)) ** 2
    drawn = means / np.sqrt(np.maximum(squares - means**2, floor))
    observed = values.mean(0) / values.std(0)
    least = np.minimum((drawn >= observed).sum(0), (drawn <= observed).sum(0))
    p[varied] = np.minimum(1.0, 2 * (least + 1) / (DRAWS + 1))
    return p


@lru_cache(maxsize=4)
def _drawn_weights(n: int) -> np.ndarray:
    """Return how often each resample has each of n scenarios, `(draws, n)`."""
    return np.random.default_rng(SIGN_SEED).multinomial(n, np.full(n, 1 / n), DRAWS).astype(float)


def moved_p(differences: np.ndarray) -> np.ndarray:
    """Return the larger p of the sign-flip and the bootstrap-t test of each column.

    Where all values are equal there is no bootstrap-t, and the sign-flip test decides.

    Args:
        differences: `(scenarios, contrasts)`.
    """
    return np.fmax(sign_flip_p(differences), bootstrap_t_p(differences))


def rank_p(effect: float, null_effects: np.ndarray) -> float:
    """Return the share of the k + 1 directions at least as far from their common mean.

    If the emotion's direction is one more draw of the null directions, this p is exact, whatever
    their distribution. It is at least 1 / (k + 1).

    Args:
        effect: The mean effect of the emotion's direction.
        null_effects: Those of the null directions, `(k,)`.
    """
    everything = np.append(null_effects, effect)
    distance = np.abs(everything - everything.mean())
    return float((distance >= distance[-1] - 1e-9).mean())


def claim_p(moved: float, rank: float, from_neutral: float, from_nulls: float) -> float:
    """Return the p of a claim: the larger of p_moved and p_rank.

    Both must hold (intersection-union test, Berger 1982). It is 1 if the emotion moves choices in
    one direction from neutral and in the other from the mean of the null directions.

    Args:
        moved: p_moved.
        rank: p_rank.
        from_neutral: The emotion's mean difference from neutral.
        from_nulls: That from the mean of the null directions.
    """
    return max(moved, rank) if from_neutral * from_nulls > 0 else 1.0


def against_nulls(own: np.ndarray, nulls: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """Compare an emotion's effect with those of k null directions in the same scenarios.

    The interval has both factors: se² = var_s(d_s - mean_j d_js) / n + s_r² / k, where s_r² is the
    variance of the null directions' effects, freed of what the scenarios add to it. Its degrees of
    freedom are Satterthwaite's (1946). It covers the emotion's effect less the mean over all null
    directions.

    Args:
        own: The emotion's differences from neutral, `(scenarios,)`.
        nulls: Those of the null directions, `(scenarios, k)`. Only scenarios with all numbers
            count.
        confidence: The level of the interval.

    Returns:
        n_directions (k), n, estimate, sd (s_r), low, high, df, and p_rank; NaN if a number does
        not exist.
    """
    complete = ~np.isnan(own) & ~np.isnan(nulls).any(1)
    own, nulls = own[complete], nulls[complete]
    n, k = nulls.shape
    numbers = ("estimate", "sd", "df", "low", "high", "p_rank")
    found: dict[str, float] = {"n_directions": k, "n": n} | dict.fromkeys(numbers, np.nan)
    if not n or k < 2:
        return found
    means = nulls.mean(0)
    excess = own - nulls.mean(1)
    found |= {"estimate": excess.mean(), "p_rank": rank_p(own.mean(), means)}
    if n < 2:
        return found
    within = null_variance(nulls)
    parts = np.array([excess.var(ddof=1) / n, within / k])
    se2 = parts.sum()
    found["sd"] = np.sqrt(within)
    if se2 < _TINY**2:
        return found
    df = se2**2 / (parts**2 / np.array([n - 1, k - 1])).sum()
    reach = stats.t.ppf(0.5 + confidence / 2, df) * np.sqrt(se2)
    return found | {"df": df, "low": excess.mean() - reach, "high": excess.mean() + reach}


def null_variance(nulls: np.ndarray) -> float:
    """Return the variance of the true effects of null directions.

    It is that of their means less what the scenarios add: the residual mean square of directions
    and scenarios over the number of scenarios (the estimator of a balanced random two-way layout,
    Searle, Casella and McCulloch 1992, chapter 4). At least 0.

    Args:
        nulls: Differences from neutral, `(scenarios, k)`, without NaN.
    """
    n, k = nulls.shape
    means = nulls.mean(0)
    residuals = nulls - nulls.mean(1, keepdims=True) - means + means.mean()
    noise = (residuals**2).sum() / ((n - 1) * (k - 1)) / n
    return max(0.0, float(means.var(ddof=1) - noise))


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

    def adjust(known: np.ndarray) -> np.ndarray:
        # Not statsmodels' multipletests, which collects garbage at each call: a tenth of a second
        # in a process that has loaded pandas.
        order = np.argsort(known, kind="stable")
        steps = known[order] * np.arange(len(known), 0, -1)
        adjusted = np.empty(len(known))
        adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
        return adjusted

    return _corrected(p_values, adjust)


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p values of one family after the correction of Benjamini and Hochberg (1995).

    None and NaN stay None and do not count.
    """
    return _corrected(p_values, stats.false_discovery_control)


def _corrected(
    p_values: Sequence[float | None], adjust: Callable[[np.ndarray], np.ndarray]
) -> list[float | None]:
    known = [i for i, p in enumerate(p_values) if p is not None and not np.isnan(p)]
    adjusted: list[float | None] = [None] * len(p_values)
    if known:
        values = adjust(np.array([p_values[i] for i in known], float))
        for i, p in zip(known, values, strict=True):
            adjusted[i] = float(p)
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
