"""The requests of the checks of a model's pushes.

Does a push induce its emotion? In everyday situations the model names a feeling from a list and in
its own words, and held-out sentences about an emotion become more or less likely. Does it damage
the model? Neutral texts have a likelihood, and items without people have one dominant answer.
"""

import datetime
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Request
from emotion_games.experiment.check_records import (
    BETTER,
    LEAST_NULLS,
    NULLS_CHECKED,
    TEXT,
    WORD,
    WORSE,
    Check,
    check_key,
)
from emotion_games.experiment.conditions import Arm, Condition, plan_conditions
from emotion_games.experiment.requests import CLOSING, pushed_part
from emotion_games.experiment.spec import Settings
from emotion_games.prompts import messages as texts
from emotion_games.prompts.check_items import LEAD_WORDS, CheckItems
from emotion_games.prompts.templates import Templates

# Follows a word for a feeling, so that whole words are compared.
WORD_END = "."
# Held-out sentences of an emotion; more of them cost time and add little.
MOST_SENTENCES = 20
# Neutral texts that each of many null directions reads. On SmolLM2-135M the sd over texts of the
# change (nats a token) is .04 to .17 up to a factor of 1.9, so six find a factor of 2.25.
NULL_TEXTS = 6
# Words of a sentence that are read before its likelihood is measured.
SENTENCE_LEAD = 1


@dataclass(frozen=True)
class Material:
    """What the checks ask and read.

    Attributes:
        settings: The settings of the series.
        date: What chat templates take for today.
        templates: The questions and the words for feelings.
        items: Situations, dominance items and neutral texts.
        held_out: By emotion, the stimuli that no direction was made from. Of these and of the
            items, a sweep and the series that take its setting have a half each.
    """

    settings: Settings
    date: datetime.date
    templates: Templates
    items: CheckItems
    held_out: Mapping[str, list[str]]


def checks_of(settings: Settings) -> tuple[bool, bool]:
    """Return whether manipulation and damage are checked."""
    return settings["checks"]["manipulation"], settings["checks"]["damage"]


def push_check_requests(material: Material, model: Backend) -> Iterator[Request]:
    """Yield the requests of all checks in the settings, condition by condition."""
    manipulation, damage = checks_of(material.settings)
    conditions = plan_conditions(material.settings)
    asked = _to_induce(conditions) if manipulation else []
    for condition in conditions:
        if condition in asked:
            yield from _questions(material, condition, model)
            # An event stands before a situation, not before a sentence.
            if not condition.arm.has_event:
                yield from _sentences(material, condition, model)
        # A push that several conditions share is that of the steered one.
        if damage and (condition.push == condition.name or condition.arm == Arm.NEUTRAL):
            # There are many null directions, and one that is damaged only adds noise.
            if not condition.arm.is_null:
                yield from _dominance(material, condition, model)
            yield from _neutral_texts(material, condition, model)


def _to_induce(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions that are asked whether they induce an emotion.

    Of the null directions with the covariance of the hidden states some suffice for a comparison,
    and too few to compare with are not asked. The directions of half the stimuli are left out, and
    so are instructions, which are about decisions.
    """
    left_out = (Arm.RANDOM, Arm.ISOTROPIC, Arm.FIRST_HALF, Arm.SECOND_HALF)
    nulls = [c for c in conditions if c.arm == Arm.RANDOM][:NULLS_CHECKED]
    others = [c for c in conditions if not (c.arm in left_out or c.arm.has_instruction)]
    return others + (nulls if len(nulls) >= LEAST_NULLS else [])


def _questions(material: Material, condition: Condition, model: Backend) -> Iterator[Request]:
    """Yield both questions about the feeling in each situation."""
    templates, feelings = material.templates, material.templates.feelings
    names = {label: f" {label}" for label in templates.labels}
    words = {f"{e}{WORD}{word}": f" {word}" for e, several in feelings.items() for word in several}
    for number, context in enumerate(material.items.contexts):
        if condition.arm.has_event:
            events = material.held_out[condition.emotion]
            context = f"{events[number % len(events)]} {context}"
        # Each situation has its own order, the same under every condition.
        labels = random.Random(number).sample(templates.labels, len(templates.labels))
        asked = (
            (Check.NAMED_EMOTION, texts.named_emotion(templates, context, labels), names),
            (Check.FELT_EMOTION, texts.felt_emotion(templates, context), words),
        )
        for check, (messages, answer), options in asked:
            key = check_key(check, condition.name, number)
            request = Request(key, "", condition.push, options, closing=WORD_END)
            yield _asked(material, request, model.chat_text(messages, material.date), answer)


def _sentences(material: Material, condition: Condition, model: Backend) -> Iterator[Request]:
    """Yield held-out stimuli of each emotion, whose likelihood is measured."""
    for emotion in material.settings["emotions"]:
        # An emotion with given vectors may have no stimuli.
        sentences = (text for text in material.held_out.get(emotion, ()) if " " in text)
        for number, sentence in zip(range(MOST_SENTENCES), sentences, strict=False):
            key = check_key(Check.HELD_OUT, condition.name, f"{emotion}{WORD}{number}")
            yield _likelihood(key, sentence, SENTENCE_LEAD, condition, model)


def _dominance(material: Material, condition: Condition, model: Backend) -> Iterator[Request]:
    """Yield each dominance item in both orders, so that a preference for a place cancels out."""
    for item in material.items.dominance:
        options = {
            BETTER: texts.option_literal(item.better),
            WORSE: texts.option_literal(item.worse),
        }
        for order in ((BETTER, WORSE), (WORSE, BETTER)):
            shown = [options[name] for name in order]
            message = texts.dominance_question(material.templates, item.question, shown)
            question = model.chat_text([message], material.date)
            key = check_key(Check.DOMINANCE, condition.name, f"{item.item_id}/{order[0]}")
            request = Request(key, "", condition.push, options, closing=CLOSING)
            yield _asked(material, request, question, texts.decision_prefix())


def _asked(material: Material, request: Request, question: str, answer: str) -> Request:
    """Return a request that asks a question, and is pushed there as trials are.

    The beginning of the answer is a part of the prompt, which all conditions share.
    """
    begin, end = pushed_part(material.settings, question)
    return replace(request, prompt=question + answer, begin=begin, end=end)


def _neutral_texts(material: Material, condition: Condition, model: Backend) -> Iterator[Request]:
    most = NULL_TEXTS if condition.arm.is_null else None
    for number, text in enumerate(material.items.neutral_texts[:most]):
        key = check_key(Check.PERPLEXITY, condition.name, number)
        yield _likelihood(key, text, LEAD_WORDS, condition, model)


def _likelihood(key: str, text: str, lead: int, condition: Condition, model: Backend) -> Request:
    """Return the request for the likelihood of a text after its first words, pushed throughout."""
    # They are read but not measured: any text may begin in many ways. It is no chat, so that it has
    # neither prompt nor answer.
    words = text.split()
    prompt = model.plain_text(" ".join(words[:lead]))
    return Request(key, prompt, condition.push, {TEXT: " " + " ".join(words[lead:])})
