"""Solutions of a game, computed from its payoffs: Nash equilibria, backward induction, and regret."""

from collections.abc import Mapping
from dataclasses import dataclass

import nashpy
import numpy as np

from emotion_games.games.catalog import (
    Game,
    History,
    Node,
    Payoff,
    node_at,
    with_choices,
    your_player,
)

Mixed = dict[str, float]


@dataclass(frozen=True)
class NodeSolution:
    """What a rational player would do at the model's node.

    `best` are the equilibrium choices; `regret` is what each choice loses against the best one, in points.
    `basis` says what the others are taken to do.
    """

    best: tuple[str, ...]
    regret: Mapping[str, float]
    basis: str


def nash_equilibria(game: Game) -> list[tuple[Mixed, Mixed]]:
    """Return all extreme Nash equilibria of a simultaneous game, as two probabilities by label (vertex enumeration)."""
    payoffs = [
        np.array(
            [[game.payoffs[own, other][player] for other in game.labels] for own in game.labels],
            dtype=float,
        )
        for player in (0, 1)
    ]
    found = {
        tuple(tuple(np.round(mixed, 9)) for mixed in pair)
        for pair in nashpy.Game(*payoffs).vertex_enumeration()
    }
    pairs = [
        tuple(dict(zip(game.labels, map(float, mixed), strict=True)) for mixed in pair)
        for pair in found
    ]
    return sorted(pairs, key=lambda pair: [tuple(-p for p in mixed.values()) for mixed in pair])


def backward_induction(
    node: Node | Payoff, players: tuple[str, str]
) -> list[tuple[tuple[tuple[str, str], ...], Payoff]]:
    """Return every pure subgame-perfect way to play on from a node, as ((player, label), ...) and payoffs.

    There are several only where a player is indifferent somewhere.
    """
    if not isinstance(node, Node):
        return [((), node)]
    mover = players.index(node.player)
    ways = {label: backward_induction(after, players) for label, after in node.moves.items()}
    sure = {label: min(payoffs[mover] for _, payoffs in found) for label, found in ways.items()}
    return [
        (((node.player, label), *path), payoffs)
        for label, found in ways.items()
        for path, payoffs in found
        if all(payoffs[mover] >= sure[other] for other in ways if other != label)
    ]


def solve_node(game: Game, history: History, labels: tuple[str, ...] | None = None) -> NodeSolution:
    """Return the equilibrium choices where the model decides, and the regret of every choice there.

    Sequential: against subgame-perfect play from the node on (the worst for the model where the other is indifferent).
    Simultaneous: a choice is an equilibrium choice if some equilibrium plays it; its regret is the least over the
    equilibria, against the other's part in each. `labels` narrows the game to the choices that a story offers.
    """
    game = with_choices(game, labels or game.labels)
    if isinstance(game.payoffs, Node):
        node = node_at(game, history)
        mover = game.players.index(your_player(game, history))
        worth = {
            label: min(payoffs[mover] for _, payoffs in backward_induction(after, game.players))
            for label, after in node.moves.items()
        }
        regret = {label: max(worth.values()) - value for label, value in worth.items()}
        best = tuple(label for label, loss in regret.items() if loss < 1e-9)
        return NodeSolution(best, regret, "subgame-perfect play afterwards")
    equilibria = nash_equilibria(game)
    losses = [_regret_against(game, second) for _, second in equilibria]
    regret = {label: min(loss[label] for loss in losses) for label in game.labels}
    best = tuple(
        label for label in game.labels if any(first[label] > 1e-9 for first, _ in equilibria)
    )
    return NodeSolution(
        best, regret, "the other's part in the equilibrium in which the choice loses least"
    )


def _regret_against(game: Game, other: Mixed) -> dict[str, float]:
    worth = {
        own: sum(share * game.payoffs[own, theirs][0] for theirs, share in other.items())
        for own in game.labels
    }
    return {own: max(worth.values()) - value for own, value in worth.items()}
