"""Corrections of the p values of several tests."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats


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
