"""Whether the intended emotion is present: in the model's words, to a blind reader, and in a layer.

Each check is a paired difference from neutral over the check's items.
"""

import json

import numpy as np
import pandas as pd

from emotion_games.analysis.contrasts import TEST, compare
from emotion_games.analysis.statistics_records import Manipulation
from emotion_games.experiment.check_records import Check
from emotion_games.experiment.conditions import Arm

UNITS = {
    Check.SELF_REPORT: "difference in the probability of naming the intended emotion, -1 to 1",
    Check.BLIND_LABEL: "difference in the probability that the unsteered model, reading the "
    "rationale, names the intended emotion, -1 to 1",
    Check.PROJECTION: "projection of a later layer less what was added, in natural gaps",
}


def manipulation_records(checks: pd.DataFrame, confidence: float) -> list[Manipulation]:
    """Compute each check for every condition that intends an emotion.

    Args:
        checks: One row per item of a check and condition; see `check_records`.
        confidence: The level of the intervals.
    """
    records = []
    for check, unit in UNITS.items():
        rows = checks[checks["check"] == check]
        aimed = rows[rows["arm"].isin([Arm.STEERED, Arm.PROMPTED, Arm.SHUFFLED])]
        for _, own in aimed.groupby(["arm", "emotion", "intensity"], sort=False):
            arm, emotion, intensity = own[["arm", "emotion", "intensity"]].iloc[0]
            # Paired by item, so that items of different difficulty do not add noise.
            neutral = rows[rows["arm"] == Arm(arm).reference]
            differences, against = _by_item(check, own, emotion), "neutral"
            if not neutral.empty:
                differences = (differences - _by_item(check, neutral, emotion)).dropna()
            elif check == Check.PROJECTION:
                # What was added is already subtracted, so a projection has 0 as its reference.
                against = "0"
            else:
                against, differences = "neutral, which was not measured", differences * np.nan
            test = compare({check: differences.to_numpy()}, confidence)[check]
            record = Manipulation(
                check=str(check),
                arm=arm,
                emotion=emotion,
                intensity=float(intensity),
                estimate=test["estimate"],
                interval=test["interval"],
                p=test["p"],
                sd=test["sd"],
                n_items=test["n_scenarios"],
                unit=unit,
                reason=test["reason"] and test["reason"].replace("scenario", "item"),
                method=f"mean over items of the difference from {against}; {TEST}, not corrected",
            )
            records.append(record)
    return records


def _by_item(check: str, rows: pd.DataFrame, emotion: str) -> pd.Series:
    """The projection, or the probability of the emotion's label, of each item."""
    if check == Check.PROJECTION:
        values = pd.to_numeric(rows["value"])
    else:
        values = rows["probabilities"].map(lambda cell: _mapping(cell).get(emotion, np.nan))
    return values.groupby(rows["item"]).mean()


def _mapping(cell: object) -> dict[str, float]:
    """The content of a cell: a mapping, its JSON, or nothing."""
    if isinstance(cell, str) and cell:
        return json.loads(cell)
    return cell if isinstance(cell, dict) else {}
