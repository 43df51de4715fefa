"""Emotions are the files of a folder, and every problem with these files is one line."""

from pathlib import Path

import pytest

from emotion_games.errors import ProblemList
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli


def write(folder: Path, name: str, lines: list[str]) -> None:
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def events(name: str, number: int = 8) -> list[str]:
    return [f"{name} event {i}" for i in range(number)]


def test_stimuli_by_file_name(tmp_path: Path) -> None:
    write(tmp_path, "neutral", events("neutral"))
    write(tmp_path, "guilt", ["# a comment", "", "  two   spaces ", *events("guilt")])
    stimuli = load_stimuli(tmp_path)
    assert list(stimuli) == ["guilt", "neutral"]
    assert stimuli["guilt"] == ["two spaces", *events("guilt")]


def test_every_fourth_is_held_out() -> None:
    direction, held_out = split_stimuli(list("abcdefghij"))
    assert (direction, held_out) == (list("abcefgij"), ["d", "h"])


def test_all_problems_are_reported(tmp_path: Path) -> None:
    write(tmp_path, "anger", [*events("anger"), "Anger  event 3"])
    write(tmp_path, "fear", ["alone"])
    (tmp_path / "joy.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ProblemList) as caught:
        load_stimuli(tmp_path)
    missing, twice, few, unreadable = caught.value.problems
    assert "neutral.txt is missing" in missing
    anger = tmp_path / "anger.txt"
    assert twice == (
        f"{anger}, line 9: the same stimulus as in {anger}, line 4; remove one of them"
    )
    assert few.endswith("fear.txt: 1 stimuli; expected 8 or more, one per line")
    assert "joy.txt: cannot be read" in unreadable


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemList, match="no emotions; expected one .txt file for each"):
        load_stimuli(tmp_path)
