"""The checks of a model's pushes, once for all its games.

Does a push induce its emotion? In everyday situations the model names a feeling from a list and in
its own words, and held-out sentences about an emotion become more or less likely. Does it damage
the model? Neutral texts have a likelihood, and items without people have one dominant answer.
"""

import datetime
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.directions import Directions, load
from emotion_games.experiment.check_records import (
    BETTER,
    DOMINANCE_READ,
    LEAST_NULLS,
    NULLS_CHECKED,
    TEXT,
    WORD,
    WORSE,
    Check,
    check_key,
    check_of,
    check_rows,
    write_checks,
)
from emotion_games.experiment.conditions import (
    Arm,
    Condition,
    plan_conditions,
    position_of,
)
from emotion_games.experiment.held_out import own_items
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.journal import COMPLETE, Journal
from emotion_games.experiment.measuring import (
    Session,
    load_steerable,
    measure_all,
    rendered_prompts,
    self_checked,
)
from emotion_games.experiment.provenance import answering_code_hash, environment
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import CLOSING, pushed_part
from emotion_games.experiment.spec import Settings
from emotion_games.hashing import digest
from emotion_games.prompts import messages as texts
from emotion_games.prompts.check_items import LEAD_WORDS, CheckItems, load_check_items
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates

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


def load_material(inputs: Inputs) -> Material:
    """Read what the checks of a model ask and read."""
    spec, files = inputs.spec, inputs.files
    settings = spec["settings"]
    stimuli = load_stimuli(files["stimuli"], settings["emotions"])
    every = load_check_items(files["checks"])
    items = CheckItems(
        contexts=tuple(own_items(every.contexts, settings)),
        dominance=tuple(own_items(every.dominance, settings)),
        neutral_texts=tuple(own_items(every.neutral_texts, settings)),
    )
    return Material(
        settings=settings,
        date=datetime.date.fromisoformat(spec["date"]),
        templates=load_templates(files["prompts"]),
        items=items,
        held_out={
            emotion: list(own_items(split_stimuli(lines)[1], settings))
            for emotion, lines in stimuli.items()
        },
    )


def check_pushes(inputs: Inputs, output: Path, control: Control) -> None:
    """Measure what the journal does not hold yet, and write the table of all checks.

    Args:
        inputs: The specification of any experiment of the model; its game is not used.
        output: The table, with a header alone if the settings want no check.
        control: How the job is watched and stopped.

    Raises:
        Interrupted: The job was stopped after a batch.
        UserError: A file or the model cannot be used.
    """
    material, vectors = load_material(inputs), load(inputs.directions)
    conditions = plan_conditions(material.settings)
    journal = Journal(inputs.journal, _fingerprint(inputs, material, vectors), control.log)
    if any(checks_of(material.settings)) and COMPLETE not in journal.records:
        _measure_missing(inputs, material, vectors, journal, control)
    write_checks(output, check_rows(journal.records, conditions))


def checks_of(settings: Settings) -> tuple[bool, bool]:
    """Return whether manipulation and damage are checked."""
    return settings["checks"]["manipulation"], settings["checks"]["damage"]


def _measure_missing(
    inputs: Inputs, material: Material, vectors: Directions, journal: Journal, control: Control
) -> None:
    settings, runtime = material.settings, inputs.runtime
    model = load_steerable(inputs.spec["model"], inputs.model_path, runtime, vectors)
    conditions = plan_conditions(settings)
    requests = list(push_check_requests(material, model))
    counted = {"check items": [request.key for request in requests]}
    session = Session(journal, control, counted)
    rendered = rendered_prompts(session, requests)
    if not session.is_done([rendered["key"]]):
        key = check_key(Check.VOCABULARY, str(Arm.NEUTRAL), "tokens")
        journal.append([rendered, {"key": key, "tokens": model.vocabulary_size()}])
    session.report()
    instrument = Instrument(
        model=model,
        layers=vectors.layers,
        pushes=condition_pushes(vectors, conditions, settings["intensity_unit"]),
        # Nothing is written.
        temperature=0.0,
        top_p=1.0,
        share=runtime.get("share_layers", True),
    )
    arm_of = {condition.push: condition.arm for condition in conditions}
    arms = {request.key: arm_of[request.push] for request in requests}
    # The first ones of a condition are chats: a sentence may begin with a single token, which is
    # never pushed.
    instrument = self_checked(session, instrument, requests, arms)
    _measure_checks(session, instrument, requests, runtime.get("batch_tokens"))
    seconds = {part: round(number, 2) for part, number in instrument.seconds.items()}
    journal.append([{"key": COMPLETE, "seconds": seconds, "machine": environment()}])


def _measure_checks(
    session: Session, instrument: Instrument, requests: Sequence[Request], room: int | None
) -> None:
    """Measure each check in batches of its own: its prompts are about as long as each other.

    Dominance items come first. If the model does not understand them without a push, they are not
    asked under pushes.
    """
    stages: dict[str, list[Request]] = {}
    for request in requests:
        stages.setdefault(check_of(request.key), []).append(request)
    items = stages.pop(Check.DOMINANCE, [])
    by_itself = [request for request in items if request.push is None]
    measure_all(session, instrument, {Check.DOMINANCE: by_itself}, room=room)
    scores = [session.journal.records[request.key]["scores"] for request in by_itself]
    shares = [found["probabilities"][BETTER] for found in scores if found]
    if shares and sum(shares) / len(shares) >= DOMINANCE_READ:
        stages[Check.DOMINANCE] = [request for request in items if request.push]
    asked = [*by_itself, *chain(*stages.values())]
    session = replace(session, counted={"check items": [request.key for request in asked]})
    measure_all(session, instrument, stages, room=room)


def _fingerprint(inputs: Inputs, material: Material, vectors: Directions) -> str:
    settings = material.settings
    identity = {
        "model": inputs.spec["model"],
        "date": inputs.spec["date"],
        "conditions": [asdict(condition) for condition in plan_conditions(settings)],
        "unit": settings["intensity_unit"],
        "position": position_of(settings),
        "checks": settings["checks"],
        "weights": vectors.about["weights_hash"],
        "directions": vectors.content_hash,
        "templates": asdict(material.templates),
        "items": asdict(material.items),
        "held_out": dict(material.held_out),
        "code": answering_code_hash(),
    }
    return digest(identity)


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
