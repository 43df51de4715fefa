"""Records in the journal survive; unfinished, damaged and foreign lines are never mixed in."""

import json

import pytest

from emotion_games.experiment.journal import Journal, read_journal
from emotion_games.hashing import digest

BATCHES = [[{"key": "a", "answer": "ä"}, {"key": "b"}], [{"key": "c"}]]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.trials.jsonl"
    journal = Journal(path, "f1")
    for batch in BATCHES:
        journal.append(batch)
    return path


def read(path, fingerprint="f1"):
    lines = []
    return [r["key"] for r in read_journal(path, fingerprint, lines.append)], lines


def test_everything_appended_comes_back(path):
    assert read(path) == (["a", "b", "c"], [])
    journal = Journal(path, "f1")
    assert list(journal.records) == ["a", "b", "c"]
    journal.append([{"key": "d"}])
    assert read(path)[0] == ["a", "b", "c", "d"]


def test_every_cut_of_the_last_line_loses_that_batch_only(path):
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        keys, lines = read(path)
        assert keys == ["a", "b"] and "unfinished last line" in lines[0]
        assert path.read_bytes() == whole[:start], (
            "what was torn is cut off, so that appending goes on cleanly"
        )


def test_a_damaged_line_keeps_what_came_before_and_the_old_file(path):
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'[{"key": "a"', b'[{"key": "a\x00'))
    keys, lines = read(path)
    assert keys == [] and "line 2 is damaged" in lines[0]
    assert path.with_suffix(".cut").exists()


def test_a_foreign_journal_is_kept_aside(path):
    keys, lines = read(path, "f2")
    assert keys == [] and "other settings" in lines[0]
    assert not path.exists()
    aside = list(path.parent.glob("*.aside"))
    assert len(aside) == 1 and json.loads(aside[0].read_text().splitlines()[0]) == {
        "fingerprint": "f1"
    }


@pytest.mark.parametrize("content", [b"", b"{", b"\x00\x01\n", b"[]\n"])
def test_a_journal_without_a_header_is_damaged(path, content):
    path.write_bytes(content)
    assert read(path)[0] == []


def test_numbers_that_json_cannot_hold_are_refused(path):
    with pytest.raises(ValueError):
        Journal(path, "f1").append([{"key": "d", "value": float("nan")}])
    assert read(path)[0] == ["a", "b", "c"]


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
