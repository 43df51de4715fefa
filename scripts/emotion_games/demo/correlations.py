"""Correlation, slope and signs of planted and measured shifts, and what null directions reach.

A table of shifts has the shape `(emotions, cells)`; a cell is a game with one history.
"""

import random

import numpy as np

NULL_DRAWS = 2000
# No direction is required of smaller planted effects, because any push moves a model a little.
PLAIN = 0.1


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's r over all entries, 0 if a side is constant, NaN if a number is missing."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return np.nan
    if min(np.ptp(first), np.ptp(second)) < 1e-12:
        return 0.0
    return float(np.clip(np.corrcoef(first.ravel(), second.ravel())[0, 1], -1, 1))


def slope(planted: np.ndarray, measured: np.ndarray) -> float:
    """Return the least-squares slope of `measured` on `planted`, NaN if a number is missing."""
    spread = planted - planted.mean()
    return float((spread * measured).sum() / (spread**2).sum())


def plain(planted: np.ndarray) -> np.ndarray:
    """Return which planted shifts are so large that a measured one must have their sign."""
    # A planted shift of exactly the limit may be below it by a rounding error.
    return np.abs(planted) > PLAIN - 1e-9


def draw_rows(rows: int, number: int, seed: str) -> np.ndarray:
    """Draw `number` different row indices, in random order, `(NULL_DRAWS, number)`."""
    chance = random.Random(seed)
    return np.array([chance.sample(range(rows), number) for _ in range(NULL_DRAWS)])


def absolute_correlations(table: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return |r| of a table `(emotions, cells)` with each of `(draws, emotions, cells)`."""
    own, others = table - table.mean(), drawn - drawn.mean((1, 2), keepdims=True)
    lengths = np.sqrt((own**2).sum() * (others**2).sum((1, 2)))
    return np.abs((own * others).sum((1, 2))) / np.maximum(lengths, 1e-12)


def random_limit(table: np.ndarray, directions: np.ndarray, seed: str) -> float:
    """Return the 95 % quantile of |r| if null directions replace the emotions.

    Args:
        table: Planted shifts, `(emotions, cells)`.
        directions: Shifts under null directions, `(directions, cells)`.
        seed: Decides which directions replace which emotions.
    """
    drawn = directions[draw_rows(len(directions), len(table), seed)]
    return float(np.quantile(absolute_correlations(table, drawn), 0.95))
