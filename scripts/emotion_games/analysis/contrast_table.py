"""One table of all contrasts of a series, a row for each contrast, history and measure."""

from collections.abc import Iterator
from typing import Any

from emotion_games.analysis.statistics_records import Contrast, EmotionEffect, Statistics
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL

COLUMNS = (
    "exp_id", "game_name", "model_name", "contrast", "arm", "emotion", "intensity", "history",
    "measure", "outcome", "role", "estimate", "low", "high", "low_corrected", "high_corrected",
    "p", "p_corrected", "p_holm", "p_claim", "p_claim_corrected", "level",
    "n_scenarios", "n_trials", "n_directions", "damaged", "interim", "reason",
)  # fmt: skip


def contrast_rows(
    exp_id: str, entry: dict[str, Any], analysis: Statistics
) -> Iterator[dict[str, Any]]:
    """Yield the contrasts of an experiment as rows with the keys COLUMNS.

    Args:
        exp_id: The id of the experiment.
        entry: Its entry in experiment_report.json.
        analysis: Its statistics.
    """
    meta = analysis["meta"]
    common = {"exp_id": exp_id, "outcome": meta["outcome"], "interim": meta["interim"]}
    common |= {key: entry[key] for key in ("game_name", "model_name")}
    for contrast in analysis["contrasts"]:
        row = dict.fromkeys(COLUMNS) | common
        row |= {key: value for key, value in contrast.items() if key in COLUMNS}
        row["low"], row["high"] = contrast["interval"] or (None, None)
        corrected = contrast.get("interval_corrected") or (None, None)
        row["low_corrected"], row["high_corrected"] = corrected
        effect = analysis["emotion_analysis"].get(contrast["emotion"])
        if effect and _is_of(effect, contrast):
            row |= {key: effect[key] for key in ("p_claim", "p_claim_corrected")}
            row["level"] = _level(effect)
        yield row


def _is_of(effect: EmotionEffect, contrast: Contrast) -> bool:
    """Return True if a contrast is the one about which an effect is claimed."""
    same = all(contrast[key] == effect[key] for key in ("intensity", "history", "measure"))
    return same and contrast["contrast"] == EMOTION_MINUS_NEUTRAL


def _level(effect: EmotionEffect) -> str:
    if effect["claim"]:
        return "claimed"
    return "moved" if effect["moved"] else "neither"
