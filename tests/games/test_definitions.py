"""Tests of the checks of game files: no value gives a traceback or is misread."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_games.errors import ProblemList
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.games.definitions import build_game
from emotion_games.games.formulas import evaluate, fill_percentages

GAME = """
title: Mine
kind: sequential
outcome: trust
players: [first, second]
family: Mine_Game
role: second
settings: {endowment: 10, sent: 4}
choices:
  stay: {meaning: stay, value: 1, amount: sent / endowment}
  leave: {meaning: leave, value: 0, amount: 0}
payoffs:
  first:
    send: {second: {stay: [endowment - sent, sent], leave: [0, endowment]}}
    keep: [endowment, 0]
histories:
  later: [{first: send}]
moves:
  first:
    send: {past: {other: "sent {sent / endowment %} of it"}, present: {other: sends a part}}
references:
  - {of: amount, value: 0.5, text: about half, source: nobody}
human_effects:
  anger: {sign: -1, text: fewer stay, source: nobody}
aliases: {go: leave}
"""
ODD = (
    None,
    7,
    -3.5,
    float("nan"),
    float("inf"),
    10**400,
    True,
    "",
    "x",
    "{",
    [],
    ["a", "b"],
    [[1]],
    {},
    {1: 2},
)


def load(tmp_path: Path, text: str) -> Any:
    (tmp_path / "game.yaml").write_text(text)
    return load_game(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "  later: [{first: send}]",
            "  [a, b]",
            "histories: expected keys and values",
        ),
        (
            "endowment: 10",
            f"endowment: {10**400}",
            "settings.endowment: expected a number from -2^53 to 2^53, found a larger one",
        ),
        (
            "[endowment, 0]",
            f"[endowment + {10**300}, 0]",
            "payoffs.first.keep[0]: expected a number from -1,000,000,000 to 1,000,000,000, found",
        ),
        (
            "[endowment, 0]",
            "[endowment, 1e308 * 10]",
            "payoffs.first.keep[1]: expected a number from -1,000,000,000 to 1,000,000,000, found",
        ),
        (
            "[endowment, 0]",
            f"[endowment, 0{' + 1' * 200}]",
            "payoffs.first.keep[1]: longer than 500 characters: '0 + 1",
        ),
        (
            "[endowment, 0]",
            "[endowment, .nan]",
            "payoffs.first.keep[1]: expected a number from -2^53 to 2^53, found nan",
        ),
        (
            "amount: 0}",
            "amount: 10}",
            "choices.leave.amount: expected a number from 0 to 1, found 10",
        ),
        (
            "amount: sent / endowment",
            "amount: sent",
            "choices.stay.amount: expected a number from 0 to 1, found 4",
        ),
        (
            "value: 0.5,",
            "value: 50,",
            "references[0].value: expected a number from 0 to 1, found 50",
        ),
        (
            "sign: -1,",
            "sign: 2,",
            "human_effects.anger.sign: 2 is not allowed; allowed: -1, 0, 1",
        ),
        (
            "text: fewer stay, source: nobody",
            "text: fewer stay",
            "human_effects.anger.source: missing; expected where it was published",
        ),
        ("value: 0,", "value: 1,", "choices: all have the value 1; give two different ones"),
        (
            "{sent / endowment %}",
            "{sent}",
            "moves.first.send.past.other: a model would read the braces; write a share",
        ),
        (
            "{sent / endowment %}",
            "{sent %",
            "moves.first.send.past.other: a model would read the braces; write a share",
        ),
        (
            "present: {other: sends a part}",
            "option: true",
            "moves.first.send.option: unknown choice of the model 'send'; allowed: stay, leave",
        ),
        (
            "sends a part",
            "'sends {sent} %'",
            "moves.first.send.present.other: a model would read the braces",
        ),
        (
            "family: Mine_Game",
            "family: [Mine]",
            "family: expected text (the name of both roles together), found ['Mine']",
        ),
        ("[first, second]", "[1, 2]", "players[0]: expected text (the name of a player), found 1"),
    ],
)
def test_faults_are_one_line_with_their_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert load(tmp_path, GAME).role == "second"
    assert old in GAME
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, GAME.replace(old, new, 1))
    assert all("\n" not in line for line in caught.value.problems)
    found = [
        line
        for line in caught.value.problems
        if line.startswith(str(tmp_path / "game.yaml")) and problem in line
    ]
    assert found, caught.value.problems


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every value inside a definition."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, item in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def test_no_value_anywhere_gives_a_traceback(tmp_path: Path) -> None:
    definition = yaml.safe_load(GAME)
    for place in places(definition):
        for odd in ODD:
            changed = copy.deepcopy(definition)
            part = changed
            for key in place[:-1]:
                part = part[key]
            part[place[-1]] = odd
            try:
                game = build_game(tmp_path, changed, "game.yaml")
            except ProblemList as error:
                assert all(
                    line.startswith("game.yaml") and "\n" not in line for line in error.problems
                ), (place, odd)
            else:
                assert {choice.value for choice in game.choices} == {0, 1} and game.histories, (
                    place,
                    odd,
                )


def test_a_setting_that_makes_an_amount_impossible_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ProblemList) as caught:
        apply_settings(load(tmp_path, GAME), {"endowment": 2})
    assert caught.value.problems == [
        f"game_settings.{tmp_path.name}: choices.stay.amount: "
        "expected a number from 0 to 1, found 2 (a share of the whole)"
    ]


def test_wrong_formulas_are_refused_in_one_line() -> None:
    for wrong in (
        10**400,
        float("nan"),
        f"{10**400} / 3",
        "9" * 5000,
        "1e308 + 1e308",
        "-" * 100_000 + "1",
        "(" * 500,
    ):
        with pytest.raises(ValueError) as caught:
            evaluate(wrong, {})
        assert len(str(caught.value)) < 150
    with pytest.raises(ValueError, match="a model would read the braces"):
        fill_percentages("kept {endowment}", {"endowment": 10.0})
