"""The frame around a job: what is recorded when it ends, and what is recorded if it could not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_games import files, layout
from emotion_games.errors import ProblemList, UserError
from emotion_games.series import state
from emotion_games.series.job import LONGEST_ERROR, one_line, record_silent_end
from series_records import STAMP, write_series

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("model a/M: cannot be loaded"), "model a/M: cannot be loaded"),
        (ProblemList(["one", "two"]), "one; two"),
        (ValueError("\n  first line\nsecond line"), "ValueError: first line"),
        (MemoryError(), "MemoryError: no message"),
        (KeyError("x" * 1000), "KeyError: '" + "x" * (LONGEST_ERROR - 1) + "..."),
    ],
)
def test_an_error_is_one_short_line(error, line):
    assert one_line(error) == line


def record_end(folder, stopped=False, before=None):
    record_silent_end(folder, ["A"], ["A.log"], before=before or {}, stopped=stopped)
    last = state.read_state(folder, "A")
    return last.get("status"), last.get("error")


def test_what_a_job_recorded_in_this_run_is_kept(tmp_path):
    state.record(tmp_path, "A", status="failed", end_time="2026-01-02T00:00:01", error="its own")
    # The clock was set back: what was on record before has the later time.
    before = {"A": {"status": "failed", "end_time": "2026-01-02T01:00:00", "error": "old"}}
    assert record_end(tmp_path, before=before) == ("failed", "its own")


def test_what_an_earlier_run_recorded_is_replaced(tmp_path):
    state.record(tmp_path, "A", status="failed", end_time="2026-01-01T00:00:00", error="old")
    before = {"A": state.read_state(tmp_path, "A")}
    error = "the process ended without reporting an error (killed, or out of memory?) (log: A.log)"
    assert record_end(tmp_path, before=before) == ("failed", error)


def test_a_job_that_was_stopped_is_pending(tmp_path):
    state.record(tmp_path, "A", status="running")
    assert record_end(tmp_path, stopped=True) == ("pending", "stopped")


def test_a_completed_or_running_experiment_is_left_alone(tmp_path):
    state.record(tmp_path, "A", status="completed", error=None)
    assert record_end(tmp_path) == ("completed", None)
    state.record(tmp_path, "A", status="running")
    with files.lock(layout.lock_path(tmp_path, "A")):
        assert record_end(tmp_path) == ("running", None)


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path, {"A": {"total": 2}})


RUN_A_JOB = """
import errno, sys
from pathlib import Path
from emotion_games import files, layout
from emotion_games.series import completeness, state
from emotion_games.series.job import ExperimentJob
folder, way = Path(sys.argv[1]), sys.argv[2]
completeness.refresh_page = lambda *_, **__: None
write_json = files.write_json
def full(path, content):
    # As on a full disk: there is room only once the reserve has been given up.
    if layout.reserve_path(folder, "A").exists():
        raise OSError(errno.ENOSPC, "No space left on device")
    write_json(path, content)
with ExperimentJob(folder, "A", layout.log_path(folder, "A")) as job:
    assert layout.reserve_path(folder, "A").stat().st_size == files.RESERVE_BYTES
    job.progress({"trials": (1, 2)}, None)
    if way != "well":
        files.write_json = full
    if way == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    results = layout.output_dir(folder, "A", state.read_series(folder)["stamp"])
    results.mkdir()
    for name in layout.RESULT_FILES:
        results.joinpath(name).touch()
"""


TIMES_OF_A_JOB = """
import json, sys
from pathlib import Path
from emotion_games import layout
from emotion_games.series import completeness, job as jobs, state
folder, clock = Path(sys.argv[1]), iter(json.loads(sys.argv[2]))
completeness.refresh_page = lambda *_, **__: None
class time:
    sleep = jobs.time.sleep
    monotonic = lambda: now
jobs.time, now, shown = time, 0.0, []
with jobs.ExperimentJob(folder, "A", layout.log_path(folder, "A")) as job:
    job.headroom("headroom: 3 at floor")
    shown.append(state.read_rows(folder)["A"]["headroom"])
    for now, trials, left in clock:
        job.progress({"trials": (trials, 20), "checks": (5, 5)}, left)
        row = state.read_rows(folder)["A"]
        shown.append([row[key] for key in ("progress", "checks", "seconds_left")])
    now += 3
    results = layout.output_dir(folder, "A", state.read_series(folder)["stamp"])
    results.mkdir()
    for name in layout.RESULT_FILES:
        results.joinpath(name).touch()
shown.append(state.read_rows(folder)["A"]["seconds_per_trial"])
(folder / "shown.json").write_text(json.dumps(shown))
"""


def times_of_a_job(series, *steps):
    """Run a job with a simulated clock; return the rows' fields after each step."""
    command = [sys.executable, "-c", TIMES_OF_A_JOB, series, json.dumps(steps)]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((series / "shown.json").read_text()), done.stderr


def test_the_report_counts_trials_and_checks_and_forecasts_both(series):
    steps = [10, 0, None], [20, 10, 12.34], [30, 20, 0.0]
    (headroom, *rows, pace), terminal = times_of_a_job(series, *steps)
    assert headroom == "headroom: 3 at floor"
    checks = {"done": 5, "total": 5}
    assert rows == [
        [{"done": 0, "total": 20}, checks, None],
        [{"done": 10, "total": 20}, checks, 12.3],
        # The results are not written yet.
        [{"done": 20, "total": 20}, checks, None],
    ]
    # 33 seconds with loading and writing, for the 20 trials of 25 requests that this run did.
    assert pace == round(33 / (20 * 20 / 25), 4)
    assert terminal.splitlines() == [
        "A: headroom: 3 at floor",
        "A: 5 of 25 trials and checks",
        "A: 25 of 25 trials and checks, writing the results; series: less than a minute left",
        "A: completed",
    ]


def test_a_run_that_did_little_of_an_experiment_says_nothing_of_its_pace(series):
    state.record(series, "A", seconds_per_trial=7.0)
    (*_, pace), _ = times_of_a_job(series, [10, 15, None], [20, 20, 0.0])
    assert pace == 7.0


def test_the_failure_of_a_model_keeps_its_finished_experiments(series):
    write_series(series, {"A": {}, "B": {}})
    for name in layout.RESULT_FILES:
        files.replace_text(layout.output_dir(series, "A", STAMP) / name, "")
    program = (
        "import sys; from pathlib import Path; from emotion_games.series.job import Job\n"
        "folder = Path(sys.argv[1])\n"
        "with Job(folder, ['A', 'B'], folder / '.state' / 'directions.log'):\n"
        "    raise ValueError('no direction')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, series], cwd=SCRIPTS, capture_output=True, text=True
    )
    assert done.returncode == 1 and "directions: failed: ValueError: no direction" in done.stderr
    assert state.read_state(series, "A") == {}
    assert state.read_state(series, "B")["status"] == "failed"


@pytest.mark.parametrize(
    ("way", "code", "status"),
    [("well", 0, "completed"), ("full at the end", 0, "completed"), ("full", 1, "failed")],
)
def test_the_end_is_recorded_on_a_full_disk_too(series, way, code, status):
    done = subprocess.run(
        [sys.executable, "-c", RUN_A_JOB, series, way], cwd=SCRIPTS, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    last = state.read_state(series, "A")
    assert last["status"] == status
    assert ("No space left on device" in (last["error"] or "")) == (way == "full")
    assert not layout.reserve_path(series, "A").exists()
