"""The parts that records of stats_analysis.json are made of, and how they are picked."""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict, TypeVar, cast

Interval = list[float]  # [low, high] at the confidence of the plan
T = TypeVar("T", bound=Mapping[str, Any])


class Dosed(TypedDict):
    emotion: str  # `random_<number>` in the random arm, `neutral` if there is none
    intensity: float


class Treatment(Dosed):
    arm: str


class Who(Treatment):
    condition: str  # the name of the condition in trial ids


class Where(TypedDict):
    history: str
    measure: str  # a name of `measures.MEASURES`, or `<measure>:<choice>` for a choice's share


class Place(Who, Where):
    """A condition at one history in one measure."""


# In the file, many records share an entry of the list `basis`, see `shared_basis`.
class Basis(TypedDict):
    unit: NotRequired[str]
    method: NotRequired[str]


class Estimate(TypedDict):
    estimate: float | None
    interval: Interval | None
    n_scenarios: int


class RateEstimate(Estimate):
    design_effect: float  # trials per independent trial


class Tested(Estimate):
    p: float | None  # two-sided, not corrected
    reason: str | None  # why a number is missing


class PairedTest(Tested):
    # Missing if nothing could be tested.
    sd: NotRequired[float]
    t: NotRequired[float | None]
    df: NotRequired[int]
    p_t: NotRequired[float | None]
    descriptive_only: NotRequired[bool]  # too few scenarios for a test


def narrowed(record: Mapping[str, Any], kind: type[T]) -> T:
    """Return the part of a record that has the keys of a smaller kind of record."""
    return cast(T, {key: record[key] for key in kind.__annotations__ if key in record})


def shared_basis(content: Any) -> list[Basis]:
    """Move units and methods out of all records of some statistics, into one list.

    A record keeps the position of its entry there, as `basis`.
    """
    found: dict[tuple[Any, Any], int] = {}
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict):
            waiting += reversed(list(value.values()))
            own = value.pop("unit", None), value.pop("method", None)
            if own != (None, None):
                value["basis"] = found.setdefault(own, len(found))
    entries = [{"unit": unit, "method": method} for unit, method in found]
    return [cast(Basis, {key: text for key, text in e.items() if text}) for e in entries]


def first(records: Iterable[T], **values: Any) -> T | None:
    """Return the first record with these values, or None."""
    for record in records:
        if all(record[key] == value for key, value in values.items()):
            return record
    return None


def failed(reason: str) -> str:
    """Return the words for an emotion that its push does not induce."""
    return f"manipulation check failed: {reason}"
