"""The hash of the answering code covers whole packages, less what cannot change an answer."""

import shutil

from emotion_games import hashing
from emotion_games.experiment import provenance


def test_what_is_left_out_exists():
    assert all((hashing.LIBRARY / name).is_file() for name in provenance.NOT_ANSWERING)


def test_the_hash_follows_the_answering_packages(tmp_path, monkeypatch):
    shutil.copytree(hashing.LIBRARY, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(hashing, "LIBRARY", tmp_path)
    before = provenance.answering_code_hash()
    for name in ("series/grid.py", "analysis/claims.py", *provenance.NOT_ANSWERING):
        (tmp_path / name).write_text("changed = True")
    assert provenance.answering_code_hash() == before
    for room in provenance.ANSWERING_ROOMS:
        (tmp_path / room / "new.py").write_text("answer = 42")
        after = provenance.answering_code_hash()
        assert after != before, room
        before = after


def test_the_hash_ignores_words_and_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "LIBRARY", tmp_path)
    (tmp_path / "engine").mkdir()
    module, found = tmp_path / "engine" / "a.py", []
    for text in (
        'def f(x):\n    """Docs."""\n    return x + 1\n',
        '"""Module."""\n\n\ndef f(\n    x,\n):  # a comment\n'
        '    """Other docs."""\n    return x + 1\n',
        "def f(x):\n    return x + 2\n",
    ):
        module.write_text(text)
        found.append(hashing.code_hash(["engine"]))
    assert found[0] == found[1] != found[2]


def test_environment_names_what_matters():
    found = provenance.environment()
    assert found["python"]
    assert found["packages"]["torch"] and found["packages"]["transformers"]
