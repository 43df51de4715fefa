"""What the checks of a push ask about and read, from their YAML file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, shown

# Words at the beginning of a neutral text that the model reads before its perplexity is measured.
LEAD_WORDS = 4


@dataclass(frozen=True)
class DominanceItem:
    """A question with two answers; `better` is at least as good as `worse` in every respect."""

    item_id: str
    question: str
    better: str
    worse: str


@dataclass(frozen=True)
class CheckItems:
    """What the checks need: situations, dominance items, perhaps none, and neutral texts."""

    contexts: tuple[str, ...]
    dominance: tuple[DominanceItem, ...]
    neutral_texts: tuple[str, ...]


def load_check_items(path: Path) -> CheckItems:
    """Return the items and texts of a file, in its order.

    Raises:
        ProblemList: Everything that is wrong with the file, one line each.
        UserError: The file cannot be read.
    """
    data = read_data(path)
    problems = schemas.problems(data, schemas.read_schema("check_items"), path)
    problems += [f"{path}: {line}" for line in (*_item_problems(data), *_short_texts(data))]
    if problems:
        raise ProblemList(problems)
    keys = ("id", "question", "better", "worse")
    items = [DominanceItem(*(item[key].strip() for key in keys)) for item in data["dominance"]]
    contexts = tuple(" ".join(text.split()) for text in data["contexts"])
    return CheckItems(contexts, tuple(items), tuple(data["neutral_texts"]))


def _item_problems(data: Any) -> Iterator[str]:
    """Yield a line for each item with equal answers, or with the id of an earlier item."""
    places: dict[str, str] = {}
    for place, item in _entries(data, "dominance", Mapping):
        texts = {key: value.strip() for key, value in item.items() if isinstance(value, str)}
        if texts.get("better") and texts["better"] == texts.get("worse"):
            yield f"{place}: better and worse are the same text; one must be better"
        name = texts.get("id")
        if name and name in places:
            yield f"{place}.id: {name!r} is the id of {places[name]}, too; give each item its own"
        elif name:
            places[name] = place


def _short_texts(data: Any) -> Iterator[str]:
    for place, text in _entries(data, "neutral_texts", str):
        if 0 < len(text.split()) <= LEAD_WORDS:
            yield (
                f"{place}: {shown(text)} is too short: the model reads the first {LEAD_WORDS} "
                "words before the measurement; write a longer text"
            )


def _entries(data: Any, key: str, kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the place and the value of each entry of a list that has the expected type."""
    entries = data.get(key) if isinstance(data, Mapping) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, kind):
            yield f"{key}[{index}]", entry
