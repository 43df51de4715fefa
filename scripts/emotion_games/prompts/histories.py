"""What was played before, as sentences in which the model is `you`.

A move is told in the words that the story has for it, and else in those of the game.
"""

import re

from emotion_games.games.records import Play, phrases
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates, option_literal

# Not `you` itself, which may stand for `they` or for `them`.
_OF_YOU = re.compile(r"\b(your|yours|yourself)\b", re.IGNORECASE)
_OF_THEM = {"your": "their", "yours": "theirs", "yourself": "themselves"}
_YOU = re.compile(r"\b(you|your|yours|yourself)\b", re.IGNORECASE)
_THIRD_PERSON = re.compile(
    r"\b(he|him|his|himself|she|her|hers|herself|they|them|their|theirs|themselves)\b",
    re.IGNORECASE,
)


def history_sentences(templates: Templates, situation: Situation) -> str:
    """Return what was played before the decision, and whose turn it is."""
    if situation.game.kind == "simultaneous":
        return templates.fill("history.simultaneous", other=situation.everyone_else)
    other, path = situation.other, situation.history.path
    if not path:
        return templates.fill("history.opening", other=other)
    sentences = [_last_move(templates, situation, path[:end]) for end in range(1, len(path) + 1)]
    moved = any(player == situation.you for player, _ in path)
    sentences.append(templates.fill("history.again" if moved else "history.now", other=other))
    return " ".join(filter(None, sentences))


def _last_move(templates: Templates, situation: Situation, path: Play) -> str:
    """Return a sentence about the last move of a path."""
    player, label = path[-1]
    move, later = phrases(situation.game, path), len(path) > 1
    if player == situation.you:
        actor, past = ("you" if later else "You"), move.past_you
    else:
        actor, past = situation.other, move.past_other
    if move.is_option and label in situation.scenario.options:
        past = _option(templates, situation, path) or past
    elif player != situation.you and templates.texts["history.quoted"]:
        text = _texts_of_other_role(situation).get(label)
        past = templates.fill("history.quoted", text=_literal(text)) if text else past
    return templates.fill("history.then" if later else "history.told", actor=actor, past=past)


def _option(templates: Templates, situation: Situation, path: Play) -> str:
    """Return the phrase for a move that is one of the model's own options."""
    player, label = path[-1]
    if not templates.texts["history.option"]:
        return ""
    if len(path) > 1 and path[-2][1] == label:
        return templates.fill("history.same")
    text = situation.scenario.options[label]
    if player != situation.you:
        text = _mirrored(text, situation.scenario)
    if text:
        return templates.fill("history.option", text=_literal(text))
    return templates.fill("history.matching", number=situation.order.index(label) + 1)


def _literal(text: str) -> str:
    # The template ends the sentence itself.
    return option_literal(text.rstrip(". "))


def _mirrored(text: str, scenario: Scenario) -> str:
    """Return an option of the model as an act of the other person, or no text if it is unclear.

    The name of the other person becomes `you`, and `your` becomes `their`.
    """
    own, other = scenario.you.name, scenario.other.name
    if _THIRD_PERSON.search(text) or _name(own).search(text) or _is_subject(other, text):
        return ""
    text = _of_them(text)
    return "" if _YOU.search(text) else _with_you(text, other)


def _texts_of_other_role(situation: Situation) -> dict[str, str]:
    """Return the moves of the other role in the words of the story, from the model's side.

    If one of them has no clear text there are none, so that a story tells all its histories in the
    same way.
    """
    told = {
        label
        for history in situation.game.histories
        for player, label in history.path
        if player != situation.you
    }
    scenario = situation.scenario
    texts = {label: _from_your_side(scenario.earlier.get(label, ""), scenario) for label in told}
    return texts if all(texts.values()) else {}


def _from_your_side(text: str, scenario: Scenario) -> str:
    """Return a text of the other role as it is told to the model, or no text if it is unclear.

    `your` becomes `their` if the model has a name, which becomes `you` where the grammar allows it.
    """
    name = scenario.you.name
    # In a story that calls the model `you`, nobody knows who is meant in a text of the other role.
    told = text if name == "you" else _of_them(text)
    if _YOU.search(told):
        return ""
    keeps_name = _THIRD_PERSON.search(text) or _is_subject(name, text)
    return told if keeps_name else _with_you(told, name)


def _of_them(text: str) -> str:
    return _OF_YOU.sub(lambda found: _OF_THEM[found[0].lower()], text)


def _with_you(text: str, name: str) -> str:
    # First "Ann's", so that it becomes "your" and not "you's".
    text = re.sub(rf"\b{re.escape(name)}['’]s\b", "your", text)
    return _name(name).sub("you", text)


def _name(name: str) -> re.Pattern[str]:
    # Letters as they are: `will` is no person of this name.
    return re.compile(rf"\b{re.escape(name)}\b")


def _is_subject(name: str, text: str) -> bool:
    """Return True if the name may be the subject of a verb, as in `Ann gets half`."""
    return bool(re.search(rf"\b{re.escape(name)} \w+s\b", text))
