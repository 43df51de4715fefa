"""A prompts file is checked as a whole, one line for each fault."""

from pathlib import Path

import pytest

from emotion_games.errors import ProblemList
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            '"<your reasons in one or two sentences>", "decision"',
            '"<your reasons in one or two sentences>", "choice"',
            "answer_form.rationale: expected the JSON keys 'rationale', 'decision', found "
            "'rationale', 'choice'; answers are read by these keys",
        ),
        (
            '{"rationale": "<your',
            '{"reasons": "<your',
            "answer_form.rationale: expected the JSON keys 'rationale', 'decision', found "
            "'reasons', 'decision'; answers are read by these keys",
        ),
        (
            '{"decision": ',
            '{"choice" : ',
            "answer_form.decision: expected the JSON keys 'decision', found 'choice'; answers are "
            "read by these keys",
        ),
        (
            '{"answer": ',
            '{"reply": ',
            "comprehension.answer_form: expected the JSON keys 'answer', found 'reply'; answers "
            "are read by these keys",
        ),
    ],
)
def test_the_form_of_an_answer_names_the_keys_that_are_read(tmp_path, old, new, line):
    text, path = (CONFIG / "prompts.yaml").read_text(), tmp_path / "prompts.yaml"
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ProblemList) as caught:
        load_templates(path)
    assert caught.value.problems == [f"{path}: {line}"]


def test_a_form_in_other_words_is_right():
    assert load_templates(CONFIG / "demo" / "prompts.yaml")


def test_a_word_for_two_emotions_is_refused(tmp_path):
    text, path = (CONFIG / "prompts.yaml").read_text(), tmp_path / "prompts.yaml"
    path.write_text(text.replace("[afraid,", "[angry,"))
    with pytest.raises(ProblemList) as caught:
        load_templates(path)
    assert caught.value.problems == [
        f"{path}: feelings.fear[0]: 'angry' is feelings.anger[0], too; list each word once"
    ]
