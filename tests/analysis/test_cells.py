"""From trials to one number per scenario: weights, gaps, and missing answers."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from emotion_games.analysis.cells import (
    average_trials,
    over_cells,
    tidy,
    trial_measures,
)
from emotion_games.experiment.trial_table import on_offer
from simulated_trials import a_game, simulate

BOTH = [["cooperate", "defect"], ["defect", "cooperate"]]


def trials(rows):
    """Turn (scenario, order 0 or 1, repeat, condition, choice or None) into a results table."""
    table = pd.DataFrame(rows, columns=["scenario_id", "place", "repeat_num", "emotion", "choice"])
    table["arm"] = np.where(table["emotion"] == "neutral", "neutral", "steered")
    table["intensity"] = np.where(table["emotion"] == "neutral", 0.0, 1.0)
    table["history"], table["wording"], table["generated"] = "none", 0, True
    table["option_order"] = [json.dumps(BOTH[place]) for place in table["place"]]
    table["extraction_method"] = np.where(table["choice"].isna(), "unparsed: no json", "strict")
    return table


def cells_of(table, game=None):
    table = tidy(table)
    return average_trials(table, trial_measures(table, game or a_game()))


def test_orders_have_equal_weight_with_any_number_of_answers():
    found = cells_of(
        trials(
            [("a", 0, r, "neutral", "cooperate") for r in range(3)]
            + [("a", 1, 0, "neutral", "defect")]
            + [("a", 0, 0, "anger", "cooperate"), ("a", 1, 0, "anger", "cooperate")]
        )
    )
    assert found.level("chosen", "none", found.find("neutral")[0]).tolist() == [0.5]
    assert found.difference(
        "chosen", "none", found.find("steered")[0], found.find("neutral")[0]
    ).tolist() == [0.5]


def test_a_lost_order_is_left_out_on_both_sides():
    """The model takes the first option; anger lost one order, so only the other one counts."""
    rows = [("a", 0, 0, "neutral", "cooperate"), ("a", 1, 0, "neutral", "defect")]
    rows += [("a", 0, 0, "anger", None), ("a", 1, 0, "anger", "defect")]
    found = cells_of(trials(rows))
    neutral, anger = found.find("neutral")[0], found.find("steered")[0]
    assert found.difference("chosen", "none", anger, neutral).tolist() == [0.0]
    assert (
        found.level("chosen", "none", anger)[0] - found.level("chosen", "none", neutral)[0] == -0.5
    )


def test_unparsed_is_missing_in_chosen_and_both_ends_in_the_worst_case():
    table = trials([("a", 0, 0, "neutral", None), ("b", 0, 0, "neutral", "defect")])
    found = trial_measures(tidy(table), a_game())
    assert np.isnan(found["chosen"][0]) and found["parsed"].tolist() == [0, 1]
    assert found["chosen_low"].tolist() == [0, 0] and found["chosen_high"].tolist() == [1, 0]


def test_scored_only_rows_are_no_answers():
    table = trials([("a", 0, 0, "neutral", None)])
    table["generated"], table["extraction_method"] = False, "not generated"
    table["choice_probabilities"] = '{"cooperate": 0.3, "defect": 0.7}'
    found = trial_measures(tidy(table), a_game())
    assert np.isnan(found["parsed"][0]) and found["scored"][0] == pytest.approx(0.3)


def test_the_same_table_read_from_a_csv_file(tmp_path):
    table = simulate(a_game(), unparsed=0.05, n_scenarios=6)
    table.to_csv(tmp_path / "exp_results.csv", index=False)
    first, second = (
        trial_measures(tidy(t), a_game())
        for t in (table, pd.read_csv(tmp_path / "exp_results.csv"))
    )
    for name, values in first.items():
        assert np.allclose(values, second[name], equal_nan=True), name


def test_values_of_three_choices_and_of_a_scenario_that_offers_two():
    game = a_game(("none", "low", "high"), (0.0, 0.3, 0.7))
    table = trials([("a", 0, 0, "neutral", "low"), ("b", 0, 0, "neutral", "high")])
    table["option_order"] = ['["none", "low", "high"]', '["high", "low"]']
    table["choice_probabilities"] = [
        {"none": 0.5, "low": 0.25, "high": 0.25},
        {"low": 0.5, "high": 0.5},
    ]
    found = trial_measures(tidy(table), game)
    assert found["chosen"].tolist() == [0.3, 0.7]
    assert found["scored"] == pytest.approx([0.25, 0.5])
    assert found["first:chosen"] == pytest.approx([-1 / 3, 0.5])


def test_a_game_is_measured_on_the_choices_that_its_scenarios_offer():
    game = replace(a_game(("a", "b", "c", "d"), (1.0, 0.8, 0.6, 0.0)), subset=True)
    table = pd.DataFrame({"option_order": ['["b", "c"]', '["c", "b"]']})
    assert {c.label: c.value for c in on_offer(game, table).choices} == {
        "b": pytest.approx(1),
        "c": pytest.approx(0),
    }
    assert on_offer(replace(game, subset=False), table).choices == game.choices


def test_histories_keep_the_order_of_the_plan():
    game = a_game(histories=("low", "medium", "high"))
    assert cells_of(simulate(game, n_scenarios=2), game).histories == ["low", "medium", "high"]


def test_length_of_the_chosen_option_relative_to_the_mean():
    table = trials([("a", 0, 0, "neutral", "cooperate"), ("a", 1, 0, "neutral", "defect")])
    table["option_lengths"] = ["[8, 15]", "[4, 8]"]
    found = trial_measures(tidy(table), a_game())["length:chosen"]
    assert found[0] == pytest.approx(8 / ((8 + 15) / 2) - 1)
    table["option_lengths"] = ""
    assert np.isnan(trial_measures(tidy(table), a_game())["length:chosen"]).all()


def test_a_mean_over_cells_ignores_wordings_that_are_not_there():
    values = np.array([[[[1.0, np.nan], [np.nan, 0.0]]]])
    assert over_cells(values).tolist() == [0.5]
    assert np.isnan(over_cells(np.full((1, 1, 2, 2), np.nan)))[0]


def test_the_mean_over_histories_by_hand():
    """Histories have equal weight, whatever orders and answers they have lost."""
    rows = [
        # history, scenario, order, repeat, emotion, choice
        ("low", "a", 0, 0, "neutral", "cooperate"),
        ("low", "a", 1, 0, "neutral", "defect"),
        ("low", "a", 0, 0, "anger", "defect"),
        ("low", "a", 0, 1, "anger", "cooperate"),
        ("low", "a", 1, 0, "anger", None),
        ("high", "a", 0, 0, "neutral", "defect"),
        ("high", "a", 1, 0, "neutral", "defect"),
        ("high", "a", 0, 0, "anger", "cooperate"),
        ("high", "a", 1, 0, "anger", "defect"),
        ("low", "b", 0, 0, "neutral", None),
        ("low", "b", 0, 0, "anger", "cooperate"),
        ("high", "b", 1, 0, "neutral", "cooperate"),
        ("high", "b", 1, 0, "anger", "defect"),
        ("low", "c", 0, 0, "anger", "defect"),
    ]
    table = trials([row[1:] for row in rows]).assign(history=[row[0] for row in rows])
    # One wording for each order in scenario a, so that both axes have empty cells.
    table["wording"] = (table["option_order"] == json.dumps(BOTH[1])).astype(int)
    found = cells_of(table, a_game(histories=("low", "high")))
    assert found.places == ["mean", "low", "high"]
    neutral, anger = found.find("neutral")[0], found.find("steered")[0]

    def difference(history):
        return found.difference("chosen", history, anger, neutral)

    # a: at low .5 - 1 in the order that both have, at high (1 - 0 + 0 - 0) / 2.
    assert difference("low")[0] == -0.5 and difference("high")[0] == 0.5
    # b: its neutral answer at low is missing, so only high counts. c has no neutral at all.
    assert np.isnan(difference("low")[1:]).all()
    assert difference("mean")[:2].tolist() == [0.0, -1.0] and np.isnan(difference("mean")[2])
    several = found.differences("chosen", "mean", [anger, neutral], neutral)
    assert np.array_equal(several[:, 0], difference("mean"), equal_nan=True)
    assert found.level("chosen", "mean", anger)[:2].tolist() == [(0.5 + 0.5) / 2, (1 + 0) / 2]
    assert found.trials("chosen", "mean", anger) == 7 and found.trials("chosen", "low", anger) == 4
    assert found.total("chosen", "mean", [neutral, anger]).tolist() == [2, 3]


def test_a_game_with_one_history_has_no_other_place():
    table = trials([("a", 0, 0, "neutral", "defect"), ("a", 0, 0, "anger", "defect")])
    assert cells_of(table).places == ["none"]


def test_null_directions_are_no_conditions_of_their_own():
    found = cells_of(simulate(a_game(), n_scenarios=2, n_random=3, n_isotropic=2))
    own = {found.who(position)["arm"] for position in found.own_conditions}
    assert own == {"neutral", "steered", "prompted", "prompted_neutral"}
