"""The requests of the checks of one experiment.

Does the model understand who gets what? What does it answer freely, without the form of a guided
answer? The checks that need no game are those of `push_checks`.
"""

from collections.abc import Iterator
from dataclasses import replace

from emotion_games.engine.backend import Backend
from emotion_games.engine.requests import Request
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.experiment.check_records import RIGHT, SEPARATOR, Check, check_key
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.requests import (
    CLOSING,
    Questions,
    is_guided,
    prompt_text,
    pushed_part,
    thinking_of,
    turn_text,
)
from emotion_games.experiment.trials import Trial
from emotion_games.prompts import messages as texts
from emotion_games.prompts.payoffs import Question, comprehension_questions
from emotion_games.prompts.situations import Situation

# Scenarios in which the model also answers freely.
FORMAT_SCENARIOS = 12
# The first part of the keys of these answers in the journal.
FREE = "free"


def check_requests(questions: Questions, model: Backend) -> Iterator[Request]:
    """Yield the requests of all checks in the settings."""
    yield from format_requests(questions, model)
    if questions.settings["show_payoffs"]:
        yield from comprehension_requests(questions, model)


def check_keys(questions: Questions) -> list[str]:
    """Return the keys of these requests, which do not depend on the model."""
    keys = [key for key, _ in format_trials(questions)]
    if questions.settings["show_payoffs"]:
        keys += [key for key, _, _ in _comprehension_items(questions)]
    return keys


def format_trials(questions: Questions) -> Iterator[tuple[str, Trial]]:
    """Yield the guided trials that the model also answers freely, with the keys of these answers.

    They are in neutral and under each emotion at the headline dose.
    """
    settings = questions.settings
    if not (is_guided(settings) and settings["checks"]["format"]):
        return
    scenarios = set(list(questions.scenarios)[:FORMAT_SCENARIOS])
    for trial in _asked_trials(questions):
        condition = trial.condition
        is_asked = condition.arm == Arm.NEUTRAL or (
            condition.arm == Arm.STEERED and condition.intensity == settings["headline_intensity"]
        )
        if is_asked and condition.generated and trial.scenario_id in scenarios:
            yield SEPARATOR.join((FREE, condition.name, trial.scenario_id)), trial


def format_requests(questions: Questions, model: Backend) -> Iterator[Request]:
    """Yield a free answer to some prompts: that of the first repeat with `decoding: free`."""
    settings, steps = questions.settings, questions.settings["generation"]["max_new_tokens"]
    for key, trial in format_trials(questions):
        prompt = turn_text(questions, questions.prompts[trial.request_key], model)
        sampled = (questions.game.name, *trial.sampling_key)
        uniforms = (trial_uniforms(sampled, settings["seed"], steps),)
        begin, end = pushed_part(settings, prompt)
        free = Request(key, prompt, trial.condition.push, {}, begin=begin, end=end)
        thinking = thinking_of(questions, trial.sampling_key, model)
        yield replace(free, scored=False, uniforms=uniforms, thinking=thinking)


def comprehension_requests(questions: Questions, model: Backend) -> Iterator[Request]:
    """Yield the questions about payoffs, in neutral and with the payoffs shown."""
    for key, situation, question in _comprehension_items(questions):
        conversation = texts.comprehension_messages(questions.templates, situation, question)
        answers = {
            RIGHT if place == question.correct else f"wrong_{place}": texts.option_literal(answer)
            for place, answer in enumerate(question.answers)
        }
        prompt = prompt_text(questions, conversation, model)
        asked = Request(key, prompt, None, answers, texts.answer_prefix(), CLOSING)
        yield replace(asked, thinking=thinking_of(questions, (key,), model))


def _comprehension_items(questions: Questions) -> Iterator[tuple[str, Situation, Question]]:
    histories = {h.name: h for h in questions.game.histories}
    for trial in _asked_trials(questions):
        if trial.condition.arm != Arm.NEUTRAL:
            continue
        scenario = questions.scenarios[trial.scenario_id]
        situation = Situation(questions.game, scenario, histories[trial.history], trial.order)
        for number, question in enumerate(comprehension_questions(questions.templates, situation)):
            item = f"{trial.scenario_id}/{trial.history}/{number}"
            yield check_key(Check.COMPREHENSION, trial.condition.name, item), situation, question


def _asked_trials(questions: Questions) -> list[Trial]:
    """Return one trial per scenario and condition: the first option order and repeat.

    The scenarios take the histories in turn.
    """
    histories = [h.name for h in questions.game.histories]
    turn = {name: histories[i % len(histories)] for i, name in enumerate(questions.scenarios)}
    return [
        trial
        for trial in questions.trials
        if trial.trial_id.endswith(f"/o0/{trial.condition.name}/r0")
        and turn[trial.scenario_id] == trial.history
    ]
