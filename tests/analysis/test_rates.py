"""Rates, validity, position and length, and the distance from people."""

from dataclasses import replace

import numpy as np
import pytest

from emotion_games.analysis.cells import tidy
from emotion_games.analysis.rates import (
    distinct_events,
    human_records,
    preference_records,
    rate_records,
    validity_records,
)
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.games.records import Choice, Reference
from simulated_trials import SETTINGS, a_game, cells_of, simulate

GAME = a_game()


def one(records, **values):
    found = [r for r in records if all(r[key] == value for key, value in values.items())]
    assert len(found) == 1
    return found[0]


def test_rates_recover_the_base_rate_and_shares_add_up():
    game = a_game(("much", "little", "nothing"), (1.0, 0.5, 0.0))
    records = rate_records(
        cells_of(simulate(game, seed=1, base=0.4, n_scenarios=60), game), game, 0.95
    )
    neutral = one(records, condition="neutral", measure="scored")
    assert neutral["estimate"] == pytest.approx(0.4 + 0.3 * 0.5, abs=0.05)
    assert sum(share["estimate"] for share in neutral["shares"]) == pytest.approx(1, abs=1e-5)
    assert neutral["interval"][0] < neutral["estimate"] < neutral["interval"][1]


def test_null_directions_have_no_rates_no_validity_and_no_preferences():
    trials = simulate(GAME, n_scenarios=2, n_random=3, n_isotropic=2, writes_nulls=True)
    cells = cells_of(trials, GAME)
    for records in (
        rate_records(cells, GAME, 0.95),
        validity_records(cells, tidy(trials), 0.95),
        preference_records(cells, "first", 0.95),
        preference_records(cells, "length", 0.95),
    ):
        assert {r["arm"] for r in records} == {"neutral", "steered", "prompted", "prompted_neutral"}


def test_several_histories_have_rates_of_their_mean_first():
    game = a_game(histories=("low", "high"))
    cells = cells_of(simulate(game, seed=2, n_random=0), game)
    records = rate_records(cells, game, 0.95)
    own = [r for r in records if (r["condition"], r["measure"]) == ("neutral", "scored")]
    assert [r["history"] for r in own] == ["mean", "low", "high"]
    mean, low, high = (r["estimate"] for r in own)
    assert mean == pytest.approx((low + high) / 2)


def test_validity_counts_by_condition_and_gives_reasons():
    trials = simulate(GAME, seed=2)
    first = trials.index[trials["arm"] == "neutral"][:6]
    trials.loc[first, ["choice", "extraction_method"]] = ["", "unparsed: two options"]
    records = validity_records(cells_of(trials, GAME), tidy(trials), 0.95)
    neutral = one(records, condition="neutral")
    assert (neutral["n_generated"], neutral["n_parsed"], neutral["reasons"]) == (
        48,
        42,
        {"unparsed: two options": 6},
    )
    scored = one(records, condition="prompted-anger")
    assert scored["n_generated"] == 0 and np.isnan(scored["parse_rate"]) and scored["reason"]
    low, high = scored["valid_mass"]["interval"]
    assert scored["valid_mass"]["estimate"] == pytest.approx(0.925, abs=0.01)
    assert low < scored["valid_mass"]["estimate"] < high


def test_the_mass_on_the_options_and_the_ends_of_rationales_are_reported_by_condition():
    trials = simulate(GAME, seed=2)
    neutral = trials["arm"] == "neutral"
    # Scenarios with .1 and .3 in turn: mean .2.
    turn = trials["scenario_id"].str[-1].astype(int) % 2
    trials["valid_mass_after"] = np.where(neutral, 0.1 + 0.2 * turn, np.nan)
    trials["rationale_end"] = np.where(neutral, np.where(turn, "quote", "budget"), "")
    records = validity_records(cells_of(trials, GAME), tidy(trials), 0.95)
    found = one(records, condition="neutral")
    assert found["valid_mass_after"]["estimate"] == pytest.approx(0.2)
    low, high = found["valid_mass_after"]["interval"]
    assert 0.15 < low < 0.2 < high < 0.25
    assert found["rationale_ends"] == {"quote": 24, "budget": 24}
    other = one(records, condition="steered-anger-1")
    assert other["valid_mass_after"] is None and other["rationale_ends"] == {}


def test_position_bias_by_choice_and_by_score():
    trials = simulate(GAME, seed=3, position=0.2, n_scenarios=60)
    records = preference_records(cells_of(trials, GAME), "first", 0.95)
    for measure, near in (("chosen", 0.1), ("scored", 0.03)):
        neutral = one(records, condition="neutral", measure=measure)
        assert neutral["estimate"] == pytest.approx(0.2, abs=near) and neutral["p"] < 0.01
        assert neutral["versus_neutral"] is None
        anger = one(records, condition="steered-anger-1", measure=measure)
        assert anger["versus_neutral"]["interval"][0] < 0 < anger["versus_neutral"]["interval"][1]


def test_a_condition_that_takes_short_options_shows_in_the_length_bias():
    trials = simulate(GAME, seed=4)
    anger = (
        (trials["emotion"] == "anger") & (trials["arm"] == "steered") & (trials["intensity"] == 1.0)
    )
    trials.loc[anger, "choice"] = "defect"
    records = preference_records(cells_of(trials, GAME), "length", 0.95)
    short, long = len("I will defect with them."), len("I will cooperate with them.")
    found = one(records, condition="steered-anger-1", measure="chosen")
    assert found["estimate"] == pytest.approx(short / ((short + long) / 2) - 1)
    assert found["versus_neutral"]["p"] < 0.01


def test_distance_from_people_by_amount_and_by_share():
    choices = (
        Choice("none", "", 0.0, 0.0),
        Choice("low", "", 0.5, 0.3),
        Choice("high", "", 1.0, 0.7),
    )
    references = (
        Reference("amount", 0.5, "half is sent", "Johnson & Mislin 2011"),
        Reference("none", 0.1, "a tenth sends nothing", "a source"),
        Reference("missing", 0.1, "no such choice", "a source"),
    )
    game = replace(
        a_game(("none", "low", "high"), (0.0, 0.5, 1.0)), choices=choices, references=references
    )
    trials = simulate(game, seed=5)
    trials["choice"] = np.where(trials["generated"], "low", "")
    records = human_records(cells_of(trials, game), game, the_plan(SETTINGS, game))
    assert {r["of"] for r in records} == {"amount", "none"}
    sent = one(records, condition="neutral", of="amount")
    assert sent["estimate"] == pytest.approx(0.3) and sent["distance"] == pytest.approx(-0.2)
    assert one(records, condition="steered-anger-1", of="none")["distance"] == pytest.approx(-0.1)


def test_the_different_events_of_each_condition_are_counted():
    table = simulate(a_game(), n_scenarios=5)
    assert distinct_events(tidy(table)) == {}
    number = table["scenario_id"].str[1:].astype(int)
    events = "Event " + (number % 3).astype(str)
    table["event"] = events.where(table["arm"].str.startswith("prompted"), "")
    conditions = ("anger", "happiness", "sadness")
    assert distinct_events(tidy(table)) == {
        "prompted_neutral": 3,
        **{f"prompted-{emotion}": 3 for emotion in conditions},
    }
