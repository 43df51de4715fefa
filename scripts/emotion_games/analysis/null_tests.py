"""Comparisons of an emotion's effect with those of null directions.

A direction is a random factor besides the scenario.
"""

import numpy as np
from scipy import stats

_TINY = 1e-12


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
    variance of the null directions' effects, without what the scenarios add to it. Its degrees of
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
