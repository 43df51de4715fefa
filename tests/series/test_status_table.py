"""The report as a table in the terminal, and the script that prints it."""

import report_completeness
from emotion_games import files
from emotion_games.layout import PAGE, SERIES_STATISTICS
from emotion_games.series.status_table import findings, status_table, summary


def row(status, done=0, total=10, error=None, left=None, checks=None):
    return {
        "model_name": "org/M",
        "status": status,
        "error": error,
        "progress": {"done": done, "total": total},
        "checks": checks,
        "seconds_left": left,
        "seconds_per_trial": None,
    }


def test_the_table_shows_trials_checks_and_the_time_left(tmp_path):
    rows = {
        "A": row("running", 4, left=700.0, checks={"done": 1234, "total": 1234}),
        "B": row("failed", error="it broke"),
        "C": row("pending", total=None),
    }
    head, *lines = status_table(tmp_path, rows).splitlines()
    assert head.split() == ["experiment", "status", "trials", "checks", "left,", "or", "error"]
    assert lines[0].split()[:4] == ["A", "running", "4/10", "1,234/1,234"]
    assert lines[0].endswith("  12 min left")
    assert lines[1].split() == ["B", "failed", "0/10", "it", "broke"]
    assert lines[2].split() == ["C", "pending", "0/?"]
    counts = "1 running, 1 pending, 1 failed"
    left = "12 min left, and 1 experiment of unknown time"
    assert lines[-1] == f"{tmp_path}: {counts}; {left}"


def test_no_time_is_guessed_if_nothing_is_known_of_it(tmp_path):
    lines = status_table(tmp_path, {"A": row("running", 4), "B": row("pending")}).splitlines()
    assert lines[-1] == f"{tmp_path}: 1 running, 1 pending"
    assert summary({}) == "no experiments"


def test_a_wrong_folder_is_one_line_and_stays_as_it_was(tmp_path, capsys):
    typo = tmp_path / "Typo_20250210_163355"
    assert report_completeness.main(typo) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"ERROR: {typo}: .state/series.json is missing")
    assert len(line.splitlines()) == 1 and not typo.exists()


def test_the_findings_of_a_finished_series_stand_before_its_page(tmp_path):
    assert findings(tmp_path) == []
    (tmp_path / PAGE).touch()
    effect = {"game_name": "Stag_Hunt", "model_name": "demo", "emotion": "anger"}
    effect |= {"outcome": "cooperation", "estimate": -0.3}
    effect |= {"claim": False, "moved": True, "interim": False}
    rows = [effect, effect | {"claim": True}, effect | {"moved": False}]
    files.write_json(tmp_path / SERIES_STATISTICS, {"rows": rows, "missing": []})
    found = "1 of 3 effects is claimed: anger lowers cooperation by 30 points (Stag Hunt)."
    assert findings(tmp_path) == [found, f"Page: {tmp_path / PAGE}"]
    # Nothing is said of a series in which something is missing.
    files.write_json(tmp_path / SERIES_STATISTICS, {"rows": rows, "missing": [{"exp_id": "x"}]})
    assert findings(tmp_path) == [f"Page: {tmp_path / PAGE}"]
