"""Tests and intervals for numbers per scenario.

The scenario is the unit of inference: a difference that varies between scenarios is noise for the
mean, so nothing here permutes trials. Functions of a matrix take one contrast per column,
`(scenarios, contrasts)`, with NaN for a scenario without a value.
"""

import warnings
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
    weights = drawn_weights(n)
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
def drawn_weights(n: int) -> np.ndarray:
    """Return how often each resample has each of n scenarios, `(draws, n)`."""
    return np.random.default_rng(SIGN_SEED).multinomial(n, np.full(n, 1 / n), DRAWS).astype(float)


def moved_p(differences: np.ndarray) -> np.ndarray:
    """Return the larger p of the sign-flip and the bootstrap-t test of each column.

    Where all values are equal there is no bootstrap-t, and the sign-flip test decides.

    Args:
        differences: `(scenarios, contrasts)`.
    """
    return np.fmax(sign_flip_p(differences), bootstrap_t_p(differences))


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
