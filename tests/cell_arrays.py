"""Cells that are made from arrays, without trials."""

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.measures import MEASURES
from emotion_games.experiment.conditions import Condition


def cells_of_arrays(arrays: dict[tuple, np.ndarray], measure: str) -> Cells:
    """Return cells with one measure; all others are empty.

    Args:
        arrays: By arm, emotion and intensity, and instruction where there is one:
            `(histories, scenarios, orders)`, NaN if empty.
        measure: The name of the measure.
    """
    means = np.stack(list(arrays.values()), axis=-1)[:, :, :, None]
    rows = []
    for *who, instruction in (key if len(key) == 4 else (*key, "") for key in arrays):
        name = Condition(*who, instruction=instruction).name
        rows.append((name, *who, 0.0 if who[0] == "neutral" else 0.1 * who[2], instruction))
    columns = ["condition", "arm", "emotion", "intensity", "push_ratio", "instruction"]
    histories, scenarios = (list(map(str, range(size))) for size in means.shape[:2])
    counts = (~np.isnan(means)).astype(np.int32)
    return Cells(
        histories,
        scenarios,
        pd.DataFrame(rows, columns=columns),
        {name: np.full_like(means, np.nan) for name in MEASURES} | {measure: means},
        {name: np.zeros_like(counts) for name in MEASURES} | {measure: counts},
    )
