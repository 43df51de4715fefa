"""Read the fields of an answer that should be a JSON object, even if it is broken or cut off."""

import json
import re
from itertools import takewhile
from typing import Any, NamedTuple

_FIELD = re.compile(r"([\"'])decision\1\s*[:=]\s*", re.IGNORECASE)
_BARE_FIELD = re.compile(r"\bdecision\s*[:=]\s*", re.IGNORECASE)
_RATIONALE = re.compile(r"[\"']?\brationale[\"']?\s*[:=]\s*\"((?:[^\"\\]|\\.)*)", re.IGNORECASE)
_QUOTED_RATIONALE = re.compile(r"[\"']rationale[\"']", re.IGNORECASE)

# The inside of a JSON string, up to its first unescaped quote or a backslash at the very end.
_INSIDE = re.compile(r"(?:[^\"\\]|\\.)*", re.DOTALL)
# Its pieces: a surrogate pair, an escape, an escape that the end of the text cuts off, a character.
_PIECE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
    r"|\\u[0-9a-fA-F]{0,3}\Z|\\.|.",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}.*)")
# Pieces that are no text if nothing follows: an unfinished escape, and half of a character.
_HALF = re.compile(r"\\u[0-9a-fA-F]{0,3}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\?\ufffd")


class Reading(NamedTuple):
    """A possible value of a decision; `cut_off` if the answer ends within it."""

    text: str
    cut_off: bool


def answer_is_closed(text: str) -> bool:
    """Return True if the first JSON object of a text has ended, so that nothing more is needed."""
    # Braces in a string do not count, and a quote before the first brace begins no string.
    depth, in_string, escaped = 0, False, False
    for character in text[max(text.find("{"), 0) :]:
        if escaped:
            escaped = False
        elif in_string:
            escaped = character == "\\"
            in_string = character != '"'
        elif character == '"':
            in_string = depth > 0
        elif character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                return True
    return False


def string_is_closed(text: str) -> bool:
    """Return True if a text that begins inside a JSON string has a quote that ends the string."""
    return text[_string_end(text) :].startswith('"')


def string_inside(text: str) -> str:
    """Return the JSON string that a text begins, without quotes: up to the first unescaped quote.

    At its end, a backslash, an unfinished `\\uXXXX` and half of a character are dropped. What JSON
    does not allow inside a string is escaped: control characters, and the backslash of an unknown
    escape.
    """
    pieces = _PIECE.findall(text[: _string_end(text)])
    dropped = sum(1 for _ in takewhile(_HALF.fullmatch, reversed(pieces)))
    return "".join(map(_allowed, pieces[: len(pieces) - dropped]))


def _string_end(text: str) -> int:
    found = _INSIDE.match(text)
    return found.end() if found else 0


def _allowed(piece: str) -> str:
    if piece.startswith("\\"):
        return piece if _ESCAPE.fullmatch(piece) else "\\\\" + _allowed(piece[1:])
    return json.dumps(piece, ensure_ascii=False)[1:-1]


def find_decisions(text: str) -> list[list[list[Reading]]]:
    """Return the possible readings of every decision field, in order and grouped by JSON object."""
    objects: list[list[list[Reading]]] = []
    matches = list(_FIELD.finditer(text))
    # Beside a quoted rationale, a bare `decision:` may be a word of that rationale.
    if not matches and not _QUOTED_RATIONALE.search(text):
        matches = list(_BARE_FIELD.finditer(text))
    for place, match in enumerate(matches):
        end = matches[place + 1].start() if place + 1 < len(matches) else len(text)
        # Only a closing brace between two fields divides objects; one object may have both fields.
        if place == 0 or "}" in text[matches[place - 1].end() : match.start()]:
            objects.append([])
        objects[-1].append(_readings(text[match.end() : end]))
    return objects


def _readings(rest: str) -> list[Reading]:
    """Return possible values at the start of a text: up to its closing quote, or the last one."""
    if not rest.startswith('"'):
        bare = re.match(r"[^\n}\]]*", rest.lstrip("["))
        return [Reading(as_text(bare[0] if bare else "").strip(" \"'"), False)]
    closed = re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL)
    if closed is None:
        return [Reading(rest[1:], True)]
    # A model may copy an option with quotes but without their backslashes.
    longest = re.match(r'"(.*)"\s*\}', rest, re.DOTALL)
    values = [longest[1]] if longest and longest[1] != closed[1] else []
    return [Reading(_unescaped(value), False) for value in (*values, closed[1])]


def find_rationale(text: str) -> str:
    """Return the rationale of an answer that is not a JSON object."""
    found = _RATIONALE.search(text)
    return _unescaped(found[1]) if found else ""


def _unescaped(text: str) -> str:
    try:
        return _complete(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError:
        # The text was cut off within an escape, or has a backslash that JSON does not allow.
        return text.replace('\\"', '"').replace("\\'", "'").replace("\\n", "\n")


def _complete(text: str) -> str:
    """Return a text in which half of an escaped character (\\ud83d) is replaced.

    Such a half can be neither written to a file nor tokenized.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_text(value: Any) -> str:
    """Return a value of a JSON object as text; null is an empty text."""
    return _complete(value) if isinstance(value, str) else "" if value is None else str(value)


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is; an empty one if it is none or has a key twice."""
    # As pairs, a key that occurs twice is not lost.
    try:
        pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs, strict=False)
    except (json.JSONDecodeError, RecursionError, ValueError):
        return {}
    is_object = text.startswith("{") and len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs) if is_object else {}
