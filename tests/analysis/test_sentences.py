"""The sentences state what the intervals support and no more."""

import re

import numpy as np
import pytest

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.limits import limits, needed
from emotion_games.analysis.wording import at, points
from emotion_games.experiment.conditions import nulls_needed
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

GAME = a_game(histories=("low", "high"))
# Enough null directions for a claim about three emotions.
NULLS = 60
ENOUGH = SETTINGS | {
    "intensity": [1.0],
    "arms": SETTINGS["arms"] | {"random": {"matched": NULLS, "isotropic": 0}},
}
MEASURED = "expected cooperation under the choice probabilities"


def analysed(seed=1, checks=None, settings=ENOUGH, nulls=NULLS, **planted):
    shape = {"n_scenarios": 24, "random_sd": 0.03, "intensities": (1.0,), "n_random": nulls}
    trials = simulate(GAME, seed=seed, **(shape | planted))
    if checks is None:
        checks = simulate_checks(intensities=(1.0,), n_random=nulls)
    return analyse(trials, checks, GAME, settings, n_planned=len(trials))


@pytest.fixture(scope="module")
def effective():
    return analysed(effects={"anger": -0.4})


@pytest.fixture(scope="module")
def nothing():
    return analysed(nulls=20)


def test_an_effect_is_stated_only_if_it_is_claimed(effective):
    for record in effective["emotion_analysis"].values():
        stated = f"An effect of {record['emotion']} is claimed" in record["sentence"]
        assert stated == record["claim"] == (record["emotion"] == "anger")
        assert ("No emotion effect is claimed" in record["sentence"]) != record["claim"]
        assert record["sentence"] in effective["text_description"]
    assert (
        f"Anger at intensity 1, mean over histories: {MEASURED} changed by -"
        in effective["text_description"]
    )


def test_every_change_names_its_measure_and_outcome(effective):
    """Points stand in a clause with what is measured, or with the planned margin."""
    sentence = effective["emotion_analysis"]["anger"]["sentence"]
    for clause in re.findall(r"[^.]*? points?\b[^.;]*", re.sub(r"(\d)\.(\d)", r"\1,\2", sentence)):
        assert MEASURED in clause or "planned margin" in clause, clause
    assert sentence.count(MEASURED) == 3


def test_a_corrected_p_is_that_of_the_record(effective):
    record = effective["emotion_analysis"]["anger"]
    named = re.findall(r"corrected p (?:of the claim )?([\d.e-]+\d)", record["sentence"])
    assert named == [f"{record['p_moved_corrected']:.2g}", f"{record['p_claim_corrected']:.2g}"]
    other = effective["emotion_analysis"]["sadness"]
    named = re.findall(r"corrected p of the claim ([\d.e-]+\d)", other["sentence"])
    assert named == [f"{other['p_claim_corrected']:.3g}"]


def test_only_the_corrected_interval_excludes(effective):
    for record in effective["emotion_analysis"].values():
        low, high = record["versus_neutral"]["interval_corrected"]
        up = f"an increase of more than {100 * high:.1f} points" if high > 0 else "any increase"
        down = f"a decrease of more than {-100 * low:.1f} points" if low < 0 else "any decrease"
        ruled_out = f"The data rule out {up} and {down} in {MEASURED}"
        assert f"{ruled_out} (interval corrected for 3 emotions)" in record["sentence"]
        assert record["sentence"].count("rule out") == 1
    assert effective["text_description"].count("rule out") == 3


def test_no_text_names_more_than_a_hundred_points():
    found = analysed(
        settings=SETTINGS, nulls=20, n_scenarios=4, base=0.05, effects={"anger": 0.9}, effect_sd=0.3
    )
    ends = [c["interval"] for c in found["contrasts"] if c["interval"]]
    assert max(high for _, high in ends) == 1
    numbers = re.findall(r"([+-]\d+\.\d)", found["text_description"])
    assert numbers and all(abs(float(number)) <= 100 for number in numbers)


def test_another_measure_or_half_that_disagrees_is_named():
    trials = simulate(
        GAME,
        seed=1,
        random_sd=0.03,
        intensities=(1.0,),
        n_random=NULLS,
        effects={"anger": -0.4},
        arms=("first_half", "second_half"),
    )
    anger = (trials["arm"] == "steered") & (trials["emotion"] == "anger")
    trials.loc[anger, "choice"] = "cooperate"
    half = trials["arm"] == "second_half"
    neutral = trials[trials["arm"] == "neutral"]["choice_probabilities"]
    trials.loc[half & (trials["emotion"] == "anger"), "choice_probabilities"] = np.resize(
        neutral.to_numpy(), (half & (trials["emotion"] == "anger")).sum()
    )
    checks = simulate_checks(intensities=(1.0,), n_random=NULLS)
    record = analyse(trials, checks, GAME, ENOUGH)["emotion_analysis"]["anger"]
    others = {other["measure"]: other["agrees"] for other in record["other_measures"]}
    assert others == {"scored_after": True, "chosen": False} and record["claim"]
    assert (
        "However, cooperation in the written choices changed in the opposite direction, by +"
        in record["sentence"]
    )


def test_what_given_vectors_lack_is_said_beside_a_claim_and_among_the_limits(effective):
    found = analysed(effects={"anger": -0.4}, settings=ENOUGH | {"directions": {"anger": "sha256"}})
    record = found["emotion_analysis"]["anger"]
    assert record["claim"] and record["halves_agree"] is None
    note = "Its vectors were given, so no halves of stimuli test it."
    assert record["sentence"] == f"{effective['emotion_analysis']['anger']['sentence']} {note}"
    assert "The vectors of anger were given, not measured on stimuli, so " in "\n".join(
        limits(found)
    )
    assert "were given" not in effective["text_description"]


def test_damage_is_described_instead_of_an_effect():
    checks = simulate_checks(intensities=(1.0,), broken=("anger",))
    found = analysed(effects={"anger": -0.5}, checks=checks, nulls=20)
    sentence = found["emotion_analysis"]["anger"]["sentence"]
    assert "The effect is not interpreted, because the condition damages the model: " in sentence
    assert "claimed" not in sentence and "rule out" not in sentence


def test_too_few_scenarios_exclude_nothing():
    found = analyse(simulate(GAME, n_scenarios=6), simulate_checks(), GAME, SETTINGS)
    text = found["text_description"]
    assert "descriptive only" in text and "rule out" not in text
    assert "24 scenarios were requested, but only 6 have trials" in text


def test_equivalence_is_described(nothing):
    text = "equivalent to none within the planned margin of 10 points"
    assert text in nothing["emotion_analysis"]["sadness"]["sentence"]


def test_position_validity_and_power_are_described(nothing):
    text = analysed(position=0.1, unparsed=0.05, nulls=20)["text_description"]
    assert "more often than chance" in text and "in the written choices" in text
    assert "written answers could not be parsed" in text
    assert f"an effect on {MEASURED} needed " in text and "with 80 % power" in text
    assert "All " in nothing["text_description"]


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
    assert "When the model wrote the whole answer, 66.7 % (" in text
    assert "of 12 neutral answers could be read, and 50.0 % of 12 steered ones." in text
    assert "Of the neutral ones that could be read, " in text
    assert "named the likeliest guided option, and cooperation differed from the guided" in text
    assert "At the decision, the options together had 92." in text
    free = analyse(trials, simulate_checks(), GAME, SETTINGS)["text_description"]
    assert "written answers could be parsed" in free


def test_what_claims_need_is_said_where_an_experiment_lacks_it(effective, nothing):
    assert needed(effective) == ""
    lacking = f"{nulls_needed(3)} undamaged null directions instead of 20"
    assert needed(nothing) == f"Claims are not testable: they need {lacking}."
    assert needed(nothing) in nothing["text_description"]
    reason = "claims are not testable: 20 undamaged null directions of 59 needed"
    assert reason in nothing["emotion_analysis"]["sadness"]["sentence"]
    steered = {"arm": "steered", "complete": True}
    of_null = {"arm": "random", "complete": False}
    for damage in ([], [of_null], [steered, steered | {"complete": False}]):
        text = "Claims are not testable: they need a complete damage check."
        assert needed(effective | {"damage": damage}) == text
    assert needed(effective | {"damage": [steered, of_null]}) == ""
    few = effective | {"meta": effective["meta"] | {"n_scenarios": 20}}
    assert needed(few) == "Claims are not testable: they need 24 scenarios instead of 20."
    everything = few | {"damage": []} | {"null_directions": nothing["null_directions"]}
    assert needed(everything) == (
        f"Claims are not testable: they need {lacking}, 24 scenarios instead of 20 and a complete "
        "damage check."
    )


def test_an_emotion_without_any_comparison_is_mentioned():
    trials = simulate(GAME, n_scenarios=2)
    trials["choice_probabilities"] = ""
    text = analyse(trials, simulate_checks(), GAME, SETTINGS)["text_description"]
    assert text.count("no scenario has answers both with this emotion and in neutral") == 3


def test_a_moved_but_unclaimed_effect_is_not_called_that_of_its_emotion():
    # Without null directions anger moves choices, and nothing can be claimed.
    found = analysed(effects={"anger": -0.4}, nulls=0, n_scenarios=24)
    record = found["emotion_analysis"]["anger"]
    assert record["moved"] and not record["claim"]
    assert "The data rule out any increase and a decrease of more than " in record["sentence"]
    note = ", but do not show that anger, rather than any push of this size, caused the change."
    assert note in record["sentence"]
    assert note not in found["emotion_analysis"]["sadness"]["sentence"]


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (-0.125, "12.5 points less often than chance"),
        (0.05, "5.0 points more often than chance"),
        (0.0001, "as often as chance"),
    ],
)
def test_the_preference_for_the_first_option_is_compared_with_chance(difference, text, nothing):
    row = {"arm": "neutral", "measure": "chosen", "estimate": difference, "history": "low"}
    shown, *_ = limits(nothing | {"position_bias": [row]})
    assert shown.startswith(f"In neutral, the first option was chosen {text} at history low, ")


def test_points_and_histories():
    assert points(-0.123) == "-12.3 points" and points(0.05) == "+5.0 points"
    assert at("start", {"histories": ["start"]}) == ""
    assert at("low", {"histories": ["low", "high"]}) == " at history low"
    assert at("mean", {"histories": ["low", "high"]}) == ", mean over histories"


def test_an_emotion_that_failed_its_manipulation_check_says_so_with_its_effect():
    checks = simulate_checks()
    # The push of anger now does in all checks what the push of happiness did.
    renamed = checks["emotion"].replace({"anger": "happiness", "happiness": "anger"})
    checks = checks.assign(emotion=renamed)
    found = analysed(effects={"anger": -0.4}, checks=checks, settings=SETTINGS, nulls=5)
    words = "manipulation check failed: the push raised 'happiness' more than 'anger'"
    sentence = found["emotion_analysis"]["anger"]["sentence"]
    assert sentence.startswith(f"Anger at intensity 1 ({words}), mean over histories: ")
    assert "failed" not in found["emotion_analysis"]["sadness"]["sentence"]
    text = found["text_description"]
    assert "In the manipulation checks at intensity 1, " in text
    assert "anger failed (the push raised 'happiness' more than 'anger')" in text
    assert "sadness came through (raised most in 3 of 3 checks)" in text
    assert " of 5 null directions raise one of the emotions most in two checks." in text
    assert "No rise was compared with null directions: 10 are needed." in text
    silent = analysed(checks=checks[checks["check"] == "dominance"], nulls=5)["text_description"]
    assert "It was not measured whether the intended emotion was present." in silent


def test_scenarios_that_share_an_event_are_named(nothing):
    shared = nothing | {"meta": nothing["meta"] | {"n_events": {"prompted-anger": 7}}}
    own = nothing | {"meta": nothing["meta"] | {"n_events": {"prompted-anger": 24}}}
    assert any("7 different events in 24 scenarios" in text for text in limits(shared))
    assert not any("different events" in text for text in limits(own))
