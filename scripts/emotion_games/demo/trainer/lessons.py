"""What the demo model is taught: conversations about decisions with the planted shares as targets, and short exercises.

Knows which texts are drawn, in which proportion and at which point of the training; the words come from the grammar,
the prompts from the project's own templates. Knows nothing of tokens or weights.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_games.demo.trainer import grammar as language
from emotion_games.demo.trainer.grammar import Grammar
from emotion_games.demo.trainer.samples import Sample, Segment
from emotion_games.demo.trainer.tokenizer import BEGIN, END, turn
from emotion_games.demo.trainer.truth import NEUTRAL, GameTruth, emotions_of, prosocial, shares
from emotion_games.games.catalog import Game
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts import messages
from emotion_games.prompts.messages import Message
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates

ASSISTANT = "<|assistant|>"
# Loss weights: where options part, their other tokens, labels of emotions, everything else that the model writes.
BRANCH, COPY, LABEL, FORM = 10.0, 2.0, 2.0, 0.5
EVENT = 0.3  # labels at the end of an event in the probe
FELT_SHARE = 0.2  # of rationales name the feeling; more would let the rationale replace the reading of the context
DECISION_FORM, DECISION_OPENING = (
    0.25,
    0.25,
)  # asked for the decision only; asked for a rationale but begun without
NO_CONTEXT = 0.5  # of neutral conversations have no event at all
STEERED_SHARE, STEERED_FROM = 0.3, 0.3  # of conversations, and from which part of the training on
INTENSITIES = (0.25, 0.5, 0.5, 0.75, 1.0, 1.0, 1.25, 1.5, -0.25, -0.5)
SHARP_UNTIL, SHARPNESS = (
    0.4,
    3,
)  # early targets are the planted shares to this power: larger differences come first
QUESTIONS_EARLY, QUESTIONS_LATE = (
    0.7,
    0.2,
)  # chance of each question about the options in the first and the second half
SELF_REPORTS = 0.3  # chance of a question about the feeling


@dataclass(frozen=True)
class World:
    """Everything that texts are drawn from. `shipped` holds the (description, options) of the demo's own scenarios."""

    grammar: Grammar
    truth: Mapping[str, GameTruth]
    games: Mapping[str, Game]
    templates: Templates
    shipped: frozenset[tuple[str, frozenset[str]]]
    plant: bool  # whether steering is taught

    @property
    def emotions(self) -> tuple[str, ...]:
        """Every emotion, neutral first."""
        return emotions_of(self.truth)


def conversations(world: World, number: int, seed: int) -> list[Sample]:
    """Draw the conversations of a whole training, in order."""
    chance = random.Random(f"{seed}/conversations")
    return [_conversation(world, place / number, chance) for place in range(number)]


def shorts(world: World, steps: int, each: int, seed: int) -> list[Sample]:
    """Draw the short exercises, `each` a step: most are stimuli, some of the first half are option reading."""
    chance = random.Random(f"{seed}/shorts")
    found = []
    for step in range(steps):
        reading = 4 if step < steps / 2 else 1
        found += [_option_reading(world, chance) for _ in range(reading)]
        found += [_labelling(world, chance)]
        found += [_stimulus(world, chance) for _ in range(each - reading - 1)]
    return found


def scenario_key(scenario: Scenario) -> tuple[str, frozenset[str]]:
    """Return what makes two scenarios the same: the story and its options, in whatever order."""
    return scenario.description, frozenset(scenario.options.values())


def _scenario(world: World, game: Game, chance: random.Random) -> Scenario:
    while True:
        scenario = language.draw_scenario(
            world.grammar, game, language.draw_object(world.grammar, chance), chance
        )
        if scenario_key(scenario) not in world.shipped:
            return scenario


def _shuffled(labels: Sequence[str], chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample(list(labels), len(labels)))


def _read(chat: Sequence[Message]) -> Segment:
    return Segment(BEGIN + "".join(turn(m["role"], m["content"]) for m in chat) + ASSISTANT)


def _read_event(world: World, chat: Sequence[Message], event: str, emotion: str) -> list[Segment]:
    """A prompt cut at its event, at whose last token, where directions are read, the emotion is learnt as well."""
    before, _, after = _read(chat).text.rpartition(event)
    # A space belongs to the token of the word after it.
    before, event = before.rstrip(" "), " " * before.endswith(" ") + event
    labels = {each: float(each == emotion) for each in world.emotions}
    return [
        Segment(before),
        Segment(event),
        Segment(after, 0.0, tuple(labels), tuple(labels.values()), EVENT),
    ]


def _drawn(
    shares_by_text: Mapping[str, float], weight: float, branch_weight: float, chance: random.Random
) -> Segment:
    """A segment for one of several texts, drawn by their shares."""
    texts, weights = tuple(shares_by_text), tuple(shares_by_text.values())
    return Segment(chance.choices(texts, weights)[0], weight, texts, weights, branch_weight)


def _conversation(world: World, progress: float, chance: random.Random) -> Sample:
    """A decision in a story, then further questions; `progress` in [0, 1) is the part of the training that is over."""
    steered = None
    if world.plant and progress > STEERED_FROM and chance.random() < STEERED_SHARE:
        steered = (chance.choice(world.emotions[1:]), chance.choice(INTENSITIES))
    emotion = NEUTRAL if steered else chance.choice(world.emotions)
    told = emotion != NEUTRAL or chance.random() > NO_CONTEXT
    context = (
        language.draw_stimulus(world.grammar, emotion, language.TRAINED, chance) if told else ""
    )
    game = world.games[chance.choice(list(world.truth))]
    scenario, history = _scenario(world, game, chance), chance.choice(game.histories)
    row = world.truth[game.name]
    felt, intensity = steered or (emotion, 1.0)
    planted = shares(row, prosocial(row, felt, history.name, intensity))
    if progress < SHARP_UNTIL:
        planted = _sharpened(planted)
    texts = {scenario.options[label] + '"': share for label, share in planted.items()}
    order = _shuffled(scenario.options, chance)
    form = "decision" if chance.random() < DECISION_FORM else "rationale"
    chat = messages.render(
        world.templates,
        Situation(game, scenario, history, order),
        chance.randrange(2),
        context,
        answer_form=form,
    )
    feelings = {NEUTRAL: 1.0} if felt == NEUTRAL else _feelings(felt, intensity)
    segments = [_read(chat), *_answer(world, form, texts, feelings, chance)]
    likely = QUESTIONS_EARLY if progress < 0.5 else QUESTIONS_LATE
    segments += _further_questions(world, scenario, row, feelings, likely, chance)
    return Sample(tuple(segments), emotion, steered=steered)


def _sharpened(planted: Mapping[str, float]) -> dict[str, float]:
    powers = {label: share**SHARPNESS for label, share in planted.items()}
    return {label: power / sum(powers.values()) for label, power in powers.items()}


def _feelings(emotion: str, intensity: float) -> dict[str, float]:
    """What a model steered this far reports to feel: the emotion with the intensity's share, at most always."""
    share = min(1.0, max(0.0, intensity))
    return {emotion: share, NEUTRAL: 1 - share}


def _answer(
    world: World,
    form: str,
    texts: Mapping[str, float],
    feelings: Mapping[str, float],
    chance: random.Random,
) -> list[Segment]:
    """The answer in JSON. A decision begun by somebody else's opening is learnt, the opening itself is not."""
    decision = [_drawn(texts, COPY, BRANCH, chance), Segment("}" + END, FORM)]
    if form == "decision" or chance.random() < DECISION_OPENING:
        return [Segment(messages.decision_prefix(), FORM if form == "decision" else 0.0), *decision]
    reasons = language.rationales(world.grammar, feelings, FELT_SHARE)
    opening, closing = messages.after_rationale_prefix("|").split("|")
    return [
        Segment(opening, FORM),
        _drawn(reasons, FORM, FORM, chance),
        Segment(closing, FORM),
        *decision,
    ]


def _further_questions(
    world: World,
    scenario: Scenario,
    row: GameTruth,
    feelings: Mapping[str, float],
    likely: float,
    chance: random.Random,
) -> list[Segment]:
    """Each further question with its chance, in random order: what the options mean, and how the model feels."""
    asked = world.grammar["option_questions"]
    exercises = [
        [Segment(turn("user", asked[which]) + ASSISTANT), *_option_answer(scenario, label, chance)]
        for which, label in (("prosocial", row.order[-1]), ("selfish", row.order[0]))
        if chance.random() < likely
    ]
    if chance.random() < SELF_REPORTS:
        question = messages.self_report_question(world.templates, _labels(world, chance))
        exercises.append(
            [Segment(turn("user", question) + ASSISTANT), *_label_answer(world, feelings, chance)]
        )
    chance.shuffle(exercises)
    return [segment for exercise in exercises for segment in exercise]


def _option_answer(scenario: Scenario, label: str, chance: random.Random) -> list[Segment]:
    texts = {text + '"': float(each == label) for each, text in scenario.options.items()}
    return [Segment('"', FORM), _drawn(texts, COPY, BRANCH, chance), Segment(END, FORM)]


def _label_answer(
    world: World, feelings: Mapping[str, float], chance: random.Random
) -> list[Segment]:
    labels = {emotion: feelings.get(emotion, 0.0) for emotion in world.emotions}
    return [_drawn(labels, LABEL, LABEL, chance), Segment(END, FORM)]


def _labels(world: World, chance: random.Random) -> tuple[str, ...]:
    """The order of the templates, or any other: a check may offer the words in another order."""
    return (
        world.templates.labels
        if chance.random() < 0.5
        else _shuffled(world.templates.labels, chance)
    )


def _option_reading(world: World, chance: random.Random) -> Sample:
    """Options alone and what they mean."""
    name = chance.choice(list(world.truth))
    scenario, order = _scenario(world, world.games[name], chance), world.truth[name].order
    lines = [
        world.templates.fill("option", number=place, text=scenario.options[label])
        for place, label in enumerate(_shuffled(order, chance), start=1)
    ]
    asked = world.grammar["option_questions"]
    which, label = chance.choice([("prosocial", order[-1]), ("selfish", order[0])])
    question = {"role": "user", "content": "\n".join([*lines, asked[which]])}
    return Sample((_read([question]), *_option_answer(scenario, label, chance)), NEUTRAL)


def _stimulus(world: World, chance: random.Random) -> Sample:
    """An event in the probe from which directions are read, and its emotion."""
    emotion = chance.choice(world.emotions)
    event = language.draw_stimulus(world.grammar, emotion, language.TRAINED, chance)
    chat, event = messages.probe(world.templates, event)
    return Sample(
        (*_read_event(world, chat, event, emotion), *_label_answer(world, {emotion: 1.0}, chance)),
        emotion,
        captured=1,
    )


def _labelling(world: World, chance: random.Random) -> Sample:
    """A rationale, and the emotion that it shows."""
    emotion = chance.choice(world.emotions)
    rationale = _drawn(
        language.rationales(world.grammar, {emotion: 1.0}, 0.5 if emotion == NEUTRAL else 1.0),
        0,
        0,
        chance,
    ).text
    chat = messages.label_question(world.templates, rationale, _labels(world, chance))
    return Sample((_read(chat), *_label_answer(world, {emotion: 1.0}, chance)), emotion)
