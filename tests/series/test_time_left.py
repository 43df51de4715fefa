"""The time that a series still takes, from the pace of its own experiments."""

import pytest

from emotion_games.series.time_left import series_left


def row(status, model="m", done=0, total=100, left=None, pace=None):
    return {
        "model_name": model,
        "status": status,
        "progress": {"done": done, "total": total},
        "seconds_left": left,
        "seconds_per_trial": pace,
    }


def left_of(*rows):
    return series_left({str(number): row for number, row in enumerate(rows)})


def test_waiting_experiments_take_as_long_per_trial_as_those_with_their_model():
    done, running = row("completed", done=100, pace=2.0), row("running", left=30.0, pace=4.0)
    fast = row("completed", "fast", done=100, pace=0.1)
    waiting = row("pending"), row("pending", done=90), row("pending", "fast", total=50)
    assert left_of(done, fast, running, *waiting) == (30 + 300 + 30 + 5, 0)


def test_an_experiment_that_has_just_begun_is_forecast_like_one_that_waits():
    assert left_of(row("completed", pace=2.0), row("running", done=25)) == (150, 0)


def test_experiments_with_a_model_that_nothing_is_known_of_are_counted_apart():
    other = row("pending", "other"), row("running", "other"), row("pending", total=None)
    assert left_of(row("running", left=30.0, pace=2.0), *other) == (30, 3)
    assert left_of(*other) == (None, 3)


def test_nothing_is_left_of_finished_and_failed_experiments():
    rows = row("completed", pace=2.0), row("failed", done=10)
    assert left_of(*rows) == (None, 0)
    assert left_of(*rows, row("pending")) == (200, 0)


@pytest.mark.parametrize(("times", "left"), [([100, 100], 200), ([10, 500], 500)])
def test_experiments_that_run_at_once_share_the_rest_but_none_ends_early(times, left):
    running = [row("running", left=float(seconds), pace=1.0) for seconds in times]
    waiting = row("pending"), row("pending")
    expected = max(left, (sum(times) + 200) / 2)
    assert left_of(*running, *waiting) == (expected, 0)
