"""The report as a table in the terminal, and the script that prints it."""

import pytest

import report_completeness
from emotion_games.series import state
from emotion_games.series.status_table import duration, status_table, summary


def row(status, done=0, total=10, error=None):
    return {"status": status, "error": error, "progress": {"done": done, "total": total}}


def test_the_table_shows_rates_and_the_time_left(tmp_path):
    state.record(tmp_path, "A", rate=0.5)
    state.record(tmp_path, "B", rate=7.0)
    rows = {"A": row("running", 4), "B": row("failed", error="it broke"), "C": row("pending", 9)}
    lines = status_table(tmp_path, rows).splitlines()
    assert lines[1].split() == ["A", "running", "4/10", "0.5", "12", "s"]
    assert lines[2].split() == ["B", "failed", "0/10", "it", "broke"]
    counts = "1 running, 1 pending, 1 failed"
    assert lines[-1] == f"{tmp_path}: {counts}; about 14 s left at the current rate"


def test_the_time_left_is_not_guessed_if_a_total_is_unknown(tmp_path):
    state.record(tmp_path, "A", rate=0.5)
    rows = {"A": row("running", 4), "B": row("pending", total=None)}
    lines = status_table(tmp_path, rows).splitlines()
    assert lines[2].split() == ["B", "pending", "0/?"]
    assert lines[-1] == f"{tmp_path}: 1 running, 1 pending"
    assert summary({}) == "no experiments"


def test_a_wrong_folder_is_one_line_and_stays_as_it_was(tmp_path, capsys):
    typo = tmp_path / "Typo_20250210_163355"
    assert report_completeness.main(typo) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"ERROR: {typo}: .state/series.json is missing")
    assert len(line.splitlines()) == 1 and not typo.exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (100, "2 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (200000, "2 d 8 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
