"""Tests and intervals against published examples, independent computations and their own limits."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from emotion_games.analysis.inference import (
    against_random,
    equivalence,
    holm,
    paired_t,
    rate_interval,
    sign_flip_p,
)

# Cushny and Peebles' sleep data in Student (1908), Biometrika 6:1, a data set of R, whose paired
# t.test prints t = -4.0621, df = 9, p-value = 0.002833, 95 percent confidence interval -2.4598858
# -0.7001142, mean -1.58.
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
# Darwin's maize in Fisher (1935), The Design of Experiments, section 21: of 32,768 sign patterns
# 835 have a sum above the observed 314 and 28 equal it, 863 in all; t = 2.148 with 14 degrees of
# freedom.
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)


def column(*values):
    return np.array(values, float)[:, None]


def test_students_sleep_data_to_the_printed_digits():
    found = paired_t((SLEEP_1 - SLEEP_2)[:, None])
    assert round(found["t"][0], 4) == -4.0621
    assert found["df"][0] == 9
    assert round(found["p_t"][0], 6) == 0.002833
    assert round(found["low"][0], 7) == -2.4598858
    assert round(found["high"][0], 7) == -0.7001142
    assert round(found["estimate"][0], 2) == -1.58


def test_fishers_randomization_test_of_darwins_maize():
    assert sign_flip_p(MAIZE[:, None])[0] == pytest.approx(2 * (835 + 28 / 2) / 32_768, abs=1e-12)
    assert round(paired_t(MAIZE[:, None])["t"][0], 3) == 2.148


def test_paired_t_agrees_with_scipy_and_leaves_out_missing_scenarios():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.1, 0.3, (24, 5))
    differences[3, 2] = np.nan
    found = paired_t(differences, 0.9)
    for i in range(5):
        sample = differences[~np.isnan(differences[:, i]), i]
        reference = stats.ttest_1samp(sample, 0)
        interval = reference.confidence_interval(0.9)
        assert found["p_t"][i] == pytest.approx(reference.pvalue, abs=1e-12)
        assert [found["low"][i], found["high"][i]] == pytest.approx(
            [interval.low, interval.high], abs=1e-12
        )
        assert found["n"][i] == len(sample)


def test_no_variation_is_not_certainty():
    """24 scenarios without any change exclude effects above 14 %, not above 0."""
    found = paired_t(np.zeros((24, 1)))
    assert found["high"][0] == pytest.approx(1 - 0.025 ** (1 / 24))
    assert found["low"][0] == -found["high"][0]
    assert np.isnan(found["t"][0])
    reversal = paired_t(-np.ones((24, 1)))
    assert reversal["low"][0] == -1 and -1 < reversal["high"][0] < -0.7


def test_sign_flip_agrees_with_enumeration():
    rng = np.random.default_rng(1)
    values = rng.choice([-1, -0.5, 0, 0.5, 1], 12)
    sums = np.array([np.dot(signs, values) for signs in product((1, -1), repeat=12)])
    observed = abs(values.sum())
    further = (
        np.mean(np.abs(sums) > observed + 1e-9) + np.mean(np.isclose(np.abs(sums), observed)) / 2
    )
    assert sign_flip_p(values[:, None])[0] == pytest.approx(further, abs=1e-12)


def test_drawn_sign_flips_are_near_the_exact_p_and_always_the_same():
    rng = np.random.default_rng(2)
    values = rng.normal(0.25, 1, (60, 3))
    exact = paired_t(values)["p_t"]
    once, again = sign_flip_p(values), sign_flip_p(values.copy())
    assert (once == again).all()
    assert once == pytest.approx(exact, abs=0.02)
    assert sign_flip_p(values[:, ::-1])[::-1].tolist() == once.tolist()


def test_total_reversal_has_the_smallest_p_and_nothing_moved_has_p_one():
    assert sign_flip_p(-np.ones((12, 1)))[0] == pytest.approx(1 / 2**12)
    assert sign_flip_p(-np.ones((40, 1)))[0] < 0.001
    assert sign_flip_p(np.zeros((24, 1)))[0] == 1
    assert np.isnan(sign_flip_p(np.full((24, 1), np.nan))[0])


def test_against_random_is_the_prediction_t():
    """Equal to a two-sample t test of one emotion against k directions, with their variance."""
    rng = np.random.default_rng(3)
    others = rng.normal(0, 0.08, 20)
    found = against_random(0.3, others)
    t, p = stats.ttest_ind([0.3], others, equal_var=True)
    assert (found["t"], found["p"], found["df"]) == (pytest.approx(t), pytest.approx(p), 19)
    assert found["low"] < 0.3 - others.mean() < found["high"]
    assert found["p_rank"] == pytest.approx(1 / 21)


def test_against_random_without_spread_or_directions():
    assert against_random(0.0, np.zeros(20))["p"] == 1.0
    assert np.isnan(against_random(0.3, np.zeros(20))["p"])
    assert np.isnan(against_random(0.3, np.array([0.1]))["p"])


def test_equivalence_is_statsmodels_tost():
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0.3, 0.7, 30), rng.uniform(0.3, 0.7, 30)
    found = equivalence(a - b, 0.1)
    assert found["p"] == pytest.approx(ttost_paired(a, b, -0.1, 0.1)[0])
    low, high = stats.ttest_1samp(a - b, 0).confidence_interval(0.9)
    assert [found["low"], found["high"]] == pytest.approx([low, high])
    assert np.isnan(equivalence(np.zeros(30), 0.1)["p"])


def test_holm_is_statsmodels_holm_and_skips_missing_p_values():
    given = [0.01, 0.04, 0.03, 0.005, 0.04, 0.8]
    assert holm(given) == pytest.approx(multipletests(given, method="holm")[1].tolist())
    found = holm([0.01, None, float("nan"), 0.5])
    assert found == [0.02, None, None, 0.5]
    assert holm([]) == []


def test_rate_interval_is_wilson_when_scenarios_behave_like_independent_answers():
    """With many scenarios of one answer each, quantile and variance are the binomial's."""
    levels = np.repeat([1.0, 0.0], [1_200, 2_800])
    found = rate_interval(levels, 4_000, sampled=True)
    low, high = proportion_confint(1_200, 4_000, method="wilson")
    assert found["interval"] == pytest.approx([low, high], abs=2e-5)
    assert found["design_effect"] == pytest.approx(1, abs=1e-3)


def test_repeats_of_the_same_answer_do_not_narrow_a_rate():
    levels = np.repeat([1.0, 0.0], [12, 12])
    one, ten = rate_interval(levels, 24, True), rate_interval(levels, 240, True)
    assert one["interval"] == pytest.approx(ten["interval"], abs=1e-3)
    assert ten["design_effect"] == pytest.approx(240 / 23, rel=0.05)


def test_a_rate_of_zero_has_an_upper_bound_that_counts_scenarios():
    found = rate_interval(np.zeros(24), 240, True)
    assert found["interval"][0] == 0 and 0.1 < found["interval"][1] < 0.2
