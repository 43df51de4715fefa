"""The training texts of the demo model: conversations about decisions, and short exercises.

The targets of the decisions are the planted shares.
"""

import itertools
import random
from collections.abc import Collection, Mapping, Sequence

from emotion_games.demo.trainer import grammar as language
from emotion_games.demo.trainer.inputs import Inputs, scenario_key
from emotion_games.demo.trainer.samples import Sample, Segment
from emotion_games.demo.trainer.tokenizer import BEGIN, END, turn
from emotion_games.demo.trainer.truth import (
    NEUTRAL,
    WHOLE_INTENSITY,
    GameTruth,
    prosocial,
    shares,
)
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts import messages
from emotion_games.prompts.messages import Message
from emotion_games.prompts.situations import Situation

ASSISTANT = "<|assistant|>"
# Loss weights of the tokens at which options differ, of the other tokens of options, of emotion
# labels, and of all other written tokens.
BRANCH, COPY, LABEL, FORM = 10.0, 2.0, 2.0, 0.5
PLAIN = 0.5  # loss weight of plain texts
EVENT = 0.3  # loss weight of the emotion's label at the end of an event in the probe
# The share of rationales that name the feeling. With more of them, the rationale would replace
# the reading of the context.
FELT_SHARE = 0.2
# The share of conversations that require only a decision. Of the others, DECISION_OPENING have an
# answer that was begun without a rationale.
DECISION_FORM, DECISION_OPENING = 0.25, 0.25
NO_CONTEXT = 0.5  # share of neutral conversations without any event
# The share of steered conversations, and the part of the training after which they begin.
STEERED_SHARE, STEERED_FROM = 0.5, 0.05
# The share of pushes that mean nothing. Few are enough, because they act on what nothing reads.
NULL_SHARE = 0.05
# The intensities of pushes, as shares of the one with the whole planted effect.
DOSES = (0.25, 0.5, 0.5, 0.75, 1.0, 1.0, 1.0, 1.25, 1.5, -0.25, -0.5)
# Early targets are the planted shares to this power, so that large differences are learnt first.
SHARP_UNTIL, SHARPNESS = 0.4, 3
# Probability of each question about the options, in the first and the second half.
QUESTIONS_EARLY, QUESTIONS_LATE = 0.7, 0.2
# Questions about the feeling, and plain texts, in a step.
FEELINGS_EACH, PLAIN_EACH = 3, 3
# Of the plain texts, the share of descriptions. Of the others under a push at the whole intensity,
# the share of stimuli of its emotion.
DESCRIPTIONS, OWN_STIMULI = 0.3, 0.6


def conversations(inputs: Inputs, number: int, seed: int) -> list[Sample]:
    """Draw the conversations of a whole training, in order."""
    chance = random.Random(f"{seed}/conversations")
    return [_conversation(inputs, place / number, chance) for place in range(number)]


def shorts(inputs: Inputs, steps: int, each: int, seed: int) -> list[Sample]:
    """Draw `each` short exercises per step; option reading is more frequent at first."""
    chance = random.Random(f"{seed}/shorts")
    samples = []
    for step in range(steps):
        reading = 4 if step < steps / 2 else 1
        samples += [_option_reading(inputs, chance) for _ in range(reading)]
        samples += [_feeling(inputs, chance) for _ in range(FEELINGS_EACH)]
        samples += [_plain_text(inputs, chance) for _ in range(PLAIN_EACH)]
        others = each - reading - FEELINGS_EACH - PLAIN_EACH
        samples += [_stimulus(inputs, chance) for _ in range(others)]
    return samples


def _scenario(inputs: Inputs, game: Game, chance: random.Random) -> Scenario:
    """Draw a scenario that is not among the shipped ones."""
    while True:
        about = language.draw_object(inputs.grammar, chance)
        scenario = language.draw_scenario(inputs.grammar, game, about, chance)
        if scenario_key(scenario) not in inputs.shipped:
            return scenario


def _shuffled(labels: Collection[str], chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample(list(labels), len(labels)))


def _read(chat: Sequence[Message]) -> Segment:
    return Segment(BEGIN + "".join(turn(m["role"], m["content"]) for m in chat) + ASSISTANT)


def _drawn(
    shares_by_text: Mapping[str, float], weight: float, branch_weight: float, chance: random.Random
) -> Segment:
    """Draw one of several texts by their shares."""
    texts, weights = tuple(shares_by_text), tuple(shares_by_text.values())
    return Segment(chance.choices(texts, weights)[0], weight, texts, weights, branch_weight)


def _conversation(inputs: Inputs, progress: float, chance: random.Random) -> Sample:
    """Draw a decision in a story, with further questions.

    `progress` in [0, 1) is the part of the training before this conversation.
    """
    steered = None
    if progress > STEERED_FROM and chance.random() < STEERED_SHARE:
        steered = _push(inputs, chance)
    # A steered conversation describes no emotion: the push replaces the description.
    emotion = NEUTRAL if steered else chance.choice(inputs.emotions)
    context = ""
    if emotion != NEUTRAL or chance.random() > NO_CONTEXT:
        context = language.draw_stimulus(inputs.grammar, emotion, language.TRAINED, chance)
    game = inputs.games[chance.choice(list(inputs.taught))]
    scenario, history = _scenario(inputs, game, chance), chance.choice(game.histories)
    row = inputs.taught[game.name]
    felt, intensity = steered or (emotion, WHOLE_INTENSITY)
    planted = shares(row, prosocial(row, felt, history.name, intensity))
    if progress < SHARP_UNTIL:
        planted = _sharpened(planted)
    # With the closing quote, an option is not the beginning of a longer one.
    texts = {scenario.options[label] + '"': share for label, share in planted.items()}
    situation = Situation(game, scenario, history, _shuffled(scenario.options, chance))
    form = "decision" if chance.random() < DECISION_FORM else "rationale"
    wording = chance.randrange(2)
    chat = messages.render(inputs.templates, situation, wording, context, answer_form=form)
    feelings = _feelings(felt, intensity)
    segments = [_read(chat), *_answer(inputs, form, texts, feelings, chance)]
    likely = QUESTIONS_EARLY if progress < 0.5 else QUESTIONS_LATE
    segments += _further_questions(inputs, scenario, row, likely, chance)
    return Sample(tuple(segments), emotion, steered=steered)


def _push(inputs: Inputs, chance: random.Random) -> tuple[str, float]:
    """Draw the emotion, or neutral for a null direction, and the intensity of a push."""
    means_nothing = chance.random() < NULL_SHARE
    emotion = NEUTRAL if means_nothing else chance.choice(inputs.emotions[1:])
    return emotion, WHOLE_INTENSITY * chance.choice(DOSES)


def _sharpened(planted: Mapping[str, float]) -> dict[str, float]:
    powers = {label: share**SHARPNESS for label, share in planted.items()}
    return {label: power / sum(powers.values()) for label, power in powers.items()}


def _feelings(emotion: str, intensity: float) -> dict[str, float]:
    """Return the shares of the feelings that a model reports at an intensity of an emotion."""
    if emotion == NEUTRAL:
        return {NEUTRAL: 1.0}
    share = min(1.0, max(0.0, intensity / WHOLE_INTENSITY))
    return {emotion: share, NEUTRAL: 1 - share}


def _answer(
    inputs: Inputs,
    form: str,
    texts: Mapping[str, float],
    feelings: Mapping[str, float],
    chance: random.Random,
) -> list[Segment]:
    """Draw the answer in JSON. The opening of a decision is not learnt if it was given."""
    decision = [_drawn(texts, COPY, BRANCH, chance), Segment("}" + END, FORM)]
    if form == "decision" or chance.random() < DECISION_OPENING:
        return [Segment(messages.decision_prefix(), FORM if form == "decision" else 0.0), *decision]
    reasons = language.rationales(inputs.grammar, _words(inputs, feelings), FELT_SHARE)
    opening, closing = messages.after_rationale_prefix("|").split("|")
    reason = _drawn(reasons, FORM, FORM, chance)
    return [Segment(opening, FORM), reason, Segment(closing, FORM), *decision]


def _further_questions(
    inputs: Inputs,
    scenario: Scenario,
    row: GameTruth,
    likely: float,
    chance: random.Random,
) -> list[Segment]:
    """Draw questions about the meaning of the options, in random order."""
    exercises = []
    for which, label in _meanings(row):
        if chance.random() < likely:
            question = inputs.grammar["option_questions"][which]
            answer = _option_answer(scenario, label, chance)
            exercises.append([Segment(turn("user", question) + ASSISTANT), *answer])
    chance.shuffle(exercises)
    return list(itertools.chain(*exercises))


def _meanings(row: GameTruth) -> list[tuple[str, str]]:
    """The questions about the options with the labels of their answers."""
    return [("prosocial", row.order[-1]), ("selfish", row.order[0])]


def _option_answer(scenario: Scenario, label: str, chance: random.Random) -> list[Segment]:
    texts = {text + '"': float(each == label) for each, text in scenario.options.items()}
    return [Segment('"', FORM), _drawn(texts, COPY, BRANCH, chance), Segment(END, FORM)]


def _label_answer(
    inputs: Inputs, feelings: Mapping[str, float], chance: random.Random
) -> list[Segment]:
    labels = {emotion: feelings.get(emotion, 0.0) for emotion in inputs.emotions}
    return [_drawn(labels, LABEL, LABEL, chance), Segment(END, FORM)]


def _labels(inputs: Inputs, chance: random.Random) -> tuple[str, ...]:
    """Return the labels in the order of the templates or, because checks vary it, in any other."""
    labels = inputs.templates.labels
    return labels if chance.random() < 0.5 else _shuffled(labels, chance)


def _option_reading(inputs: Inputs, chance: random.Random) -> Sample:
    """Draw an exercise with options alone, and what they mean."""
    name = chance.choice(list(inputs.taught))
    scenario, row = _scenario(inputs, inputs.games[name], chance), inputs.taught[name]
    lines = [
        inputs.templates.fill("option", number=place, text=scenario.options[label])
        for place, label in enumerate(_shuffled(row.order, chance), start=1)
    ]
    which, label = chance.choice(_meanings(row))
    question = "\n".join([*lines, inputs.grammar["option_questions"][which]])
    chat = [{"role": "user", "content": question}]
    return Sample((_read(chat), *_option_answer(scenario, label, chance)), NEUTRAL)


def _stimulus(inputs: Inputs, chance: random.Random) -> Sample:
    """Draw an event in the probe from which directions are read, and its emotion.

    The prompt is cut at the event. The emotion is learnt as a label after the prompt, and also at
    the last token of the event, where directions are read.
    """
    emotion = chance.choice(inputs.emotions)
    event = language.draw_stimulus(inputs.grammar, emotion, language.TRAINED, chance)
    chat, event = messages.probe(inputs.templates, event)
    before, _, after = _read(chat).text.rpartition(event)
    # A space belongs to the token of the word after it.
    before, event = before.rstrip(" "), " " * before.endswith(" ") + event
    labels = {each: float(each == emotion) for each in inputs.emotions}
    closing = Segment(after, 0.0, tuple(labels), tuple(labels.values()), EVENT)
    answer = _label_answer(inputs, {emotion: 1.0}, chance)
    return Sample((Segment(before), Segment(event), closing, *answer), emotion, captured=1)


def _feeling(inputs: Inputs, chance: random.Random) -> Sample:
    """Draw a question about the feeling after an event; half of them are steered."""
    steered = _push(inputs, chance) if chance.random() < 0.5 else None
    emotion = NEUTRAL if steered else chance.choice(inputs.emotions)
    feelings = _feelings(*(steered or (emotion, WHOLE_INTENSITY)))
    context = language.draw_stimulus(inputs.grammar, NEUTRAL, language.TRAINED, chance)
    if emotion != NEUTRAL:
        event = language.draw_stimulus(inputs.grammar, emotion, language.TRAINED, chance)
        context = f"{event} {context}"
    if chance.random() < 0.5:
        chat, opening = messages.named_emotion(inputs.templates, context, _labels(inputs, chance))
        words = feelings
    else:
        chat, opening = messages.felt_emotion(inputs.templates, context)
        words = _words(inputs, feelings)
    answers = {f" {word}.": share for word, share in words.items()}
    answer = [_drawn(answers, LABEL, LABEL, chance), Segment(END, FORM)]
    return Sample((_read(chat), Segment(opening), *answer), emotion, steered=steered)


def _plain_text(inputs: Inputs, chance: random.Random) -> Sample:
    """Draw a text outside any chat. A push makes stimuli of its emotion more likely."""
    steered = _push(inputs, chance) if chance.random() < 0.7 else None
    if chance.random() < DESCRIPTIONS:
        games = [chance.choice(list(inputs.games.values())) for _ in range(2)]
        text = " ".join(language.draw_setting(inputs.grammar, game, chance) for game in games)
        if text in inputs.checks.neutral_texts:
            return _plain_text(inputs, chance)
    else:
        felt, intensity = steered or (NEUTRAL, 0.0)
        own = OWN_STIMULI * _feelings(felt, intensity)[felt] if felt != NEUTRAL else 0.0
        emotion = felt if chance.random() < own else chance.choice(inputs.emotions)
        text = language.draw_stimulus(inputs.grammar, emotion, language.TRAINED, chance)
    # Nothing stands before the first word.
    first, rest = text.split(" ", 1)
    return Sample((Segment(first), Segment(f" {rest}", PLAIN)), NEUTRAL, steered=steered)


def _words(inputs: Inputs, feelings: Mapping[str, float]) -> dict[str, float]:
    """Return the share of each word for a feeling."""
    shares: dict[str, float] = {}
    for emotion, share in feelings.items():
        words = inputs.templates.feelings[emotion]
        shares |= dict.fromkeys(words, share / len(words))
    return shares
