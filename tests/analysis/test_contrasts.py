"""Which conditions are compared, with what reference, and in which family of tests."""

import numpy as np
import pytest
from scipy import stats

from emotion_games.analysis.contrasts import contrast_records, null_records, worst_case
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, cells_of, simulate

GAME = a_game()
RANDOM = {"matched": 20, "isotropic": 3}
PLAN = the_plan(SETTINGS | {"arms": SETTINGS["arms"] | {"random": RANDOM, "shuffled": True}}, GAME)
# The plan has halves of the stimuli only with enough null directions for a claim.
HALVES = ["first_half_minus_neutral", "second_half_minus_neutral"]


@pytest.fixture(scope="module")
def found():
    cells = cells_of(
        simulate(
            GAME,
            seed=1,
            effects={"anger": -0.3, "happiness": 0.2},
            random_sd=0.05,
            n_isotropic=3,
            arms=("prompted", "first_half", "second_half", "shuffled"),
        ),
        GAME,
    )
    return cells, contrast_records(cells, PLAN, {"steered-sadness-1", "random-4-1"})


def pick(records, **values):
    return [r for r in records if all(r[key] == value for key, value in values.items())]


def test_every_planned_contrast_exists_once_for_each_emotion_and_measure(found):
    written = ("emotion_minus_neutral", "emotion_minus_other_emotions")
    for contrast in PLAN["contrasts"] + HALVES:
        for measure in ("scored", "chosen") if contrast in written else ("scored",):
            records = pick(found[1], contrast=contrast, measure=measure, intensity=1.0)
            assert sorted(r["emotion"] for r in records) == ["anger", "happiness", "sadness"], (
                contrast
            )


def test_roles_follow_the_plan(found):
    planned = pick(found[1], role="planned")
    assert {(r["contrast"], r["measure"]) for r in planned} == {
        ("emotion_minus_neutral", "scored"),
        ("emotion_minus_random", "scored"),
    }
    assert {r["intensity"] for r in planned} == {1.0}
    secondary = {(r["contrast"], r["measure"]) for r in pick(found[1], role="secondary")}
    assert ("emotion_minus_neutral", "chosen") in secondary
    assert ("emotion_minus_isotropic", "scored") in secondary
    assert ("prompted_minus_prompted_neutral", "scored") in secondary
    assert {r["role"] for r in pick(found[1], intensity=0.5)} == {"exploratory"}
    assert {r["role"] for r in pick(found[1], measure="branch")} == {"exploratory"}


def test_p_values_of_the_plan_are_corrected_over_the_emotions_and_no_others(found):
    for contrast in ("emotion_minus_neutral", "emotion_minus_random"):
        family = pick(found[1], contrast=contrast, measure="scored", role="planned")
        p = sorted(record["p"] for record in family)
        assert {record["n_tests"] for record in family} == {3}
        by_bh = [min(3 * p[0], 1.5 * p[1], p[2]), min(1.5 * p[1], p[2]), p[2]]
        assert sorted(r["p_corrected"] for r in family) == pytest.approx(by_bh)
        by_holm = [min(1, 3 * p[0]), 2 * p[1], p[2]]
        assert sorted(r["p_holm"] for r in family) == pytest.approx(
            np.minimum(1, np.maximum.accumulate(by_holm))
        )
    others = pick(found[1], role="exploratory")
    assert {(r["p_corrected"], r["p_holm"], r["n_tests"]) for r in others} == {(None, None, None)}


def test_corrected_intervals_are_those_of_bonferroni(found):
    (record,) = pick(
        found[1], contrast="emotion_minus_neutral", measure="scored", emotion="anger", intensity=1.0
    )
    reach = record["sd"] / np.sqrt(24)
    for interval, level in (("interval", 0.95), ("interval_corrected", 1 - 0.05 / 3)):
        half = stats.t.ppf(0.5 + level / 2, 23) * reach
        low, high = record["estimate"] - half, record["estimate"] + half
        assert record[interval] == pytest.approx([low, high])


def test_corrected_intervals_contain_the_others_and_none_goes_beyond_one():
    sure = simulate(GAME, seed=6, n_scenarios=3, base=0.05, effects={"anger": 0.9}, effect_sd=0.2)
    records = contrast_records(cells_of(sure, GAME), PLAN, set())
    intervals = [record["interval"] for record in records]
    assert min(low for low, _ in intervals) == -1 and max(high for _, high in intervals) == 1
    for record in records:
        low, high = record["interval"]
        if "interval_corrected" in record:
            wider = record["interval_corrected"]
            assert -1 <= wider[0] <= low < high <= wider[1] <= 1
        for end in record.get("worst_case", {}).get("interval", []):
            assert -1 <= end <= 1


def test_contrasts_recover_planted_effects(found):
    for contrast, measure, expected in (
        ("emotion_minus_neutral", "scored", -0.3),
        ("emotion_minus_neutral", "chosen", -0.3),
        ("emotion_minus_other_emotions", "scored", -0.3 - 0.1),
        ("prompted_minus_prompted_neutral", "scored", -0.45),
        ("shuffled_minus_neutral", "scored", 0.0),
        ("first_half_minus_neutral", "scored", -0.3),
        ("second_half_minus_neutral", "scored", -0.3),
    ):
        record = pick(found[1], contrast=contrast, measure=measure, emotion="anger", intensity=1.0)[
            0
        ]
        assert record["interval"][0] - 0.05 < expected < record["interval"][1] + 0.05, (
            contrast,
            measure,
        )


def test_null_directions_are_compared_at_their_own_intensity_and_without_damaged_ones(found):
    records = pick(found[1], contrast="emotion_minus_random")
    assert {r["intensity"] for r in records} == {1.0}
    # They write nothing, so only probabilities before an answer are compared.
    assert {(r["measure"], r["n_directions"]) for r in records} == {("scored", 19), ("branch", 19)}
    records = pick(found[1], contrast="emotion_minus_isotropic", measure="scored")
    assert {r["n_directions"] for r in records} == {3}


def test_null_directions_have_a_record_of_all_and_none_of_each(found):
    assert {r["arm"] for r in found[1]} == {
        "steered",
        "prompted",
        "shuffled",
        "first_half",
        "second_half",
    }
    records = null_records(found[0], PLAN, {"random-4-1"})
    (random,) = pick(records, arm="random", measure="scored")
    assert (random["n_directions"], random["n_damaged"], random["history"]) == (19, 1, "none")
    assert set(random["effects"]) == {f"random_{j}" for j in range(20)} - {"random_4"}
    drawn = np.delete(np.random.default_rng(1).normal(0, 0.05, 20), 4)  # the first draws
    assert list(random["effects"].values()) == pytest.approx(drawn, abs=0.04)
    assert random["mean"] == pytest.approx(drawn.mean(), abs=0.01)
    # The spread of the means has the noise of 24 scenarios, which `sd` is freed of.
    noise = 0.05**2 / 24
    assert random["sd_of_means"] ** 2 - random["sd"] ** 2 == pytest.approx(noise, rel=0.3)
    (isotropic,) = pick(records, arm="isotropic", measure="scored")
    assert (isotropic["n_directions"], isotropic["n_damaged"]) == (3, 0)


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
