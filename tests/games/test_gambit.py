"""Compare the solutions of games with those of pygambit.

The tests are skipped if pygambit is not installed; some versions of Python have to compile it.
"""

from fractions import Fraction
from pathlib import Path

import pytest

from emotion_games.games.catalog import game_names, load_game
from emotion_games.games.equilibria import backward_induction, nash_equilibria
from emotion_games.games.records import Game, Node, Payoff

pygambit = pytest.importorskip("pygambit", reason="pygambit is not installed: pip install pygambit")
GAMES = Path(__file__).parents[2] / "config" / "games"
pytestmark = pytest.mark.slow


def games(kind: str) -> list[Game]:
    loaded = [load_game(GAMES / name) for name in game_names(GAMES)]
    # A table of two players cannot hold a game of many.
    return [game for game in loaded if game.kind == kind and not game.many]


def exact(number: float):
    fraction = Fraction(number).limit_denominator(10_000)
    return pygambit.Rational(fraction.numerator, fraction.denominator)


def strategic(game: Game):
    size = len(game.labels)
    solved = pygambit.Game.new_table([size, size])
    for row, own in enumerate(game.labels):
        for column, other in enumerate(game.labels):
            for player, payoff in zip(solved.players, game.payoffs[own, other], strict=True):
                solved[row, column][player] = exact(payoff)
    return solved


def extensive(game: Game):
    solved = pygambit.Game.new_tree(players=list(game.players), title=game.name)

    def grow(place, node: Node | Payoff, name: str) -> None:
        if not isinstance(node, Node):
            solved.set_outcome(place, solved.add_outcome(name, [exact(payoff) for payoff in node]))
            return
        solved.append_move(place, node.player, list(node.moves))
        for child, (label, after) in zip(place.children, node.moves.items(), strict=True):
            grow(child, after, f"{name}, {label}")

    grow(solved.root, game.payoffs, "start")
    return solved


@pytest.mark.parametrize("game", games("simultaneous"), ids=lambda game: game.name)
def test_equilibria_of_simultaneous_games(game: Game) -> None:
    solved = strategic(game)
    expected = {
        tuple(
            round(float(profile[strategy]), 6)
            for player in solved.players
            for strategy in player.strategies
        )
        for profile in pygambit.nash.enummixed_solve(solved, rational=True).equilibria
    }
    found = {
        tuple(round(p, 6) for mixed in pair for p in mixed.values())
        for pair in nash_equilibria(game)
    }
    assert found == expected


@pytest.mark.parametrize("game", games("sequential"), ids=lambda game: game.name)
def test_subgame_perfect_payoffs_are_among_the_nash_payoffs(game: Game) -> None:
    solved = extensive(game)
    nash = {
        tuple(round(float(profile.payoff(player)), 6) for player in solved.players)
        for profile in pygambit.nash.enumpure_solve(solved).equilibria
    }
    perfect = {
        tuple(round(p, 6) for p in payoffs)
        for _, payoffs in backward_induction(game.payoffs, game.players)
    }
    assert perfect <= nash
    if game.name == "Monopoly_Game":
        # In an equilibrium that is not subgame-perfect, the holder's threat to fight keeps the
        # entrant out.
        assert nash == {(0, 2), (2, 1)}
