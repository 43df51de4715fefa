r"""Make texts of models and of users' files harmless in a terminal and in a spreadsheet.

A control character can move the cursor or hide a line, an override of the writing direction can
reorder it, and a cell that begins with `=` is run as a formula. In result files both are written so
that the text can be restored.
"""

import re
import sys
from typing import TextIO

# Control characters but tab and line feed, separators of lines and paragraphs, overrides of the
# writing direction, and halves of surrogate pairs, which UTF-8 cannot hold.
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_ESCAPE = "x[0-9a-f]{2}|u[0-9a-f]{4}"
_CHARACTER = re.compile(_UNSAFE)
_TO_ESCAPE = re.compile(rf"(\\*)({_UNSAFE})|(\\+)(?={_ESCAPE})")
_ESCAPED = re.compile(rf"(\\+)({_ESCAPE})")
# What spreadsheets run, also in its full-width form; a cell that begins with a line break or a tab
# is run by some of them after it.
_FORMULA = re.compile("'*[-=+@\t\n＝＋－＠]")


def printable(text: str) -> str:
    r"""Return a text with every unsafe character as an escape such as `\x1b`."""
    return _CHARACTER.sub(lambda found: _escape(found[0]), text)


def say(text: object, stream: TextIO | None = None) -> None:
    """Print lines for the user, without control characters; to stderr unless a stream is given."""
    print(printable(str(text)), file=stream or sys.stderr, flush=True)


def json_text(text: str) -> str:
    r"""Return a JSON document with every unsafe character in its strings as `\u009b`."""
    return _CHARACTER.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_cell(text: str) -> str:
    r"""Return a text as it is written into a cell of a CSV file.

    Unsafe characters become escapes such as `\x1b`, and backslashes are doubled before such an
    escape. A cell that a spreadsheet would run, or that would be taken for one with the following
    mark, begins with an additional apostrophe. All other texts stay as they are.
    """
    text = _TO_ESCAPE.sub(_escaped, text)
    return f"'{text}" if _FORMULA.match(text) else text


def cell_text(cell: str) -> str:
    """Return the text that `csv_cell` has written."""
    if cell.startswith("'") and _FORMULA.match(cell):
        cell = cell[1:]
    return _ESCAPED.sub(_restored, cell)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _escaped(found: re.Match[str]) -> str:
    if found[2] is None:
        return found[3] * 2
    # An odd number of backslashes begins an escape, an even number stands for half as many.
    return found[1] * 2 + _escape(found[2])


def _restored(found: re.Match[str]) -> str:
    backslashes, code = found[1], found[2]
    half = backslashes[: len(backslashes) // 2]
    return half + (chr(int(code[1:], 16)) if len(backslashes) % 2 else code)
