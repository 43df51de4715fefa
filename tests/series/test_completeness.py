"""The report follows the evidence on disk, is complete at every moment, and is cheap to update."""

import contextlib
import fcntl
import json
import os
import socket
import time

import pytest

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.series import completeness, state
from series_records import STAMP, write_series


def series_of(folder, *exp_ids):
    rows = {exp_id: {"total": 10, "output_dir": f"results/{exp_id}_{STAMP}"} for exp_id in exp_ids}
    return write_series(folder, rows)


def finish(folder, exp_id):
    results = folder / f"{exp_id}_{STAMP}"
    results.mkdir()
    for name in layout.RESULT_FILES:
        (results / name).write_text("x")
    return results


@pytest.fixture
def series(tmp_path):
    return series_of(tmp_path, "A", "B")


@pytest.fixture
def held():
    """Hold locks as another process would."""
    with contextlib.ExitStack() as stack:
        yield lambda path: fcntl.flock(stack.enter_context(open(path, "a")), fcntl.LOCK_EX)


def test_a_row_has_these_fields(series):
    row = completeness.rebuild(series)["A"]
    assert row == {
        "game_name": "Game",
        "model_name": "org/M",
        "status": "pending",
        "start_time": None,
        "end_time": None,
        "error": None,
        "output_dir": f"results/A_{STAMP}",
        "exp_id": "A",
        "progress": {"done": 0, "total": 10},
        "checks": None,
        "headroom": None,
        "seconds_left": None,
        "seconds_per_trial": None,
    }
    content = json.loads((series / layout.REPORT).read_text())
    head = {"last_updated", "seconds_left", "experiments_of_unknown_time"}
    assert set(content) == {*head, "experiments"} and content["experiments"]["A"] == row


def test_four_result_files_mean_completed_whatever_was_recorded(series):
    state.record(series, "A", status="failed", error="lost", progress={"done": 4, "total": 10})
    state.record(series, "A", checks={"done": 2, "total": 3}, seconds_left=5.0)
    results = finish(series, "A")
    row = completeness.rebuild(series)["A"]
    assert row["status"] == "completed" and row["error"] is None
    assert row["progress"] == {"done": 10, "total": 10} and row["checks"] == {"done": 3, "total": 3}
    assert row["seconds_left"] is None
    state.record(series, "A", status="completed", error=None)
    (results / layout.CONFIGURATION).unlink()
    row = completeness.rebuild(series)["A"]
    assert row["status"] == "pending" and row["error"].startswith("result files are missing")


def test_an_experiment_runs_only_if_its_process_is_alive(series, held):
    state.record(series, "A", status="running", host=socket.gethostname())
    row = completeness.rebuild(series)["A"]
    assert row["status"] == "failed"
    reason = "the process ended without reporting an error (killed, or out of memory?)"
    assert row["error"] == f"{reason} (log: {series}/.state/A.log)"
    held(layout.lock_path(series, "A"))
    assert completeness.rebuild(series)["A"]["status"] == "running"


def test_a_process_on_another_machine_is_alive_while_its_heartbeat_is_recent(series):
    state.record(series, "A", status="running", host="elsewhere")
    assert completeness.rebuild(series)["A"]["status"] == "failed"
    path = layout.lock_path(series, "A")
    path.touch()
    assert completeness.rebuild(series)["A"]["status"] == "running"
    long_ago = time.time() - 2 * state.SILENCE_SECONDS
    os.utime(path, (long_ago, long_ago))
    assert completeness.rebuild(series)["A"]["status"] == "failed"


def test_an_update_changes_only_its_row(series):
    completeness.rebuild(series)
    state.record(series, "A", status="failed", error="one")
    state.record(series, "B", status="failed", error="two")
    completeness.update(series, "A")
    rows = json.loads((series / layout.REPORT).read_text())["experiments"]
    assert (rows["A"]["status"], rows["B"]["status"]) == ("failed", "pending")


def test_the_time_left_is_that_of_experiments_that_run_and_wait(series, held):
    held(layout.lock_path(series, "A"))
    now = {"seconds_left": 60.0, "seconds_per_trial": 7.5}
    state.record(series, "A", status="running", host=socket.gethostname(), **now)
    completeness.rebuild(series)
    content = json.loads((series / layout.REPORT).read_text())
    # B has ten trials.
    assert content["seconds_left"] == 60 + 75 and content["experiments_of_unknown_time"] == 0
    # A forecast of a job that has died is not true any more.
    state.record(series, "A", status="failed", error="killed")
    completeness.update(series, "A")
    content = json.loads((series / layout.REPORT).read_text())
    assert content["experiments"]["A"]["seconds_left"] is None and content["seconds_left"] == 75


def test_a_report_that_is_damaged_or_lacks_experiments_is_rebuilt(series):
    for damage in ("", '{"last', None):
        path = series / layout.REPORT
        path.unlink(missing_ok=True) if damage is None else path.write_text(damage)
        completeness.update(series, "A")
        assert set(json.loads(path.read_text())["experiments"]) == {"A", "B"}
    series_of(series, "A", "B", "C")
    completeness.update(series, "A")
    assert set(json.loads(path.read_text())["experiments"]) == {"A", "B", "C"}


def test_an_update_reads_the_evidence_of_its_own_experiment_only(series, monkeypatch):
    completeness.rebuild(series)
    read, honest = [], completeness._row
    monkeypatch.setattr(completeness, "_row", lambda *a: read.append(a[1]) or honest(*a))
    completeness.update(series, "A")
    assert read == ["A"]
    completeness.rebuild(series)
    assert sorted(read[1:]) == ["A", "B"]


def test_a_folder_without_a_series_is_rejected(tmp_path):
    with pytest.raises(UserError, match="series.json is missing"):
        completeness.rebuild(tmp_path)


def test_an_error_in_the_page_does_not_stop_the_report(series, monkeypatch, capsys):
    def broken(series_dir, least_seconds):
        raise RuntimeError("no page today")

    monkeypatch.setattr(completeness, "_write_page", broken)
    monkeypatch.setattr("threading.excepthook", lambda args: print(args.exc_value))
    assert set(completeness.rebuild(series, wait_for_page=True)) == {"A", "B"}
    assert "no page today" in capsys.readouterr().out
