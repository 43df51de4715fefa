"""What a job shows on the terminal: a bar if it is alone on one, and a line a minute otherwise."""

import os
import select
import termios

import pytest

from emotion_games.series import terminal
from emotion_games.series.terminal import ALONE, PRINT_SECONDS, Terminal


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    return clock


@pytest.fixture
def pseudo_terminal():
    """A stream to a terminal, a function that sets its width, and one that returns its text."""
    leader, follower = os.openpty()
    stream = os.fdopen(follower, "w")
    resize = lambda columns: termios.tcsetwinsize(follower, (24, columns))  # noqa: E731
    yield stream, resize, lambda: _read(leader)
    stream.close()
    os.close(leader)


def _read(leader):
    found = b""
    # Text arrives in pieces.
    while select.select([leader], [], [], 0.2)[0]:
        found += os.read(leader, 100_000)
    return found.decode().replace("\r\n", "\n")


COUNTS = [{"checks": (n, 4), "trials": (10 * n, 40)} for n in range(5)]


def test_without_a_terminal_there_is_a_line_a_minute(clock, capsys, tmp_path):
    with open(tmp_path / "shown.txt", "w") as stream:
        shown = Terminal("Game_M", stream)
        for seconds in range(0, 151, 10):
            clock.now = 1000.0 + seconds
            shown.progress({"checks": (5, 5), "trials": (seconds, 1200)}, "2 min left")
        shown.progress({"checks": (5, 5), "trials": (1200, 1200)}, "writing the results", "x left")
        shown.line("completed")
    assert (tmp_path / "shown.txt").read_text().splitlines() == [
        "Game_M: 5 of 1,205 checks and trials, 2 min left",
        "Game_M: 65 of 1,205 checks and trials, 2 min left",
        "Game_M: 125 of 1,205 checks and trials, 2 min left",
        "Game_M: 1,205 of 1,205 checks and trials, writing the results; series: x left",
        "Game_M: completed",
    ]
    # The log has the same lines.
    assert capsys.readouterr().out.replace("\n", "\nGame_M: ").count("Game_M: ") == 5


def test_alone_on_a_terminal_there_is_one_bar(clock, capsys, pseudo_terminal, monkeypatch):
    monkeypatch.setenv(ALONE, "1")
    stream, resize, text = pseudo_terminal
    resize(100)
    shown = Terminal("Game_M", stream)
    for counts in COUNTS:
        shown.progress(counts, "2 min left", "3 h 0 min left")
    shown.close()
    shown.line("completed")
    *bars, last = text().split("\r")
    states = [state.split("|") for state in bars if "left" in state]
    percent = [state[0].strip() for state in states]
    assert list(dict.fromkeys(percent)) == [f"Game_M {n:3d}%" for n in (0, 25, 50, 75, 100)]
    assert {state[1].count("█") for state in states} == {0, 2, 5, 7, 10}
    assert states[2][2].rstrip() == " 22 of 44, 2 min left; series: 3 h 0 min left"
    # The bar is gone in the end.
    assert bars[-1].isspace() and last == "Game_M: completed\n"
    # The log has lines, not a bar.
    assert capsys.readouterr().out.splitlines() == [
        "0 of 44 checks and trials, 2 min left; series: 3 h 0 min left",
        "44 of 44 checks and trials, 2 min left; series: 3 h 0 min left",
        "completed",
    ]


@pytest.mark.parametrize(
    ("columns", "rest"),
    [
        (80, ", 2 min left; series: 3 h 0 min left"),
        # Of a terminal that does not know its width.
        (0, ", 2 min left; series: 3 h 0 min left"),
        (60, ", 2 min left"),
        (36, ""),
    ],
)
def test_a_time_for_which_there_is_no_room_is_left_out_as_a_whole(
    clock, pseudo_terminal, monkeypatch, columns, rest
):
    monkeypatch.setenv(ALONE, "1")
    stream, resize, text = pseudo_terminal
    resize(columns)
    shown = Terminal("Game_M", stream)
    shown.progress(COUNTS[2], "2 min left", "3 h 0 min left")
    assert text().rstrip().split("\r")[-1].endswith(f"| 22 of 44{rest}")


def test_a_line_between_does_not_break_the_bar(clock, pseudo_terminal, monkeypatch):
    monkeypatch.setenv(ALONE, "1")
    stream, _, text = pseudo_terminal
    shown = Terminal("Game_M", stream)
    shown.progress(COUNTS[1], "")
    shown.line("a note")
    shown.progress(COUNTS[2], "")
    # What is on the screen: a carriage return begins the row again.
    rows = [row.split("\r")[-1].split("|")[0].strip() for row in text().split("\n")]
    assert rows == ["Game_M: a note", "Game_M  50%"]


def test_the_time_of_the_series_may_be_the_only_one_that_is_known(clock, capsys, tmp_path):
    with open(tmp_path / "shown.txt", "w") as stream:
        Terminal("Game_M", stream).progress(COUNTS[1], "", "3 h 0 min left")
    assert capsys.readouterr().out == "11 of 44 checks and trials, series: 3 h 0 min left\n"


@pytest.mark.parametrize("alone", ["0", None])
def test_jobs_that_run_at_once_show_lines_on_a_terminal_too(
    clock, pseudo_terminal, monkeypatch, alone
):
    monkeypatch.delenv(ALONE, raising=False)
    if alone is not None:
        monkeypatch.setenv(ALONE, alone)
    stream, _, text = pseudo_terminal
    shown = Terminal("Game_M", stream)
    shown.progress(COUNTS[0], "")
    clock.now += PRINT_SECONDS
    shown.progress(COUNTS[1], "2 min left")
    shown.close()
    assert text().splitlines() == [
        "Game_M: 0 of 44 checks and trials",
        "Game_M: 11 of 44 checks and trials, 2 min left",
    ]


def test_a_terminal_that_is_gone_does_not_stop_the_job(clock, capsys, monkeypatch):
    monkeypatch.setenv(ALONE, "1")
    leader, follower = os.openpty()
    stream = os.fdopen(follower, "w")
    shown = Terminal("Game_M", stream)
    shown.progress(COUNTS[0], "")
    os.close(leader)
    for counts in COUNTS[1:]:
        shown.progress(counts, "")
    shown.line("completed")
    shown.close()
    assert capsys.readouterr().out.splitlines()[-1] == "completed"
