"""Result files appear together or not at all, and survive whatever a model writes."""

import json
import re

import pandas as pd
import pytest

from emotion_games.experiment.answers import NOT_GENERATED
from emotion_games.experiment.results import Outcome, publish
from emotion_games.experiment.trial_table import read_trials
from emotion_games.layout import RESULT_FILES

WILD = 'a "quoted"\r\nline,\rwith <script> and ünicode\t'


def an_outcome(trials, configuration=None):
    return Outcome(trials, checks=None, game=None, configuration=configuration or {})


def table():
    return pd.DataFrame(
        {
            "trial_id": ["a", "b"],
            "output": [WILD, ""],
            "category": pd.array([1, None], dtype="Int64"),
        }
    )


def test_wild_text_comes_back_from_both_files(tmp_path):
    publish(tmp_path / "x", an_outcome(table(), {"a": 1}), {"p": None})
    assert sorted(f.name for f in (tmp_path / "x").iterdir()) == sorted(RESULT_FILES)
    read = pd.read_csv(tmp_path / "x" / "exp_results.csv", keep_default_na=False)
    shown = WILD.replace("\r", "\\x0d")
    assert read["output"].tolist() == [shown, ""] and read["category"].tolist() == ["1", ""]
    assert json.loads((tmp_path / "x" / "exp_results.json").read_text())[0]["output"] == WILD


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x1e", "\n", "\r\n"])
def test_separators_inside_a_text_do_not_split_its_row(tmp_path, separator):
    text = f"one{separator}two"
    publish(tmp_path / "x", an_outcome(table().assign(output=text)), {"p": 1})
    rows = json.loads((tmp_path / "x" / "exp_results.json").read_text())
    assert [row["output"] for row in rows] == [text, text]


def test_not_a_number_never_reaches_a_file_and_leaves_none(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        publish(tmp_path / "x", an_outcome(table()), {"p": float("nan")})
    assert list((tmp_path / "x").iterdir()) == []


def test_earlier_results_stay_when_writing_fails(tmp_path):
    publish(tmp_path / "x", an_outcome(table()), {"p": 1})
    before = {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()}
    with pytest.raises(ValueError):
        publish(tmp_path / "x", an_outcome(table().assign(output="other")), {"p": float("inf")})
    assert {f.name: f.read_bytes() for f in (tmp_path / "x").iterdir()} == before


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    texts = [WILD, "NA", "", "\x00\r", " nan ", "\ufeff1", "=1+1", "-0.5", "\\x00", "\x9b"]
    numbers = {"intensity": -0.1 - 0.2, "repeat_num": 0, "seed": 7, "wording": 1, "push_ratio": 0.0}
    written = pd.DataFrame({"output": texts, "extraction_method": NOT_GENERATED}).assign(
        **numbers,
        generated=[True, False] * 5,
        category=pd.array([1, None] * 5, dtype="Int64"),
        valid_mass=[0.98765, None] * 5,
        valid_mass_after=[None, 1e-5] * 5,
        choice=["go", ""] * 5,
        choice_probabilities=['{"go": 0.1, "wait": 0.30000000000000004}', '{"go": 1.0}'] * 5,
        choice_probabilities_after=['{"wait": 0.2}', ""] * 5,
    )
    publish(tmp_path / "x", an_outcome(written), {})
    pd.testing.assert_frame_equal(read_trials(tmp_path / "x" / "exp_results.csv"), written)


def test_no_file_holds_a_formula_or_a_control_character(tmp_path):
    texts = ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1", "-1", "\x1b[2J\x00", "\u202egnp.exe", "\x9b1m"]
    written = table().loc[[0] * len(texts)].assign(output=texts, intensity=-0.5)
    publish(tmp_path / "x", an_outcome(written), {"texts": texts})
    lines = (tmp_path / "x" / "exp_results.csv").read_text(encoding="utf-8").splitlines()
    # A number stays a number, also a negative one.
    assert lines[1] == """"a","'=cmd|' /C calc'!A0",1,-0.5"""
    assert [line.split(",")[1] for line in lines[2:5]] == ['"\'@SUM(A1)"', '"\'+1"', '"\'-1"']
    for name in RESULT_FILES[1:]:
        content = (tmp_path / "x" / name).read_text(encoding="utf-8")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", content), name
    objects = json.loads((tmp_path / "x" / "exp_results.json").read_text(encoding="utf-8"))
    assert [row["output"] for row in objects] == texts
