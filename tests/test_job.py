"""The boundary of a job: what is recorded when it ends, and what others record when it could not."""

import pytest

from emotion_games import state
from emotion_games.errors import ProblemList, UserError
from emotion_games.job import LONGEST_ERROR, one_line, record_silent_end


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("model a/M: cannot be loaded"), "model a/M: cannot be loaded"),
        (ProblemList(["one", "two"]), "one; two"),
        (ValueError("\n  first line\nsecond line"), "ValueError: first line"),
        (MemoryError(), "MemoryError: no message"),
        (KeyError("x" * 1000), "KeyError: '" + "x" * (LONGEST_ERROR - 1) + "..."),
    ],
)
def test_an_error_is_one_short_line(error, told):
    assert one_line(error) == told


def record_end(folder, stopped=False, before=None):
    record_silent_end(folder, ["A"], ["A.log"], before=before or {}, stopped=stopped)
    said = state.read_state(folder, "A")
    return said.get("status"), said.get("error")


def test_what_a_job_said_in_this_run_stands(tmp_path):
    state.record(tmp_path, "A", status="failed", end_time="2026-01-02T00:00:01", error="its own words")
    # The clock was set back: what was on record before has the later time.
    before = {"A": {"status": "failed", "end_time": "2026-01-02T01:00:00", "error": "old"}}
    assert record_end(tmp_path, before=before) == ("failed", "its own words")


def test_words_of_an_earlier_run_do_not(tmp_path):
    state.record(tmp_path, "A", status="failed", end_time="2026-01-01T00:00:00", error="old")
    before = {"A": state.read_state(tmp_path, "A")}
    told = "ended without a word (killed, or out of memory?) (log: A.log)"
    assert record_end(tmp_path, before=before) == ("failed", told)


def test_a_job_that_was_stopped_is_pending(tmp_path):
    state.record(tmp_path, "A", status="running")
    assert record_end(tmp_path, stopped=True) == ("pending", "stopped")


def test_a_completed_or_living_experiment_is_left_alone(tmp_path):
    state.record(tmp_path, "A", status="completed", error=None)
    assert record_end(tmp_path) == ("completed", None)
    state.record(tmp_path, "A", status="running")
    with state.lock(state.lock_path(tmp_path, "A")):
        assert record_end(tmp_path) == ("running", None)
