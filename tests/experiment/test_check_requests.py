"""Checks are made under the right push, and their rows hold what was measured."""

import json

import pytest

from emotion_games.errors import UserError
from emotion_games.experiment import check_requests
from emotion_games.experiment.check_records import check_row, read_checks, write_checks
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.requests import load_questions
from tiny import tiny_model
from tiny_experiment import FILES, SETTINGS, spec_of

MODEL = tiny_model("llama")


@pytest.fixture(scope="module")
def questions():
    return load_questions(spec_of(SETTINGS), FILES)


def names():
    return {c.name: c for c in plan_conditions(SETTINGS)}


def test_perplexity_is_the_mean_negative_log_likelihood():
    row = check_row(
        {"key": "perplexity|steered-anger-1|0", "scores": {"per_token": {"text": -2.5}}}, names()
    )
    assert (row["value"], row["emotion"], row["intensity"]) == (2.5, "anger", 1.0)


def test_comprehension_counts_only_the_right_answer():
    scores = {"probabilities": {"right": 0.3, "wrong_1": 0.4, "wrong_2": 0.3}}
    assert (
        check_row({"key": "comprehension|neutral|s/h/0", "scores": scores}, names())["value"] == 0.0
    )


def test_comprehension_is_asked_in_neutral_about_every_outcome(questions):
    found = list(check_requests.comprehension_requests(questions, MODEL))
    assert len(found) == 4 * len(questions.scenarios), "a matrix of two by two has four outcomes"
    assert all(list(r.options).count("right") == 1 and r.push is None for r in found)


@pytest.mark.parametrize("decoding", ["guided", "free"])
@pytest.mark.parametrize("show_payoffs", [False, True])
def test_the_keys_of_the_checks_are_known_without_a_model(decoding, show_payoffs):
    changes = {"decoding": decoding, "show_payoffs": show_payoffs}
    questions = load_questions(spec_of(SETTINGS | changes), FILES)
    requests = check_requests.check_requests(questions, MODEL)
    assert check_requests.check_keys(questions) == [request.key for request in requests]


def row_of(kind, scores, condition="steered-anger-1"):
    return check_row({"key": f"{kind}|{condition}|0", "scores": scores}, names())


def test_the_value_of_a_dominance_item_is_the_probability_of_the_better_answer():
    row = row_of("dominance", {"probabilities": {"better": 0.8, "worse": 0.2}})
    assert (row["arm"], row["emotion"], row["value"]) == ("steered", "anger", 0.8)


def test_the_value_of_a_sentence_is_its_mean_log_likelihood():
    assert row_of("held_out_sentences", {"per_token": {"text": -2.5}})["value"] == -2.5


def test_the_probability_of_an_emotion_is_that_of_all_its_words():
    words = {"anger/angry": 0.25, "anger/furious": 0.125, "fear/afraid": 0.625}
    row = row_of("felt_emotion", {"probabilities": words})
    assert json.loads(row["probabilities"]) == {"anger": 0.375, "fear": 0.625}
    named = row_of("named_emotion", {"probabilities": {"anger": 0.75, "fear": 0.25}})
    assert json.loads(named["probabilities"]) == {"anger": 0.75, "fear": 0.25}


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = [
        row_of("felt_emotion", {"probabilities": {"anger/angry": 1.0}}, "neutral"),
        row_of("perplexity", {"per_token": {"text": -1 / 3}}),
    ]
    write_checks(tmp_path / "new" / "push_checks.csv", rows)
    assert read_checks(tmp_path / "new" / "push_checks.csv") == rows


@pytest.mark.parametrize("content", [None, "check\nx\n", "check,intensity,value\na,b,c\n"])
def test_a_table_that_cannot_be_read_is_refused_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "push_checks.csv").write_text(content)
    with pytest.raises(UserError, match="push_checks.csv: is missing or damaged") as caught:
        read_checks(tmp_path / "push_checks.csv")
    assert len(str(caught.value).splitlines()) == 1
