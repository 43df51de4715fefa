"""Entries of scenario files that cannot be used, and a summary of them for the user."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from emotion_games.errors import likely_typo
from emotion_games.escapes import printable
from emotion_games.games.records import Game, moves_of_others

# Lines of a summary for different reasons, and for different labels.
_SHOWN_REASONS = 8
_SHOWN_LABELS = 24
_OTHER_LABELS = "unknown labels of choices (`choice_labels` can say what they stand for)"


@dataclass(frozen=True)
class Skipped:
    """An entry, a file or a folder of scenarios that cannot be used.

    Attributes:
        place: The file, with the number of the entry in it.
        reasons: What is wrong, one line each.
        labels: One more line for each label of a choice that the game does not have.
        other_game: The game to which the entry belongs, if it is another one.
        earlier: The place of the entry that this one repeats.
        is_entry: It is one entry, and not a file or a folder.
    """

    place: str
    reasons: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    other_game: str = ""
    earlier: str = ""
    is_entry: bool = True

    def __str__(self) -> str:
        """Return place and reasons in one line."""
        # Texts of a file can contain line breaks, and names of files any bytes.
        reasons = "; ".join([*self.reasons, *self.labels.values()])
        reasons += f" (the earlier one is {self.earlier})" if self.earlier else ""
        return printable(f"{self.place}: {' '.join(reasons.split())}")


def summary(skipped: Sequence[Skipped], used: int) -> list[str]:
    """Return lines on what is skipped of a game's files, in which equal reasons are counted.

    Args:
        skipped: What is skipped.
        used: The number of entries that can be used.
    """
    lines = []
    entries = [one for one in skipped if one.is_entry]
    others = Counter(one.other_game for one in entries if one.other_game)
    faulty = [one for one in entries if not one.other_game]
    if faulty:
        lines.append(f"{len(faulty):,} of {_entries(len(entries) + used)} cannot be used:")
        lines += [f"  {line}" for line in _counted(faulty)]
    if others:
        names = ", ".join(f"{number:,} of {name}" for name, number in others.most_common())
        lines.append(f"{_entries(others.total())} of other games: {names}")
    lines += [str(one) for one in skipped if not one.is_entry]
    return [printable(line) for line in lines]


def label_block(skipped: Iterable[tuple[Game, Sequence[Skipped]]]) -> list[str]:
    """Return `choice_labels` for a config, in which a user says what unknown labels stand for.

    Args:
        skipped: What is skipped of each game's files.
    """
    labels: dict[str, Counter[str]] = {}
    choices: dict[str, tuple[str, ...]] = {}
    for game, ones in skipped:
        found = Counter(label for one in ones for label in one.labels)
        if found:
            # One entry of a family serves both of its roles, which may read the same file.
            name = game.family or game.name
            labels[name] = labels.get(name, Counter()) | found
            choices[name] = (*game.labels, *moves_of_others(game))
    lines = []
    for name, found in labels.items():
        lines.append(f"  {name}:  # {', '.join(choices[name])}")
        for label, number in found.most_common(_SHOWN_LABELS):
            meaning = likely_typo(label, choices[name]) or "..."
            lines.append(f"    {yaml_key(label)}: {meaning}  # {_entries(number)}")
        hidden = len(found) - _SHOWN_LABELS
        lines += [f"    # and {hidden:,} more"] if hidden > 0 else []
    return [printable(line) for line in ["choice_labels:", *lines]] if lines else []


def yaml_key(label: str) -> str:
    """Return a label as a key of YAML, in quotes if it would not be read as text otherwise."""
    is_plain = re.fullmatch(r"[A-Za-z]\w*", label, re.ASCII)
    is_word = label.casefold() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
    return label if is_plain and is_word else json.dumps(label, ensure_ascii=False)


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _counted(faulty: Sequence[Skipped]) -> list[str]:
    """Return a line for each reason, the most frequent ones first."""
    places: dict[str, list[str]] = {}
    for one in faulty:
        reasons = [*one.reasons, *([_OTHER_LABELS] if one.labels else [])]
        for reason in reasons:
            places.setdefault(" ".join(reason.split()), []).append(one.place)
    lines = []
    for reason, found in sorted(places.items(), key=lambda item: -len(item[1])):
        where = found[0] if len(found) == 1 else f"{_entries(len(found))}, first {found[0]}"
        lines.append(f"{where}: {reason}")
    hidden = len(lines) - _SHOWN_REASONS
    return [*lines[:_SHOWN_REASONS], f"and {hidden:,} more reasons"] if hidden > 0 else lines
