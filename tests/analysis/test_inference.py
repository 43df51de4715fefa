"""Tests and intervals against published examples, independent computations and their own limits."""

from itertools import product
from math import copysign, inf
from statistics import fmean, pstdev

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from emotion_games.analysis.corrections import benjamini_hochberg, holm
from emotion_games.analysis.inference import (
    bootstrap_t_p,
    equivalence,
    moved_p,
    paired_t,
    rate_interval,
    sign_flip_p,
)
from emotion_games.analysis.null_tests import against_nulls, claim_p, null_variance, rank_p

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


def t_around(resample, centre):
    mean = fmean(resample)
    difference, sd = mean - centre, pstdev(resample, mean)
    if sd < 1e-12:
        return 0.0 if abs(difference) < 1e-12 else copysign(inf, difference)
    return difference / sd


def test_bootstrap_t_agrees_with_all_resamples():
    """Of five scenarios there are 5**5 resamples; the draws estimate the share of them."""
    for values in ([0.1, 0.2, 0.9, -0.1, 0.4], [-0.3, -0.2, 0.05, -0.4, -0.1], [3, -1, -1, 0, -1]):
        observed, mean = t_around(values, 0.0), fmean(values)
        drawn = [t_around(resample, mean) for resample in product(values, repeat=5)]
        least = min(sum(t >= observed for t in drawn), sum(t <= observed for t in drawn))
        expected = min(1.0, 2 * least / len(drawn))
        assert bootstrap_t_p(column(*values))[0] == pytest.approx(expected, abs=0.015)


def test_bootstrap_t_is_near_students_t_for_normal_scenarios_and_always_the_same():
    values = np.random.default_rng(5).normal(0.2, 1, (60, 40))
    once = bootstrap_t_p(values)
    assert np.abs(once - paired_t(values)["p_t"]).max() < 0.06
    assert (once == bootstrap_t_p(values.copy())).all()
    assert bootstrap_t_p(values[:, ::-1])[::-1].tolist() == once.tolist()


def test_bootstrap_t_is_larger_where_few_scenarios_balance_many():
    """Two of 48 scenarios are at +30 points, the others near -3.3."""
    skewed = column(*[0.30] * 2, *np.linspace(-0.034, -0.032, 46))
    assert sign_flip_p(skewed)[0] < 0.05 < bootstrap_t_p(skewed)[0]


def test_a_missing_scenario_is_left_out_of_every_test_over_scenarios():
    rng = np.random.default_rng(6)
    values = rng.normal(0.1, 0.3, (24, 3))
    values[[2, 9], 1] = np.nan
    present = values[~np.isnan(values[:, 1]), 1][:, None]
    assert bootstrap_t_p(values)[1] == bootstrap_t_p(present)[0]
    assert sign_flip_p(values)[1] == pytest.approx(sign_flip_p(present)[0], abs=0.01)


def test_moved_is_the_larger_p_and_the_sign_flip_where_nothing_varies():
    values = np.random.default_rng(7).normal(0.1, 0.3, (24, 5))
    expected = np.maximum(sign_flip_p(values), bootstrap_t_p(values))
    assert moved_p(values).tolist() == expected.tolist()
    assert np.isnan(bootstrap_t_p(np.ones((12, 1)))[0])
    assert moved_p(np.ones((12, 1)))[0] == pytest.approx(1 / 2**12)
    assert moved_p(np.zeros((12, 1)))[0] == 1
    assert np.isnan(moved_p(np.full((12, 1), np.nan))[0])


def test_rank_p_counts_the_directions_that_are_as_far_from_the_common_mean():
    # The mean is 0.1, and the distances are 0.3, 0.1, 0.2 and 0.
    assert rank_p(0.4, np.array([0.0, -0.1, 0.1])) == 1 / 4
    assert rank_p(0.0, np.array([0.4, -0.1, 0.1])) == 3 / 4
    # The effect and a null direction are equally far, on both sides of the mean 0.
    assert rank_p(0.2, np.array([-0.2, 0.1, -0.1])) == 2 / 4
    assert rank_p(0.3, np.full(150, 0.3)) == 1.0
    assert rank_p(0.9, np.zeros(150)) == 1 / 151


def test_rank_p_is_exact_for_one_more_direction_however_they_are_distributed():
    k, series, rng = 19, 4_000, np.random.default_rng(8)
    draws = rng.standard_t(3, (series, k + 1))
    p = np.array([rank_p(row[0], row[1:]) for row in draws])
    for level in (1 / 20, 2 / 20, 10 / 20):
        error = np.sqrt(level * (1 - level) / series)
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=3.5 * error)


def test_the_p_of_a_claim_is_the_larger_one_or_one_where_the_signs_differ():
    assert claim_p(0.01, 0.03, 0.2, 0.1) == 0.03
    assert claim_p(0.04, 0.03, -0.2, -0.1) == 0.04
    assert claim_p(0.01, 0.01, 0.2, -0.1) == 1.0
    assert claim_p(0.01, 0.01, 0.2, 0.0) == 1.0


def test_against_nulls_has_both_factors():
    """Against the formula, number by number."""
    rng = np.random.default_rng(9)
    n, k = 24, 8
    nulls = rng.normal(0, 0.05, k) + rng.normal(0, 0.1, (n, k))
    own = rng.normal(0.2, 0.1, n)
    excess = [own[s] - sum(nulls[s]) / k for s in range(n)]
    over_scenarios = np.var(excess, ddof=1) / n
    grand, rows, columns = nulls.mean(), nulls.mean(1), nulls.mean(0)
    residual = sum(
        (nulls[s, j] - rows[s] - columns[j] + grand) ** 2 for s in range(n) for j in range(k)
    ) / ((n - 1) * (k - 1))
    s_r2 = np.var(columns, ddof=1) - residual / n
    over_directions = s_r2 / k
    df = (over_scenarios + over_directions) ** 2 / (
        over_scenarios**2 / (n - 1) + over_directions**2 / (k - 1)
    )
    reach = stats.t.ppf(0.975, df) * np.sqrt(over_scenarios + over_directions)
    found = against_nulls(own, nulls)
    assert null_variance(nulls) == pytest.approx(s_r2)
    assert found == pytest.approx(
        {
            "n_directions": k,
            "n": n,
            "estimate": np.mean(excess),
            "sd": np.sqrt(s_r2),
            "df": df,
            "low": np.mean(excess) - reach,
            "high": np.mean(excess) + reach,
            "p_rank": rank_p(own.mean(), columns),
        }
    )


def test_against_nulls_needs_two_directions_and_uses_scenarios_with_all_numbers():
    rng = np.random.default_rng(10)
    own, nulls = rng.normal(0, 0.1, 24), rng.normal(0, 0.1, (24, 5))
    missing = nulls.copy()
    missing[3, 2] = np.nan
    kept = np.arange(24) != 3
    assert against_nulls(own, missing) == against_nulls(own[kept], nulls[kept])
    one = against_nulls(own, nulls[:, :1])
    assert one["n_directions"] == 1 and np.isnan(one["estimate"]) and np.isnan(one["p_rank"])
    # Null directions that do the same everywhere leave the variation over scenarios alone.
    still = against_nulls(own, np.zeros((24, 5)))
    alone = paired_t(own[:, None])
    assert still["sd"] == 0 and [still["low"], still["high"]] == pytest.approx(
        [alone["low"][0], alone["high"][0]]
    )
    assert np.isnan(against_nulls(np.zeros(24), np.zeros((24, 5)))["low"])


def test_the_variance_of_null_directions_is_freed_of_their_scenarios():
    rng = np.random.default_rng(11)
    effects = rng.normal(0, 0.05, 150)
    same_everywhere = np.tile(effects, (24, 1)) + rng.normal(0, 0.1, (24, 1))
    assert null_variance(same_everywhere) == pytest.approx(effects.var(ddof=1))
    only_scenarios = rng.normal(0, 0.1, (24, 150))
    assert null_variance(only_scenarios) < 0.2 * only_scenarios.mean(0).var(ddof=1)
    assert null_variance(np.array([[0.1, -0.1], [-0.1, 0.1]])) == 0.0


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


def test_benjamini_hochberg_is_that_of_statsmodels_and_skips_missing_p_values():
    given = [0.01, 0.04, 0.03, 0.005, 0.04, 0.8]
    expected = multipletests(given, method="fdr_bh")[1].tolist()
    assert benjamini_hochberg(given) == pytest.approx(expected)
    assert benjamini_hochberg([0.01, None, float("nan"), 0.5]) == [0.02, None, None, 0.5]
    assert benjamini_hochberg([None]) == [None]


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
