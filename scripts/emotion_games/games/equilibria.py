"""Solve a game from its payoffs: Nash equilibria, backward induction and regret."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import nashpy  # type: ignore[import-untyped]  # it ships no types
import numpy as np

from emotion_games.games.records import (
    Game,
    History,
    Node,
    Payoff,
    Play,
    matrix_of,
    node_at,
    with_choices,
    your_player,
)

# The probability of each label.
Mixed = dict[str, float]

# Probabilities and payoffs closer than this count as equal.
_TOLERANCE = 1e-9
# What the others are assumed to do in a simultaneous game.
_OF_TWO = "the other's part in the equilibrium in which the choice loses least"
_OF_MANY = "all others' choice in the symmetric pure equilibrium in which the choice loses least"


@dataclass(frozen=True)
class NodeSolution:
    """What a rational player would do at the model's node.

    Attributes:
        best: The equilibrium choices.
        regret: What each choice loses against the best one, in points.
        basis: What the other is assumed to do.
    """

    best: tuple[str, ...]
    regret: Mapping[str, float]
    basis: str


def nash_equilibria(game: Game) -> list[tuple[Mixed, Mixed]]:
    """Return all extreme Nash equilibria of a simultaneous game, by vertex enumeration.

    An equilibrium is a pair of mixed strategies, the row player's first. Those in which the row
    player is likelier to take the first labels come first.
    """
    assert not game.many, f"{game.name}: the other player stands for several people"
    matrix, labels = matrix_of(game), game.labels
    pairs = [matrix[cell] for cell in product(labels, labels)]
    # (row player's choice, column player's choice, player)
    payoffs = np.array(pairs, dtype=float).reshape(len(labels), len(labels), 2)
    found = set()
    for first, second in nashpy.Game(payoffs[..., 0], payoffs[..., 1]).vertex_enumeration():
        # Rounding merges equilibria that vertex enumeration finds more than once.
        found.add((tuple(np.round(first, 9).tolist()), tuple(np.round(second, 9).tolist())))
    # A set has no order of its own, and results must not depend on the run.
    ordered = sorted(found, key=lambda pair: np.negative(pair).tolist())
    return [
        (dict(zip(labels, first, strict=True)), dict(zip(labels, second, strict=True)))
        for first, second in ordered
    ]


def symmetric_equilibria(game: Game) -> list[tuple[Mixed, Mixed]]:
    """Return the symmetric pure equilibria of a simultaneous game of many.

    In one, everybody makes the same choice, and nobody could gain by another one. They are pairs
    of equal strategies, that of the model and that of each of the others.
    """
    matrix, labels = matrix_of(game), game.labels
    found = []
    for label in labels:
        best = max(matrix[own, label][0] for own in labels)
        if matrix[label, label][0] >= best - _TOLERANCE:
            sure = {own: float(own == label) for own in labels}
            found.append((sure, sure))
    return found


def backward_induction(node: Node | Payoff, players: tuple[str, str]) -> list[tuple[Play, Payoff]]:
    """Return every pure subgame-perfect way to play on from a node, with its payoffs.

    There are several only if a player is indifferent at some node.
    """
    if not isinstance(node, Node):
        return [((), node)]
    mover = players.index(node.player)
    ways = {label: backward_induction(after, players) for label, after in node.moves.items()}
    worst = {label: min(payoffs[mover] for _, payoffs in found) for label, found in ways.items()}
    solutions = []
    for label, found in ways.items():
        # A move is rational if no other move is better even at its worst.
        rival = max((worst[other] for other in ways if other != label), default=-np.inf)
        for path, payoffs in found:
            if payoffs[mover] >= rival:
                solutions.append((((node.player, label), *path), payoffs))
    return solutions


def solve_node(game: Game, history: History, labels: tuple[str, ...] | None = None) -> NodeSolution:
    """Return the equilibrium choices at the model's node, and the regret of every choice there.

    In a sequential game, play from the node on is subgame-perfect; if the other is indifferent,
    the way that is worst for the model counts. In a simultaneous game, a choice is an equilibrium
    choice if some equilibrium plays it, and its regret is its least regret over the equilibria,
    each against the other's strategy there. In a game of many these are the symmetric equilibria;
    if there is none, there is no equilibrium choice, and every regret is NaN.

    Args:
        labels: The choices that a story offers; all of the game by default.
    """
    game = with_choices(game, labels or game.labels)
    if isinstance(game.payoffs, Node):
        node = node_at(game, history)
        mover = game.players.index(your_player(game, history))
        worth = {}
        for label, after in node.moves.items():
            ways = backward_induction(after, game.players)
            worth[label] = min(payoffs[mover] for _, payoffs in ways)
        regret = _regret(worth)
        best = tuple(label for label, loss in regret.items() if loss < _TOLERANCE)
        return NodeSolution(best, regret, "subgame-perfect play afterwards")
    equilibria = symmetric_equilibria(game) if game.many else nash_equilibria(game)
    losses = [_regret_against(game, second) for _, second in equilibria]
    regret = {label: min((loss[label] for loss in losses), default=np.nan) for label in game.labels}
    played = [label for first, _ in equilibria for label in first if first[label] > _TOLERANCE]
    best = tuple(label for label in game.labels if label in played)
    return NodeSolution(best, regret, _OF_MANY if game.many else _OF_TWO)


def _regret_against(game: Game, other: Mixed) -> dict[str, float]:
    matrix = matrix_of(game)
    worth = dict.fromkeys(game.labels, 0.0)
    for own, theirs in product(worth, other):
        worth[own] += other[theirs] * matrix[own, theirs][0]
    return _regret(worth)


def _regret(worth: Mapping[str, float]) -> dict[str, float]:
    best = max(worth.values())
    return {label: best - value for label, value in worth.items()}
