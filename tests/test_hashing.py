"""Hashes depend on contents and on code, and on nothing else."""

import os

import pytest

from emotion_games import hashing
from emotion_games.errors import UserError
from emotion_games.hashing import code_hash, content_hash, digest


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2, "é"]}) == digest({"b": [2, "é"], "a": 1})
    assert digest([1, 2]) != digest([2, 1])


def test_the_hash_of_a_folder_is_that_of_its_data_files(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "x.yaml").write_text("1")
    for name in ("README.txt", ".x.yaml.swp", "x.yaml~"):
        (second / name).write_text("notes")
    (second / "old.yaml").mkdir()
    assert content_hash(first) == content_hash(second)
    (second / "x.yaml").rename(second / "y.yaml")
    assert content_hash(first) != content_hash(second)


def test_a_pipe_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        content_hash(tmp_path)


CODE = """
def double(x):
    return 2 * x
"""
SAME_CODE = '''
"""A module."""

# Twice as much.
def double( x ):
    """Return the double."""
    return (2 * x)
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library with one package of two modules."""
    monkeypatch.setattr(hashing, "LIBRARY", tmp_path)
    (tmp_path / "engine" / "parts").mkdir(parents=True)
    for name in ("scoring.py", "parts/read.py"):
        (tmp_path / "engine" / name).write_text(CODE)
    return tmp_path


def test_comments_docstrings_and_layout_do_not_change_the_hash_of_code(library):
    before = code_hash(["engine"])
    (library / "engine" / "scoring.py").write_text(SAME_CODE)
    assert code_hash(["engine"]) == before
    (library / "engine" / "scoring.py").write_text(CODE.replace("2", "3"))
    assert code_hash(["engine"]) != before


def test_modules_can_be_left_out_of_the_hash_of_code(library):
    before = code_hash(["engine"], without=["engine/parts/read.py"])
    assert before != code_hash(["engine"])
    (library / "engine" / "parts" / "read.py").write_text("x = 1")
    assert code_hash(["engine"], without=["engine/parts/read.py"]) == before
