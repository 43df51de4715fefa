"""The terminal of Snakemake, where a job shows lines, and its progress as a bar or as lines."""

import os
import sys
import time
from contextlib import suppress
from typing import TextIO

from tqdm import tqdm  # type: ignore[import-untyped]

from emotion_games.escapes import say
from emotion_games.progress import Counts, summed

# Environment variable of a run that starts one job at a time. Several bars would overwrite each
# other.
ALONE = "EMOTION_GAMES_ALONE"
# How often a line of progress is printed.
PRINT_SECONDS = 60.0
_BAR = "{desc} {percentage:3.0f}% |{bar:10}| {n:,} of {total:,}{postfix}"


class Terminal:
    """The log of a job (its standard output) and a stream to the terminal.

    The progress is a bar if the stream is a terminal and no other job writes there, and a line a
    minute otherwise. The log has the lines either way.
    """

    def __init__(self, label: str, stream: TextIO) -> None:
        self._label, self._stream = label, stream
        self._shows_bar = stream.isatty() and os.environ.get(ALONE) == "1"
        self._bar: tqdm | None = None
        self._done: int | None = None
        self._printed = -PRINT_SECONDS

    def line(self, text: str) -> None:
        """Print a line both to the log and to the terminal."""
        # The disk may be full and the terminal closed. Neither may prevent the record of how the
        # job ended.
        with suppress(OSError):
            say(text, sys.stdout)
        with suppress(OSError):
            if self._bar is not None:
                self._bar.clear()
            say(f"{self._label}: {text}", self._stream)

    def progress(self, counts: Counts, left: str, series_left: str = "") -> None:
        """Show what is done and planned, and how long it and the series still take."""
        done, total = summed(counts)
        if done == self._done:
            return
        self._done, now = done, time.monotonic()
        times = [left, "; ".join(filter(None, [left, series_left and f"series: {series_left}"]))]
        if self._shows_bar:
            self._draw(done, total, times)
        if now - self._printed >= PRINT_SECONDS or done == total:
            nouns = " and ".join(noun for noun, (_, planned) in counts.items() if planned)
            text = ", ".join(filter(None, [f"{done:,} of {total:,} {nouns}", times[-1]]))
            say(text, sys.stdout) if self._shows_bar else self.line(text)
            self._printed = now

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()
            self._bar = None

    def _draw(self, done: int, total: int, times: list[str]) -> None:
        """Draw the bar with the longest of some texts for which there is room."""
        with suppress(OSError):
            # Some terminals do not know their width.
            columns = os.get_terminal_size(self._stream.fileno()).columns or 80
            if self._bar is None:
                shape = {"desc": self._label, "bar_format": _BAR, "ncols": columns}
                self._bar = tqdm(total=total, file=self._stream, leave=False, **shape)
            self._bar.n, self._bar.ncols = done, columns
            # A text that is cut off would show another time.
            room = columns - len(f"{self._label} 100% |{'':10}| {done:,} of {total:,}, ")
            self._bar.set_postfix_str(next((t for t in times[::-1] if len(t) < room), ""))
