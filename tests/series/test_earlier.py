"""What is known of effects is taken from the newest comparable results."""

import json
import os

import pytest

from emotion_games import layout
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.planned_power import Known
from emotion_games.experiment.power import MEASURED_DAMAGED, Variation
from emotion_games.series.earlier import earlier_results, known_effects
from simulated_trials import SETTINGS, a_game

PLAN = the_plan(SETTINGS, a_game())
GAME = PLAN["game"]


@pytest.fixture
def finished(tmp_path):
    """A function that writes the results of an experiment with some sd of effects."""

    def write(
        exp_id,
        sd,
        age=0,
        model="m",
        plan=None,
        stamp="20260101_120000",
        nulls=(0.2, 80),
        checked=True,
    ):
        folder = tmp_path / f"Series_{sd}_{stamp}" / f"{exp_id}_{stamp}"
        folder.mkdir(parents=True)
        for name in layout.RESULT_FILES:
            (folder / name).touch()
        sds = Variation(sd, 0.1, 0.0, 0.02)._asdict()
        observed = {"sds": sds, "damaged": nulls[0], "n_null_directions": nulls[1]}
        content = {
            "meta": {"game": GAME, "model": model},
            "plan": PLAN | (plan or {}),
            "power": {"observed": observed},
            "damage": [{"complete": checked, "damaged": False}],
        }
        file = folder / layout.STATISTICS
        file.write_text(json.dumps(content))
        os.utime(file, (1e9 - age, 1e9 - age))
        return folder

    return write


def found(tmp_path, exp_id=f"{GAME}_m", plan=PLAN):
    known = known_effects(earlier_results(tmp_path), exp_id, "m", plan)
    return known and known.variation.effects


def test_nothing_is_known_without_results(tmp_path):
    assert found(tmp_path) is None
    assert found(tmp_path / "missing") is None


def test_the_newest_results_with_the_game_and_the_model_count(tmp_path, finished):
    finished(f"{GAME}_m", 0.1, age=100)
    folder = finished(f"{GAME}_m", 0.2, age=50)
    finished("Stag_Hunt_m", 0.3)
    known = known_effects(earlier_results(tmp_path), f"{GAME}_m", "m", PLAN)
    # 20 of 100, and 2.2 of 10 of the assumption.
    assert known == Known(Variation(0.2, 0.1, 0.0, 0.02), pytest.approx(22.2 / 110), folder.name)


@pytest.mark.parametrize(
    ("nulls", "expected"),
    [((0.0, 4), 2.2 / 14), ((0.0, 200), 2.2 / 210), ((0.5, 500), 502.2 / 1010)],
)
def test_few_null_directions_change_the_expected_damage_little(tmp_path, finished, nulls, expected):
    finished(f"{GAME}_m", 0.2, nulls=nulls)
    known = known_effects(earlier_results(tmp_path), f"{GAME}_m", "m", PLAN)
    assert known.damaged == pytest.approx(expected)


def test_damage_that_was_not_checked_is_assumed(tmp_path, finished):
    finished(f"{GAME}_m", 0.2, nulls=(0.0, 200), checked=False)
    known = known_effects(earlier_results(tmp_path), f"{GAME}_m", "m", PLAN)
    assert known.damaged == MEASURED_DAMAGED


def test_another_game_with_the_model_comes_next(tmp_path, finished):
    finished("Stag_Hunt_m", 0.3)
    finished(f"{GAME}_other", 0.4, model="other")
    assert found(tmp_path) == 0.3


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "other"},
        {"plan": {"headline_intensity": 3.0}},
        {"plan": {"intensity_unit": "raw"}},
        {"plan": {"layers": [1]}},
        {"plan": {"direction_method": "paired_pca"}},
        {"plan": {"decoding": "guided" if PLAN["decoding"] == "free" else "free"}},
        {"plan": {"thinking_budget": 512}},
        {"plan": {"claim": PLAN["claim"] | {"measure": "chosen"}}},
    ],
)
def test_results_that_say_nothing_about_an_experiment_are_not_used(tmp_path, finished, changed):
    finished(f"{GAME}_m", 0.1, **changed)
    assert found(tmp_path) is None


def test_unfinished_damaged_and_older_kinds_of_results_are_passed_over(tmp_path, finished):
    (finished(f"{GAME}_m", 0.1) / layout.CONFIGURATION).unlink()
    (finished(f"{GAME}_m", 0.2) / layout.STATISTICS).write_text("{")
    older = finished(f"{GAME}_m", 0.3) / layout.STATISTICS
    older.write_text(json.dumps({"meta": {}, "power": {"observed": [{"sd": 0.1}]}}))
    assert found(tmp_path) is None
    finished(f"{GAME}_m", 0.4, age=10)
    assert found(tmp_path) == 0.4
