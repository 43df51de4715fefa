"""The power of planned tests against scipy and statsmodels, and sizes against their definition."""

import ast
from math import inf, sqrt
from pathlib import Path

import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from emotion_games.experiment import power
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.power import (
    detectable_with_sd,
    planned_power,
    smallest_detectable_difference,
    smallest_detectable_from_random,
)
from simulated_trials import SETTINGS, a_game


@pytest.mark.parametrize("n", [12, 24, 60, 240])
@pytest.mark.parametrize("tests", [1, 18])
def test_power_is_that_of_scipys_noncentral_t(n, tests):
    shift = detectable_with_sd(1.0, n, 0.95, tests) * sqrt(n)
    critical = stats.t.isf(0.05 / tests / 2, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-8)


@pytest.mark.parametrize("n", [12, 24, 60])
def test_smallest_difference_is_that_of_statsmodels(n):
    sd = sqrt(power.SD_OF_EFFECTS**2 + 2 * 0.25 / 4)
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * sd
    assert smallest_detectable_difference(n, 4) == pytest.approx(expected, abs=1e-6)


def test_from_random_is_one_draw_against_k():
    shift = smallest_detectable_from_random(20) / (power.SD_OF_RANDOM_DIRECTIONS * sqrt(1 + 1 / 20))
    critical = stats.t.isf(0.025, 19)
    assert stats.nct.sf(critical, 19, shift) + stats.nct.cdf(-critical, 19, shift) == pytest.approx(
        0.8, abs=1e-9
    )
    assert smallest_detectable_from_random(1) == inf


def test_more_of_anything_detects_less_and_more_tests_more():
    assert smallest_detectable_difference(60, 4) < smallest_detectable_difference(24, 4)
    assert smallest_detectable_difference(24, 20) < smallest_detectable_difference(24, 4)
    assert smallest_detectable_difference(24, 4, tests=6) > smallest_detectable_difference(24, 4)
    assert smallest_detectable_difference(11, 1_000) == inf


def test_the_plans_power_says_what_it_assumes():
    found = planned_power(the_plan(SETTINGS, a_game()), orders=2)
    assert found["smallest_detectable_difference"] == smallest_detectable_difference(24, 2)
    assert found["assumptions"]["tests"] == 3
    everything = planned_power(the_plan(SETTINGS | {"num_scenarios": None}, a_game()), orders=2)
    assert everything["smallest_detectable_difference"] is None


def test_the_module_itself_loads_the_standard_library_only():
    tree = ast.parse(Path(power.__file__).read_text())
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules <= {
        "functools",
        "math",
        "typing",
        "emotion_games.experiment.analysis_plan",
        "emotion_games.experiment.spec",
    }


@pytest.mark.parametrize("k", [2, 3, 4, 8, 150])
@pytest.mark.parametrize("tests", [1, 18, 600])
def test_every_number_of_directions_has_its_power(k, tests):
    unit = power.SD_OF_RANDOM_DIRECTIONS * sqrt(1 + 1 / k)
    shift = smallest_detectable_from_random(k, 0.95, tests) / unit
    critical = stats.t.isf(0.05 / tests / 2, k - 1)
    assert stats.nct.sf(critical, k - 1, shift) == pytest.approx(0.8, abs=1e-6)


def test_probabilities_are_planned_without_the_noise_of_drawn_choices():
    drawn = SETTINGS | {"decoding": "guided", "answer_form": "decision"}
    found = planned_power(the_plan(drawn, a_game()), orders=2)
    assert found["smallest_detectable_difference"] == pytest.approx(
        detectable_with_sd(power.SD_OF_EFFECTS, found["assumptions"]["n_scenarios"], 0.95)
    )
    assert found["assumptions"]["rate"] is None
