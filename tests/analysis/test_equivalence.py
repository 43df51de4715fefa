"""Which effects are within the planned margin."""

from emotion_games.analysis.equivalence import equivalence_records
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, cells_of, simulate


def test_equivalence_is_corrected_and_needs_a_small_effect():
    game = a_game()
    trials = simulate(
        game, seed=1, n_scenarios=60, repeats=10, effects={"anger": -0.3}, effect_sd=0.02
    )
    records = equivalence_records(cells_of(trials, game), the_plan(SETTINGS, game), set())
    found = {(r["emotion"], r["measure"]): r for r in records}
    assert not found["anger", "scored"]["equivalent"]
    assert found["sadness", "scored"]["equivalent"] and found["sadness", "chosen"]["equivalent"]
    assert all(r["p_holm"] >= r["p"] for r in records)


def test_several_histories_are_tested_at_their_mean_only():
    game = a_game(histories=("low", "high"))
    cells = cells_of(simulate(game, n_scenarios=12, n_random=0), game)
    records = equivalence_records(cells, the_plan(SETTINGS, game), {"steered-sadness-1"})
    assert {(r["history"], r["n_scenarios"]) for r in records} == {("mean", 12)}
    assert {r["emotion"] for r in records if r["damaged"]} == {"sadness"}
    assert all(-1 <= end <= 1 for r in records for end in r["interval"])
