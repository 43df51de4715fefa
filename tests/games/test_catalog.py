"""Tests of loading games: the shipped ones match the literature, and faults are reported."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_games.errors import ProblemList, UserError
from emotion_games.games.catalog import (
    apply_settings,
    expand_game,
    family_names,
    game_names,
    load_game,
)
from emotion_games.games.formulas import evaluate, fill_percentages
from emotion_games.games.records import Game, Node, leaves, node_at, with_choices, your_player

GAMES = Path(__file__).parents[2] / "config" / "games"
SIXTEEN = [
    "Battle_Of_Sexes",
    "Beauty_Contest",
    "Draco_Game",
    "Duopolistic_Competition",
    "Escalation_Game",
    "Hot_Cold_Game",
    "Monopoly_Game",
    "Prisoners_Dilemma",
    "Sealed_Auction",
    "Stag_Hunt",
    "Tri_Game",
    "Trust_Game_Trustee",
    "Trust_Game_Trustor",
    "Ultimatum_Game_Proposer",
    "Ultimatum_Game_Responder",
    "Wait_Go",
]


def game(name: str) -> Game:
    return load_game(GAMES / name)


def ends(name: str) -> dict[str, tuple[float, float]]:
    """The payoffs of a sequential game by its moves, as `escalate withdraw`."""
    return {
        " ".join(label for _, label in path): payoffs
        for path, payoffs in leaves(game(name).payoffs)
    }


def test_human_effects_name_emotions_that_are_there_and_a_source_with_a_year() -> None:
    emotions = {path.stem for path in (GAMES.parent / "emotions").glob("*.txt")}
    signs = {}
    for name in game_names(GAMES):
        for emotion, effect in game(name).human_effects.items():
            assert emotion in emotions - {"neutral"} and re.search(r" (19|20)\d\d,", effect.source)
            signs[name, emotion] = effect.sign
    # The outcome is acceptance, which anger lowers.
    assert signs["Ultimatum_Game_Responder", "anger"] == -1
    assert signs["Ultimatum_Game_Responder", "happiness"] == 0
    assert signs["Ultimatum_Game_Proposer", "fear"] == 1


def test_all_sixteen_load() -> None:
    games = [load_game(GAMES / name) for name in game_names(GAMES)]
    assert [g.name for g in games] == SIXTEEN
    for g in games:
        assert all(0 <= choice.value <= 1 for choice in g.choices)
        assert {choice.value for choice in g.choices} >= {0, 1}
        for history in g.histories:
            assert not history.path or history.path[-1][0] != your_player(g, history)
    values = {choice.label: choice.value for choice in game("Prisoners_Dilemma").choices}
    assert values == {"cooperate": 1, "defect": 0}


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Prisoners_Dilemma", [[3, 0], [5, 1]], [[3, 5], [0, 1]]),
        ("Stag_Hunt", [[3, 0], [1, 1]], [[3, 1], [0, 1]]),
        ("Battle_Of_Sexes", [[2, 0], [0, 1]], [[1, 0], [0, 2]]),
        ("Wait_Go", [[0, 0], [2, -4]], [[0, 2], [0, -4]]),
    ],
)
def test_matrices(name: str, first: list[list[float]], second: list[list[float]]) -> None:
    g = game(name)
    assert [[g.payoffs[own, other][0] for other in g.labels] for own in g.labels] == first
    assert [[g.payoffs[own, other][1] for other in g.labels] for own in g.labels] == second


def test_duopoly_is_symmetric_with_the_published_rows() -> None:
    g = game("Duopolistic_Competition")
    own = [
        [0, 0, 0, 0, 0, 0],
        [9, 7, 5, 3, 1, -1],
        [14, 10, 6, 2, -2, -2],
        [15, 9, 3, -3, -3, -3],
        [12, 4, -4, -4, -4, -4],
        [5, -5, -5, -5, -5, -5],
    ]
    assert [[g.payoffs[a, b][0] for b in g.labels] for a in g.labels] == own
    assert all(g.payoffs[a, b] == g.payoffs[b, a][::-1] for a in g.labels for b in g.labels)
    two = with_choices(g, ("choice_2", "choice_3"))
    assert two.labels == ("choice_2", "choice_3") and len(two.payoffs) == 4


def test_trees() -> None:
    assert ends("Escalation_Game") == {
        "withdraw": (0, 0),
        "escalate withdraw": (1, -2),
        "escalate escalate withdraw": (-2, 1),
        "escalate escalate escalate": (-1, -1),
    }
    one, two = "choice_1", "choice_2"
    assert ends("Monopoly_Game") == {one: (0, 2), f"{two} {one}": (2, 1), f"{two} {two}": (-1, -1)}
    assert list(ends("Hot_Cold_Game").values()) == [(3, 2), (2, 3), (1, 4), (4, 1)]
    assert list(ends("Draco_Game").values()) == [(5, 5), (2, 2), (3, 4), (4, 5), (5, 3), (2, 2)]
    assert list(ends("Tri_Game").values()) == [
        (20, 3),
        (0, 4),
        (2, 5),
        (3, 4),
        (1, 5),
        (4, 10),
        (2, 1),
        (3, 2),
    ]


def test_two_role_games_share_their_tree() -> None:
    assert game("Trust_Game_Trustor").payoffs == game("Trust_Game_Trustee").payoffs
    assert game("Ultimatum_Game_Proposer").payoffs == game("Ultimatum_Game_Responder").payoffs
    trust = ends("Trust_Game_Trustor")
    assert trust["trust_none"] == (10, 0)
    assert trust["trust_low return_medium"] == pytest.approx((10, 6))
    assert trust["trust_high return_high"] == pytest.approx((13.5, 10.5))
    assert ends("Ultimatum_Game_Proposer")["offer_medium accept"] == (6, 4)
    assert ends("Ultimatum_Game_Proposer")["offer_high reject"] == (0, 0)


def test_who_the_model_is() -> None:
    escalation = game("Escalation_Game")
    assert [your_player(escalation, history) for history in escalation.histories] == [
        "first",
        "second",
        "first",
    ]
    assert [len(history.path) for history in escalation.histories] == [0, 1, 2]
    for name in ("Trust_Game_Trustee", "Ultimatum_Game_Responder"):
        g = game(name)
        assert {your_player(g, history) for history in g.histories} == {g.role}
    assert [h.name for h in game("Trust_Game_Trustee").histories] == ["trust_low", "trust_high"]
    assert [h.name for h in game("Ultimatum_Game_Responder").histories] == [
        "offer_low",
        "offer_medium",
        "offer_high",
    ]


def test_families_come_from_the_files() -> None:
    assert expand_game("Ultimatum_Game", GAMES) == [
        "Ultimatum_Game_Proposer",
        "Ultimatum_Game_Responder",
    ]
    assert expand_game("Trust_Game", GAMES) == ["Trust_Game_Trustor", "Trust_Game_Trustee"]
    assert expand_game("Wait_Go", GAMES) == ["Wait_Go"]
    assert family_names(GAMES) == ["Trust_Game", "Ultimatum_Game"]
    with pytest.raises(
        UserError, match="unknown game 'Prisoner_Dilemma' \\(did you mean 'Prisoners_Dilemma'\\?\\)"
    ):
        expand_game("Prisoner_Dilemma", GAMES)


def test_a_faulty_draft_blocks_only_itself_and_its_family(tmp_path: Path) -> None:
    games = tmp_path / "games"
    shutil.copytree(GAMES, games)
    for name, text in {"Draft": "family: [x]", "Other": "title: {", "Third": "- no game"}.items():
        (games / name).mkdir()
        (games / name / "game.yaml").write_text(text)
    os.makedirs(games / "Fourth")
    os.mkfifo(games / "Fourth" / "game.yaml")
    assert "Other" in game_names(games) and "Fourth" not in game_names(games)
    assert expand_game("Ultimatum_Game", games) == expand_game("Ultimatum_Game", GAMES)
    assert expand_game("Stag_Hunt", games) == ["Stag_Hunt"]
    assert family_names(games) == ["Trust_Game", "Ultimatum_Game"]
    with pytest.raises(UserError, match="unknown game 'Chess'"):
        expand_game("Chess", games)
    # A role must not go missing from its family.
    (games / "Other" / "game.yaml").write_text("family: Ultimatum_Game\ntitle: {")
    with pytest.raises(UserError, match="Other/game.yaml: line 3, column 1: not valid YAML"):
        expand_game("Ultimatum_Game", games)
    assert expand_game("Trust_Game", games) == ["Trust_Game_Trustor", "Trust_Game_Trustee"]


@pytest.mark.parametrize(
    ("name", "entry", "line"),
    [
        (
            "Ultimatum_Game_Proposer",
            {"offer_low": -1},
            "0 (0) must be at most offer_low (-1); in 0 <= offer_low < offer_medium",
        ),
        (
            "Ultimatum_Game_Responder",
            {"offer_low": 7},
            "offer_low (7) must be less than offer_medium (4); in 0 <= offer_low <",
        ),
        (
            "Ultimatum_Game_Responder",
            {"offer_low": 5, "offer_medium": 5, "offer_high": 20},
            "offer_low (5) must be less than offer_medium (5); in",
        ),
        (
            "Ultimatum_Game_Responder",
            {"endowment": 5},
            "offer_high (6) must be at most endowment (5); in",
        ),
        ("Trust_Game_Trustee", {"return_high": 2}, "return_high (2) must be at most 1 (1); in"),
        ("Trust_Game_Trustor", {"multiplier": -3}, "0 (0) must be at most multiplier (-3); in"),
        ("Trust_Game_Trustor", {"send_low": 8}, "send_low (8) must be less than send_high (7)"),
    ],
)
def test_settings_that_contradict_their_names_are_refused(name: str, entry: Any, line: str) -> None:
    with pytest.raises(ProblemList) as caught:
        apply_settings(game(name), entry)
    assert any(f": {line}" in problem for problem in caught.value.problems), caught.value.problems


def test_the_ends_of_an_order_are_allowed() -> None:
    apply_settings(game("Ultimatum_Game_Responder"), {"offer_low": 0, "offer_high": 10})


def test_settings_narrow_and_recompute() -> None:
    responder = apply_settings(
        game("Ultimatum_Game_Responder"),
        {"histories": ["offer_low"], "offer_low": 1, "endowment": 20},
    )
    assert [history.name for history in responder.histories] == ["offer_low"]
    node = node_at(responder, responder.histories[0])
    assert isinstance(node, Node) and node.moves["accept"] == (19, 1)
    assert "5 percent" in responder.moves["proposer", "offer_low"].past_other
    assert apply_settings(responder, {}) == responder


def test_all_problems_of_game_settings_are_reported() -> None:
    with pytest.raises(ProblemList) as caught:
        apply_settings(
            game("Ultimatum_Game_Responder"),
            {"history": [], "endowment": "ten", "histories": ["ofer_low"]},
        )
    assert caught.value.problems == [
        "game_settings.Ultimatum_Game_Responder.history: unknown key 'history'; "
        "allowed: histories, endowment, offer_low, offer_medium, offer_high",
        "game_settings.Ultimatum_Game_Responder.endowment: expected a number, found 'ten'",
        "game_settings.Ultimatum_Game_Responder.histories[0]: 'ofer_low' is not allowed "
        "(did you mean 'offer_low'?); allowed: offer_low, offer_medium, offer_high",
    ]


MATRIX = """
title: Mine
kind: simultaneous
outcome: cooperation
players: [first, second]
choices:
  stay: {meaning: stay, value: 1}
  leave: {meaning: leave, value: 0}
payoffs:
  stay: {stay: [1, 1], leave: [0, 2]}
  leave: {stay: [2, 0], leave: [0, 0]}
"""
TREE = """
title: Mine
kind: sequential
outcome: trust
players: [first, second]
choices:
  stay: {meaning: stay, value: 1}
  leave: {meaning: leave, value: 0}
payoffs:
  first:
    stay: {second: {stay: [1, 1], leave: [0, 2]}}
    leave: [0, 0]
histories:
  later: [{first: stay}]
moves:
  first:
    stay: {past: stayed}
"""


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (
            MATRIX,
            "leave: [0, 2]}",
            "leav: [0, 2]}",
            "payoffs.stay.leav: unknown key 'leav' (did you mean 'leave'?)",
        ),
        (
            MATRIX,
            ", leave: [0, 2]}",
            "}",
            "payoffs.stay.leave: missing; expected two payoffs such as [3, 0]",
        ),
        (
            MATRIX,
            "[0, 2]",
            "[0, 2, 1]",
            "payoffs.stay.leave: [0, 2, 1] is too long; expected two payoffs such as [3, 0]",
        ),
        (MATRIX, "[0, 2]", "[0, two]", "payoffs.stay.leave[1]: unknown setting 'two'"),
        (
            MATRIX,
            "value: 1",
            "value: 3",
            "choices.stay.value: expected a number from 0 to 1, found 3",
        ),
        (MATRIX, "  leave: {meaning", "  stay: {meaning", "choices.stay: given twice; remove one"),
        (
            MATRIX,
            "kind: simultaneous",
            "kind: simultanous",
            "kind: 'simultanous' is not allowed (did you mean 'simultaneous'?)",
        ),
        (
            MATRIX,
            "outcome: cooperation",
            "outcom: cooperation",
            "unknown key 'outcom' (did you mean 'outcome'?)",
        ),
        (
            MATRIX,
            "[first, second]",
            "[first, first]",
            "players: listed twice: first; list each once",
        ),
        (
            MATRIX,
            "  leave: {stay: [2, 0], leave: [0, 0]}",
            "",
            "payoffs.leave: missing; expected the payoffs of this choice",
        ),
        (MATRIX, "meaning: stay", "meanings: stay", "choices.stay.meaning: missing"),
        (
            MATRIX,
            "  leave: {meaning",
            "  no: {meaning",
            "choices: the key False is not text; put it in quotes",
        ),
        (
            TREE,
            "kind: sequential",
            "kind: sequential\nmany: true",
            "many: in a sequential game two people play; remove it",
        ),
        (
            MATRIX,
            "title: Mine",
            "title: Mine\nother_names: [7]",
            "other_names[0]: expected text (a name of the game), found 7; put it in quotes",
        ),
        (
            TREE,
            "{second: {stay",
            "{third: {stay",
            "payoffs.first.stay.third: unknown key 'third'; allowed: first, second",
        ),
        (
            TREE,
            "leave: [0, 0]",
            "leave: [0]",
            "payoffs.first.leave: [0] is too short; expected two payoffs such as [3, 0]",
        ),
        (
            TREE,
            "    leave: [0, 0]\n",
            "    leave:\n",
            "payoffs.first.leave: expected a list (two payoffs",
        ),
        (
            TREE,
            "{first: stay}]",
            "{first: leave}]",
            "histories.later: the game has ended, nobody decides",
        ),
        (TREE, "  later:", "  mean:", "histories: 'mean' is not allowed; expected at most"),
        (
            TREE,
            "{first: stay}]",
            "{second: stay}]",
            "histories.later: first moves here, not second",
        ),
        (
            TREE,
            "{first: stay}]",
            "{first: wait}]",
            "histories.later: unknown move 'wait'; allowed: stay, leave",
        ),
        (
            TREE,
            "past: stayed",
            "past: ''",
            "histories.later: needs the phrase moves.first.stay.past",
        ),
        (
            TREE,
            "    stay: {past",
            "    stai: {past",
            "histories.later: needs the phrase moves.first.stay.past",
        ),
        (
            TREE,
            "leave: [0, 2]}}",
            "go: [0, 2]}}",
            "histories.later: the moves there are stay, go, but choices are",
        ),
        (
            TREE,
            "{second: {stay",
            "{first: {stay",
            "histories.later: first moved last, so nobody else moves before the decision",
        ),
    ],
)
def test_faults_are_one_line_with_their_place(
    tmp_path: Path, text: str, old: str, new: str, problem: str
) -> None:
    folder = tmp_path / "My_Game"
    folder.mkdir()
    (folder / "game.yaml").write_text(text)
    assert load_game(folder).name == "My_Game"
    assert old in text
    (folder / "game.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ProblemList) as caught:
        load_game(folder)
    assert all(
        "\n" not in line and line.startswith(str(folder / "game.yaml"))
        for line in caught.value.problems
    )
    assert [line for line in caught.value.problems if problem in line], caught.value.problems


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    definition = yaml.safe_load(MATRIX)
    definition["payoffs"] = {"stay": {"stay": [1], "leave": 4}}
    (tmp_path / "game.yaml").write_text(yaml.safe_dump(definition))
    with pytest.raises(ProblemList) as caught:
        load_game(tmp_path)
    assert len(caught.value.problems) == 3


def test_faults_of_all_kinds_are_reported_at_once(tmp_path: Path) -> None:
    definition = yaml.safe_load(TREE)
    definition |= {
        "title": 7,
        "aliases": {"go": "leav"},
        "references": [{"of": "stay", "value": "two", "text": "half"}],
        "histories": {"later": [{"first": "wait"}]},
    }
    (tmp_path / "game.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    with pytest.raises(ProblemList) as caught:
        load_game(tmp_path)
    assert [line.partition("game.yaml: ")[2] for line in caught.value.problems] == [
        "aliases.go: 'leav' is not allowed (did you mean 'leave'?); allowed: stay, leave",
        "references[0].source: missing; expected where it was published",
        "references[0].value: unknown setting 'two'; settings of this game: none",
        "title: expected text (the name that figures and pages show), found 7; put it in quotes",
        "histories.later: unknown move 'wait'; allowed: stay, leave",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "- 1",
        "title: [",
        "a: b: c",
        "? {a: 1}\n: 2",
        "&x [*x]",
        "\x00",
        "[" * 300 + "]" * 300,
    ],
)
def test_no_game_file_gives_a_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "game.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_game(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_formulas() -> None:
    names = {"endowment": 10.0, "offer": 2.0}
    assert evaluate("(endowment - offer) * 1/2", names) == 4
    assert evaluate("-1/4", {}) == -0.25
    assert (
        fill_percentages("kept {1 - offer / endowment %} of it", names) == "kept 80 percent of it"
    )
    for wrong in ("__import__('os')", "offer ** 2", "1 / 0", "offer(", True, None, "a.b", "'x'"):
        with pytest.raises(ValueError):
            evaluate(wrong, names)
