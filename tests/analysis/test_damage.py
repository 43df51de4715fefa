"""Each sign of damage is seen by itself, and an intact condition is not flagged."""

import numpy as np
import pandas as pd
import pytest

from emotion_games.analysis.cells import tidy
from emotion_games.analysis.damage import damage_records, text_measures
from simulated_trials import a_game, cells_of, simulate, simulate_checks

GAME = a_game()
GOOD = "I think of the garden and of my neighbour and so I will share the tools with them today."


@pytest.fixture
def trials():
    table = simulate(GAME, seed=1, n_random_generated=1, n_random=2)
    table.loc[table["generated"], "output"] = GOOD
    return table


def anger(trials, checks=None):
    records = damage_records(
        cells_of(trials, GAME), simulate_checks() if checks is None else checks
    )
    return next(r for r in records if r["condition"] == "steered-anger-1")


def rows(table):
    return (table["arm"] == "steered") & (table["emotion"] == "anger") & (table["intensity"] == 1.0)


def test_an_intact_condition_passes_every_check(trials):
    found = anger(trials)
    assert not found["damaged"] and found["complete"] and found["reasons"] == []
    assert set(found["checks"]) == {
        "parse_rate",
        "valid_mass",
        "repetition",
        "output_length",
        "dominance",
        "perplexity",
    }
    assert all(check["n"] for check in found["checks"].values())


@pytest.mark.parametrize(
    ("check", "column", "value"),
    [
        ("repetition", "output", "so I will so I will so I will so I will so I will"),
        (
            "output_length",
            "output",
            GOOD + " And then, who knows, we may perhaps even meet again some other day" * 2,
        ),
        ("output_length", "output", "Share."),
        ("valid_mass", "valid_mass", 0.3),
    ],
)
def test_each_sign_in_the_answers_is_seen(trials, check, column, value):
    trials.loc[rows(trials), column] = value
    found = anger(trials)
    assert found["damaged"]
    assert not found["checks"][check]["passed"]
    assert any(reason.startswith(check.replace("_", " ")) for reason in found["reasons"])


def test_lost_answers_are_seen_at_more_than_one_in_ten(trials):
    for lost, damaged in ((4, False), (12, True)):
        broken = trials.copy()
        first = broken.index[rows(broken)][:lost]
        broken.loc[first, ["choice", "extraction_method"]] = ["", "unparsed: no json"]
        assert anger(broken)["damaged"] is damaged


def test_a_mass_that_rounding_takes_beyond_one_is_no_damage(trials):
    trials.loc[rows(trials), "valid_mass"] = 1.00002
    assert anger(trials)["checks"]["valid_mass"]["passed"]


def test_dominance_and_perplexity_are_seen(trials):
    found = anger(trials, simulate_checks(broken=("anger",)))
    assert [name for name, check in found["checks"].items() if not check["passed"]] == [
        "dominance",
        "perplexity",
    ]
    assert found["checks"]["perplexity"]["value"] == pytest.approx(
        403, rel=0.1
    )  # exp(6), a perplexity


def test_items_that_the_model_cannot_answer_show_no_damage(trials):
    checks = simulate_checks()
    is_item = checks["check"] == "dominance"
    is_neutral = checks["arm"] == "neutral"
    checks.loc[is_item, "value"] = 0.2
    checks.loc[is_item & is_neutral, "value"] = 0.69
    found = anger(trials, checks)
    assert not found["damaged"] and found["complete"]
    assert "dominance" not in found["checks"]
    assert found["dominance_not_understood"] == pytest.approx(0.69)
    # Just understood, the same fall is damage.
    checks.loc[is_item & is_neutral, "value"] = 0.71
    found = anger(trials, checks)
    assert found["damaged"] and found["dominance_not_understood"] is None


def test_what_was_not_measured_is_not_cleared(trials):
    checks = simulate_checks()
    dominance = checks["check"] == "dominance"
    assert anger(trials, checks)["complete"] is True
    assert anger(trials, checks[~dominance | (checks["arm"] == "neutral")])["complete"] is False
    assert anger(trials, checks[checks["check"] != "perplexity"])["complete"] is False
    assert anger(trials, checks[~dominance])["complete"] is True, (
        "a file of items may hold none with a dominant answer"
    )
    empty = pd.DataFrame(columns=checks.columns)
    assert anger(trials, empty)["complete"] is False and anger(trials, empty)["damaged"] is False


def test_the_worst_history_counts():
    game = a_game(histories=("low", "high"))
    table = simulate(game, seed=2)
    table.loc[rows(table) & (table["history"] == "high"), "valid_mass"] = 0.1
    records = damage_records(cells_of(table, game), simulate_checks())
    found = next(r for r in records if r["condition"] == "steered-anger-1")
    assert found["damaged"] and found["checks"]["valid_mass"]["history"] == "high"
    assert "at history high" in found["reasons"][0]


def test_repetition_is_the_share_of_repeated_four_word_sequences():
    table = simulate(GAME, n_scenarios=1)
    table["output"] = "a b c d a b c d"
    found = text_measures(tidy(table))
    assert found["repetition"][0] == pytest.approx(1 / 5) and found["words"][0] == 8


def test_of_a_guided_answer_only_what_the_model_wrote_counts():
    table = simulate(GAME, n_scenarios=3).assign(extraction_method="guided", generated=True)
    table["output"] = '{"rationale": "a b c d a b c d", "decision": "A very long option indeed"}'
    table["rationale"], table["rationale_end"] = "a b c d a b c d", "quote"
    # A decision alone has no text of the model, whichever option was drawn.
    table.loc[1, ["rationale", "rationale_end"]] = ""
    # An empty rationale was written.
    table.loc[2, "rationale"] = ""
    found = text_measures(tidy(table))
    assert found["repetition"][0] == pytest.approx(1 / 5) and found["words"][0] == 8
    assert np.isnan(found["words"][1]) and np.isnan(found["repetition"][1])
    assert found["words"][2] == found["repetition"][2] == 0
