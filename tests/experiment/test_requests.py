"""Requests follow the plan: one prompt under every condition, events only in the prompted arms."""

from types import SimpleNamespace

import pytest

from emotion_games.experiment.conditions import Arm, Condition, plan_conditions
from emotion_games.experiment.requests import (
    event_of,
    load_questions,
    reopen_after_rationale,
    trial_requests,
)
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli, story_events
from tiny_experiment import FILES, ROOT, SETTINGS, spec_of


@pytest.fixture(scope="module")
def questions():
    return load_questions(spec_of(SETTINGS), FILES)


CONDITIONS = {c.name: c for c in plan_conditions(SETTINGS)}


def condition_of(request):
    return CONDITIONS[request.key.rpartition("/")[2]]


def requests(questions):
    before = lambda m, date: f"{m[0]['content']}|{m[1]['content']}"  # noqa: E731
    model = SimpleNamespace(chat_text=before, text_before_answer=before)
    return trial_requests(questions, model)


def test_one_request_for_each_prompt_and_condition(questions):
    made = requests(questions)
    assert len({r.key for r in made}) == len(made) == len({t.request_key for t in questions.trials})
    assert {len(r.uniforms) for r in made if condition_of(r).generated} == {2}
    assert all(not r.uniforms for r in made if not condition_of(r).generated)
    assert all(
        r.push == (r.key.rpartition("/")[2] if condition_of(r).is_pushed else None) for r in made
    )


def test_pushed_conditions_read_exactly_the_neutral_prompt(questions):
    by_prompt = {}
    for r in requests(questions):
        place = r.key.rsplit("/", 1)[0]
        if condition_of(r).arm in ("neutral", "steered", "random", "shuffled"):
            by_prompt.setdefault(place, set()).add(r.prompt)
    assert all(len(prompts) == 1 for prompts in by_prompt.values())


def test_prompted_arms_begin_with_the_event_of_their_story(questions):
    _, held_out = split_stimuli(load_stimuli(FILES["stimuli"])["anger"])
    prompted = [r for r in requests(questions) if condition_of(r).name == "prompted-anger"]
    assert prompted
    for r in prompted:
        number = list(questions.scenarios).index(r.key.split("/")[0])
        assert r.prompt.startswith(held_out[number])
    neutral = next(r for r in requests(questions) if condition_of(r).name == "neutral")
    assert not any(event in neutral.prompt for event in held_out)


def test_an_instruction_ends_the_system_message_and_pushes_are_those_of_the_steered_arm():
    arms = SETTINGS["arms"] | {"combined": True}
    settings = SETTINGS | {"arms": arms, "instructions": {"calm": " Keep calm. ", "bold": "Dare."}}
    made = {r.key: r for r in requests(load_questions(spec_of(settings), FILES))}
    for key, request in made.items():
        start, _, condition = key.rpartition("/")
        arm, _, rest = condition.partition("-")
        if arm in ("instructed", "instructed_neutral"):
            name, _, dosed = rest.partition("-")
            system, user = made[f"{start}/neutral"].prompt.split("|")
            told = {"calm": "Keep calm.", "bold": "Dare."}[name]
            assert request.prompt == f"{system} {told}|{user}"
            assert request.push == (f"steered-{dosed}" if dosed else None)
        elif arm == "combined":
            emotion = rest.split("-")[0]
            assert request.prompt == made[f"{start}/prompted-{emotion}"].prompt
            assert request.push == f"steered-{rest}"
        else:
            assert request.push in (None, condition)


@pytest.mark.parametrize("folder", ["emotions", "demo/emotions"])
def test_the_shipped_banks_have_an_event_for_each_of_48_stories(folder):
    for emotion, lines in load_stimuli(ROOT / "config" / folder).items():
        events = {emotion: story_events(lines)}
        condition = Condition(Arm.PROMPTED, emotion, 1.0)
        described = [
            event_of(SimpleNamespace(condition=condition, stimulus=number), events)
            for number in range(48)
        ]
        assert len(set(described)) == 48
        # Those that no direction was made from come first.
        _, held_out = split_stimuli(lines)
        assert described[: len(held_out)] == held_out


def test_options_are_scored_in_the_order_shown(questions):
    for r in requests(questions):
        shown = sorted(r.options, key=lambda label: r.prompt.index(r.options[label]))
        assert shown == list(r.options)


def test_numbers_are_paired_over_conditions_and_differ_over_repeats(questions):
    made = {r.key: r for r in requests(questions) if condition_of(r).generated}
    place = next(iter(made)).rsplit("/", 1)[0]
    neutral, angry = made[f"{place}/neutral"], made[f"{place}/steered-anger-1"]
    assert all((a == b).all() for a, b in zip(neutral.uniforms, angry.uniforms, strict=True))
    assert (neutral.uniforms[0] != neutral.uniforms[1]).any()


def test_an_answer_opens_again_with_its_own_rationale():
    assert (
        reopen_after_rationale('{"rationale": "Say \\"no\\".", "decision": "x"}')
        == '{"rationale": "Say \\"no\\".", "decision": "'
    )
    assert reopen_after_rationale('{"decision": "x"}') is None
