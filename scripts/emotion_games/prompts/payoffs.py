"""A game's payoffs told to the model that decides: the rules as sentences, and questions that check they were read.

Knows payoffs and the templates' wording of them. Moves are told by the number of the option that they are, or by the
phrase that the game gives them, so that no option text is repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from emotion_games.games.catalog import (
    Game,
    History,
    Node,
    Payoff,
    leaves,
    node_at,
    phrases,
    with_choices,
    your_player,
)
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.templates import Templates

Path = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """One question about who gets what, with the answers offered; `answers[correct]` is the right one."""

    text: str
    answers: tuple[str, ...]
    correct: int


def outcomes(game: Game, history: History, labels: Sequence[str]) -> list[tuple[Path, Payoff]]:
    """Return every way to play on from where the model decides, with (the model's payoff, the other's) at its end.

    Only the choices in `labels` exist; they come in that order.
    """
    game = with_choices(game, tuple(labels))
    you = your_player(game, history)
    if isinstance(game.payoffs, Node):
        found = list(leaves(node_at(game, history)))
        found.sort(key=lambda leaf: list(labels).index(leaf[0][0][1]))
    else:
        first, second = game.players
        found = [
            (((first, own), (second, other)), game.payoffs[own, other])
            for own in labels
            for other in labels
        ]
    return [(path, pair if you == game.players[0] else (pair[1], pair[0])) for path, pair in found]


def payoff_sentences(
    templates: Templates, game: Game, scenario: Scenario, history: History, order: Sequence[str]
) -> str:
    """Return the payoffs from the model's point of view, one line for each way that the game can go on."""
    other = scenario.other.name
    lines = [
        templates.fill(
            "payoffs.line",
            moves=_moves(templates, game, scenario, history, order, path),
            yours=_points(templates, yours),
            other=other,
            theirs=_points(templates, theirs),
        )
        for path, (yours, theirs) in outcomes(game, history, order)
    ]
    return "\n".join([templates.fill("payoffs.intro", other=other), *lines])


def comprehension_questions(
    templates: Templates, game: Game, scenario: Scenario, history: History, order: Sequence[str]
) -> list[Question]:
    """Return one question for each outcome; the answers offered are the game's own pairs of payoffs, ascending."""
    other = scenario.other.name
    found = outcomes(game, history, order)
    pairs = sorted({pair for _, pair in found})
    answers = tuple(
        templates.fill(
            "comprehension.answer",
            yours=_points(templates, yours),
            other=other,
            theirs=_points(templates, theirs),
        )
        for yours, theirs in pairs
    )
    return [
        Question(
            text=templates.fill(
                "comprehension.question",
                moves=_moves(templates, game, scenario, history, order, path),
                other=other,
            ),
            answers=answers,
            correct=pairs.index(pair),
        )
        for path, pair in found
    ]


def _moves(
    templates: Templates,
    game: Game,
    scenario: Scenario,
    history: History,
    order: Sequence[str],
    path: Path,
) -> str:
    """Tell a way to play as an if-clause: `you choose Option 1 and Maya accepts`."""
    you, other = your_player(game, history), scenario.other.name
    told = []
    for place, (player, label) in enumerate(path):
        person = "you" if player == you else "other"
        present = getattr(phrases(game, history.path + path[: place + 1]), f"present_{person}")
        # The decision at hand is always told by its option.
        if present and place > 0:
            told.append(templates.fill(f"payoffs.{person}_present", other=other, present=present))
        else:
            told.append(
                templates.fill(
                    f"payoffs.{person}_option", other=other, number=list(order).index(label) + 1
                )
            )
    return templates.fill(
        "payoffs.at_once" if game.kind == "simultaneous" else "payoffs.in_turn"
    ).join(told)


def _points(templates: Templates, number: float) -> str:
    shown = f"{number:.2f}".rstrip("0").rstrip(".")
    return templates.fill(
        "payoffs.point" if shown == "1" else "payoffs.points",
        number="0" if shown == "-0" else shown,
    )
