"""Slope, curvature and trend of planted dose-response curves."""

import numpy as np
import pytest
from scipy.stats import page_trend_test

from emotion_games.analysis.dose_response import coefficient, dose_records, page_trend
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, cells_of, simulate

DOSES = np.array([0.5, 1.0, 1.5])


def curve(slope, curvature, n=24, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    return slope * DOSES + curvature * DOSES**2 + rng.normal(0, noise, (n, 3))


def test_the_slope_of_a_line_through_neutral():
    effects = curve(-0.2, 0.0)
    found = coefficient(DOSES, effects, 1, 0.95)
    assert found["estimate"] == pytest.approx(-0.2, abs=0.01) and found["p"] < 0.001
    assert coefficient(DOSES, effects, 2, 0.95)["p"] > 0.05


def test_least_squares_agree_with_numpy_scenario_by_scenario():
    effects = curve(0.1, -0.05, noise=0.1)
    each = [np.polyfit([0, *DOSES], [0, *row], 2)[0] for row in effects]
    assert coefficient(DOSES, effects, 2, 0.95)["estimate"] == pytest.approx(np.mean(each))


def test_a_curve_that_levels_off_has_negative_curvature():
    found = coefficient(DOSES, curve(0.4, -0.15), 2, 0.95)
    assert found["estimate"] == pytest.approx(-0.15, abs=0.03) and found["interval"][1] < 0


def test_too_few_doses_and_missing_doses_have_a_reason():
    one = coefficient(np.array([1.0]), curve(0.1, 0)[:, :1], 2, 0.95)
    assert one["estimate"] is None and one["reason"] == "too few doses"
    effects = curve(0.1, 0)
    effects[:20, 0] = np.nan
    assert coefficient(DOSES, effects, 1, 0.95)["n_scenarios"] == 4
    assert coefficient(DOSES, effects * np.nan, 1, 0.95)["reason"] == "no scenario has every dose"


def test_page_trend_in_both_directions_and_any_order_of_doses():
    levels = np.column_stack([np.zeros(24), curve(-0.1, 0.0, noise=0.05)])
    doses = np.array([0.0, *DOSES])
    found = page_trend(doses, levels)
    assert found["direction"] == "falling"
    assert found["p"] == pytest.approx(2 * page_trend_test(-levels, method="asymptotic").pvalue)
    assert page_trend(doses[::-1], levels[:, ::-1])["statistic"] == found["statistic"]
    assert page_trend(doses, np.ones((24, 4)))["p"] == 1.0
    assert page_trend(doses, levels[:5])["reason"]


def test_records_carry_every_dose_negative_ones_too_and_the_random_band():
    game = a_game()
    trials = simulate(
        game,
        seed=1,
        effects={"anger": -0.2},
        intensities=(-1.0, 0.5, 1.0),
        random_sd=0.05,
        n_scenarios=60,
    )
    plan = the_plan(SETTINGS | {"intensity": [-1.0, 0.5, 1.0]}, game)
    records = dose_records(cells_of(trials, game), plan, {"steered-anger-1"})
    anger = next(r for r in records if r["emotion"] == "anger" and r["measure"] == "scored")
    assert [dose["intensity"] for dose in anger["doses"]] == [-1.0, 0.5, 1.0]
    assert [dose["damaged"] for dose in anger["doses"]] == [False, False, True]
    assert anger["slope"]["estimate"] == pytest.approx(-0.2, abs=0.03)
    band = anger["random_band"]
    assert band["n_directions"] == 20 and band["intensity"] == 1.0
    drawn = np.random.default_rng(1).normal(0, 0.05, 20)  # the simulation's first draws
    assert band["mean"] == pytest.approx(drawn.mean(), abs=0.005)
    assert band["high"] - band["low"] == pytest.approx(
        2 * 2.093 * drawn.std(ddof=1) * np.sqrt(1.05), rel=0.1
    )


def test_the_measure_of_the_claims_has_records_whichever_it_is():
    game, statistics = a_game(), SETTINGS["statistics"] | {"primary": "after_rationale"}
    cells = cells_of(simulate(game, n_scenarios=12), game)
    plan = the_plan(SETTINGS | {"statistics": statistics}, game)
    found = {record["measure"] for record in dose_records(cells, plan, set())}
    assert plan["claim"]["measure"] == "scored_after" and found == {
        "scored", "scored_after", "chosen",
    }  # fmt: skip
