"""Tests of the solutions of the shipped games against the literature.

`test_gambit.py` compares them with those of pygambit.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from emotion_games.games.catalog import load_game
from emotion_games.games.equilibria import (
    backward_induction,
    nash_equilibria,
    solve_node,
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
