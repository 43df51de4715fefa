"""Checks on what the pushes did besides moving choices: was the emotion induced, and is the model still whole?

Manipulation: a self-report after the decision, the unsteered model naming the emotion of the steered rationale, and
the shift along the emotion's direction in a later layer beyond what was added. Damage: non-social items with one
dominant answer, and the likelihood of neutral text. Comprehension: who gets what, where payoffs were shown.
Knows requests and rows; what the numbers mean is settled by the statistics.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd
import torch

from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.directions import Directions
from emotion_games.engine.generation import read
from emotion_games.engine.hooks import capture
from emotion_games.engine.models import token_ids
from emotion_games.experiment.conditions import Condition, plan_conditions
from emotion_games.experiment.requests import CLOSING, Questions
from emotion_games.experiment.trials import Trial
from emotion_games.prompts.answers import parse
from emotion_games.prompts.check_items import LEAD_WORDS, CheckItems
from emotion_games.prompts.messages import (
    Message,
    answer_prefix,
    comprehension_messages,
    decision_prefix,
    label_question,
    option_literal,
    self_report_question,
)
from emotion_games.prompts.payoffs import comprehension_questions
from emotion_games.prompts.situations import Situation

SEPARATOR = "|"
KINDS = ("self_report", "blind_label", "projection", "dominance", "perplexity", "comprehension")


def checked_trials(questions: Questions) -> list[Trial]:
    """One trial a scenario and condition: first order, first repeat, the histories taken in turn."""
    histories = [h.name for h in questions.game.histories]
    turn = {name: histories[i % len(histories)] for i, name in enumerate(questions.scenarios)}
    return [
        trial
        for trial in questions.trials
        if trial.condition.generated
        and trial.trial_id.endswith(f"/o0/{trial.condition.name}/r0")
        and turn[trial.scenario_id] == trial.history
    ]


def check_requests(
    questions: Questions,
    settings: dict,
    outputs: dict[str, str],
    items: CheckItems,
    to_text: Callable[[list[Message]], str],
    to_plain: Callable[[str], str],
) -> list[Request]:
    """All checks that the settings ask for.

    `outputs` maps trial_ids to answers; `items` is the material of the damage checks.
    """
    wanted: list[Request] = []
    if settings["checks"]["manipulation"]:
        wanted += manipulation_requests(questions, outputs, to_text)
    if settings["checks"]["damage"]:
        wanted += damage_requests(questions, plan_conditions(settings), items, to_text, to_plain)
    if settings["show_payoffs"]:
        wanted += comprehension_requests(questions, to_text)
    return wanted


def manipulation_requests(
    questions: Questions, outputs: dict[str, str], to_text: Callable[[list[Message]], str]
) -> Iterator[Request]:
    """Self-report under the same push, and blind labelling without any."""
    labels = {label: label for label in questions.templates.labels}
    for trial in checked_trials(questions):
        output = outputs[trial.trial_id]
        key = f"{trial.condition.name}{SEPARATOR}{trial.scenario_id}"
        asked = [
            *questions.prompts[trial.request_key],
            {"role": "assistant", "content": output},
            {"role": "user", "content": self_report_question(questions.templates)},
        ]
        yield Request(f"self_report{SEPARATOR}{key}", to_text(asked), trial.condition.push, labels)
        rationale = parse(
            output, questions.scenarios[trial.scenario_id].options, trial.order
        ).rationale
        if rationale:
            text = to_text(label_question(questions.templates, rationale))
            yield Request(f"blind_label{SEPARATOR}{key}", text, None, labels)


def damage_requests(
    questions: Questions,
    conditions: Sequence[Condition],
    items: CheckItems,
    to_text: Callable[[list[Message]], str],
    to_plain: Callable[[str], str],
) -> Iterator[Request]:
    """Dominance items in both orders and neutral texts, under neutral and every push that also writes answers."""
    pushed = [c for c in conditions if c.arm == "neutral" or (c.is_pushed and c.generated)]
    for condition in pushed:
        for item in items.dominance:
            options = {"better": option_literal(item.better), "worse": option_literal(item.worse)}
            for order in (("better", "worse"), ("worse", "better")):
                text = to_text(
                    _item_messages(questions, item.question, [options[name] for name in order])
                )
                key = f"dominance{SEPARATOR}{condition.name}{SEPARATOR}{item.item_id}/{order[0]}"
                yield Request(key, text, condition.push, options, decision_prefix(), CLOSING)
        for number, text in enumerate(items.neutral_texts):
            words = text.split()
            lead, rest = " ".join(words[:LEAD_WORDS]), " " + " ".join(words[LEAD_WORDS:])
            key = f"perplexity{SEPARATOR}{condition.name}{SEPARATOR}{number}"
            yield Request(key, to_plain(lead), condition.push, {"text": rest})


def _item_messages(questions: Questions, question: str, options: list[str]) -> list[Message]:
    templates = questions.templates
    shown = [
        templates.fill("option", number=i, text=text) for i, text in enumerate(options, start=1)
    ]
    parts = [question, "\n".join(shown), templates.fill("answer_form.decision")]
    return [{"role": "user", "content": templates.texts["separator"].join(parts)}]


def comprehension_requests(
    questions: Questions, to_text: Callable[[list[Message]], str]
) -> Iterator[Request]:
    """Who gets what if …, asked in neutral with the payoffs shown."""
    for trial in checked_trials(questions):
        if trial.condition.arm != "neutral":
            continue
        scenario = questions.scenarios[trial.scenario_id]
        history = next(h for h in questions.game.histories if h.name == trial.history)
        situation = Situation(questions.game, scenario, history, trial.order)
        asked = comprehension_questions(questions.templates, situation)
        for number, question in enumerate(asked):
            messages = comprehension_messages(questions.templates, situation, question)
            answers = {
                "right" if place == question.correct else f"wrong_{place}": option_literal(answer)
                for place, answer in enumerate(question.answers)
            }
            key = f"comprehension{SEPARATOR}neutral{SEPARATOR}{trial.scenario_id}/{trial.history}/{number}"
            yield Request(key, to_text(messages), None, answers, answer_prefix(), CLOSING)


def projection_key(request: Request) -> str:
    """The journal's key for the projection of a trial's request."""
    return f"projection{SEPARATOR}{request.push}{SEPARATOR}{request.key.split('/')[0]}"


def later_layer(directions: Directions) -> int | None:
    """A layer half-way between the last steered one and the end; None where nothing comes after."""
    last, depth = directions.layers[-1], directions.about["depth"]
    return None if last + 1 >= depth else (last + depth) // 2


@torch.inference_mode()
def projections(
    instrument: Instrument,
    directions: Directions,
    requests: Sequence[Request],
    emotions: Mapping[str, str],
) -> list[float]:
    """Shift of the last prompt token along its emotion's direction in the later layer, less what was added, in gaps.

    `requests` are one prompt under pushes, whose emotions `emotions` gives by name; the unsteered prompt is read too.
    """
    layer = later_layer(directions)
    ids = token_ids(instrument.loaded.tokenizer, requests[0].prompt)
    pushes = [None, *(r.push for r in requests)]
    with capture(instrument.loaded.layers, [layer]) as states:
        read(
            instrument.loaded,
            [ids] * len(pushes),
            instrument.batch_pushes(pushes),
            instrument.share,
        )
    last = states[layer][:, -1].float().cpu()
    found = []
    for row, request in enumerate(requests, start=1):
        target = directions.vectors[emotions[request.push]][layer]
        moved = last[row] - last[0] - instrument.pushes[request.push].sum(0)
        found.append(round(float(moved @ target / (target @ target)), 5))
    return found


def check_table(records: Mapping[str, dict], conditions: Sequence[Condition]) -> pd.DataFrame:
    """One row for each answer to a check among the journal's records; those of trials are left out."""
    by_name = {c.name: c for c in conditions}
    rows = [check_row(r, by_name) for key, r in records.items() if key.split(SEPARATOR)[0] in KINDS]
    return pd.DataFrame(
        rows, columns=["check", "arm", "emotion", "intensity", "item", "probabilities", "value"]
    )


def check_row(record: dict, conditions: dict[str, Condition]) -> dict:
    """A row of the checks table from a journal record."""
    kind, name, item = record["key"].split(SEPARATOR, 2)
    condition = conditions[name]
    scores = record.get("scores")
    row = {
        "check": kind,
        "arm": condition.arm,
        "emotion": condition.emotion,
        "intensity": condition.intensity,
        "item": item,
    }
    if kind in ("self_report", "blind_label"):
        return {**row, "probabilities": json.dumps(scores["probabilities"]), "value": None}
    if kind == "dominance":
        return {**row, "probabilities": None, "value": scores["probabilities"]["better"]}
    if kind == "perplexity":
        return {**row, "probabilities": None, "value": -scores["per_token"]["text"]}
    if kind == "comprehension":
        best = max(scores["probabilities"], key=scores["probabilities"].get)
        return {**row, "probabilities": None, "value": float(best == "right")}
    return {**row, "probabilities": None, "value": record["value"]}
