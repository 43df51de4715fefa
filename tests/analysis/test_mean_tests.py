"""Tests of means: too few scenarios, and intervals within what is possible."""

import numpy as np

from emotion_games.analysis.mean_tests import compare, possible


def test_there_is_no_p_under_twelve_scenarios():
    differences = np.random.default_rng(0).normal(0, 1, 11)
    few = compare({"anger": differences}, 0.95)["anger"]
    assert few["p"] is None and few["p_t"] is None and few["descriptive_only"] and few["interval"]
    assert "fewer than 12" in few["reason"]
    enough = compare({"anger": np.append(differences, 0.0)}, 0.95)["anger"]
    assert enough["p"] is not None and enough["reason"] is None
    assert compare({}, 0.95) == {}


def test_no_interval_of_a_difference_goes_beyond_one():
    differences = np.array([1.0, 1.0, 0.2, 0.9])
    free = compare({0: differences}, 0.95)[0]["interval"]
    assert free[1] > 1 and compare({0: differences}, 0.95, 1.0)[0]["interval"] == [free[0], 1.0]
    assert possible(-1.2, 1.3) == [-1.0, 1.0] and possible(-3.0, 0.5, np.inf) == [-3.0, 0.5]


def p_of(*groups):
    values = np.concatenate([np.full(n, value) for n, value in groups])
    return compare({0: values}, 0.95)[0]["p"]


def test_an_effect_in_all_scenarios_but_one_or_two_is_found():
    assert p_of((48, 1.0)) < 0.001
    assert p_of((47, 1.0), (1, 0.0)) < 0.001
    assert p_of((46, 0.5), (2, -0.5)) < 0.001


def test_many_small_differences_do_not_outweigh_a_few_large_ones():
    """A tenth of all stories at +30 points and the rest at -3.3, of which one or two were drawn."""
    assert p_of((47, -1 / 30), (1, 0.3)) > 0.2
    assert p_of((46, -1 / 30), (2, 0.3)) > 0.1
