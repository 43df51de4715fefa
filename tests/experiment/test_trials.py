"""Trials are complete, counterbalanced, paired over conditions, and counted as planned."""

from collections import Counter

import pytest

from emotion_games.experiment.trials import (
    choose_scenarios,
    count_trials,
    option_orders,
    plan_trials,
)

SETTINGS = {
    "emotions": ["anger", "fear"],
    "intensity": [0.5, 1.0],
    "headline_intensity": 1.0,
    "arms": {"random": {"matched": 4, "isotropic": 0}, "shuffled": False, "prompted": True},
    "scoring": {"direct": True},
    "statistics": {"primary": "direct", "confidence": 0.95},
    "repeat": 2,
}
OPTIONS = {f"s{i}": ("go", "wait") for i in range(4)}


def test_orders_are_all_permutations_up_to_three_and_a_latin_square_beyond():
    assert len(option_orders("ab")) == 2 and len(option_orders("abc")) == 6
    square = option_orders("abcde")
    assert len(square) == 5
    assert all(len(set(place)) == 5 for place in zip(*square, strict=True)), (
        "each option takes each place once"
    )


@pytest.mark.parametrize("thinking", [{}, {"thinking": True, "thinking_budget": 8}])
def test_ids_are_unique_and_counted_in_advance(thinking):
    settings = SETTINGS | thinking
    plan = plan_trials(OPTIONS, ["start", "later"], settings, wordings=3)
    assert len({t.trial_id for t in plan}) == len(plan)
    counted = count_trials(("go", "wait"), 2, settings, scenarios=4)
    assert counted["total"] == len(plan)
    assert counted["generated"] == sum(t.condition.generated for t in plan)


def test_all_conditions_are_asked_as_often_if_thoughts_differ_between_repeats():
    """Else each null direction would differ from neutral by the thoughts of a single repeat."""
    plan = plan_trials(OPTIONS, ["start"], SETTINGS | {"thinking": True, "thinking_budget": 8}, 1)
    assert set(Counter(t.condition.name for t in plan).values()) == {4 * 2 * SETTINGS["repeat"]}


def test_conditions_are_paired_in_everything_but_the_condition():
    plan = plan_trials(OPTIONS, ["start"], SETTINGS, wordings=2)
    keys = {}
    for t in plan:
        if t.condition.generated:
            keys.setdefault(t.condition.name, []).append((t.sampling_key, t.wording, t.stimulus))
    assert len({tuple(k) for k in keys.values()}) == 1


def test_a_story_has_an_event_of_its_own_in_all_histories_and_orders():
    plan = plan_trials(OPTIONS, ["start", "later"], SETTINGS, wordings=2)
    assert {(t.scenario_id, t.stimulus) for t in plan} == {(f"s{i}", i) for i in range(4)}


def test_wordings_are_balanced_over_orders_and_scenarios():
    plan = plan_trials(OPTIONS, ["start"], SETTINGS, wordings=2)
    neutral = [t for t in plan if t.condition.name == "neutral"]
    assert set(Counter((t.order, t.wording) for t in neutral).values()) == {4}
    assert all(
        len({t.wording for t in neutral if t.request_key == key}) == 1
        for key in {t.request_key for t in neutral}
    )


@pytest.mark.parametrize("number", [1, 3, None])
def test_chosen_scenarios_keep_their_order_and_depend_on_the_seed_only(number):
    ids = [f"s{i}" for i in range(9)]
    chosen = choose_scenarios(ids, number, seed=1)
    assert chosen == [i for i in ids if i in chosen] and len(chosen) == (number or 9)
    assert set(chosen) == set(choose_scenarios(ids[::-1], number, seed=1))


def test_more_scenarios_keep_those_already_chosen():
    ids = [f"s{i}" for i in range(20)]
    assert set(choose_scenarios(ids, 5, 0)) < set(choose_scenarios(ids, 9, 0))
