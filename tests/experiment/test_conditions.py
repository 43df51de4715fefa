"""Every planned arm is there, once, under a stable name."""

import pytest

from emotion_games.experiment.conditions import Condition, nulls_needed, plan_conditions

SETTINGS = {
    "emotions": ["anger", "fear"],
    "intensity": [-0.5, 1.0],
    "headline_intensity": 1.0,
    "arms": {"random": {"matched": 4, "isotropic": 0}, "shuffled": True, "prompted": True},
    "scoring": {"direct": True},
    "statistics": {"primary": "direct", "confidence": 0.95},
}


def arms(matched, isotropic=0):
    return {"random": {"matched": matched, "isotropic": isotropic}} | {
        "shuffled": True,
        "prompted": True,
    }


def test_all_arms_under_stable_names():
    more = {
        "arms": SETTINGS["arms"] | {"combined": True},
        "instructions": {"reappraise": "Look at it calmly.", "persona_x": "You are generous."},
    }
    assert [c.name for c in plan_conditions(SETTINGS | more)] == [
        "neutral",
        "steered-anger--0.5",
        "steered-anger-1",
        "steered-fear--0.5",
        "steered-fear-1",
        "random-0-1",
        "random-1-1",
        "random-2-1",
        "random-3-1",
        "shuffled-anger-1",
        "shuffled-fear-1",
        "prompted_neutral",
        "prompted-anger",
        "prompted-fear",
        "combined-anger-1",
        "combined-fear-1",
        "instructed_neutral-reappraise",
        "instructed-reappraise-anger-1",
        "instructed-reappraise-fear-1",
        "instructed_neutral-persona_x",
        "instructed-persona_x-anger-1",
        "instructed-persona_x-fear-1",
    ]


def test_without_instructions_the_conditions_are_those_of_a_config_without_the_keys():
    off = SETTINGS | {"arms": SETTINGS["arms"] | {"combined": False}, "instructions": {}}
    assert plan_conditions(off) == plan_conditions(SETTINGS)
    assert not [c for c in plan_conditions(off) if c.arm in ("combined", "instructed")]


def test_what_differs_in_the_prompt_only_has_the_push_of_the_steered_arm():
    told = {"instruction": "reappraise"}
    assert Condition("instructed", "anger", 1.0, **told).push == "steered-anger-1"
    assert Condition("combined", "anger", 1.0).push == "steered-anger-1"
    assert Condition("instructed_neutral", "neutral", 0.0, **told).push is None
    assert Condition("shuffled", "anger", 1.0).push == "shuffled-anger-1"
    assert Condition("random", "random_3", 1.0).push == "random-3-1"


@pytest.mark.parametrize("primary", ["direct", "after_rationale", "written"])
def test_controls_write_answers_only_if_claims_are_about_written_ones(primary):
    plan = plan_conditions(SETTINGS | {"statistics": SETTINGS["statistics"] | {"primary": primary}})
    writing = {c.arm for c in plan if c.generated}
    everything = {c.arm for c in plan}
    assert writing == ({"neutral", "steered"} if primary == "direct" else everything)


def test_null_directions_of_both_kinds_have_numbers_and_the_headline_dose():
    plan = plan_conditions(SETTINGS | {"arms": arms(2, 3)})
    nulls = [c for c in plan if c.arm.is_null]
    assert [c.name for c in nulls] == [
        *("random-0-1", "random-1-1"),
        *("isotropic-0-1", "isotropic-1-1", "isotropic-2-1"),
    ]
    assert [c.number for c in nulls] == [0, 1, 0, 1, 2]
    assert nulls[-1].emotion == "isotropic_2"


def test_halves_of_the_stimuli_are_there_where_claims_are_testable():
    enough = nulls_needed(2)
    plan = plan_conditions(SETTINGS | {"arms": arms(enough)})
    assert [c.name for c in plan if c.arm.endswith("_half")] == [
        *("first_half-anger-1", "first_half-fear-1"),
        *("second_half-anger-1", "second_half-fear-1"),
    ]
    too_few = plan_conditions(SETTINGS | {"arms": arms(enough - 1)})
    assert not [c for c in too_few if c.arm.endswith("_half")]


def test_given_vectors_have_no_arms_that_are_made_of_stimuli():
    settings = SETTINGS | {"arms": arms(nulls_needed(2))}
    whole = plan_conditions(settings | {"directions": {}})
    assert whole == plan_conditions(settings)
    left_out = {"first_half-fear-1", "second_half-fear-1", "shuffled-fear-1"}
    given = [c.name for c in plan_conditions(settings | {"directions": {"fear": "sha256"}})]
    assert given == [c.name for c in whole if c.name not in left_out]


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_a_lone_claim_just_passes_the_correction_with_so_many_null_directions(confidence):
    for emotions in (1, 2, 3, 6, 7, 12):
        needed = nulls_needed(emotions, confidence)
        assert 1 / (needed + 1) <= (1 - confidence) / emotions + 1e-9 < 1 / needed
    assert nulls_needed(6) == 119


def test_without_scoring_no_condition_is_empty():
    unscored = {
        "scoring": {"direct": False},
        "statistics": SETTINGS["statistics"] | {"primary": "written"},
    }
    plan = plan_conditions(SETTINGS | unscored)
    assert all(c.generated and not c.scored for c in plan)


def test_only_vectors_push():
    assert {
        arm for arm in ("neutral", "steered", "prompted") if Condition(arm, "anger", 1.0).is_pushed
    } == {"steered"}
