"""Files are replaced completely, and a reserve lets a process record its end on a full disk."""

import errno
import fcntl
import json
import os

import pytest
from filelock import Timeout

from emotion_games import files


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write_json(path, {"a": 1})

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[1]", "3", "null", "{", "[" * 100_000, '{"a": "\\', "\x00"])
def test_a_damaged_file_of_json_counts_as_missing(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    assert files.read_json(path) is None


def test_a_pipe_or_a_folder_in_place_of_a_file_of_json_counts_as_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    assert files.read_json(tmp_path / "pipe.json") is None
    assert files.read_json(tmp_path) is None and files.read_json(tmp_path / "no.json") is None


def test_a_new_folder_replaces_the_old_one_only_if_nothing_fails(tmp_path):
    path = tmp_path / "plots"
    with files.new_folder(path) as folder:
        (folder / "old.svg").touch()
    with pytest.raises(ValueError, match="cannot be drawn"), files.new_folder(path) as folder:
        (folder / "half.svg").touch()
        raise ValueError("cannot be drawn")
    assert [p.name for p in path.iterdir()] == ["old.svg"] and list(tmp_path.iterdir()) == [path]
    with files.new_folder(path) as folder:
        (folder / "new.svg").touch()
    assert [p.name for p in path.iterdir()] == ["new.svg"] and list(tmp_path.iterdir()) == [path]


def test_a_lock_is_seen_by_others_only_while_it_is_held(tmp_path):
    path = tmp_path / "locks" / "A.lock"
    assert not files.is_locked(path)
    with files.lock(path):
        assert files.is_locked(path)
        with pytest.raises(Timeout), files.lock(path, wait=0):
            pass
    assert not files.is_locked(path)


def test_a_file_system_without_locks_is_an_error_at_once(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(OSError, match="Function not implemented"), files.lock(tmp_path / "A.lock"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
def test_the_reserve_makes_room_on_a_full_disk(tmp_path, number):
    reserve, record = tmp_path / "A.reserve", tmp_path / "A.json"
    files.keep_reserve(reserve)
    assert reserve.stat().st_size == files.RESERVE_BYTES

    def write():
        if reserve.exists():
            raise OSError(number, "no room")
        files.write_json(record, {"status": "failed"})
        return "written"

    assert files.write_final(reserve, write) == "written"
    assert files.read_json(record) == {"status": "failed"}


def test_other_errors_are_not_retried(tmp_path):
    calls = []

    def broken():
        calls.append(1)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        files.write_final(tmp_path / "A.reserve", broken)
    assert calls == [1]


def test_a_document_of_records_has_a_line_for_each_of_them():
    content = {
        "n": 2,
        "rows": [{"a": 1, "b": [0.5, None]}, {"a": "é\x9b"}],
        "none": [],
        "by": {"x": 1},
    }
    text = files.records_text(content)
    assert json.loads(text) == content
    assert [line.strip() for line in text.splitlines()] == [
        *("{", '"n": 2,', '"rows": [', '{"a":1,"b":[0.5,null]},', '{"a":"é\\u009b"}', "],"),
        *('"none": [],', '"by": {', '"x": 1', "}", "}"),
    ]
    with pytest.raises(ValueError, match="JSON"):
        files.records_text({"n": float("nan")})
