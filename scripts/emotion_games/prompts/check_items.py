"""The material of the damage checks from its YAML file: items with a dominant answer, and neutral texts.

Knows the notation of that file; how items are asked and texts are read is `checks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games.data_files import known_keys, read_data
from emotion_games.errors import ProblemList, shown

# Words of a neutral text that are read before its likelihood is measured.
LEAD_WORDS = 4


@dataclass(frozen=True)
class DominanceItem:
    """A question without other people, whose answer `better` is at least as good as `worse` in every respect."""

    item_id: str
    question: str
    better: str
    worse: str


@dataclass(frozen=True)
class CheckItems:
    """What shows damage: items in the order of the file (there may be none), and neutral texts."""

    dominance: tuple[DominanceItem, ...]
    neutral_texts: tuple[str, ...]


def load_check_items(path: Path) -> CheckItems:
    """Return the items and texts of a file; ProblemList with everything that is wrong with it."""
    problems: list[str] = []
    data = known_keys(read_data(Path(path)), ["dominance", "neutral_texts"], str(path), problems)
    if not problems:
        problems += [
            f"{path}: {key} is missing" for key in ("dominance", "neutral_texts") if key not in data
        ]
    if problems:
        raise ProblemList(problems)
    items = _items(data["dominance"], f"{path}, dominance", problems)
    texts = _neutral_texts(data["neutral_texts"], f"{path}, neutral_texts", problems)
    if problems:
        raise ProblemList(problems)
    return CheckItems(items, texts)


def _items(value: Any, place: str, problems: list[str]) -> tuple[DominanceItem, ...]:
    if not isinstance(value, list):
        problems.append(f"{place}: expected a list of items, or [] for none, found {shown(value)}")
        return ()
    items, owner = [], {}
    for number, entry in enumerate(value, start=1):
        item = _item(entry, f"{place}, entry {number}", problems)
        if item.better and item.better == item.worse:
            problems.append(
                f"{place}, entry {number}: better and worse are the same text; one must be better"
            )
        if item.item_id and item.item_id in owner:
            first = f"the same as in entry {owner[item.item_id]}"
            problems.append(
                f"{place}, entry {number}, id: {item.item_id!r} is {first}; give each item its own"
            )
        owner.setdefault(item.item_id, number)
        items.append(item)
    return tuple(items)


def _item(entry: Any, place: str, problems: list[str]) -> DominanceItem:
    keys = ["id", "question", "better", "worse"]
    given = known_keys(entry, keys, place, problems)
    missing = [key for key in keys if key not in given] if isinstance(entry, Mapping) else []
    problems += [f"{place}: {key} is missing" for key in missing]
    wrong = [key for key in given if key in keys and not _is_text(given[key])]
    problems += [
        f"{place}, {key}: expected text (a number in quotes), found {shown(given[key])}"
        for key in wrong
    ]
    return DominanceItem(
        *(given[key].strip() if key in given and key not in wrong else "" for key in keys)
    )


def _neutral_texts(value: Any, place: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        problems.append(f"{place}: expected a list of texts, one at least, found {shown(value)}")
        return ()
    for number, text in enumerate(value, start=1):
        if not _is_text(text):
            problems.append(f"{place}, entry {number}: expected text, found {shown(text)}")
        elif len(text.split()) <= LEAD_WORDS:
            told = f"the first {LEAD_WORDS} words only lead in, and nothing follows them; write a longer text"
            problems.append(f"{place}, entry {number}: {told}, found {shown(text)}")
    return tuple(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
