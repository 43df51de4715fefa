"""The requests of the checks: was the emotion induced, and does the model still work?

Manipulation is checked by a self-report after the decision, by the unsteered model that names the
emotion of the steered rationale, and by the shift along the emotion's direction in a later layer
beyond what was added. Damage is checked by non-social items with one dominant answer and by the
likelihood of neutral texts. Comprehension is checked by asking who gets what, if payoffs are shown.
"""

from collections.abc import Iterator, Mapping, Sequence

from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.directions import Directions
from emotion_games.experiment.check_records import BETTER, RIGHT, TEXT, WORSE, Check, check_key
from emotion_games.experiment.conditions import Arm, Condition, plan_conditions
from emotion_games.experiment.requests import CLOSING, Questions
from emotion_games.experiment.spec import Record
from emotion_games.experiment.trials import Trial
from emotion_games.prompts import messages as texts
from emotion_games.prompts.answers import parse
from emotion_games.prompts.check_items import LEAD_WORDS, CheckItems
from emotion_games.prompts.payoffs import comprehension_questions
from emotion_games.prompts.situations import Situation


def checked_trials(questions: Questions) -> list[Trial]:
    """Return one trial per scenario and condition that writes answers.

    It is the first repeat of the first option order; the scenarios take the histories in turn.
    """
    # Every history is checked in some scenarios: a check of each trial would double the work.
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
    questions: Questions, items: CheckItems, records: Mapping[str, Record], model: Backend
) -> list[Request]:
    """Return the requests of all checks in the settings.

    Args:
        questions: The questions of the experiment.
        items: The items of the checks of damage.
        records: The records of its trials, by their keys.
        model: The model, which turns messages into prompts.
    """
    settings = questions.settings
    requests: list[Request] = []
    if settings["checks"]["manipulation"]:
        requests += manipulation_requests(questions, records, model)
    if settings["checks"]["damage"]:
        conditions = plan_conditions(settings)
        requests += damage_requests(questions, conditions, items, model)
    if settings["show_payoffs"]:
        requests += comprehension_requests(questions, model)
    return requests


def manipulation_requests(
    questions: Questions, records: Mapping[str, Record], model: Backend
) -> Iterator[Request]:
    """Yield self-reports under the trial's push, and blind labellings without a push."""
    templates = questions.templates
    labels = {label: label for label in templates.labels}
    for trial in checked_trials(questions):
        name, push = trial.condition.name, trial.condition.push
        output = records[trial.request_key]["answers"][trial.repeat]
        conversation = [
            *questions.prompts[trial.request_key],
            {"role": "assistant", "content": output},
            {"role": "user", "content": texts.self_report_question(templates)},
        ]
        key = check_key(Check.SELF_REPORT, name, trial.scenario_id)
        yield Request(key, model.chat_text(conversation, questions.date), push, labels)
        options = questions.scenarios[trial.scenario_id].options
        rationale = parse(output, options, trial.order).rationale
        if rationale:
            # Without a push, which would also change the reading of the rationale.
            key = check_key(Check.BLIND_LABEL, name, trial.scenario_id)
            prompt = model.chat_text(texts.label_question(templates, rationale), questions.date)
            yield Request(key, prompt, None, labels)


def damage_requests(
    questions: Questions, conditions: Sequence[Condition], items: CheckItems, model: Backend
) -> Iterator[Request]:
    """Yield dominance items in both orders, and neutral texts.

    They are read under neutral and under every push that also writes answers.
    """
    for condition in conditions:
        # Only pushes can damage the model, and only answers can suffer from it.
        if condition.arm != Arm.NEUTRAL and not (condition.is_pushed and condition.generated):
            continue
        for item in items.dominance:
            options = {
                BETTER: texts.option_literal(item.better),
                WORSE: texts.option_literal(item.worse),
            }
            # In both orders, so that a preference for a position cancels out.
            for order in ((BETTER, WORSE), (WORSE, BETTER)):
                shown = [options[name] for name in order]
                messages = _item_messages(questions, item.question, shown)
                prompt = model.chat_text(messages, questions.date)
                key = check_key(Check.DOMINANCE, condition.name, f"{item.item_id}/{order[0]}")
                yield Request(
                    key, prompt, condition.push, options, texts.decision_prefix(), CLOSING
                )
        for number, text in enumerate(items.neutral_texts):
            # The first words are read but not measured: any text may begin in many ways.
            words = text.split()
            lead, rest = " ".join(words[:LEAD_WORDS]), " " + " ".join(words[LEAD_WORDS:])
            key = check_key(Check.PERPLEXITY, condition.name, number)
            yield Request(key, model.plain_text(lead), condition.push, {TEXT: rest})


def _item_messages(questions: Questions, question: str, options: list[str]) -> list[texts.Message]:
    templates = questions.templates
    shown = [templates.fill("option", number=i, text=text) for i, text in enumerate(options, 1)]
    parts = [question, "\n".join(shown), templates.fill("answer_form.decision")]
    return [{"role": "user", "content": templates.texts["separator"].join(parts)}]


def comprehension_requests(questions: Questions, model: Backend) -> Iterator[Request]:
    """Yield the questions about payoffs, in neutral and with the payoffs shown."""
    histories = {h.name: h for h in questions.game.histories}
    for trial in checked_trials(questions):
        if trial.condition.arm != Arm.NEUTRAL:
            continue
        scenario = questions.scenarios[trial.scenario_id]
        situation = Situation(questions.game, scenario, histories[trial.history], trial.order)
        for number, question in enumerate(comprehension_questions(questions.templates, situation)):
            conversation = texts.comprehension_messages(questions.templates, situation, question)
            answers = {
                RIGHT if place == question.correct else f"wrong_{place}": texts.option_literal(
                    answer
                )
                for place, answer in enumerate(question.answers)
            }
            item = f"{trial.scenario_id}/{trial.history}/{number}"
            key = check_key(Check.COMPREHENSION, trial.condition.name, item)
            prompt = model.chat_text(conversation, questions.date)
            yield Request(key, prompt, None, answers, texts.answer_prefix(), CLOSING)


def projection_key(request: Request) -> str:
    """Return the journal's key of the projection of a trial's request."""
    return check_key(Check.PROJECTION, str(request.push), request.key.split("/")[0])


def later_layer(directions: Directions) -> int | None:
    """Return a layer half-way between the last steered one and the end, or None at the end."""
    # The layers in between must have had a chance to react to the push.
    last, depth = directions.layers[-1], directions.about["depth"]
    return None if last + 1 >= depth else (last + depth) // 2


def projections(
    instrument: Instrument,
    directions: Directions,
    requests: Sequence[Request],
    emotions: Mapping[str, str],
) -> list[float]:
    """Measure how far pushes move the last token of a prompt in a later layer.

    Args:
        instrument: The model with its pushes.
        directions: The directions of the model; `later_layer` is not None.
        requests: One prompt under several pushes. It is read without a push, too.
        emotions: The emotion of each push.

    Returns:
        For each request the shift along the direction of its emotion, minus the part that was
        added, in natural gaps.
    """
    layer = later_layer(directions)
    assert layer is not None
    names = [str(request.push) for request in requests]
    prompts = [instrument.model.token_ids(requests[0].prompt)] * (1 + len(names))
    rows = instrument.read(prompts, [None, *names], watched=[layer])
    last = rows.states[layer].float().cpu()
    shifts = []
    for row, name in enumerate(names, start=1):
        target = directions.vectors[emotions[name]][layer]
        # Layers add to their input, so what was added is still in the state as it was.
        moved = last[row] - last[0] - instrument.pushes[name].sum(0)
        shifts.append(round(float(moved @ target / (target @ target)), 5))
    return shifts
