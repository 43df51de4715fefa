"""How likely an effect of a given size is to be claimed, computed before an experiment is run.

The claim rule is simulated on means over stories, which takes milliseconds; a slow test compares
it with a simulation of whole matrices through the functions of `analysis.inference`.
"""

from collections.abc import Callable
from functools import lru_cache
from math import inf, sqrt
from typing import Any, NamedTuple

from emotion_games.experiment.analysis_plan import CLAIM_SCENARIOS, MINIMUM_SCENARIOS
from emotion_games.experiment.conditions import nulls_needed

POWER = 0.8
# So many simulated experiments give a power of .8 a standard error of .007 or less.
SERIES = 3000
SEED = 20_240_229
# With so many stories their noise is nothing.
ENDLESS = 10**6
# Further than any two standard normal numbers.
_APART = 100.0
_TINY = 1e-9


class Variation(NamedTuple):
    """How far effects vary, as standard deviations in units of the outcome (0 to 1).

    Attributes:
        effects: Of an emotion's effect (emotion - neutral) over stories.
        null_effects: Of a null direction's effect over stories.
        shared: The part of both that all directions have in common in a story, through neutral.
        directions: Of the null directions' mean effects, freed of what stories add to them.
    """

    effects: float
    null_effects: float
    shared: float
    directions: float


# SmolLM2-135M-Instruct at the default dose: six emotions and 150 null directions in 48 stories of
# two games, choice probabilities averaged over both option orders. The figures are those of
# `tests/benchmarks/null_claims.py`. Over stories the sd of emotions was .107 to .147 (median .12),
# and of null directions .10, of which .035 to .04 was shared. The sd of the null directions' means
# was .0039 and .0055, freed of what stories add.
MEASURED = Variation(0.12, 0.10, 0.04, 0.005)
# Of 200 null directions in docs/study_smollm2.md, 43 damage its answers in one game, and 36 in the
# other. The larger share is expected.
MEASURED_DAMAGED = 0.22
MEASURED_ON = "SmolLM2-135M-Instruct in Prisoners_Dilemma and Stag_Hunt"


class Design(NamedTuple):
    """The size of an experiment.

    Attributes:
        n_stories: The number of stories.
        n_nulls: The number of matched null directions that do not damage the model.
        n_emotions: The number of emotions, which are corrected together.
        n_real: How many of them have the effect in question.
        alpha: The level of the tests.
    """

    n_stories: int
    n_nulls: int
    n_emotions: int
    n_real: int = 1
    alpha: float = 0.05


def not_testable(design: Design) -> str | None:
    """Return why no effect can be claimed in an experiment of this size, None if one can."""
    lacking, needed = [], nulls_needed(design.n_emotions, 1 - design.alpha)
    if design.n_stories < CLAIM_SCENARIOS:
        lacking.append(f"{design.n_stories} stories, {CLAIM_SCENARIOS} are needed")
    if design.n_nulls < needed:
        emotions = f"{design.n_emotions} emotion{'s' * (design.n_emotions != 1)}"
        found = f"{design.n_nulls} undamaged null directions"
        lacking.append(f"{found}, {needed} are needed for {emotions}")
    return f"claims are not testable: {'; '.join(lacking)}" if lacking else None


def claim_power(effect: float, design: Design, variation: Variation) -> float:
    """Return the chance that an emotion's effect is claimed.

    The mean effects of `n_real` emotions are `effect`, and those of the others are drawn as null
    directions are. p_moved is that of Student's t over stories, p_rank the rank among the null
    directions' means, and the correction that of Benjamini and Hochberg over all emotions. All
    simulations use the same random numbers, so that the power grows with the effect.

    Args:
        effect: The mean effect over stories, in units of the outcome.
        design: The size of the experiment.
        variation: How far effects vary.
    """
    if not_testable(design):
        return 0.0
    return _share_found(_p_claim, effect, design, variation)


def moved_power(effect: float, design: Design, variation: Variation) -> float:
    """Return the chance that an emotion is found to move choices, whether or not it is claimed.

    The arguments are those of `claim_power`.
    """
    if design.n_stories < MINIMUM_SCENARIOS:
        return 0.0
    return _share_found(_p_moved, effect, design, variation)


def smallest_claimable(design: Design, variation: Variation) -> float:
    """Return the smallest effect that is claimed with 80 % power; infinite if none is."""
    return _smallest(lambda effect: claim_power(effect, design, variation))


def smallest_moving(design: Design, variation: Variation) -> float:
    """Return the smallest effect that is found to move choices with 80 % power, or infinity."""
    return _smallest(lambda effect: moved_power(effect, design, variation))


def _smallest(power: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    if power(high) < POWER:
        return inf
    while high - low > 0.0005:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def stories_for(effect: float, design: Design, variation: Variation) -> int | None:
    """Return how many stories give an effect 80 % power to be claimed; None if no number does."""

    def enough(n: int) -> bool:
        return claim_power(effect, design._replace(n_stories=n), variation) >= POWER

    if not enough(ENDLESS):
        return None
    low, high = 0, CLAIM_SCENARIOS
    while not enough(high):
        low, high = high, 2 * high
    # Two digits are enough.
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


class _Draws(NamedTuple):
    """Standard normal numbers for each simulated experiment.

    `nulls` are sorted within each, and lie _APART from those of the one before, so that they are
    one sorted array in which a rank is found by bisection. `totals` are their sums.
    """

    nulls: Any
    totals: Any
    effects: Any
    noise: Any
    shared: Any


@lru_cache(maxsize=4)
def _draws(n_nulls: int, n_emotions: int) -> _Draws:
    # The Snakefile imports this module, and NumPy and SciPy take a second to load.
    import numpy as np

    rng = np.random.default_rng(SEED)
    nulls = np.sort(rng.standard_normal((SERIES, n_nulls)), axis=1)
    apart = (nulls + _APART * np.arange(SERIES)[:, None]).ravel()
    totals = nulls.sum(1, keepdims=True)
    effects, noise = (_normal(rng, n_emotions) for _ in range(2))
    return _Draws(apart, totals, effects, noise, _normal(rng, 1))


def _normal(rng: Any, columns: int) -> Any:
    """Return standard normal numbers, `(series, columns)`.

    Each column has the quantiles of the distribution in random order (Latin hypercube sampling,
    McKay et al. 1979), so that the power has a smaller error than with independent numbers.
    """
    import numpy as np
    from scipy.special import ndtri

    quantiles = ndtri((np.arange(SERIES) + 0.5) / SERIES)
    return rng.permuted(np.tile(quantiles, (columns, 1)), axis=1).T


@lru_cache(maxsize=16)
def _variances(n_stories: int, n_emotions: int) -> Any:
    """Return observed variances over stories, relative to the true one."""
    import numpy as np

    rng = np.random.default_rng(SEED + 1)
    return rng.chisquare(n_stories - 1, (SERIES, n_emotions)) / (n_stories - 1)


PValues = Callable[[Design, Variation, slice, float | None], Any]


def _share_found(p_values: PValues, effect: float, design: Design, variation: Variation) -> float:
    """Return the share of real emotions with a corrected p of at most alpha."""
    import numpy as np

    real = p_values(design, variation, slice(design.n_real), effect)
    found = _rejected(np.hstack([real, _of_others(p_values, design, variation)]), design.alpha)
    return float(found[:, : design.n_real].mean())


@lru_cache(maxsize=16)
def _of_others(p_values: PValues, design: Design, variation: Variation) -> Any:
    return p_values(design, variation, slice(design.n_real, None), None)


def _means(
    design: Design, variation: Variation, emotions: slice, effect: float | None
) -> tuple[Any, Any]:
    """Return the observed mean effects of some emotions, `(series, emotions)`.

    They are without and with what all directions share, which no rank among them contains. An
    effect of None draws the true effects as those of null directions.
    """
    draws, n = _draws(design.n_nulls, design.n_emotions), design.n_stories
    true = variation.directions * draws.effects[:, emotions] if effect is None else effect
    own = sqrt(max(0.0, variation.effects**2 - variation.shared**2) / n)
    means = true + own * draws.noise[:, emotions]
    return means, means + variation.shared / sqrt(n) * draws.shared


def _p_moved(design: Design, variation: Variation, emotions: slice, effect: float | None) -> Any:
    """Return the p of Student's t for some emotions, `(series, emotions)`; see `_means`."""
    import numpy as np
    from scipy.special import stdtr

    n, (_, observed) = design.n_stories, _means(design, variation, emotions, effect)
    variances = _variances(n, design.n_emotions)[:, emotions]
    error = max(_TINY, variation.effects) * np.sqrt(variances / n)
    return 2 * stdtr(n - 1, -np.abs(observed) / error)


def _p_claim(design: Design, variation: Variation, emotions: slice, effect: float | None) -> Any:
    """Return the larger of p_moved and p_rank for some emotions, 1 if their signs differ."""
    import numpy as np

    n, k = design.n_stories, design.n_nulls
    draws = _draws(k, design.n_emotions)
    means, observed = _means(design, variation, emotions, effect)
    noise = max(0.0, variation.null_effects**2 - variation.shared**2) / n
    scale = max(_TINY, sqrt(variation.directions**2 + noise))
    agree = observed * (means - scale * draws.totals / k) > 0
    moved = _p_moved(design, variation, emotions, effect)
    return np.where(agree, np.maximum(moved, _rank_p(means / scale, draws, k)), 1.0)


def _rank_p(means: Any, draws: _Draws, k: int) -> Any:
    """Return the rank p of emotions, `(series, emotions)`, with means in sds of the nulls'."""
    import numpy as np

    # The directions at least as far from the common mean lie beyond the emotion, and beyond its
    # mirror image.
    mirrored = 2 * (draws.totals + means) / (k + 1) - means
    limit = 0.49 * _APART
    low, high = (np.clip(end(means, mirrored), -limit, limit) for end in (np.minimum, np.maximum))
    first = np.arange(SERIES)[:, None]
    below = np.searchsorted(draws.nulls, low + _APART * first, side="right") - k * first
    above = k - (np.searchsorted(draws.nulls, high + _APART * first, side="left") - k * first)
    return (1 + below + above) / (k + 1)


def _rejected(p: Any, alpha: float) -> Any:
    """Return which p values the correction of Benjamini and Hochberg rejects, row by row."""
    import numpy as np

    ordered = np.sort(p, axis=1)
    limits = alpha * np.arange(1, p.shape[1] + 1) / p.shape[1]
    # The largest p under its limit; every smaller p is rejected with it.
    largest = np.where(ordered <= limits, ordered, -1.0).max(axis=1)
    return p <= largest[:, None]
