"""Errors that a user can fix, and functions that word them.

Every message is one line with the place, what was found, what is allowed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from emotion_games.escapes import printable


class UserError(ValueError):
    """An error that a user can fix; its message is one line without control characters."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ProblemList(UserError):
    """Several problems at once, one line each; `problems` holds the lines in the order found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = [printable(line) for line in problems]
        super().__init__("\n".join(self.problems))


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the most similar allowed word, or an empty string."""
    by_lower = {name.lower(): name for name in allowed}
    near = get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def unknown(what: str, word: object, allowed: Iterable[str]) -> str:
    """Return `unknown <what> 'x' (did you mean 'y'?); allowed: y, z`."""
    allowed = list(allowed)
    hint = did_you_mean(word, allowed)
    return f"unknown {what} {word!r}{hint}; allowed: {', '.join(allowed) or 'none'}"


def shown(value: object) -> str:
    """Return a value as a message quotes it, cut to 60 characters; None is `nothing`."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
