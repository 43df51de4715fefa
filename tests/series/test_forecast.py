"""The forecast of a dry run is that of the newest comparable experiment, in known numbers."""

import json
import os

import pytest
import yaml

from emotion_games import layout
from emotion_games.series.forecast import forecast

SECONDS = {"import": 5, "load": 10, "self_check": 5, "prefill": 60, "score": 40, "decode": 200}


@pytest.fixture
def finished(tmp_path):
    """A function that writes the results of an experiment of 100 trials, 50 with an answer."""

    def write(name, age=0, meta=None, **changed):
        folder = layout.series_home(tmp_path) / "Series" / name
        folder.mkdir(parents=True)
        for file in layout.RESULT_FILES:
            (folder / file).touch()
        content = {
            "model_name": "m",
            "seconds": SECONDS,
            "runtime": {"device": "cpu"},
            "resumed": False,
            "settings": {},
        }
        configuration = folder / layout.CONFIGURATION
        configuration.write_text(yaml.safe_dump(content | changed))
        os.utime(configuration, (1e9 - age, 1e9 - age))
        meta = meta or {"n_trials": 100, "n_generated": 50}
        (folder / layout.STATISTICS).write_text(json.dumps({"meta": meta}))
        return folder

    return write


def lines(tmp_path, waiting, device="cpu"):
    return list(forecast(tmp_path, device, waiting))


def test_the_time_is_that_of_loading_and_of_each_trial_and_answer(tmp_path, finished):
    folder = finished("a")
    # Two experiments: 2 x 20 s, 60 + 200 trials of 1 s, 30 answers of 4 s.
    (line,) = lines(tmp_path, {"m": [(60, 30), (200, 0)]})
    assert line == f"  time with m: about 7 min, at the pace of {folder}"


def test_thoughts_are_paid_for_by_every_trial(tmp_path, finished):
    thinking = {"thinking": True, "thinking_budget": 512}
    finished("a", settings=thinking)
    # 20 s, and 20 trials of 3 s, with an answer or without one.
    (line,) = forecast(tmp_path, "cpu", {"m": [(20, 0)]}, 512)
    assert line.startswith("  time with m: about 80 s")
    (line,) = forecast(tmp_path, "cpu", {"m": [(20, 0)]}, 256)
    assert line.startswith("  time with m: unknown")


def test_the_newest_experiment_counts(tmp_path, finished):
    finished("old", age=1000, seconds={"prefill": 100_000})
    new = finished("new")
    assert str(new) in lines(tmp_path, {"m": [(100, 0)]})[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"model_name": "other"},
        {"runtime": {"device": "cuda"}},
        # Only the last run of an interrupted experiment was timed.
        {"resumed": True},
        {"settings": {"thinking": True, "thinking_budget": 512}},
    ],
)
def test_times_that_say_nothing_about_a_model_are_not_used(tmp_path, finished, changed):
    finished("a", **changed)
    (line,) = lines(tmp_path, {"m": [(100, 50)], "n": [(1, 1)]})
    assert line.startswith("  time with m, n: unknown")


def test_damaged_results_are_passed_over(tmp_path, finished):
    (finished("damaged") / layout.CONFIGURATION).write_text("")
    good = finished("good", age=10)
    assert str(good) in lines(tmp_path, {"m": [(100, 50)]})[0]


def test_a_finished_series_has_no_forecast(tmp_path, finished):
    finished("a")
    assert lines(tmp_path, {}) == []
