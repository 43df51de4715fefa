"""Solutions of a game, computed from its payoffs, and how far choices are from them and from people.

Knows Nash equilibria (by pygambit), backward induction, equilibrium choices and regret at the model's node, and the
distance to a human mean. The measures mean something only where the payoffs were shown to the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pygambit

from emotion_games.games import Game, History, Node, Payoff, Reference, node_at, with_choices, your_player

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
    """Return all Nash equilibria of a simultaneous game, as two probabilities by label (pygambit enummixed)."""
    solved = _strategic(game)
    result = pygambit.nash.enummixed_solve(solved, rational=True)
    found = []
    for profile in result.equilibria:
        first, second = (
            {strategy.label: float(profile[strategy]) for strategy in player.strategies} for player in solved.players
        )
        found.append((first, second))
    return sorted(found, key=lambda pair: [tuple(-p for p in mixed.values()) for mixed in pair])


def pure_equilibria(game: Game) -> list[tuple[str, str]]:
    """Return the Nash equilibria of a simultaneous game in which nobody mixes, as labels (pygambit enumpure)."""
    solved = _strategic(game)
    first, second = solved.players
    found = []
    for profile in pygambit.nash.enumpure_solve(solved).equilibria:
        pair = [next(s.label for s in player.strategies if profile[s] == 1) for player in (first, second)]
        found.append((pair[0], pair[1]))
    return sorted(found, key=lambda pair: [game.labels.index(label) for label in pair])


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
    best = tuple(label for label in game.labels if any(first[label] > 1e-9 for first, _ in equilibria))
    return NodeSolution(best, regret, "the other's part in the equilibrium in which the choice loses least")


def reference_distance(game: Game, reference: Reference, shares: Mapping[str, float]) -> float:
    """Return measured minus human mean, for the shares of the choices at one history (they add up to 1)."""
    if reference.of == "amount":
        amounts = {choice.label: choice.amount for choice in game.choices}
        measured = sum(share * (amounts[label] or 0.0) for label, share in shares.items())
    else:
        measured = shares.get(reference.of, 0.0)
    return measured - reference.value


def sequential_nash_payoffs(game: Game) -> list[Payoff]:
    """Return the payoffs of every pure Nash equilibrium of a sequential game, empty threats included (pygambit)."""
    solved = _extensive(game)
    found = {
        tuple(float(profile.payoff(player)) for player in solved.players)
        for profile in pygambit.nash.enumpure_solve(solved).equilibria
    }
    return sorted((first, second) for first, second in found)


def _regret_against(game: Game, other: Mixed) -> dict[str, float]:
    worth = {own: sum(share * game.payoffs[own, theirs][0] for theirs, share in other.items()) for own in game.labels}
    return {own: max(worth.values()) - value for own, value in worth.items()}


def _exact(number: float) -> pygambit.Rational:
    fraction = Fraction(number).limit_denominator(10_000)
    return pygambit.Rational(fraction.numerator, fraction.denominator)


def _strategic(game: Game) -> pygambit.Game:
    size = len(game.labels)
    solved = pygambit.Game.new_table([size, size])
    for player, name in zip(solved.players, game.players, strict=True):
        player.label = name
        for strategy, label in zip(player.strategies, game.labels, strict=True):
            strategy.label = label
    for row, own in enumerate(game.labels):
        for column, other in enumerate(game.labels):
            for player, payoff in zip(solved.players, game.payoffs[own, other], strict=True):
                solved[row, column][player] = _exact(payoff)
    return solved


def _extensive(game: Game) -> pygambit.Game:
    solved = pygambit.Game.new_tree(players=list(game.players), title=game.name)

    def grow(place: pygambit.Node, node: Node | Payoff, name: str) -> None:
        if not isinstance(node, Node):
            solved.set_outcome(place, solved.add_outcome(name, [_exact(payoff) for payoff in node]))
            return
        solved.append_move(place, node.player, list(node.moves))
        for child, (label, after) in zip(place.children, node.moves.items(), strict=True):
            grow(child, after, f"{name}, {label}")

    grow(solved.root, game.payoffs, "start")
    return solved
