"""Entries that cannot be used are counted by their reason, and labels listed for a config."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_games.games.catalog import load_game
from emotion_games.games.records import Game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.games.skipped import Skipped, label_block, summary

GAMES = Path(__file__).parents[2] / "config" / "games"
DILEMMA = load_game(GAMES / "Prisoners_Dilemma")
PROPOSER = load_game(GAMES / "Ultimatum_Game_Proposer")
RESPONDER = load_game(GAMES / "Ultimatum_Game_Responder")
LABELS = {"stingy": "offer_low", "fair": "offer_medium", "generous": "offer_high"}


def story(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "description": f"Ann and Bob share garden {number}.",
        "participants": ["Ann", "Bob"],
        "behavior_choices": {"cooperate": "Weed it", "defect": "Rest"},
        **changes,
    }


def offers(number: int) -> dict[str, Any]:
    """Return a story of both roles with labels of its own."""
    return {
        "description": f"Ann and Bob share prize {number}.",
        "participants": [
            {"name": "Ann", "role": "proposer"},
            {"name": "Bob", "role": "responder"},
        ],
        "proposer_behavior_choices": {
            "stingy": "Offer 20% to Bob",
            "fair": "Offer 40% to Bob",
            "generous": "Offer 60% to Bob",
        },
        "responder_behavior_choices": {"yes": "Take it", "no": "Refuse it"},
    }


def load(path: Path, data: Any, game: Game, **options: Any) -> tuple[list[Any], list[Skipped]]:
    path.write_text(json.dumps(data))
    return load_scenarios(path, game, **options)


def test_equal_reasons_are_summed(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    data = [story(0), *(story(1 + n, participants=["Ann"]) for n in range(57)), story(0), "text"]
    scenarios, skipped = load(path, data, DILEMMA)
    assert summary(skipped, len(scenarios)) == [
        "59 of 60 entries cannot be used:",
        f"  57 entries, first {path}[1]: participants: ['Ann'] is too short; expected two people "
        "or more, each with a name",
        f"  {path}[58]: description: the same as in an earlier entry; remove one or change it",
        f"  {path}[59]: expected keys and values (the fields of a scenario), found 'text'",
    ]
    assert str(skipped[57]).endswith(f"change it (the earlier one is {path}[0])")


def test_many_reasons_are_cut(tmp_path: Path) -> None:
    skipped = [Skipped(f"f[{n}]", (f"reason {n}",)) for n in range(20)]
    assert summary(skipped, 0)[-1] == "  and 12 more reasons"


@pytest.mark.parametrize("name", ["Stag Hunt", "stag_hunt", "Stag-Hunt game", "The StagHunt"])
def test_entries_of_another_game_are_left_out_and_counted_apart(tmp_path: Path, name: str) -> None:
    data = [story(n) for n in range(3)] + [story(9 + n, game_name=name) for n in range(27)]
    scenarios, skipped = load(tmp_path / "mixed.json", data, DILEMMA)
    assert len(scenarios) == 3
    assert summary(skipped, 3) == [f"27 entries of other games: 27 of {name}"]


@pytest.mark.parametrize(
    "name",
    ["Prisoners_Dilemma", "Prisoner's Dilemma", "prisoners dilemma", "Prisoner’s Dilemma game"],
)
def test_the_name_of_the_game_is_read_forgivingly(tmp_path: Path, name: str) -> None:
    data = [story(0, game_name=name), story(1, game_name=None), story(2, game_name=" ")]
    scenarios, skipped = load(tmp_path / "own.json", data, DILEMMA)
    assert len(scenarios) == 3 and skipped == []


def test_a_game_that_nobody_knows_is_said(tmp_path: Path) -> None:
    path = tmp_path / "chess.json"
    _, (chess, number) = load(path, [story(0, game_name="Chess"), story(1, game_name=3)], DILEMMA)
    assert str(chess) == (
        f"{path}[0]: game_name: 'Chess' is neither Prisoner's Dilemma nor another game; correct "
        "it, or remove the field"
    )
    assert str(number).startswith(f"{path}[1]: game_name: expected text")


def test_a_role_takes_the_entries_of_its_family_and_not_those_of_the_other_role(
    tmp_path: Path,
) -> None:
    names = ["Ultimatum_Game", "Ultimatum_Game_Proposer", "Ultimatum_Game_Responder"]
    data = [offers(n) | {"game_name": name} for n, name in enumerate(names)]
    labels = LABELS | {"yes": "accept", "no": "reject"}
    scenarios, (other,) = load(tmp_path / "u.json", data, PROPOSER, choice_labels=labels)
    assert len(scenarios) == 2 and other.other_game == "Ultimatum_Game_Responder"


def test_unknown_labels_make_a_block_that_can_be_pasted_into_a_config(tmp_path: Path) -> None:
    choices = {"go_together": "Weed it", "1": "Rest"}
    data = [story(n, behavior_choices=choices) for n in range(57)]
    data += [story(60, behavior_choices={"cooprate": "Weed it", "defect": "Rest"})]
    _, skipped = load(tmp_path / "mine.json", data, DILEMMA)
    block = label_block([(DILEMMA, skipped), (RESPONDER, [])])
    assert block == [
        "choice_labels:",
        "  Prisoners_Dilemma:  # cooperate, defect",
        "    go_together: ...  # 57 entries",
        '    "1": ...  # 57 entries',
        "    cooprate: cooperate  # 1 entry",
    ]
    completed = "\n".join(block).replace("...", "cooperate", 1).replace("...", "defect")
    labels = yaml.safe_load(completed)["choice_labels"]["Prisoners_Dilemma"]
    scenarios, skipped = load(tmp_path / "mine.json", data, DILEMMA, choice_labels=labels)
    assert len(scenarios) == 58 and skipped == []
    assert label_block([(DILEMMA, skipped)]) == []


def test_roles_that_read_one_file_share_a_block(tmp_path: Path) -> None:
    data = [offers(n) for n in range(14)]
    both = [(game, load(tmp_path / "u.json", data, game)[1]) for game in (PROPOSER, RESPONDER)]
    assert label_block(both) == [
        "choice_labels:",
        "  Ultimatum_Game:  # accept, reject, offer_low, offer_medium, offer_high",
        *(f"    {label}: ...  # 14 entries" for label in LABELS),
        *(f'    "{label}": ...  # 14 entries' for label in ("yes", "no")),
    ]


def test_labels_of_the_other_role_matter_if_its_moves_are_told(tmp_path: Path) -> None:
    path, own = tmp_path / "u.json", {"yes": "accept", "no": "reject"}
    _, (skipped,) = load(path, [offers(0)], RESPONDER, choice_labels=own)
    assert list(skipped.labels) == list(LABELS)
    assert str(skipped).startswith(
        f"{path}[0]: proposer_behavior_choices: unknown choice 'stingy'; allowed: offer_low, "
        "offer_medium, offer_high, or map it in the config: "
        "choice_labels: {Ultimatum_Game: {stingy: ...}}; "
    )
    (scenario,), _ = load(path, [offers(0)], RESPONDER, choice_labels=own | LABELS)
    assert scenario.earlier["offer_low"] == "Offer 20% to Bob"
    assert scenario.options["accept"] == "Take it"
    # The responder's answer is not told to the proposer.
    (scenario,), _ = load(path, [offers(0)], PROPOSER, choice_labels=LABELS)
    assert scenario.options["offer_high"] == "Offer 60% to Bob"
    # A text for a further move hides none that is told.
    more = offers(0)
    more["proposer_behavior_choices"]["everything"] = "Offer it all"
    _, skipped = load(path, [more], RESPONDER, choice_labels=own | LABELS)
    assert skipped == []


@pytest.mark.parametrize("label", ["yes", "No", "on", "1", "2.5", "null", "a: b", "é"])
def test_advice_puts_a_label_in_quotes_where_yaml_needs_it(tmp_path: Path, label: str) -> None:
    choices = {label: "Weed it", "defect": "Rest"}
    _, skipped = load(tmp_path / "mine.json", [story(0, behavior_choices=choices)], DILEMMA)
    block = "\n".join(label_block([(DILEMMA, skipped)]))
    assert list(yaml.safe_load(block)["choice_labels"]["Prisoners_Dilemma"]) == [label]
    advice = str(skipped[0]).partition("config: ")[2]
    assert list(yaml.safe_load(advice)["choice_labels"]["Prisoners_Dilemma"]) == [label]


def test_labels_that_yaml_reads_as_something_else_are_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = yaml.safe_dump([story(0)])
    path.write_text(text.replace("cooperate", "yes").replace("defect", "2"))
    _, (skipped,) = load_scenarios(path, DILEMMA)
    assert list(skipped.labels) == ["yes", "2"]
    scenarios, _ = load_scenarios(path, DILEMMA, {"yes": "cooperate", "2": "defect"})
    assert scenarios[0].options == {"cooperate": "Weed it", "defect": "Rest"}
    path.write_text(text.replace("cooperate", "yes").replace("defect", "true"))
    assert "given twice" in str(load_scenarios(path, DILEMMA)[1][0])


@pytest.mark.parametrize("character", ["\ud83d", "\x00", "\x1b", "\x7f", "\x9b"])
def test_a_story_with_a_character_that_is_no_text_is_left_out(
    tmp_path: Path, character: str
) -> None:
    bad = f"a{character}b"
    data = [
        story(0),
        story(1, description=bad),
        story(2, scenario=bad),
        story(3, id=bad),
        story(4, participants=["Ann", bad]),
        story(5, participants=["Ann", {"name": "Bob", "profile": bad}]),
        story(6, behavior_choices={"cooperate": bad, "defect": "Rest"}),
        story(7, behavior_choices={bad: "Weed it", "defect": "Rest"}),
        story(8, description="Line one.\r\n\tLine two."),
    ]
    scenarios, skipped = load(tmp_path / "mine.json", data, DILEMMA)
    assert len(scenarios) == 2 and len(skipped) == 7
    for one in skipped:
        assert f"U+{ord(character):04X}" in str(one) or "half a character" in str(one)
        assert str(one).isprintable()
    assert "".join(summary(skipped, 2)).isprintable()


def test_a_story_that_contradicts_the_payoffs_is_left_out_only_where_they_are_told(
    tmp_path: Path,
) -> None:
    wrong = offers(1)
    wrong["proposer_behavior_choices"]["generous"] = "Offer 50% to Bob"
    labels = LABELS | {"yes": "accept", "no": "reject"}
    path = tmp_path / "u.json"
    for game, told in ((PROPOSER, "60 %"), (RESPONDER, "40 % or 60 %")):
        scenarios, skipped = load(path, [offers(0), wrong], game, choice_labels=labels)
        assert len(scenarios) == 2 and skipped == []
        scenarios, (line,) = load(
            path, [offers(0), wrong], game, choice_labels=labels, show_payoffs=True
        )
        assert len(scenarios) == 1
        assert str(line) == (
            f"{path}[1]: proposer_behavior_choices.generous: its numbers give 50 %, and the game's "
            f"{told}, which show_payoffs would tell; change one of them, or set "
            "show_payoffs: false"
        )


def test_folders_and_files_that_are_not_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "one.json").write_text(json.dumps(story(0)))
    os.mkfifo(tmp_path / "pipe.json")
    scenarios, skipped = load_scenarios(tmp_path, DILEMMA)
    assert len(scenarios) == 1
    folder, gone, loop, pipe = summary(skipped, 1)
    assert folder == (
        f"{tmp_path}/sub: a folder in the folder of scenarios, which is not read; move its files up"
    )
    assert gone.startswith(f"{tmp_path}/gone.json: cannot be read: No such file")
    assert loop.startswith(f"{tmp_path}/loop.json: cannot be read: Too many levels")
    assert pipe == f"{tmp_path}/pipe.json: cannot be read: not a regular file"
