"""Power in the statistics: variation is estimated as it was made, and stories at bounds counted."""

import numpy as np
import pytest

from emotion_games.analysis.detectable import detectable, observed_variation
from emotion_games.analysis.headroom import headroom_records
from emotion_games.experiment.analysis_plan import MEAN, the_plan
from emotion_games.experiment.planned_power import planned_power
from emotion_games.experiment.power import Design, Variation, smallest_moving
from simulated_trials import SETTINGS, a_game, cells_of, simulate

GAME = a_game()


def experiment(directions=20, game=GAME, **simulated):
    """The cells and the plan of a simulated experiment."""
    arms = SETTINGS["arms"] | {"random": {"matched": directions, "isotropic": 0}}
    plan = the_plan(SETTINGS | {"arms": arms}, game)
    table = simulate(game, texts=False, **simulated)
    return cells_of(table, game), plan


def test_the_variation_that_was_made_is_found():
    rng = np.random.default_rng(0)
    made = Variation(effects=0.15, null_effects=0.13, shared=0.05, directions=0.04)
    found = []
    for _ in range(40):
        shared = made.shared * rng.standard_normal((48, 1))
        own, of_null = ((sd**2 - made.shared**2) ** 0.5 for sd in made[:2])
        effects = rng.normal(0, 0.1, 6) + shared + own * rng.standard_normal((48, 6))
        directions = made.directions * rng.standard_normal(150)
        nulls = directions + shared + of_null * rng.standard_normal((48, 150))
        found.append(np.square(observed_variation(effects, nulls)))
    assert np.sqrt(np.mean(found, axis=0)) == pytest.approx(made, rel=0.04)


def test_directions_that_do_nothing_have_no_variation_below_zero():
    nulls = np.tile(np.arange(4.0)[:, None], (1, 3))
    found = observed_variation(np.zeros((4, 2)), nulls)
    assert found == Variation(0.0, found.shared, found.shared, 0.0) and found.shared > 1


def test_the_observed_power_is_that_of_the_variation_found():
    cells, plan = experiment(n_random=20)
    found = detectable(cells, plan, set())
    observed = found["observed"]
    assert found["measure"] == "scored" and found["reason"] is None
    size = [observed[key] for key in ("n_scenarios", "n_null_directions", "n_emotions")]
    assert size == [24, 20, 3] and observed["source"] == "this experiment"
    variation, design = Variation(**observed["sds"]), Design(24, 20, 3, alpha=1 - 0.95)
    assert observed["smallest_moved"] == smallest_moving(design, variation)
    # Effects were made with an sd of 5 points, and directions with one of 8.
    assert observed["sds"]["effects"] == pytest.approx(0.05, abs=0.015)
    assert observed["sds"]["directions"] == pytest.approx(0.08, abs=0.03)
    assert observed["not_testable"] == (
        "claims are not testable: 20 undamaged null directions, 59 are needed for 3 emotions"
    )


def test_damaged_directions_are_left_out():
    cells, plan = experiment()
    damaged = {"random-0-1", "random-7-1"}
    observed = detectable(cells, plan, damaged)["observed"]
    assert observed["n_null_directions"] == 18 and observed["damaged"] == 0.1


def test_the_planned_power_is_the_one_of_before_the_first_trial_if_it_is_known():
    cells, plan = experiment()
    assert detectable(cells, plan, set(), {"source": "then"})["planned"] == {"source": "then"}
    assert detectable(cells, plan, set())["planned"] == planned_power(plan, 24, 2)


def test_one_null_direction_has_no_observed_power():
    cells, plan = experiment(n_random=1)
    found = detectable(cells, plan, set())
    assert found["observed"] is None
    assert found["reason"] == "fewer than two scenarios or null directions"


def test_headroom_counts_stories_of_the_mean_and_of_each_history():
    game = a_game(histories=("none", "betrayed"))
    cells, plan = experiment(game=game, base=0.05, scenario_sd=0.02, n_random=2)
    mean, *histories = headroom_records(cells, plan)
    assert [record["history"] for record in (mean, *histories)] == [MEAN, "none", "betrayed"]
    (neutral,) = cells.find("neutral")
    for record in (mean, *histories):
        levels = cells.level("scored", record["history"], neutral)
        assert record["n_scenarios"] == 24 and record["at_ceiling"] == 0
        assert 0 < record["at_floor"] == (levels <= 0.05).sum() < 24
