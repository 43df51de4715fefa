"""The payoffs of a game in words: the rules as sentences, and questions on whether they were read.

A move is described by the number of its option, or by the phrase that the game gives it. Texts of
options are not repeated, so that each stands in the prompt once.
"""

from dataclasses import dataclass

from emotion_games.games.records import Node, Payoff, Play, leaves, node_at, phrases, with_choices
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates


@dataclass(frozen=True)
class Question:
    """A question about who gets what, with the answers offered; `answers[correct]` is right."""

    text: str
    answers: tuple[str, ...]
    correct: int


def outcomes(situation: Situation) -> list[tuple[Play, Payoff]]:
    """Return every way in which the game can go on, with its payoffs.

    Only the choices that the situation offers exist, for both players. They come in its order.

    Returns:
        Pairs of the moves from here to the end, as (player, label), and the payoffs there in
        points: the model's first, then the other player's.
    """
    game, order = with_choices(situation.game, situation.order), situation.order
    first, second = game.players
    if isinstance(game.payoffs, Node):
        found = list(leaves(node_at(game, situation.history)))
        found.sort(key=lambda leaf: order.index(leaf[0][0][1]))
    else:
        pairs = [(own, other) for own in order for other in order]
        found = [
            (((first, own), (second, other)), game.payoffs[own, other]) for own, other in pairs
        ]
    # Games list payoffs in the order of their players.
    if situation.you == first:
        return found
    return [(path, (yours, theirs)) for path, (theirs, yours) in found]


def payoff_sentences(templates: Templates, situation: Situation) -> str:
    """Return the payoffs from the model's side, one line for each way to play on."""
    lines = [templates.fill("payoffs.intro", other=situation.other)]
    for path, payoff in outcomes(situation):
        moves = _moves(templates, situation, path)
        lines.append(_shares(templates, "payoffs.line", situation, payoff, moves=moves))
    return "\n".join(lines)


def comprehension_questions(templates: Templates, situation: Situation) -> list[Question]:
    """Return one question for each outcome.

    The answers offered are the pairs of payoffs that occur in the game, in ascending order.
    """
    found = outcomes(situation)
    pairs = sorted({pair for _, pair in found})
    answers = tuple(_shares(templates, "comprehension.answer", situation, pair) for pair in pairs)
    questions = []
    for path, pair in found:
        moves = _moves(templates, situation, path)
        text = templates.fill("comprehension.question", moves=moves, other=situation.other)
        questions.append(Question(text, answers, pairs.index(pair)))
    return questions


def _shares(
    templates: Templates, key: str, situation: Situation, payoff: Payoff, **values: str
) -> str:
    """Fill a template that names both payoffs."""
    yours, theirs = (_points(templates, number) for number in payoff)
    return templates.fill(key, yours=yours, other=situation.other, theirs=theirs, **values)


def _moves(templates: Templates, situation: Situation, path: Play) -> str:
    """Return moves as an if-clause: `you choose Option 1 and Maya accepts`."""
    game, other = situation.game, situation.other
    clauses = []
    for place, (player, label) in enumerate(path):
        person = "you" if player == situation.you else "other"
        move = phrases(game, situation.history.path + path[: place + 1])
        present = getattr(move, f"present_{person}")
        # The decision at hand is named by its option: its phrase would stand beside the option's
        # text as a second description of the same act.
        if present and place > 0:
            clause = templates.fill(f"payoffs.{person}_present", other=other, present=present)
        else:
            number = situation.order.index(label) + 1
            clause = templates.fill(f"payoffs.{person}_option", other=other, number=number)
        clauses.append(clause)
    joint = "payoffs.at_once" if game.kind == "simultaneous" else "payoffs.in_turn"
    return templates.fill(joint).join(clauses)


def _points(templates: Templates, number: float) -> str:
    digits = f"{number:.2f}".rstrip("0").rstrip(".")
    # A small negative number rounds to -0.
    digits = "0" if digits == "-0" else digits
    return templates.fill("payoffs.point" if digits == "1" else "payoffs.points", number=digits)
