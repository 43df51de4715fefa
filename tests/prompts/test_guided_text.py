"""Whatever a model writes after the opening of a guided answer, the answer is valid JSON."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emotion_games.engine.backend import Backend
from emotion_games.prompts.json_answers import string_inside, string_is_closed
from emotion_games.prompts.messages import decision_link, option_literal, rationale_prefix
from tiny import byte_tokenizer

OPTION = 'Say "no"'
# Single characters and the pieces that matter to JSON.
PIECES = (
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(['"', "\\", "\\u", "\\ud83d", "\\ude00", "\\n", '.",', "\ufffd", "\n", "é"])
    | st.sampled_from("0123456789abcdefu")
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
# Only what JSON allows between quotes.
LEGAL = st.lists(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\\ufffd')
    | st.sampled_from(['\\"', "\\\\", "\\n", "\\u00e9", "\\ud83d\\ude00"])
).map("".join)


def assembled(written):
    return (
        rationale_prefix()
        + string_inside(written)
        + decision_link()
        + option_literal(OPTION)
        + '"}'
    )


@given(TEXTS)
def test_any_text_makes_a_valid_answer_with_the_option_that_was_put_in(written):
    answer = json.loads(assembled(written))
    assert list(answer) == ["rationale", "decision"] and answer["decision"] == OPTION
    assert not answer["rationale"].endswith("\ufffd")


@given(TEXTS)
def test_the_rationale_is_a_prefix_of_what_was_written(written):
    # Escaping adds backslashes and writes control characters in words; nothing else may change.
    plain = "".join(c for c in written if c == "\ufffd" or ord(c) >= 32)
    inside = string_inside(plain)
    assert plain.replace("\\", "").startswith(inside.replace("\\", ""))


@given(LEGAL, TEXTS)
def test_a_legal_rationale_is_kept_as_it_was_written_up_to_its_quote(rationale, rest):
    written = f'{rationale}"{rest}'
    assert string_is_closed(written) and string_inside(written) == rationale
    assert not string_is_closed(rationale) and string_inside(rationale) == rationale


@pytest.mark.parametrize(
    ("written", "rationale"),
    [
        ('Fair.", "decision": "x"}', "Fair."),
        ('He said \\"no\\".", "', 'He said "no".'),
        ("", ""),
        ('"', ""),
        ("cut off\\", "cut off"),
        ("two \\\\", "two \\"),
        ("C:\\temp\\x", "C:\temp\\x"),
        ("half \\u00", "half "),
        ('half \\u00"', "half "),
        ("half \\ud83d", "half "),
        ("half \\ud83d\\ude", "half "),
        ("whole \\ud83d\\ude00", "whole 😀"),
        ("half caf\ufffd", "half caf"),
        ('half caf\ufffd\ufffd"', "half caf"),
        ("line\nline\ttab", "line\nline\ttab"),
    ],
)
def test_how_a_rationale_is_cut(written, rationale):
    assert json.loads(assembled(written))["rationale"] == rationale


class Bytes(Backend):
    """Only the decoding of a model whose tokens are bytes."""

    read = capture = gpus = None
    tokenizer = byte_tokenizer()


Bytes.__abstractmethods__ = frozenset()
BYTES = Bytes()
LAST = BYTES.token_ids(rationale_prefix())[-1]


@given(st.lists(st.integers(0, len(BYTES.tokenizer) - 1), max_size=24))
@example(BYTES.token_ids("naïve 😀")[:-2])
@example(BYTES.token_ids("x\\😀")[:-2])
@example([*BYTES.token_ids("x"), 2, 3, *BYTES.token_ids("\\u12")])
def test_any_tokens_make_a_valid_answer(ids):
    written = BYTES.decode_after(LAST, ids)
    answer = json.loads(assembled(written))
    assert list(answer) == ["rationale", "decision"] and answer["decision"] == OPTION
    assert not answer["rationale"].endswith("\ufffd")


def test_half_of_a_character_at_the_end_is_dropped():
    ids = BYTES.token_ids("naïve 😀")
    for missing in (1, 2, 3):
        assert string_inside(BYTES.decode_after(LAST, ids[:-missing])) == "naïve "
    assert string_inside(BYTES.decode_after(LAST, ids)) == "naïve 😀"
