"""Emotions are the files of a folder, and every problem with these files is one line."""

import json
from pathlib import Path

import pytest

from emotion_games.errors import ProblemList
from emotion_games.prompts.stimuli import (
    SHIPPED,
    load_stimuli,
    reference_emotions,
    split_stimuli,
    stimulus_files,
    story_events,
    used_stimuli,
)


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


def test_a_set_without_neutral_is_a_set(tmp_path: Path) -> None:
    write(tmp_path, "guilt", events("guilt"))
    assert list(load_stimuli(tmp_path)) == ["guilt"]


def test_the_reference_is_that_of_the_shipped_emotions_where_all_of_them_are(
    tmp_path: Path,
) -> None:
    for name in (*SHIPPED[1:], "guilt", "neutral"):
        write(tmp_path, name, events(name))
    assert reference_emotions(tmp_path) == sorted([*SHIPPED[1:], "guilt"]), "all of a foreign set"
    write(tmp_path, SHIPPED[0], events(SHIPPED[0]))
    assert reference_emotions(tmp_path) == sorted(SHIPPED)
    assert used_stimuli(tmp_path, ["fear"]) == sorted([*SHIPPED, "neutral"])
    assert used_stimuli(tmp_path, ["guilt"]) == sorted([*SHIPPED, "guilt", "neutral"])
    assert list(load_stimuli(tmp_path, ["guilt"])) == used_stimuli(tmp_path, ["guilt"])


def test_every_fourth_is_held_out() -> None:
    direction, held_out = split_stimuli(list("abcdefghij"))
    assert (direction, held_out) == (list("abcefgij"), ["d", "h"])
    assert story_events(list("abcdefghij")) == list("dhabcefgij")


def test_all_problems_are_reported(tmp_path: Path) -> None:
    write(tmp_path, "anger", events("anger"))
    write(tmp_path, "fear", ["alone", "Anger  event 3"])
    (tmp_path / "joy.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ProblemList) as caught:
        load_stimuli(tmp_path)
    twice, few, unreadable = caught.value.problems
    anger, fear = tmp_path / "anger.txt", tmp_path / "fear.txt"
    assert twice == f"{fear}, line 2: the same stimulus as in {anger}, line 4; remove one of them"
    assert few.endswith("fear.txt: 1 stimuli; expected 8 or more, one per line")
    assert "joy.txt: not UTF-8 text" in unreadable


def test_a_json_list_is_a_file_of_stimuli(tmp_path: Path) -> None:
    write(tmp_path, "neutral", events("neutral"))
    path = tmp_path / "anger.json"
    path.write_text(json.dumps(["# no comment", "", "two  lines\nhere", *events("anger")]))
    assert load_stimuli(tmp_path, ["anger"])["anger"][:2] == ["# no comment", "two lines here"]
    assert stimulus_files(tmp_path) == {"anger": path, "neutral": tmp_path / "neutral.txt"}


@pytest.mark.parametrize("data", [{"events": []}, ["one", 2], "one"])
def test_other_json_is_refused(tmp_path: Path, data: object) -> None:
    write(tmp_path, "neutral", events("neutral"))
    (tmp_path / "anger.json").write_text(json.dumps(data))
    with pytest.raises(ProblemList, match=r"anger.json: expected a list of texts, found"):
        load_stimuli(tmp_path)


def test_two_files_for_one_emotion_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "neutral", events("neutral"))
    (tmp_path / "neutral.json").write_text(json.dumps(events("even")))
    with pytest.raises(ProblemList, match=r"neutral.txt: neutral has a .json and a .txt file"):
        load_stimuli(tmp_path)


def test_a_stimulus_that_its_file_repeats_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "neutral", events("neutral"))
    write(tmp_path, "anger", [*events("anger"), "Anger  event 3"])
    lines: list[str] = []
    assert load_stimuli(tmp_path, log=lines.append)["anger"] == events("anger")
    anger = tmp_path / "anger.txt"
    assert lines == [f"{anger}, line 9: the same stimulus as in {anger}, line 4; it counts once"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "neutral", events("neutral"))
    with pytest.raises(ProblemList, match="no emotions; expected a .txt or .json file for each"):
        load_stimuli(tmp_path)
