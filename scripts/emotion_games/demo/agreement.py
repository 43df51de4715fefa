"""How well measured shifts agree with planted ones, and what chance alone would reach.

Knows tables of numbers, (emotion, cell); knows nothing of models or thresholds.
"""

import random

import numpy as np

NULL_DRAWS = 2000


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r over all entries; 0 where one side does not vary, NaN where a number is missing."""
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return np.nan
    if min(np.ptp(first), np.ptp(second)) < 1e-12:
        return 0.0
    return float(np.clip(np.corrcoef(first.ravel(), second.ravel())[0, 1], -1, 1))


def slope(of: np.ndarray, on: np.ndarray) -> float:
    """Least-squares slope of `on` against `of`, over all entries; NaN where a number is missing."""
    spread = of - of.mean()
    return float((spread * on).sum() / (spread**2).sum())


def draws(rows: int, number: int, seed: str) -> np.ndarray:
    """Positions of `number` different ones of so many rows, in random order: (NULL_DRAWS, number)."""
    chance = random.Random(seed)
    return np.array([chance.sample(range(rows), number) for _ in range(NULL_DRAWS)])


def correlations(table: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """|r| of a table (emotion, cell) with each of many, (draw, emotion, cell)."""
    own, others = table - table.mean(), drawn - drawn.mean((1, 2), keepdims=True)
    lengths = np.sqrt((own**2).sum() * (others**2).sum((1, 2)))
    return np.abs((own * others).sum((1, 2))) / np.maximum(lengths, 1e-12)


def random_limit(table: np.ndarray, directions: np.ndarray, seed: str) -> float:
    """95 % quantile of |r| when random directions, (direction, cell), stand in the emotions' place."""
    return float(
        np.quantile(correlations(table, directions[draws(len(directions), len(table), seed)]), 0.95)
    )
