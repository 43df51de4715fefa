"""How long requests still take, from the pace of those that were measured in this run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from emotion_games.engine.requests import Request

# The part of an instrument's `seconds` in which answers are written.
WRITING = "decode"


@dataclass
class Part:
    """Work of one kind, in a unit of its own.

    Attributes:
        left: What is not done.
        done: What was done in this run. Earlier runs may have been on another machine.
        seconds: The time that this took.
    """

    left: int
    done: int = 0
    seconds: float = 0.0

    def finish(self, work: int, seconds: float) -> None:
        """Count work that was done in so many seconds."""
        self.left -= work
        self.done += work
        self.seconds += seconds

    def seconds_left(self) -> float | None:
        """Return the time of what is left, or None before any of it has been done."""
        if not self.left:
            return 0.0
        return self.left * self.seconds / self.done if self.done else None


class Stage:
    """Requests that are alike but for their length, and for what is written.

    A written answer takes much longer than a prompt that is only read and scored. So reading
    (characters of prompts and options) and writing (tokens of answers and thoughts, at most) have a
    pace each.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        """Begin with the requests that have no record."""
        self.parts = Part(_characters(requests)), Part(_written(requests))

    def finish(self, batch: Sequence[Request], seconds: float, writing: float) -> None:
        """Count a batch that took so many seconds, some of them for writing."""
        reading_part, writing_part = self.parts
        reading_part.finish(_characters(batch), seconds - writing)
        writing_part.finish(_written(batch), writing)


def seconds_left(stages: Iterable[Stage]) -> float | None:
    """Return the time of all that is left, or None if a part of it has no pace yet."""
    parts = [part.seconds_left() for stage in stages for part in stage.parts]
    known = [seconds for seconds in parts if seconds is not None]
    return sum(known) if len(known) == len(parts) else None


def _characters(requests: Sequence[Request]) -> int:
    return sum(len(r.prompt) + sum(map(len, r.options.values())) for r in requests)


def _written(requests: Sequence[Request]) -> int:
    thoughts = sum(len(r.thinking.uniforms) for r in requests if r.thinking)
    return thoughts + sum(map(len, chain.from_iterable(r.uniforms for r in requests)))
