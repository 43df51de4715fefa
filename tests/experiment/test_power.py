"""The power of claims against a simulation of whole matrices, and known answers."""

import ast
from itertools import product
from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from emotion_games.analysis.corrections import benjamini_hochberg
from emotion_games.analysis.inference import moved_p
from emotion_games.analysis.null_tests import claim_p, rank_p
from emotion_games.experiment import planned_power as figures_of
from emotion_games.experiment import power
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.conditions import nulls_needed
from emotion_games.experiment.planned_power import (
    Known,
    assumed,
    expected_design,
    expected_figures,
    planned_power,
    power_figures,
    power_lines,
)
from emotion_games.experiment.power import (
    MEASURED,
    Design,
    Variation,
    claim_power,
    moved_power,
    not_testable,
    smallest_claimable,
    smallest_moving,
    stories_for,
)
from simulated_trials import SETTINGS, a_game

DEFAULT = Design(48, 156, 6)
LOUD = Variation(0.15, 0.12, 0.03, 0.06)


def simulated_power(effect, design, variation, series, seed=1):
    """The share of real emotions that the functions of the analysis claim, from whole matrices."""
    rng = np.random.default_rng(seed)
    n, m, k = design.n_stories, design.n_emotions, design.n_nulls
    own, of_null = (
        sqrt(sd**2 - variation.shared**2) for sd in (variation.effects, variation.null_effects)
    )
    emotions, nulls = np.empty((series, n, m)), np.empty((series, k))
    for s in range(series):
        shared = variation.shared * rng.standard_normal((n, 1))
        true = variation.directions * rng.standard_normal(m)
        true[: design.n_real] = effect
        emotions[s] = true + shared + own * rng.standard_normal((n, m))
        of_nulls = variation.directions * rng.standard_normal(k)
        nulls[s] = (of_nulls + shared + of_null * rng.standard_normal((n, k))).mean(0)
    means = emotions.mean(1)
    ranks = np.array([[rank_p(x, nulls[s]) for x in means[s]] for s in range(series)])
    # What a rank rules out is not claimed, whatever the other p is.
    moved, close = np.ones((series, m)), ranks <= design.alpha
    moved[close] = moved_p(emotions.transpose(1, 0, 2)[:, close])
    claimed = 0
    for s in range(series):
        from_nulls = means[s] - nulls[s].mean()
        p = [claim_p(*each) for each in zip(moved[s], ranks[s], means[s], from_nulls, strict=True)]
        claimed += sum(q <= design.alpha for q in benjamini_hochberg(p)[: design.n_real])
    return claimed / series / design.n_real


CELLS = [
    (variation, n, real, effect)
    for variation, effects in ((MEASURED, {24: 0.09, 48: 0.06}), (LOUD, {24: 0.2, 48: 0.18}))
    for n, real, effect in (
        *((n, real, effects[n]) for n, real in product((24, 48), (1, 3))),
        *((n, 1, effects[n] + 0.03) for n in (24, 48)),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(("variation", "n", "real", "effect"), CELLS)
def test_the_power_is_that_of_the_functions_of_the_analysis_on_whole_matrices(
    variation, n, real, effect
):
    design = Design(n, 150, 6, real)
    # A series with three real emotions counts three times.
    found = simulated_power(effect, design, variation, series=1000)
    planned = claim_power(effect, design, variation)
    print(f"{variation} n {n}, {real} real, {effect}: planned {planned:.3f}, found {found:.3f}")
    assert planned == pytest.approx(found, abs=0.03)


def test_a_single_emotion_moves_choices_with_the_power_of_scipys_noncentral_t():
    sd, n, effect = 0.12, 30, 0.06
    critical, shift = stats.t.isf(0.025, n - 1), effect / sd * sqrt(n)
    exact = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    found = moved_power(effect, Design(n, 50, 1), Variation(sd, sd, 0.0, 0.0))
    assert found == pytest.approx(exact, abs=0.01)


def test_a_single_emotion_is_claimed_with_the_power_of_a_rank_among_normal_means():
    # With endless stories the emotion's mean is its effect. Of 99 null directions, its p is at
    # most .05 if at most four are further from the common mean, which is about 0.
    sd = 0.02
    design = Design(power.ENDLESS, 99, 1)
    quantile = stats.binom(99, 2 * stats.norm.sf(0.045 / sd)).cdf(4)
    found = claim_power(0.045, design, Variation(0.1, 0.1, 0.0, sd))
    assert found == pytest.approx(quantile, abs=0.03)


def test_emotions_without_an_effect_are_found_at_the_level_of_the_test():
    quiet = Variation(0.12, 0.12, 0.05, 0.0)
    assert moved_power(0.0, Design(48, 50, 1), quiet) == pytest.approx(0.05, abs=0.01)
    # An effect of 0 is in the middle of the null directions. A rank p alone would be .05.
    assert claim_power(0.0, Design(48, 50, 1), quiet) <= 0.05


def test_what_all_directions_share_does_not_matter_for_a_rank():
    own = sqrt(0.12**2 - 0.05**2)
    design = Design(48, 150, 6)
    shared = claim_power(0.08, design, Variation(0.12, 0.12, 0.05, 0.02))
    assert shared == pytest.approx(
        claim_power(0.08, design, Variation(own, own, 0, 0.02)), abs=0.02
    )
    assert shared > claim_power(0.08, design, Variation(0.12, 0.12, 0, 0.02)) + 0.02


def test_more_of_anything_claims_more():
    powers = [claim_power(effect, DEFAULT, MEASURED) for effect in (0.02, 0.05, 0.08, 0.11, 0.2)]
    assert powers == sorted(powers) and powers[0] < 0.06 and powers[-1] > 0.99
    least = smallest_claimable(DEFAULT, MEASURED)
    assert smallest_claimable(DEFAULT._replace(n_stories=24), MEASURED) > least
    assert smallest_claimable(DEFAULT._replace(n_real=3), MEASURED) < least
    assert smallest_claimable(DEFAULT, LOUD) > least > smallest_moving(DEFAULT, MEASURED)


def test_defaults_see_what_they_should():
    """The smallest effects with 80 % power, of three real emotions of six."""
    three = DEFAULT._replace(n_real=3)
    assert smallest_claimable(three, MEASURED) <= 0.08
    assert smallest_claimable(three, Variation(0.15, 0.15, 0.0, 0.08)) <= 0.25


def test_the_smallest_effect_has_a_power_of_80_percent():
    least = smallest_claimable(DEFAULT, MEASURED)
    assert claim_power(least, DEFAULT, MEASURED) == pytest.approx(0.8, abs=0.02)
    n = stories_for(0.09, DEFAULT, MEASURED)
    assert claim_power(0.09, DEFAULT._replace(n_stories=n), MEASURED) == pytest.approx(
        0.8, abs=0.02
    )


def test_no_number_of_stories_shows_an_effect_that_null_directions_have():
    assert stories_for(0.05, DEFAULT, LOUD) is None
    assert stories_for(0.05, DEFAULT, Variation(0.12, 0.12, 0.05, 0.0)) > 24


def test_too_few_stories_or_null_directions_claim_nothing():
    assert not_testable(DEFAULT) is None
    few = DEFAULT._replace(n_nulls=20)
    reason = "claims are not testable: 20 undamaged null directions, 119 are needed for 6 emotions"
    assert not_testable(few) == reason and claim_power(1.0, few, MEASURED) == 0
    short = DEFAULT._replace(n_stories=23)
    assert not_testable(short) == "claims are not testable: 23 stories, 24 are needed"
    assert smallest_claimable(short, MEASURED) == inf and smallest_moving(short, MEASURED) < 0.2
    assert moved_power(1.0, DEFAULT._replace(n_stories=11), MEASURED) == 0


def test_the_least_number_of_null_directions_lets_a_lone_emotion_be_claimed():
    for m in (1, 2, 6):
        assert claim_power(0.5, Design(48, nulls_needed(m), m), MEASURED) > 0.99


def test_no_variation_at_all_is_no_error():
    assert claim_power(0.05, DEFAULT, Variation(0.0, 0.0, 0.0, 0.0)) == 1.0


def plan(**settings):
    return the_plan(SETTINGS | settings, a_game())


def test_the_size_is_that_of_the_plan():
    arms = SETTINGS["arms"] | {"random": {"matched": 90, "isotropic": 3}}
    design = expected_design(plan(arms=arms), 30, Known(LOUD, 0.0, "earlier"))
    assert design == Design(30, 90, 3, alpha=pytest.approx(0.05))


def test_damaged_null_directions_are_planned_for():
    arms = SETTINGS["arms"] | {"random": {"matched": 200, "isotropic": 0}}
    known = assumed(plan(arms=arms), orders=2)
    assert expected_design(plan(arms=arms), 48, known).n_nulls == 156
    worse = known._replace(damaged=0.75)
    assert expected_design(plan(arms=arms), 48, worse).n_nulls == 50
    figures = planned_power(plan(arms=arms), 48, 2, worse)
    assert figures["smallest_claimed"] is None and figures["n_null_directions"] == 50
    assert figures["not_testable"] == (
        "claims are not testable: 50 undamaged null directions, 59 are needed for 3 emotions"
    )


def test_written_choices_are_planned_with_the_noise_of_answers():
    probabilities = assumed(plan(), orders=2).variation
    assert probabilities == MEASURED
    statistics = SETTINGS["statistics"] | {"primary": "written"}
    written = assumed(plan(statistics=statistics, repeat=3), orders=2).variation
    # Six answers with a variance of 1/4 each, in either condition.
    assert written.effects**2 == pytest.approx(MEASURED.effects**2 + 2 / 24)
    assert written.shared**2 == pytest.approx(MEASURED.shared**2 + 1 / 24)
    assert written.directions == MEASURED.directions


def test_known_effects_replace_the_assumed_ones():
    found = planned_power(plan(), 24, 2, Known(LOUD, 0.1, "earlier"))
    assert found["sds"] == LOUD._asdict() and found["source"] == "earlier"
    assert planned_power(plan(), 24, 2)["source"] == power.MEASURED_ON


def test_the_lines_name_powers_smallest_effects_levers_and_the_source():
    figures = expected_figures(DEFAULT, Known(MEASURED, 0.22, "S"))
    claimed, lever, moved, source = power_lines(figures)
    least, together = (
        smallest_claimable(DEFAULT._replace(n_real=real), MEASURED) for real in (1, 3)
    )
    assert claimed.startswith("power to claim 5 / 10 / 20 points: 0.5") and " / 1.00; " in claimed
    several = f"({100 * together:.1f} if 3 of 6 emotions have it)"
    assert claimed.endswith(f"effect with power 0.80: {100 * least:.1f} points {several}")
    assert lever == f"to claim 5 points: about {figures['scenarios_needed']} stories are needed"
    assert moved.startswith("power to find choices moved by 5 / 10 / 20 points: 0.5")
    spreads = "sds of 12 points between stories and 0.5 points between null directions"
    assert source == f"assumed: {spreads}, 22 % of null directions damaged (source: S)"
    # A plan that was frozen before damage was expected.
    _, _, _, earlier = power_lines(power_figures(DEFAULT, MEASURED) | {"source": "S"})
    assert earlier == f"assumed: {spreads} (source: S)"
    noisier = expected_figures(DEFAULT, Known(MEASURED._replace(directions=0.02), 0.22, "S"))
    _, stuck, _, _ = power_lines(noisier)
    assert stuck.startswith("to claim 5 points: more stories are not enough (6.")
    assert stuck.endswith("because null directions themselves move choices by 2 points")
    _, more, _, _ = power_lines(figures | {"scenarios_needed": 1200})
    assert more == "to claim 5 points: about 1,200 stories are needed"
    _, enough, _, _ = power_lines(figures | {"scenarios_needed": 40})
    assert enough == "to claim 5 points: nothing has to change"


def test_the_lines_of_an_experiment_without_claims_keep_what_is_found_to_move():
    few, short = DEFAULT._replace(n_nulls=20), DEFAULT._replace(n_stories=8)
    reason, moved, _ = power_lines(expected_figures(few, Known(MEASURED, 0.22, "S")))
    assert reason == not_testable(few) and moved.startswith("power to find choices")
    _, moved, _ = power_lines(expected_figures(short, Known(MEASURED, 0.22, "S")))
    assert moved == "no effect is tested with fewer than 12 stories"


_LIGHT = ("analysis_plan", "conditions", "power", "spec")


@pytest.mark.parametrize("module", [power, figures_of])
def test_the_modules_themselves_load_the_standard_library_only(module):
    tree = ast.parse(Path(module.__file__).read_text())
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    inside = {f"emotion_games.experiment.{name}" for name in _LIGHT}
    assert modules <= {"collections.abc", "functools", "math", "typing"} | inside
