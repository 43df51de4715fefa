"""Errors that a user can mend, each told in one line, and the small helps to word them.

Knows nothing of games, files or models: whoever raises one says where, what was found, what is allowed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """One line that a user can mend: where, what was found, what is allowed, what to do."""


class ProblemList(UserError):
    """Several such lines at once; `problems` holds them in the order found."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the allowed word nearest to `word`, or an empty string."""
    by_lower = {name.lower(): name for name in allowed}
    near = get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def unknown(what: str, word: object, allowed: Iterable[str]) -> str:
    """Word the commonest problem: `unknown <what> 'x' (did you mean 'y'?); allowed: y, z`."""
    allowed = list(allowed)
    return f"unknown {what} {word!r}{did_you_mean(word, allowed)}; allowed: {', '.join(allowed) or 'none'}"


def shown(value: object) -> str:
    """Return a value as a problem quotes it: at most 60 characters, `nothing` where there is none."""
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= 60 else text[:57] + "..."
