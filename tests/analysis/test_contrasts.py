"""Which conditions are compared, with what reference, and in which family of tests."""

import numpy as np
import pandas as pd
import pytest

from emotion_games.analysis.contrasts import compare, contrast_records, worst_case
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, cells_of, simulate

GAME = a_game()


@pytest.fixture(scope="module")
def found():
    trials = simulate(GAME, seed=1, effects={"anger": -0.3, "happiness": 0.2}, random_sd=0.05)
    swapped = trials[(trials["arm"] == "steered") & (trials["intensity"] == 1.0)].assign(
        arm="shuffled"
    )
    trials = pd.concat([trials, swapped], ignore_index=True)
    cells = cells_of(trials, GAME)
    settings = SETTINGS | {"arms": SETTINGS["arms"] | {"shuffled": True}}
    return cells, contrast_records(cells, the_plan(settings, GAME), {"steered-sadness-1"})


def pick(records, **values):
    return [r for r in records if all(r[key] == value for key, value in values.items())]


def test_every_planned_contrast_exists_once_for_each_emotion_and_measure(found):
    for contrast in the_plan(SETTINGS, GAME)["contrasts"] + ["shuffled_minus_neutral"]:
        for measure in ("chosen", "scored"):
            records = pick(found[1], contrast=contrast, measure=measure, intensity=1.0)
            assert sorted(r["emotion"] for r in records) == ["anger", "happiness", "sadness"], (
                contrast
            )


def test_roles_follow_the_plan(found):
    planned = pick(found[1], role="planned")
    assert {(r["contrast"], r["measure"]) for r in planned} == {
        ("emotion_minus_neutral", "chosen"),
        ("emotion_minus_random", "scored"),
    }
    assert {r["intensity"] for r in planned} == {1.0}
    assert {r["role"] for r in pick(found[1], intensity=0.5)} == {"exploratory"}
    assert {r["role"] for r in pick(found[1], measure="branch")} == {"exploratory"}
    assert {r["role"] for r in pick(found[1], contrast="random_minus_neutral")} == {"exploratory"}


def test_contrasts_recover_planted_effects(found):
    for contrast, measure, expected in (
        ("emotion_minus_neutral", "scored", -0.3),
        ("emotion_minus_neutral", "chosen", -0.3),
        ("emotion_minus_other_emotions", "scored", -0.3 - 0.1),
        ("prompted_minus_prompted_neutral", "scored", -0.45),
        ("shuffled_minus_neutral", "scored", -0.3),
    ):
        record = pick(found[1], contrast=contrast, measure=measure, emotion="anger", intensity=1.0)[
            0
        ]
        assert record["interval"][0] - 0.05 < expected < record["interval"][1] + 0.05, (
            contrast,
            measure,
        )


def test_random_directions_are_compared_at_their_own_intensity_only(found):
    records = pick(found[1], contrast="emotion_minus_random")
    assert {r["intensity"] for r in records} == {1.0}
    assert {r["n_directions"] for r in records if r["measure"] == "scored"} == {20}
    assert {r["n_directions"] for r in records if r["measure"] == "chosen"} == {5}


def test_a_damaged_condition_is_flagged_in_each_of_its_contrasts(found):
    damaged = pick(found[1], damaged=True)
    assert damaged and {(r["emotion"], r["intensity"], r["arm"]) for r in damaged} == {
        ("sadness", 1.0, "steered")
    }


def test_worst_case_contains_the_estimate_and_grows_with_missing_answers():
    widths = []
    for unparsed in (0.0, 0.1, 0.3):
        cells = cells_of(simulate(GAME, seed=2, unparsed=unparsed), GAME)
        a, b = cells.find("steered", "anger", 1.0)[0], cells.find("neutral")[0]
        bounds = worst_case(cells, "none", a, b, 0.95)
        widths.append(bounds["high"] - bounds["low"])
        assert bounds["interval"][0] < bounds["low"] <= bounds["high"] < bounds["interval"][1]
    assert widths[0] == 0 and widths[1] < widths[2]
    assert widths[2] == pytest.approx(0.6, abs=0.15)


def test_odds_ratio_for_two_choices(found):
    record = pick(
        found[1], contrast="emotion_minus_neutral", measure="chosen", emotion="anger", intensity=1.0
    )[0]
    assert 0 < record["odds_ratio"] < 0.6


def test_compare_gives_no_p_under_twelve_scenarios():
    differences = np.random.default_rng(0).normal(0, 1, 11)
    few = compare({"anger": differences}, 0.95)["anger"]
    assert few["p"] is None and few["p_t"] is None and few["descriptive_only"] and few["interval"]
    assert "fewer than 12" in few["reason"]
    enough = compare({"anger": np.append(differences, 0.0)}, 0.95)["anger"]
    assert enough["p"] is not None and enough["reason"] is None
    assert compare({}, 0.95) == {}
