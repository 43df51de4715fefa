"""How much of a job is done, and how long the rest takes, in words."""

from collections.abc import Callable, Mapping

# How much is done and how much is planned, by what it is (in the plural).
Counts = Mapping[str, tuple[int, int]]
# Called with these, and with the seconds that are left; None if they are not known.
Report = Callable[[Counts, float | None], None]


def summed(counts: Counts) -> tuple[int, int]:
    """Return how much is done and how much is planned of everything together."""
    return sum(done for done, _ in counts.values()), sum(total for _, total in counts.values())


def ignore(counts: Counts, seconds_left: float | None) -> None:
    """Report nothing."""


def duration(seconds: float) -> str:
    """Return a time in its two largest units: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def time_left(seconds: float | None) -> str:
    """Return how long something still takes, or nothing if that is not known.

    The last minute is not counted down, because results are written after the last request.
    """
    if seconds is None:
        return ""
    return "less than a minute left" if seconds < 60 else f"{duration(seconds)} left"


def series_time_left(seconds: float | None, unknown: int) -> str:
    """Return how long a series still takes, or nothing if that is not known.

    Args:
        seconds: The time of the experiments of which it is known.
        unknown: The number of the others that are not finished.
    """
    left = time_left(seconds)
    noun = "experiment" if unknown == 1 else "experiments"
    return f"{left}, and {unknown:,} {noun} of unknown time" if left and unknown else left
