"""At which tokens of a text a push acts.

A window is given in characters of the prompt, and turned into tokens here. A token is one of the
first characters as long as the text begins with the same tokens as these characters alone. So a
token that spans both sides of a place belongs to what follows that place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import NamedTuple

# More tokens than any text has.
NO_END = 2**31 - 1


class Window(NamedTuple):
    """The tokens [begin, end) of a text, counted from 0; the first one is never pushed."""

    begin: int = 0
    end: int = NO_END

    def within(self, tokens: int) -> "Window | None":
        """Return what is pushed of the first tokens of the text, or None if nothing is."""
        begin, end = max(1, self.begin), min(self.end, tokens)
        return Window(begin, end) if begin < end else None


NOWHERE = Window(NO_END, NO_END)


@dataclass(frozen=True, eq=False)
class Edges:
    """The tokens of a prompt up to where a window begins, and up to where it ends.

    `end` is None for a window that goes on to the end of whatever follows the prompt.
    """

    begin: Sequence[int] = ()
    end: Sequence[int] | None = None

    def window(self, text: Sequence[int]) -> Window:
        """Return the window in the tokens of a prompt with something that follows it."""
        end = NO_END if self.end is None else _shared(self.end, text)
        return Window(_shared(self.begin, text), end)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    return len(commonprefix([list(one), list(other)]))
