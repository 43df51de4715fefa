"""Which statistics of an experiment its figures draw, and their names in titles and captions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.reporting.style import words

# What an intensity is; see `engine.directions.Directions.push`.
INTENSITIES = {
    "hidden_norm": "An intensity is the length of the push as a share of that of hidden states.",
    "gap": "Intensity 1 is the mean length of the emotions' directions.",
    "raw": "An intensity is the length of the push at each layer.",
}
MARK = " ‡"
FAILED = "‡ Manipulation check failed"

T = TypeVar("T", bound=Mapping[str, Any])


def select(records: Iterable[T], **values: Any) -> list[T]:
    """Return the records that have these values."""
    return [r for r in records if all(r[key] == value for key, value in values.items())]


def estimated(records: Iterable[T]) -> list[T]:
    """Return the records that have an estimate."""
    return [r for r in records if r["estimate"] is not None]


def percent(record: Mapping[str, Any]) -> float:
    """Return an estimate in percentage points, NaN if there is none."""
    estimate = record["estimate"]
    return math.nan if estimate is None else 100 * estimate


def measure_of(stats: Statistics) -> str:
    """Return the measure to draw: that of the claims."""
    return stats["plan"]["claim"]["measure"]


def measure_words(stats: Statistics) -> str:
    """Return the name of that measure at the start of a sentence."""
    return MEASURES[measure_of(stats)].label.capitalize()


def histories_of(stats: Statistics, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the histories that the records have, in the game's order."""
    return [h for h in stats["meta"]["histories"] if select(records, history=h)]


def title_of(stats: Statistics) -> str:
    """Return game and model for a title."""
    interim = " (INTERIM)" if stats["meta"]["interim"] else ""
    return f"{words(stats['meta']['game'])}, {stats['meta']['model']}{interim}"


def model_of(stats: Statistics) -> str:
    """Return the model for a title."""
    return str(stats["meta"]["model"])


def failure_mark(came_through: bool | None) -> str:
    """Return the mark of an emotion that its push does not induce."""
    return MARK if came_through is False else ""


def failed_emotions(stats: Statistics, intensity: float) -> list[str]:
    """Return the emotions that a push of some intensity does not induce."""
    failed = select(stats["induced"], intensity=intensity, came_through=False)
    return [one["emotion"] for one in failed]


def failure_note(stats: Statistics, intensity: float) -> str:
    """Return what the mark means for a caption, or nothing if no emotion has failed."""
    failed = select(stats["induced"], intensity=intensity, came_through=False)
    reasons = "; ".join(f"{one['emotion']}, {one['reason']}" for one in failed)
    return f" {FAILED}: {reasons}." if failed else ""


def confidence(stats: Statistics) -> str:
    """Return the level of the intervals, such as `95 %`."""
    return f"{100 * stats['meta']['confidence']:g} %"
