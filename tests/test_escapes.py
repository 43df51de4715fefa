"""No text of a model acts on a terminal or a spreadsheet, and every text can be restored."""

import ast
import io
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rooms
from emotion_games.errors import ProblemList, UserError
from emotion_games.escapes import cell_text, csv_cell, json_text, printable, say

# Characters and sequences that the notation itself uses, beside all others.
PIECES = st.sampled_from(
    [*"\\'=+-@\t\n\r\x00\x1b\x7f\x9b\u202e\ud800xu1b", "x1b", "u202e", "\\x1b"]
)
TEXTS = st.lists(PIECES | st.characters(codec=None), max_size=12).map("".join)
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("\\x1b")
@example("\\\x1b")
@example("\\\\x1b\x1b1b")
@example("''=1")
@example("\\u20\u202e2e")
def test_every_text_survives_a_cell_and_no_cell_acts(text: str) -> None:
    cell = csv_cell(text)
    assert cell_text(cell) == text
    assert not UNSAFE.search(cell) and not re.match("[-=+@\t\n＝＋－＠]", cell)
    assert not UNSAFE.search(printable(text)) and printable(printable(text)) == printable(text)


@settings(deadline=None)
@given(TEXTS)
def test_a_json_document_holds_the_exact_text(text: str) -> None:
    written = json_text(json.dumps({"output": text}, ensure_ascii=False))
    assert json.loads(written) == {"output": text} and not UNSAFE.search(written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An ordinary answer, with ünicode 👩‍👧 and שלום.",
        '{"rationale": "He said \\"no\\".\\nThen \\\\ left", "decision": "Wait"}',
        "'Tis 5 - 3\n= 2\tor so",
        "C:\\users\\x1 and \\u12 and $\\alpha$",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert csv_cell(text) == text == printable(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1", "'+1"),
        ("-1+2", "'-1+2"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\\x0d=1"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
        ("\x1b]8;;http://x\x1b\\here\x07", "\\x1b]8;;http://x\\x1b\\here\\x07"),
        ("a\u202eb\x00", "a\\u202eb\\x00"),
        ("the letters \\x1b", "the letters \\\\x1b"),
    ],
)
def test_known_attacks_as_they_are_written(text: str, cell: str) -> None:
    assert csv_cell(text) == cell


def test_errors_and_lines_hold_no_control_character() -> None:
    assert str(UserError("a \x1b[31m label")) == "a \\x1b[31m label"
    assert ProblemList(["\x9b", "b\u202e"]).problems == ["\\x9b", "b\\u202e"]
    stream = io.StringIO()
    say("\x1b]0;title\x07 one\n\ttwo", stream)
    assert stream.getvalue() == "\\x1b]0;title\\x07 one\n\ttwo\n"


def test_every_line_for_the_user_is_printed_in_one_place() -> None:
    """A line that is printed elsewhere would bring the control characters of its texts along."""
    found = set()
    for path in sorted(rooms.LIBRARY.parent.rglob("*.py")):
        names = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(isinstance(node, ast.Name) and node.id == "print" for node in names):
            found.add(path.name)
    assert found == {"escapes.py"}
