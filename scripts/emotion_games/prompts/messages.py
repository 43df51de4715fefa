"""The messages that a model reads: a decision in a story, and the questions of the checks.

Knows how templates, game, scenario and history become chat messages. Knows nothing of tokens, models or answers.
"""

import json
import re
from collections.abc import Sequence

from emotion_games.games.catalog import Game, History, phrases, your_player
from emotion_games.games.scenarios import Participant, Scenario
from emotion_games.prompts.payoffs import Question, payoff_sentences
from emotion_games.prompts.templates import Templates, load_templates

__all__ = [
    "Message",
    "Templates",
    "after_rationale_prefix",
    "answer_prefix",
    "comprehension_messages",
    "decision_prefix",
    "label_question",
    "load_templates",
    "option_literal",
    "probe",
    "render",
    "self_report_question",
]

Message = dict[str, str]

_FIRST_OR_SECOND_PERSON = re.compile(
    r"\b(you|your|yours|yourself|i|me|my|mine|myself)\b", re.IGNORECASE
)


def render(
    templates: Templates,
    game: Game,
    scenario: Scenario,
    history: History,
    order: tuple[str, ...],
    wording: int,
    context: str = "",
    show_payoffs: bool = False,
    answer_form: str = "rationale",
) -> list[Message]:
    """Return the system and the user message of one decision.

    `order` holds the labels as shown, `wording` numbers the instruction (taken modulo their count), `context` stands
    before everything else, `answer_form` is `rationale` or `decision`.
    """
    instruction = templates.instructions[wording % len(templates.instructions)]
    return [
        {"role": "system", "content": _system(templates, scenario.you, context)},
        {
            "role": "user",
            "content": _question(
                templates,
                game,
                scenario,
                history,
                order,
                show_payoffs,
                instruction,
                templates.fill(f"answer_form.{answer_form}"),
            ),
        },
    ]


def comprehension_messages(
    templates: Templates,
    game: Game,
    scenario: Scenario,
    history: History,
    order: tuple[str, ...],
    question: Question,
) -> list[Message]:
    """Return the decision's messages with payoffs shown, in which a question about them takes the decision's place."""
    answers = [
        templates.fill("comprehension.option", text=option_literal(answer))
        for answer in question.answers
    ]
    shown = _question(templates, game, scenario, history, order, True, "", "")
    parts = [shown, question.text, "\n".join(answers), templates.fill("comprehension.answer_form")]
    return [
        {"role": "system", "content": _system(templates, scenario.you, "")},
        {"role": "user", "content": templates.texts["separator"].join(parts)},
    ]


def option_literal(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string, and so in the prompt and in the answer."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def decision_prefix() -> str:
    """Return what an answer without a rationale begins with; the option's text and a closing quote follow."""
    return '{"decision": "'


def after_rationale_prefix(rationale: str) -> str:
    """Return what an answer with this rationale begins with; the option's text and a closing quote follow."""
    return f'{{"rationale": "{option_literal(rationale)}", "decision": "'


def answer_prefix() -> str:
    """Return what the answer to a comprehension question begins with; the answer's text and a closing quote follow."""
    return '{"answer": "'


def self_report_question(templates: Templates, labels: Sequence[str] = ()) -> str:
    """Return the question for the model's own feeling; the answer is one of `labels` (default: the templates')."""
    return templates.fill("self_report", labels=", ".join(labels or templates.labels))


def label_question(templates: Templates, text: str, labels: Sequence[str] = ()) -> list[Message]:
    """Return the messages that ask which emotion a text shows; the answer is one of `labels`."""
    user = templates.fill(
        "blind_label.user", text=text, labels=", ".join(labels or templates.labels)
    )
    return _messages(templates.fill("blind_label.system"), user)


def probe(templates: Templates, stimulus: str) -> tuple[list[Message], str]:
    """Return the messages that hold a stimulus, and the stimulus as it stands in the last of them.

    The last occurrence of that text in the user message is the stimulus; its last token is where directions are read.
    """
    text = " ".join(stimulus.split())
    return _messages(
        templates.fill("probe.system"), templates.fill("probe.user", stimulus=text)
    ), text


def _messages(system: str, user: str) -> list[Message]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _system(templates: Templates, you: Participant, context: str) -> str:
    line = (
        templates.fill("system.unnamed")
        if you.name == "you"
        else templates.fill("system.named", name=you.name)
    )
    return f"{context.strip()} {line}".strip()


def _question(
    templates: Templates,
    game: Game,
    scenario: Scenario,
    history: History,
    order: tuple[str, ...],
    show_payoffs: bool,
    instruction: str,
    answer_form: str,
) -> str:
    parts = {
        "description": scenario.description,
        "people": _people(templates, scenario),
        "history": _told(templates, game, scenario, history),
        "payoffs": payoff_sentences(templates, game, scenario, history, order)
        if show_payoffs
        else "",
        "instruction": instruction,
        "options": "\n".join(
            templates.fill("option", number=place, text=option_literal(scenario.options[label]))
            for place, label in enumerate(order, start=1)
        ),
        "answer_form": answer_form,
    }
    return templates.texts["separator"].join(parts[part] for part in templates.user if parts[part])


def _people(templates: Templates, scenario: Scenario) -> str:
    """Tell who the people are, one line each; a full stop of the profile is not doubled."""
    lines = []
    for person in (scenario.you, *scenario.others):
        key = "people.you" if person is scenario.you else "people.other"
        if person.profile and templates.texts[key]:
            lines.append(templates.fill(key, name=person.name, profile=person.profile.rstrip(". ")))
    return "\n".join(lines)


def _told(templates: Templates, game: Game, scenario: Scenario, history: History) -> str:
    """Tell what was played before, in natural sentences; the model is `you`, the other keeps one name."""
    other = scenario.other.name
    if game.kind == "simultaneous":
        return templates.fill("history.simultaneous", other=other)
    if not history.path:
        return templates.fill("history.opening", other=other)
    you = your_player(game, history)
    sentences = [
        _sentence(templates, game, scenario, you, history.path[:end])
        for end in range(1, len(history.path) + 1)
    ]
    moved = any(player == you for player, _ in history.path)
    closing = templates.fill("history.again" if moved else "history.now", other=other)
    return " ".join(sentence for sentence in [*sentences, closing] if sentence)


def _sentence(
    templates: Templates,
    game: Game,
    scenario: Scenario,
    you: str,
    path: tuple[tuple[str, str], ...],
) -> str:
    """Tell the last move of a path."""
    player, label = path[-1]
    told = phrases(game, path)
    later = len(path) > 1
    if player == you:
        actor, past = ("you" if later else "You"), told.past_you
    else:
        actor, past = scenario.other.name, told.past_other
        text = _retold(scenario.earlier.get(label, ""), scenario)
        if text and templates.texts["history.quoted"]:
            return templates.fill("history.quoted", actor=actor, text=option_literal(text))
    return templates.fill("history.then" if later else "history.told", actor=actor, past=past)


def _retold(text: str, scenario: Scenario) -> str:
    """Return the other role's option text as the model may read it, with `you` for its own name.

    Empty where the text itself says `I` or `you`, which would now mean the wrong person.
    """
    if _FIRST_OR_SECOND_PERSON.search(text):
        return ""
    name = re.escape(scenario.you.name)
    text = re.sub(rf"\b{name}['’]s\b", "your", text, flags=re.IGNORECASE)
    return re.sub(rf"\b{name}\b", "you", text, flags=re.IGNORECASE)
