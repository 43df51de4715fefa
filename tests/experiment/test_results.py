"""Result files appear together or not at all, and survive whatever a model writes."""

import json

import pandas as pd
import pytest

from emotion_games.experiment.results import publish
from emotion_games.layout import RESULT_FILES

WILD = 'a "quoted"\r\nline,\rwith <script> and ünicode\t'


def table():
    return pd.DataFrame(
        {
            "trial_id": ["a", "b"],
            "output": [WILD, ""],
            "category": pd.array([1, None], dtype="Int64"),
        }
    )


def test_wild_text_comes_back_from_both_files(tmp_path):
    publish(tmp_path / "x", table(), {"a": 1}, {"p": None})
    assert sorted(f.name for f in (tmp_path / "x").iterdir()) == sorted(RESULT_FILES)
    read = pd.read_csv(tmp_path / "x" / "exp_results.csv", keep_default_na=False)
    assert read["output"].tolist() == [WILD, ""] and read["category"].tolist() == ["1", ""]
    assert json.loads((tmp_path / "x" / "exp_results.json").read_text())[0]["output"] == WILD


def test_not_a_number_never_reaches_a_file_and_leaves_none(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        publish(tmp_path / "x", table(), {}, {"p": float("nan")})
    assert list((tmp_path / "x").iterdir()) == []


def test_earlier_results_stay_when_writing_fails(tmp_path):
    publish(tmp_path / "x", table(), {}, {"p": 1})
    before = {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()}
    with pytest.raises(ValueError):
        publish(tmp_path / "x", table().assign(output="other"), {}, {"p": float("inf")})
    assert {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()} == before
