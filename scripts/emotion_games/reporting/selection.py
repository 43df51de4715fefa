"""Which statistics of an experiment its figures draw, and their names in titles and captions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.reporting.style import words

Stats = Mapping[str, Any]
Record = Mapping[str, Any]


def select(records: Iterable[Record], **values: Any) -> list[Record]:
    """Return the records that have these values."""
    return [r for r in records if all(r[key] == value for key, value in values.items())]


def measure_of(stats: Stats) -> str:
    """Return the measure to draw: written choices, or the probabilities if no answer was read."""
    return CHOSEN if stats["meta"]["n_parsed"] else SCORED


def measure_words(stats: Stats) -> str:
    """Return the name of that measure at the start of a sentence."""
    return "Written choices" if measure_of(stats) == CHOSEN else "Choice probabilities"


def histories_of(stats: Stats, records: Sequence[Record]) -> list[str]:
    """Return the histories that the records have, in the game's order."""
    return [h for h in stats["meta"]["histories"] if select(records, history=h)]


def title_of(stats: Stats) -> str:
    """Return game and model for a title."""
    interim = " (INTERIM)" if stats["meta"]["interim"] else ""
    return f"{words(stats['meta']['game'])}, {stats['meta']['model']}{interim}"


def confidence(stats: Stats) -> str:
    """Return the level of the intervals, such as `95 %`."""
    return f"{100 * stats['meta']['confidence']:g} %"
