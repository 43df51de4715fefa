"""Tests of the solutions of the shipped games against the literature.

`test_gambit.py` compares them with those of pygambit.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement
from math import isnan
from operator import ge
from pathlib import Path

import numpy as np
import pytest

from emotion_games.games.catalog import load_game
from emotion_games.games.equilibria import (
    backward_induction,
    nash_equilibria,
    solve_node,
    symmetric_equilibria,
)
from emotion_games.games.records import Game, History, Node, with_choices

GAMES = Path(__file__).parents[2] / "config" / "games"


def game(name: str) -> Game:
    return load_game(GAMES / name)


def mixed(name: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [pair for pair in nash_equilibria(game(name)) if max(pair[0].values()) < 1]


def pure_equilibria(game: Game) -> list[tuple[str, str]]:
    """Return the equilibria in which nobody mixes, as labels."""
    sure = [
        pair for pair in nash_equilibria(game) if all(max(mixed.values()) == 1 for mixed in pair)
    ]
    return [(max(first, key=first.get), max(second, key=second.get)) for first, second in sure]


@pytest.mark.parametrize(
    ("name", "pure"),
    [
        ("Prisoners_Dilemma", [("defect", "defect")]),
        ("Stag_Hunt", [("cooperate", "cooperate"), ("defect", "defect")]),
        ("Battle_Of_Sexes", [("option_a", "option_a"), ("option_b", "option_b")]),
        ("Wait_Go", [("wait", "go"), ("go", "wait")]),
        ("Duopolistic_Competition", [("choice_3", "choice_3")]),
    ],
)
def test_pure_equilibria(name: str, pure: list[tuple[str, str]]) -> None:
    assert pure_equilibria(game(name)) == pure


def test_mixed_equilibria() -> None:
    assert mixed("Prisoners_Dilemma") == mixed("Duopolistic_Competition") == []
    ((stag, _),) = mixed("Stag_Hunt")
    assert stag["cooperate"] == pytest.approx(1 / 3)
    ((wait, _),) = mixed("Wait_Go")
    assert wait["go"] == pytest.approx(1 / 3)
    ((first, second),) = mixed("Battle_Of_Sexes")
    assert (first["option_a"], second["option_a"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_duopoly_optimum_and_its_two_price_form() -> None:
    g = game("Duopolistic_Competition")
    symmetric = {label: g.payoffs[label, label][0] for label in g.labels}
    assert max(symmetric, key=symmetric.__getitem__) == "choice_2" and symmetric["choice_2"] == 7
    assert g.payoffs["choice_3", "choice_3"] == (6, 6)
    two = with_choices(g, ("choice_2", "choice_3"))
    assert pure_equilibria(two) == [("choice_3", "choice_3")]
    assert solve_node(g, g.histories[0], ("choice_2", "choice_3")).regret == {
        "choice_2": 1,
        "choice_3": 0,
    }


@pytest.mark.parametrize(
    ("name", "moves", "payoffs"),
    [
        ("Escalation_Game", ["withdraw"], (0, 0)),
        ("Monopoly_Game", ["choice_2", "choice_1"], (2, 1)),
        ("Hot_Cold_Game", ["choice_1", "choice_2"], (2, 3)),
        ("Draco_Game", ["choice_1", "choice_1"], (5, 5)),
        ("Tri_Game", ["choice_2", "choice_1", "choice_2"], (4, 10)),
        ("Trust_Game_Trustor", ["trust_none"], (10, 0)),
        ("Ultimatum_Game_Proposer", ["offer_low", "accept"], (8, 2)),
    ],
)
def test_backward_induction(name: str, moves: list[str], payoffs: tuple[float, float]) -> None:
    g = game(name)
    ((path, found),) = backward_induction(g.payoffs, g.players)
    assert ([label for _, label in path], found) == (moves, payoffs)


def test_escalation_is_solved_node_by_node() -> None:
    g = game("Escalation_Game")
    assert [solve_node(g, history).best for history in g.histories] == [
        ("withdraw",),
        ("escalate",),
        ("escalate",),
    ]
    assert solve_node(g, g.histories[1]).regret == {"withdraw": 1, "escalate": 0}


def test_regret_in_points() -> None:
    responder = game("Ultimatum_Game_Responder")
    lost = [solve_node(responder, history).regret["reject"] for history in responder.histories]
    assert lost == [2, 4, 6]
    trustee = game("Trust_Game_Trustee")
    assert solve_node(trustee, trustee.histories[1]).regret["return_high"] == pytest.approx(10.5)
    dilemma = game("Prisoners_Dilemma")
    assert solve_node(dilemma, dilemma.histories[0]).regret == {"cooperate": 1, "defect": 0}
    hunt = game("Stag_Hunt")
    assert solve_node(hunt, hunt.histories[0]).best == ("cooperate", "defect")


def test_indifference_keeps_every_way() -> None:
    tie = Node("second", {"a": (1.0, 2.0), "b": (3.0, 2.0)})
    root = Node("first", {"in": tie, "out": (2.0, 0.0)})
    found = {
        tuple(label for _, label in path)
        for path, _ in backward_induction(root, ("first", "second"))
    }
    assert found == {("in", "b"), ("out",)}
    g = replace(game("Monopoly_Game"), players=("first", "second"), payoffs=root)
    assert solve_node(g, History("start")).regret == {"in": 1, "out": 0}


def contest_shares(amounts: Sequence[Fraction]) -> list[Fraction]:
    """Return everybody's share of the prize: the nearest to half of the average win it."""
    target = sum(amounts, Fraction()) / len(amounts) / 2
    least = min(abs(amount - target) for amount in amounts)
    winners = [abs(amount - target) == least for amount in amounts]
    return [Fraction(int(wins), sum(winners)) for wins in winners]


def test_the_payoffs_of_the_beauty_contest_are_those_of_its_rule() -> None:
    g = game("Beauty_Contest")
    people, prize = int(g.settings["people"]), g.settings["prize"]
    amounts = {choice.label: Fraction(choice.amount).limit_denominator(3) for choice in g.choices}
    for (own, other), payoffs in g.payoffs.items():
        mine, theirs, *_ = contest_shares([amounts[own], *[amounts[other]] * (people - 1)])
        assert payoffs == (pytest.approx(prize * mine), pytest.approx(prize * theirs))


@pytest.mark.parametrize("people", [3, 4, 11])
def test_iterated_dominance_leaves_the_lowest_commitment(people: int) -> None:
    g = game("Beauty_Contest")
    amounts = {choice.label: Fraction(choice.amount).limit_denominator(3) for choice in g.choices}
    left, dropped = list(g.labels), []
    while len(left) > 1:
        groups = list(combinations_with_replacement(left, people - 1))
        # What each choice wins against every group of others.
        won = {}
        for own in left:
            amounts_of = [[amounts[label] for label in (own, *group)] for group in groups]
            won[own] = [contest_shares(named)[0] for named in amounts_of]
        pairs = [(own, better) for own in left for better in left if won[own] != won[better]]
        dominated = [own for own, better in pairs if all(map(ge, won[better], won[own]))]
        dropped.append(dominated[-1])
        left.remove(dominated[-1])
    assert dropped == ["commit_3", "commit_2", "commit_1"]


def test_only_the_lowest_commitment_is_an_equilibrium() -> None:
    g = game("Beauty_Contest")
    ((first, second),) = symmetric_equilibria(g)
    assert first == second == {"commit_0": 1, "commit_1": 0, "commit_2": 0, "commit_3": 0}
    solved = solve_node(g, g.histories[0])
    assert solved.best == ("commit_0",) and "symmetric" in solved.basis
    # Against the lowest commitment of all others, every other one wins nothing.
    assert solved.regret == {"commit_0": 0, "commit_1": 10, "commit_2": 10, "commit_3": 10}


def auction_points(shares: Sequence[float], draws: int = 400_000) -> tuple[float, float]:
    """Return the mean points of the first and of the second bidder, by simulated auctions.

    Everyone bids a share of a worth that is uniform between 0 and 100 points.
    """
    worth = 100 * np.random.default_rng(0).random((draws, len(shares)))
    bids = worth * shares
    wins = bids == bids.max(axis=1, keepdims=True)
    mine, theirs, *_ = np.mean(wins * (worth - bids), axis=0)
    return mine, theirs


def test_the_payoffs_of_the_sealed_auction_are_those_of_simulated_auctions() -> None:
    g = game("Sealed_Auction")
    share = {choice.label: choice.amount for choice in g.choices}
    assert list(share.values()) == [0.3, 0.6, 0.9]
    for (own, other), payoffs in g.payoffs.items():
        # Each of the others gains the same, so that the mean of any of them will do.
        assert payoffs == pytest.approx(auction_points([share[own], *[share[other]] * 3]), abs=0.15)


def test_bids_in_the_sealed_auction_are_shaded_by_one_of_n() -> None:
    bids = np.linspace(0.01, 1, 100)
    # Four bidders; the three others bid three quarters of their worth, so that a bid b wins with
    # probability (b / .75)^3.
    for worth in (0.2, 0.5, 1.0):
        gains = (worth - bids * worth) * np.minimum(bids * worth / 0.75, 1) ** 3
        assert bids[gains.argmax()] == pytest.approx(3 / 4)
    g = game("Sealed_Auction")
    ((first, _),) = symmetric_equilibria(g)
    assert first == {"devote_low": 0, "devote_medium": 1, "devote_high": 0}
    assert solve_node(g, g.histories[0]).best == ("devote_medium",)


def test_a_game_of_many_without_a_symmetric_pure_equilibrium_has_no_best_choice() -> None:
    # Whoever does what the others do not do gains.
    payoffs = {(a, b): (float(a != b), 0.0) for a in ("wait", "go") for b in ("wait", "go")}
    g = replace(game("Wait_Go"), payoffs=payoffs, many=True)
    solved = solve_node(g, g.histories[0])
    assert solved.best == () and all(map(isnan, solved.regret.values()))
    with pytest.raises(AssertionError, match="several people"):
        nash_equilibria(g)
