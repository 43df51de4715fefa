"""The sentences state what the intervals support and no more."""

import numpy as np

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.sentences import at, needed, points
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

GAME = a_game(histories=("low", "high"))


def analysed(seed=1, checks=None, **planted):
    trials = simulate(GAME, seed=seed, n_scenarios=60, random_sd=0.03, **planted)
    return analyse(
        trials,
        simulate_checks() if checks is None else checks,
        GAME,
        SETTINGS,
        n_planned=len(trials),
    )


def test_an_effect_is_stated_only_if_it_is_claimed():
    found = analysed(effects={"anger": -0.4})
    for records in found["emotion_analysis"].values():
        for record in records:
            assert ("This supports an effect" in record["sentence"]) == record["claim"]
            assert ("No emotion effect is claimed" in record["sentence"]) != record["claim"]
            assert record["sentence"] in found["text_description"]
    assert all(record["claim"] for record in found["emotion_analysis"]["anger"])
    assert (
        "Anger at intensity 1 at history low: cooperation in the written choices changed by -"
        in found["text_description"]
    )


def test_a_null_result_states_what_is_excluded():
    record = analysed()["emotion_analysis"]["sadness"][0]
    low, high = record["versus_neutral"]["interval"]
    excluded = f"Differences above {points(high)} and below {points(low)} are excluded"
    assert f"{excluded}; those between are not." in record["sentence"]


def test_damage_is_described_instead_of_an_effect():
    found = analysed(effects={"anger": -0.5}, checks=simulate_checks(broken=("anger",)))
    sentence = found["emotion_analysis"]["anger"][0]["sentence"]
    assert "No effect is reported, since the condition damages the model: dominance" in sentence
    assert "supports" not in sentence


def test_too_few_scenarios_exclude_nothing():
    found = analyse(simulate(GAME, n_scenarios=6), simulate_checks(), GAME, SETTINGS)
    text = found["text_description"]
    assert "descriptive only" in text and "excluded" not in text
    assert "24 scenarios were requested, but only 6 have trials" in text


def test_equivalence_is_described():
    found = analysed(effects={}, repeats=10, effect_sd=0.01, scenario_sd=0.05)
    assert "equivalent to none within the planned margin of 10 points" in found["text_description"]


def test_position_validity_and_power_are_described():
    text = analysed(position=0.1, unparsed=0.05)["text_description"]
    assert "the option shown first was chosen more (+) or less (-) often" in text
    assert "written answers could not be parsed" in text
    assert "to be detected against neutral with 80 % power" in text
    assert "All " in analysed()["text_description"]


def test_guided_answers_their_mass_and_free_answers_beside_them_are_described():
    trials = simulate(GAME, n_scenarios=12, seed=1)
    asked = (trials["history"] == "low") & trials["generated"]
    asked &= (trials["arm"] == "neutral") | (trials["emotion"] == "anger")
    asked &= trials["intensity"].isin([0.0, 1.0]) & trials["arm"].isin(["neutral", "steered"])
    asked &= ~trials.duplicated(["scenario_id", "history", "arm", "emotion", "intensity"])
    # In neutral a third cannot be read, under anger half.
    third = trials["scenario_id"].str[-2:].astype(int) % np.where(trials["arm"] == "neutral", 3, 2)
    read = asked & (third > 0)
    trials["free_output"] = np.where(asked, "I would ...", "")
    trials["free_choice"] = np.where(read, trials["choice"], "")
    trials["free_method"] = np.where(read, "loose", np.where(asked, "unparsed: no json", ""))
    found = analyse(trials, simulate_checks(), GAME, SETTINGS | {"decoding": "guided"})
    text = found["text_description"]
    assert "answers were guided: their form was given, and the option was drawn" in text
    assert "could not be parsed" not in text
    assert "Without the form of a guided answer, 66.7 % (" in text
    assert "of 12 neutral answers could be read, and 50.0 % of 12 steered ones." in text
    assert "Of the neutral ones that could be read, " in text
    assert "named the likeliest guided option, and cooperation differed from the guided" in text
    assert "at the place of the decision, the options together had 92." in text
    free = analyse(trials, simulate_checks(), GAME, SETTINGS)["text_description"]
    assert "written answers could be parsed" in free


def test_what_a_claim_would_need_is_said_where_an_experiment_lacks_it():
    statistics = analysed()
    power = statistics["power"] | {"assumptions": {"random_directions": 20}}
    steered = {"arm": "steered", "complete": True}
    scored_only = {"arm": "random", "complete": False}
    enough = statistics | {"power": power, "damage": [steered, scored_only]}
    assert needed(enough) == ""
    few = enough | {"power": power | {"assumptions": {"random_directions": 2}}}
    assert needed(few) == "A claim would need at least 10 random directions instead of 2."
    for damage in ([], [scored_only], [steered, steered | {"complete": False}]):
        assert needed(enough | {"damage": damage}) == "A claim would need a complete damage check."


def test_an_emotion_without_any_comparison_is_mentioned():
    trials = simulate(GAME, n_scenarios=2)
    trials["choice"], trials["extraction_method"] = "", "unparsed: no json"
    text = analyse(trials, simulate_checks(), GAME, SETTINGS)["text_description"]
    assert text.count("no scenario has parsed answers both with this emotion and in neutral") == 3


def test_points_and_histories():
    assert points(-0.123) == "-12.3 points" and points(0.05) == "+5.0 points"
    assert at("start", {"histories": ["start"]}) == ""
    assert at("low", {"histories": ["low", "high"]}) == " at history low"


def test_an_emotion_that_failed_its_manipulation_check_says_so_with_its_effect():
    checks = simulate_checks()
    # The push of anger now does in all checks what the push of happiness did.
    renamed = checks["emotion"].replace({"anger": "happiness", "happiness": "anger"})
    found = analysed(effects={"anger": -0.4}, checks=checks.assign(emotion=renamed))
    words = "manipulation check failed: the push raised 'happiness' more than 'anger'"
    for effect in found["emotion_analysis"]["anger"]:
        assert effect["sentence"].startswith(f"Anger at intensity 1 ({words}) at history ")
    assert "failed" not in found["emotion_analysis"]["sadness"][0]["sentence"]
    text = found["text_description"]
    assert "In the manipulation checks at intensity 1, " in text
    assert "anger failed (the push raised 'happiness' more than 'anger')" in text
    assert "sadness came through (raised most in 3 of 3 checks)" in text
    assert " of 5 null directions raise some one emotion most in two checks." in text
    assert "No rise was compared with null directions, of which 10 are needed." in text
    nothing = analysed(checks=checks[checks["check"] == "dominance"])["text_description"]
    assert "It was not measured whether the intended emotion was present." in nothing
