"""Every planned arm is there, once, under a stable name."""

from emotion_games.experiment.conditions import Condition, plan_conditions

SETTINGS = {
    "emotions": ["anger", "fear"],
    "intensity": [-0.5, 1.0],
    "headline_intensity": 1.0,
    "arms": {"random": {"scored": 4, "generated": 2}, "shuffled": True, "prompted": True},
    "scoring": {"direct": True},
}


def test_all_arms_under_stable_names():
    assert [c.name for c in plan_conditions(SETTINGS)] == [
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
    ]


def test_only_some_random_directions_write_answers():
    random = [c for c in plan_conditions(SETTINGS) if c.arm == "random"]
    assert [c.generated for c in random] == [True, True, False, False]
    assert [c.emotion for c in random] == ["random_0", "random_1", "random_2", "random_3"]


def test_without_scoring_no_condition_is_empty():
    plan = plan_conditions(SETTINGS | {"scoring": {"direct": False}})
    assert sum(c.arm == "random" for c in plan) == 2
    assert all(c.generated and not c.scored for c in plan)


def test_only_vectors_push():
    assert {
        arm for arm in ("neutral", "steered", "prompted") if Condition(arm, "anger", 1.0).is_pushed
    } == {"steered"}
