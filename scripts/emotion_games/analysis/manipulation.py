"""Whether the intended emotion is there: in the model's words, to a blind reader, and in a later layer.

Knows the checks table; knows no choice. Each check is a paired difference from neutral over its items.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.contrasts import compare

UNITS = {
    "self_report": "difference in the probability of the intended emotion's label, -1 to 1",
    "blind_label": "difference in the unsteered model's probability of the intended emotion's label, -1 to 1",
    "projection": "later-layer projection less what was added, natural gaps",
}


def manipulation_records(checks: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """One record for each check, arm with an intended emotion, emotion and intensity."""
    records = []
    for name, unit in UNITS.items():
        rows = checks[checks["check"] == name]
        aimed = rows[rows["arm"].isin(["steered", "prompted", "shuffled"])]
        for (arm, emotion, intensity), own in aimed.groupby(
            ["arm", "emotion", "intensity"], sort=False
        ):
            reference = rows[
                rows["arm"] == ("prompted_neutral" if arm == "prompted" else "neutral")
            ]
            differences, against = _differences(name, own, reference, emotion)
            result = compare(differences.to_numpy()[:, None], confidence)[0]
            record = {"check": name, "arm": arm, "emotion": emotion, "intensity": float(intensity)}
            record |= {key: result[key] for key in ("estimate", "interval", "p", "sd")}
            record |= {"n_items": result.pop("n_scenarios"), "unit": unit}
            record["reason"] = result["reason"] and result["reason"].replace("scenario", "item")
            record["method"] = (
                f"mean over items of the paired difference from {against}; t interval; sign-flip mid-p, not corrected"
            )
            records.append(record)
    return records


def _differences(
    name: str, own: pd.DataFrame, reference: pd.DataFrame, emotion: str
) -> tuple[pd.Series, str]:
    value = (
        _label_probability(emotion)
        if name != "projection"
        else lambda rows: pd.to_numeric(rows["value"])
    )
    mine = value(own).groupby(own["item"]).mean()
    # A projection is already free of what was added, so that without neutral rows 0 is its natural reference.
    if reference.empty:
        return (
            (mine, "0")
            if name == "projection"
            else (mine * np.nan, "neutral, which was not measured")
        )
    return (mine - value(reference).groupby(reference["item"]).mean()).dropna(), "neutral"


def _label_probability(emotion: str):
    def read(rows: pd.DataFrame) -> pd.Series:
        return rows["probabilities"].map(lambda given: _mapping(given).get(emotion, np.nan))

    return read


def _mapping(given: object) -> dict[str, float]:
    """A cell of the column: a mapping, its JSON, or nothing."""
    if isinstance(given, str) and given:
        return json.loads(given)
    return given if isinstance(given, dict) else {}
