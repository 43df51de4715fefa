"""Errors that a user can fix, and functions that word them.

Every message is one line with the place, what was found, what is allowed and what to do.
"""

import re
from collections.abc import Iterable

from emotion_games.escapes import printable

_SEPARATORS = r"[_\s-]+"
# Letters in which a misspelling may not differ any more.
_TOO_FAR = 3


class UserError(ValueError):
    """An error that a user can fix; its message is one line without control characters."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ProblemList(UserError):
    """Several problems at once, one line each; `problems` holds the lines in the order found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = [printable(line) for line in problems]
        super().__init__("\n".join(self.problems))


def likely_typo(word: object, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that `word` is most likely a misspelling of, or None.

    A misspelling has one or two wrong letters, fewer than a third of each part between `_`, and
    right first letters and digits. A word that merely resembles another one may be its opposite
    (`return_most` and `return_none`), so two candidates are as good as none.
    """
    distances = {name: _misspelt_letters(str(word).lower(), name.lower()) for name in allowed}
    near = min(distances.values(), default=_TOO_FAR)
    names = [name for name, distance in distances.items() if distance == near]
    return names[0] if near < _TOO_FAR and len(names) == 1 else None


def _misspelt_letters(word: str, name: str) -> int:
    parts, expected = re.split(_SEPARATORS, word), re.split(_SEPARATORS, name)
    # `num scenarios` and `numscenarios` for `num_scenarios`.
    if "".join(parts) == "".join(expected):
        return 0
    if len(parts) != len(expected) or abs(len(word) - len(name)) >= _TOO_FAR:
        return _TOO_FAR
    total = 0
    for part, right in zip(parts, expected, strict=True):
        distance = _edits(part, right)
        total += distance
        is_close = 3 * distance < max(len(part), len(right)) and part[0] == right[0]
        if distance and (not is_close or re.findall(r"\d", part) != re.findall(r"\d", right)):
            return _TOO_FAR
    return min(total, _TOO_FAR)


def _edits(a: str, b: str) -> int:
    """Return the number of letters inserted, deleted, replaced, or swapped with their neighbour."""
    # Rows of the table of Damerau and Levenshtein in the form of optimal string alignment.
    before, row = [], list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, start=1):
            least = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                least = min(least, last[j - 2] + 1)
            row.append(least)
    return row[-1]


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for a likely misspelling of an allowed word, or no text."""
    near = likely_typo(word, allowed)
    return f" (did you mean {near!r}?)" if near else ""


def unknown(what: str, word: object, allowed: Iterable[str]) -> str:
    """Return `unknown <what> 'x' (did you mean 'y'?); allowed: y, z`."""
    allowed = list(allowed)
    hint = did_you_mean(word, allowed)
    return f"unknown {what} {word!r}{hint}; allowed: {', '.join(allowed) or 'none'}"


def counted(number: int, noun: str) -> str:
    """Return `1 model`, or `1,200 models`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def shown(value: object) -> str:
    """Return a value as a message quotes it, cut to 60 characters; None is `nothing`."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
