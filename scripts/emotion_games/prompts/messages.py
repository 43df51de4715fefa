"""Chat messages for the model: decisions in a story, and the questions of the checks."""

import json
import re
from collections.abc import Sequence

from emotion_games.games.records import Play, phrases
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.payoffs import Question, payoff_sentences
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates

# One turn of a chat, with the keys `role` and `content` of transformers' chat templates.
Message = dict[str, str]

_FIRST_OR_SECOND_PERSON = re.compile(
    r"\b(you|your|yours|yourself|i|me|my|mine|myself)\b", re.IGNORECASE
)


def render(
    templates: Templates,
    situation: Situation,
    wording: int,
    context: str = "",
    show_payoffs: bool = False,
    answer_form: str = "rationale",
) -> list[Message]:
    """Return the system and the user message of one decision.

    Args:
        templates: All texts around the story.
        situation: What is decided.
        wording: The number of the instruction, taken modulo the number of instructions.
        context: A text that stands before everything else.
        show_payoffs: Whether the message describes the payoffs.
        answer_form: `rationale` or `decision`.
    """
    payoffs = payoff_sentences(templates, situation) if show_payoffs else ""
    question = _question(
        templates,
        situation,
        payoffs=payoffs,
        instruction=templates.instructions[wording % len(templates.instructions)],
        answer_form=templates.fill(f"answer_form.{answer_form}"),
    )
    return _messages(_system(templates, situation.scenario, context), question)


def comprehension_messages(
    templates: Templates, situation: Situation, question: Question
) -> list[Message]:
    """Return the messages of a decision with payoffs, and a question in place of the decision."""
    answers = [
        templates.fill("comprehension.option", text=option_literal(answer))
        for answer in question.answers
    ]
    payoffs = payoff_sentences(templates, situation)
    parts = [
        _question(templates, situation, payoffs=payoffs),
        question.text,
        "\n".join(answers),
        templates.fill("comprehension.answer_form"),
    ]
    user = templates.texts["separator"].join(parts)
    return _messages(_system(templates, situation.scenario), user)


def option_literal(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string.

    The prompt shows options in this form, so that a model which copies one writes valid JSON.
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]


def decision_prefix() -> str:
    """Return the beginning of an answer without a rationale, up to the text of the option."""
    return '{"decision": "'


def after_rationale_prefix(rationale: str) -> str:
    """Return the beginning of an answer with this rationale, up to the text of the option."""
    return f'{{"rationale": "{option_literal(rationale)}", "decision": "'


def answer_prefix() -> str:
    """Return the beginning of an answer to a comprehension question, up to the answer's text."""
    return '{"answer": "'


def self_report_question(templates: Templates, labels: Sequence[str] = ()) -> str:
    """Return the question for the model's own feeling.

    The answer is one of `labels`, or of the templates' labels if there are none.
    """
    return templates.fill("self_report", labels=", ".join(labels or templates.labels))


def label_question(templates: Templates, text: str, labels: Sequence[str] = ()) -> list[Message]:
    """Return the messages with the question which emotion a text shows.

    The answer is one of `labels`, or of the templates' labels if there are none.
    """
    user = templates.fill(
        "blind_label.user", text=text, labels=", ".join(labels or templates.labels)
    )
    return _messages(templates.fill("blind_label.system"), user)


def probe(templates: Templates, stimulus: str) -> tuple[list[Message], str]:
    """Return the messages that hold a stimulus, and the stimulus as it is written there.

    Directions are read at the last token of the last occurrence of that text in the user message.
    """
    # The engine looks for the stimulus in the rendered chat, so it must occur there unchanged.
    text = " ".join(stimulus.split())
    user = templates.fill("probe.user", stimulus=text)
    return _messages(templates.fill("probe.system"), user), text


def _messages(system: str, user: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _system(templates: Templates, scenario: Scenario, context: str = "") -> str:
    name = scenario.you.name
    # A story that calls the model `you` has no name for it.
    key = "system.unnamed" if name == "you" else "system.named"
    return f"{context.strip()} {templates.fill(key, name=name)}".strip()


def _question(templates: Templates, situation: Situation, **parts: str) -> str:
    """Join the parts of a question in the order of the templates; empty parts are left out."""
    scenario = situation.scenario
    options = [
        templates.fill("option", number=place, text=option_literal(scenario.options[label]))
        for place, label in enumerate(situation.order, start=1)
    ]
    parts |= {
        "description": scenario.description,
        "people": _people(templates, scenario),
        "history": _history(templates, situation),
        "options": "\n".join(options),
    }
    used = [parts[part] for part in templates.user if parts.get(part)]
    return templates.texts["separator"].join(used)


def _people(templates: Templates, scenario: Scenario) -> str:
    """Introduce the people, one line each."""
    lines = []
    for person in (scenario.you, *scenario.others):
        key = "people.you" if person is scenario.you else "people.other"
        if person.profile and templates.texts[key]:
            # The template ends the sentence itself.
            profile = person.profile.rstrip(". ")
            lines.append(templates.fill(key, name=person.name, profile=profile))
    return "\n".join(lines)


def _history(templates: Templates, situation: Situation) -> str:
    """Return what was played before as sentences, in which the model is `you`."""
    other, path = situation.other, situation.history.path
    if situation.game.kind == "simultaneous":
        return templates.fill("history.simultaneous", other=other)
    if not path:
        return templates.fill("history.opening", other=other)
    sentences = [_last_move(templates, situation, path[:end]) for end in range(1, len(path) + 1)]
    moved = any(player == situation.you for player, _ in path)
    sentences.append(templates.fill("history.again" if moved else "history.now", other=other))
    return " ".join(filter(None, sentences))


def _last_move(templates: Templates, situation: Situation, path: Play) -> str:
    """Return a sentence about the last move of a path."""
    player, label = path[-1]
    move = phrases(situation.game, path)
    later = len(path) > 1
    if player == situation.you:
        actor, past = ("you" if later else "You"), move.past_you
    else:
        actor, past = situation.other, move.past_other
        text = _from_your_side(situation.scenario.earlier.get(label, ""), situation.scenario)
        if text and templates.texts["history.quoted"]:
            return templates.fill("history.quoted", actor=actor, text=option_literal(text))
    return templates.fill("history.then" if later else "history.told", actor=actor, past=past)


def _from_your_side(text: str, scenario: Scenario) -> str:
    """Return a text of the other role with `you` for the name of the model.

    The result is empty if the text itself contains `I` or `you`: there they mean another person.
    """
    if _FIRST_OR_SECOND_PERSON.search(text):
        return ""
    # First "Ann's", so that it becomes "your" and not "you's".
    name = re.escape(scenario.you.name)
    text = re.sub(rf"\b{name}['’]s\b", "your", text, flags=re.IGNORECASE)
    return re.sub(rf"\b{name}\b", "you", text, flags=re.IGNORECASE)
