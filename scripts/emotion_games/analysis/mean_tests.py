"""Tests of the means of numbers per scenario, as the records of stats_analysis.json have them."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from emotion_games.analysis.inference import moved_p, paired_t
from emotion_games.analysis.statistics_parts import PairedTest, narrowed
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS

K = TypeVar("K", bound=Hashable)
FEW = f"fewer than {MINIMUM_SCENARIOS} scenarios: descriptive only, no test"
_FLAT = "every scenario has the same difference: no t, interval from the share that could differ"
# The basis of every `compare`, for the records' `method`.
TEST = "t interval; p: larger one of a two-sided sign-flip (mid-p) and a bootstrap-t test"


def compare(
    columns: Mapping[K, np.ndarray], confidence: float, limit: float = np.inf
) -> dict[K, PairedTest]:
    """Test the mean of each column against 0.

    There is no p with fewer scenarios than the plan requires.

    Args:
        columns: Differences or other numbers, `(scenarios,)` each.
        confidence: The level of the intervals.
        limit: The largest absolute value that a mean can have, 1 for a difference of two shares.
    """
    if not columns:
        return {}
    matrix = np.column_stack(list(columns.values()))
    found, p_values = paired_t(matrix, confidence), moved_p(matrix)
    tests = {}
    for i, key in enumerate(columns):
        n = int(found["n"][i])
        few = n < MINIMUM_SCENARIOS
        reasons = [FEW] * few + [_FLAT] * bool(found["flat"][i])
        test = {name: found[name][i] for name in ("estimate", "sd", "t", "df", "p_t")}
        interval = possible(found["low"][i], found["high"][i], limit) if n > 1 else None
        test |= {"p": p_values[i], "n_scenarios": n, "interval": interval, "descriptive_only": few}
        test |= {"reason": "; ".join(reasons) or None}
        test |= {"p": None, "p_t": None} if few else {}
        tests[key] = narrowed(test, PairedTest)
    return tests


def possible(low: float, high: float, limit: float = 1.0) -> list[float]:
    """Return the part of an interval from -limit to limit: all that a difference can be."""
    return [float(np.clip(end, -limit, limit)) for end in (low, high)]
