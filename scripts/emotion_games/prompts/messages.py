"""Chat messages for the model: decisions in a story, and the questions of the checks."""

import re
from collections.abc import Sequence

from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.histories import history_sentences
from emotion_games.prompts.payoffs import Question, payoff_sentences
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates, option_literal

# One turn of a chat, with the keys `role` and `content` of transformers' chat templates.
Message = dict[str, str]

_SECOND_PERSON = re.compile(r"\b(you|your|yours|yourself)\b", re.IGNORECASE)


def render(
    templates: Templates,
    situation: Situation,
    wording: int,
    context: str = "",
    show_payoffs: bool = False,
    answer_form: str = "rationale",
    instruction: str = "",
) -> list[Message]:
    """Return the system and the user message of one decision.

    Args:
        templates: All texts around the story.
        situation: What is decided.
        wording: The number of the wording of `Templates.instructions`, modulo their number.
        context: A text that stands before everything else.
        show_payoffs: Whether the message describes the payoffs.
        answer_form: `rationale` or `decision`.
        instruction: A text at the end of the system message, before the story.
    """
    payoffs = payoff_sentences(templates, situation) if show_payoffs else ""
    question = _question(
        templates,
        situation,
        payoffs=payoffs,
        instruction=templates.instructions[wording % len(templates.instructions)],
        answer_form=templates.fill(f"answer_form.{answer_form}"),
    )
    return _messages(_system(templates, situation.scenario, context, instruction), question)


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


def decision_prefix() -> str:
    """Return the beginning of an answer without a rationale, up to the text of the option."""
    return '{"decision": "'


def rationale_prefix() -> str:
    """Return the beginning of an answer, up to the text of the rationale."""
    return '{"rationale": "'


def decision_link() -> str:
    """Return what stands between the text of a rationale and that of the option."""
    return '", "decision": "'


def after_rationale_prefix(rationale: str) -> str:
    """Return the beginning of an answer with this rationale, up to the text of the option."""
    return rationale_prefix() + option_literal(rationale) + decision_link()


def answer_prefix() -> str:
    """Return the beginning of an answer to a comprehension question, up to the answer's text."""
    return '{"answer": "'


def named_emotion(
    templates: Templates, context: str, labels: Sequence[str]
) -> tuple[list[Message], str]:
    """Return the question about the feeling in a situation, and the beginning of its answer.

    The answer ends with one of `labels`, after a space.
    """
    user = templates.fill("named_emotion.user", context=context, labels=", ".join(labels))
    return [{"role": "user", "content": user}], templates.fill("named_emotion.answer")


def felt_emotion(templates: Templates, context: str) -> tuple[list[Message], str]:
    """Return the message about a situation, and the beginning of an answer about a feeling.

    The answer ends with a word of `Templates.feelings`, after a space.
    """
    user = templates.fill("felt_emotion.user", context=context)
    return [{"role": "user", "content": user}], templates.fill("felt_emotion.answer")


def dominance_question(templates: Templates, question: str, options: Sequence[str]) -> Message:
    """Return the message with a question without people, and its options as JSON literals."""
    shown = [templates.fill("option", number=i, text=text) for i, text in enumerate(options, 1)]
    parts = [question, "\n".join(shown), templates.fill("answer_form.decision")]
    return {"role": "user", "content": templates.texts["separator"].join(parts)}


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


def _system(
    templates: Templates, scenario: Scenario, context: str = "", instruction: str = ""
) -> str:
    name = scenario.you.name
    key = "named"
    # A participant called `you` has no name, and the story itself may speak to nobody.
    if name == "you":
        key = "unnamed" if _SECOND_PERSON.search(scenario.description) else "unaddressed"
    text = templates.fill(f"system.{key}", name=name)
    return " ".join(filter(None, (context.strip(), text, instruction.strip())))


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
        "history": history_sentences(templates, situation),
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
