"""Find the option that a written answer names: strictly first, then loosely, and never by a guess.

An answer that names no option, or more than one, is unparsed; it is not a choice.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

STRICT, LOOSE, UNPARSED = "strict", "loose", "unparsed"

_QUOTES = str.maketrans(
    {c: "'" for c in "‘’‚‛`´"} | {c: '"' for c in "“”„«»"} | {c: "-" for c in "‐‑‒–—"}
)
_NUMBERED = re.compile(r"\boption\s*#?\s*(\d+)\b")
_NEGATION = re.compile(
    r"(\b(not|never|no|refuse|refusing|decline|avoid|without|against|instead of|rather than)\b"
    r"|n't\b)"
)
_CHOOSING = re.compile(
    r"\b(?:choose|pick|select|take|go with|decide on|decide for|opt for|decision is|choice is"
    r"|answer is)\s*:?\s*\"?option\s*#?\s*(\d+)\b"
)
_FIELD = re.compile(r"([\"'])decision\1\s*[:=]\s*", re.IGNORECASE)
_BARE_FIELD = re.compile(r"\bdecision\s*[:=]\s*", re.IGNORECASE)
_RATIONALE = re.compile(r"[\"']?\brationale[\"']?\s*[:=]\s*\"((?:[^\"\\]|\\.)*)", re.IGNORECASE)
_QUOTED_RATIONALE = re.compile(r"[\"']rationale[\"']", re.IGNORECASE)
# Letters of an option that a cut-off answer must have at least.
_LEAST_PREFIX = 4


@dataclass(frozen=True)
class Decision:
    """What was read in an answer.

    Attributes:
        choice: The label of the option; None unless exactly one option is named.
        category: The place at which that option was shown, counted from 1.
        decision: The text of the answer that names the option.
        rationale: The reasons in the answer.
        method: `strict`, `loose`, or `unparsed: ` and the reason.
    """

    choice: str | None
    category: int | None
    decision: str
    rationale: str
    method: str


class _Reading(NamedTuple):
    """A possible value of a decision; `cut_off` if the answer ends within it."""

    text: str
    cut_off: bool


def parse(text: str, options: Mapping[str, str], order: Sequence[str]) -> Decision:
    """Return the decision in an answer.

    An answer is strict if it is one JSON object whose decision is the text of an option,
    `Option N`, its number, or its label. It is loose if the same occurs in a code fence, in broken
    or cut-off JSON, within other words, or as the beginning of one option only. If there are
    several decisions, the last one counts.

    Args:
        text: The answer.
        options: The texts of the options by label.
        order: The labels in the order in which they were shown.
    """
    shown = {label: options[label] for label in order}
    whole = _object(text.strip())
    rationale = _text(whole.get("rationale")) if whole else _search_rationale(text)
    decision = whole.get("decision")
    if isinstance(decision, (str, int)) and not isinstance(decision, bool):
        named = _named(_text(decision), shown)
        if len(named) == 1:
            return _found(named, _text(decision), rationale, STRICT, shown)
    if not text.strip():
        return _unparsed("empty answer")
    fields = _fields(text)
    if not fields:
        return _free_text(text, rationale, shown)
    for same_object in reversed(fields):
        found = [_read(readings, shown) for readings in same_object]
        named = set().union(*(labels for labels, _ in found))
        if named:
            reading = next(reading for labels, reading in found if labels)
            return _found(named, reading, rationale, LOOSE, shown)
    last = fields[-1][-1][0].text
    return _unparsed("unknown option" if last else "no decision", last, rationale)


def answer_is_closed(text: str) -> bool:
    """Return True if the first JSON object of a text has ended, so that nothing more is needed."""
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


def _found(
    named: set[str], reading: str, rationale: str, method: str, shown: Mapping[str, str]
) -> Decision:
    if len(named) > 1:
        return _unparsed("ambiguous", reading, rationale)
    (label,) = named
    return Decision(label, list(shown).index(label) + 1, reading, rationale, method)


def _unparsed(reason: str, reading: str = "", rationale: str = "") -> Decision:
    return Decision(None, None, reading, rationale, f"{UNPARSED}: {reason}")


def _normal(text: str) -> str:
    """Return a text without differences of case, space, kind of quote and closing punctuation."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    text = text.replace('\\"', '"').replace("\\'", "'")
    return " ".join(text.split()).strip("\"'.,;:!*() ")


def _named(reading: str, shown: Mapping[str, str]) -> set[str]:
    """Return the labels of the options that a decision names exactly.

    It may have the text, the number or the label of an option, or its number and text.
    """
    words = _normal(reading)
    named = {label for label, text in shown.items() if words in (_normal(text), _normal(label))}
    number = re.fullmatch(r"(?:option\s*#?\s*)?(\d+)", words)
    if number:
        named |= _at(number[1], shown)
    both = re.fullmatch(r"option\s*#?\s*(\d+)\s*[.:,)-]*\s*(.+)", words)
    if both:
        texts = {label for label, text in shown.items() if _normal(both[2]) == _normal(text)}
        named |= _at(both[1], shown) | texts if texts else set()
    return named


def _at(number: str, shown: Mapping[str, str]) -> set[str]:
    """Return the label of the option with a number, if there is one."""
    is_shown = len(number) < 4 and 1 <= int(number) <= len(shown)
    return {list(shown)[int(number) - 1]} if is_shown else set()


def _inside(reading: str, shown: Mapping[str, str]) -> set[str]:
    """Return the options whose text or number occurs in a longer text.

    If one of them is negated, all options are returned, so that the answer is ambiguous.
    """
    words = _normal(reading)
    spans: list[tuple[int, int, str]] = []
    for label, option in shown.items():
        text = _normal(option)
        if text:
            occurrences = re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", words)
            spans += [(*found.span(), label) for found in occurrences]
    # "Go" also occurs in "Go home": the longer text is the one that was named.
    spans = [span for span in spans if not any(_is_longer(other, span) for other in spans)]
    for found in _NUMBERED.finditer(words):
        spans += [(*found.span(), label) for label in _at(found[1], shown)]
    for start, _, _ in spans:
        before = " ".join(words[:start].split()[-4:])
        if _NEGATION.search(before):
            return set(shown)
    return {label for _, _, label in spans}


def _is_longer(span: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Return True if a span contains another one and more."""
    return span[0] <= other[0] and other[1] <= span[1] and span[:2] != other[:2]


def _by_prefix(reading: _Reading, shown: Mapping[str, str]) -> set[str]:
    """Return the only option that begins with a reading.

    The reading may end within a word only if the answer was cut off there.
    """
    words = _normal(reading.text)
    texts = {label: _normal(text) for label, text in shown.items()}
    begun = {label for label, text in texts.items() if text.startswith(words)}
    if len(words) < _LEAST_PREFIX or len(begun) != 1:
        return set()
    (label,) = begun
    ends_word = not texts[label][len(words) : len(words) + 1].isalnum()
    return begun if reading.cut_off or ends_word else set()


def _free_text(text: str, rationale: str, shown: Mapping[str, str]) -> Decision:
    """Read an answer without a decision field.

    It may have an option on a line of its own, or the text of one option in a sentence.
    """
    if "{" in text or rationale:
        is_closed = answer_is_closed(text)
        reason = "no decision" if is_closed else "cut off before the decision"
        return _unparsed(reason, "", rationale)
    named: set[str] = set()
    for line in text.splitlines():
        line = re.sub(r"^\W*(?:decision|answer|choice)\W+", "", line, flags=re.IGNORECASE)
        named |= _named(line, shown)
    words = _normal(text)
    for found in _CHOOSING.finditer(words):
        named |= _at(found[1], shown)
    if not named:
        # A number alone, as in "Option 1 is tempting", is not a choice.
        named = _inside(_NUMBERED.sub("", words), shown)
    if not named:
        return _unparsed("no json", "", rationale)
    return _found(named | _inside(text, shown), text.strip(), rationale, LOOSE, shown)


def _fields(text: str) -> list[list[list[_Reading]]]:
    """Return the possible readings of every decision field, in order and grouped by JSON object."""
    objects: list[list[list[_Reading]]] = []
    matches = list(_FIELD.finditer(text))
    # Beside a quoted rationale, a bare `decision:` may be a word of that rationale.
    if not matches and not _QUOTED_RATIONALE.search(text):
        matches = list(_BARE_FIELD.finditer(text))
    for place, match in enumerate(matches):
        end = matches[place + 1].start() if place + 1 < len(matches) else len(text)
        if place == 0 or "}" in text[matches[place - 1].end() : match.start()]:
            objects.append([])
        objects[-1].append(_readings(text[match.end() : end]))
    return objects


def _read(readings: Sequence[_Reading], shown: Mapping[str, str]) -> tuple[set[str], str]:
    """Return the labels that the first reading of a field with any names, and that reading."""
    for reading in readings:
        exact = _named(reading.text, shown)
        named = exact or _inside(reading.text, shown) or _by_prefix(reading, shown)
        if named:
            return named, reading.text
    return set(), ""


def _readings(rest: str) -> list[_Reading]:
    """Return possible values at the start of a text: up to its closing quote, or the last one."""
    if not rest.startswith('"'):
        bare = re.match(r"[^\n}\]]*", rest.lstrip("["))
        return [_Reading(_text(bare[0] if bare else "").strip(" \"'"), False)]
    closed = re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL)
    if closed is None:
        return [_Reading(rest[1:], True)]
    # A model may copy an option with quotes but without their backslashes.
    longest = re.match(r'"(.*)"\s*\}', rest, re.DOTALL)
    values = [longest[1]] if longest and longest[1] != closed[1] else []
    return [_Reading(_unescaped(value), False) for value in (*values, closed[1])]


def _search_rationale(text: str) -> str:
    """Return the rationale of an answer that is not a JSON object."""
    found = _RATIONALE.search(text)
    return _unescaped(found[1]) if found else ""


def _unescaped(text: str) -> str:
    try:
        return _complete(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError:
        return text.replace('\\"', '"').replace("\\'", "'").replace("\\n", "\n")


def _complete(text: str) -> str:
    """Return a text in which half of an escaped character (\\ud83d) is replaced.

    Such a half can be neither written to a file nor tokenized.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: Any) -> str:
    return _complete(value) if isinstance(value, str) else "" if value is None else str(value)


def _object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is; an empty one if it is none or has a key twice."""
    try:
        pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs, strict=False)
    except (json.JSONDecodeError, RecursionError, ValueError):
        return {}
    is_object = text.startswith("{") and len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs) if is_object else {}
