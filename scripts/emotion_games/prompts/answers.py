"""Read a model's written answer: which option it names, strictly first, then loosely, and never by a guess.

Knows the answer's JSON form and the options' texts. An answer that names no option, or two, stays unparsed with its
reason; it is never a choice.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_QUOTES = str.maketrans(
    {c: "'" for c in "‘’‚‛`´"} | {c: '"' for c in "“”„«»"} | {c: "-" for c in "‐‑‒–—"}
)
_NUMBERED = re.compile(r"\boption\s*#?\s*(\d+)\b")
_NEGATION = re.compile(
    r"(\b(not|never|no|refuse|refusing|decline|avoid|without|against|instead of|rather than)\b|n't\b)"
)
_CHOOSING = re.compile(
    r"\b(?:choose|pick|select|take|go with|decide on|decide for|opt for|decision is|choice is|answer is)"
    r"\s*:?\s*\"?option\s*#?\s*(\d+)\b"
)
_FIELD = re.compile(r"([\"'])decision\1\s*[:=]\s*", re.IGNORECASE)
_BARE_FIELD = re.compile(r"\bdecision\s*[:=]\s*", re.IGNORECASE)
_RATIONALE = re.compile(r"[\"']?\brationale[\"']?\s*[:=]\s*\"((?:[^\"\\]|\\.)*)", re.IGNORECASE)
_QUOTED_RATIONALE = re.compile(r"[\"']rationale[\"']", re.IGNORECASE)
_LEAST_PREFIX = 4


@dataclass(frozen=True)
class Decision:
    """What an answer says. `choice` and `category` (place shown, from 1) are None unless exactly one option is named.

    `method` is `strict`, `loose`, or the reason why nothing could be read (`unparsed: ...`).
    """

    choice: str | None
    category: int | None
    decision: str
    rationale: str
    method: str


def parse(text: str, options: Mapping[str, str], order: Sequence[str]) -> Decision:
    """Return what an answer says; `options` maps label to text, `order` holds the labels as they were shown.

    Strict: one JSON object whose decision is an option's text, `Option N`, its number or its label. Loose: the same in
    a code fence, in broken or cut-off JSON, within other words, or as the beginning of one option only; of several
    decisions the last one counts.
    """
    whole = _object(text.strip())
    if (
        whole is not None
        and isinstance(whole.get("decision"), (str, int))
        and not isinstance(whole["decision"], bool)
    ):
        said = _text(whole["decision"])
        named = _named(said, options, order)
        if len(named) == 1:
            return _found(named, said, _text(whole.get("rationale")), "strict", order)
    if not text.strip():
        return Decision(None, None, "", "", "unparsed: empty answer")
    fields = _fields(text)
    rationale = _rationale(text, whole)
    if not fields:
        return _free_text(text, rationale, options, order)
    for same_object in reversed(fields):
        read = [_read(readings, options, order) for readings in same_object]
        named = set().union(*(labels for labels, _ in read))
        if named:
            return _found(
                named, next(said for labels, said in read if labels), rationale, "loose", order
            )
    shown = fields[-1][-1][0][0]
    return Decision(
        None,
        None,
        shown,
        rationale,
        "unparsed: unknown option" if shown else "unparsed: no decision",
    )


def answer_is_closed(text: str) -> bool:
    """Whether the first JSON object of a text has ended, so that nothing more needs to be written."""
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
    named: set[str], reading: str, rationale: str, method: str, order: Sequence[str]
) -> Decision:
    if len(named) > 1:
        return Decision(None, None, reading, rationale, "unparsed: ambiguous")
    (label,) = named
    return Decision(label, list(order).index(label) + 1, reading, rationale, method)


def _normal(text: str) -> str:
    """Return a text without differences of case, space, kind of quote and closing punctuation."""
    text = (
        unicodedata.normalize("NFKC", text)
        .translate(_QUOTES)
        .casefold()
        .replace('\\"', '"')
        .replace("\\'", "'")
    )
    return " ".join(text.split()).strip("\"'.,;:!*() ")


def _named(reading: str, options: Mapping[str, str], order: Sequence[str]) -> set[str]:
    """Return the labels of the options that a decision names exactly: by text, number, label, or number and text."""
    said = _normal(reading)
    named = {label for label in order if said in (_normal(options[label]), _normal(label))}
    number = re.fullmatch(r"(?:option\s*#?\s*)?(\d+)", said)
    if number:
        named |= _at(number[1], order)
    both = re.fullmatch(r"option\s*#?\s*(\d+)\s*[.:,)-]*\s*(.+)", said)
    if both:
        texts = {label for label in order if _normal(both[2]) == _normal(options[label])}
        named |= _at(both[1], order) | texts if texts else set()
    return named


def _at(number: str, order: Sequence[str]) -> set[str]:
    return {order[int(number) - 1]} if len(number) < 4 and 1 <= int(number) <= len(order) else set()


def _inside(reading: str, options: Mapping[str, str], order: Sequence[str]) -> set[str]:
    """Return the options whose text or number stands within a longer text; all of them where one is denied."""
    said = _normal(reading)
    spans = []
    for label in order:
        text = _normal(options[label])
        spans += [
            (found.span(), label)
            for found in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", said)
            if text
        ]
    # "Go" also stands in "Go home": the longer text is the one that was named.
    spans = [
        (span, label)
        for span, label in spans
        if not any(o[0] <= span[0] and span[1] <= o[1] and o != span for o, _ in spans)
    ]
    spans += [
        (found.span(), label)
        for found in _NUMBERED.finditer(said)
        for label in _at(found[1], order)
    ]
    if any(_NEGATION.search(" ".join(said[:start].split()[-4:])) for (start, _), _ in spans):
        return set(order)
    return {label for _, label in spans}


def _by_prefix(reading: str, cut_off: bool, options: Mapping[str, str]) -> set[str]:
    """Return the only option that begins with a reading; within a word only where the answer was cut off."""
    said = _normal(reading)
    texts = {label: _normal(text) for label, text in options.items()}
    begun = {label for label, text in texts.items() if text.startswith(said)}
    if len(said) < _LEAST_PREFIX or len(begun) != 1:
        return set()
    (label,) = begun
    ends_word = not texts[label][len(said) : len(said) + 1].isalnum()
    return begun if cut_off or ends_word else set()


def _free_text(
    text: str, rationale: str, options: Mapping[str, str], order: Sequence[str]
) -> Decision:
    """Read an answer without any decision field: an option on a line of its own, or one option's text inside."""
    if "{" in text or rationale:
        reason = (
            "unparsed: no decision"
            if answer_is_closed(text)
            else "unparsed: cut off before the decision"
        )
        return Decision(None, None, "", rationale, reason)
    lines = [
        re.sub(r"^\W*(?:decision|answer|choice)\W+", "", line, flags=re.IGNORECASE)
        for line in text.splitlines()
    ]
    named = set().union(*(_named(line, options, order) for line in lines))
    numbers = {
        label for found in _CHOOSING.finditer(_normal(text)) for label in _at(found[1], order)
    }
    if not named and not numbers:
        without_numbers = _NUMBERED.sub("", _normal(text))
        named = _inside(without_numbers, options, order)
    if not named | numbers:
        return Decision(None, None, "", rationale, "unparsed: no json")
    return _found(
        named | numbers | (_inside(text, options, order)), text.strip(), rationale, "loose", order
    )


def _fields(text: str) -> list[list[list[tuple[str, bool]]]]:
    """Return every decision field in order, by object, each as its possible readings (text, was it cut off)."""
    objects: list[list[list[tuple[str, bool]]]] = []
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


def _read(
    readings: list[tuple[str, bool]], options: Mapping[str, str], order: Sequence[str]
) -> tuple[set[str], str]:
    """Return the labels that the first telling reading of a field names, and that reading."""
    for said, cut_off in readings:
        named = (
            _named(said, options, order)
            or _inside(said, options, order)
            or _by_prefix(said, cut_off, options)
        )
        if named:
            return named, said
    return set(), ""


def _readings(rest: str) -> list[tuple[str, bool]]:
    """Return what may be the value at the start of `rest`: up to its closing quote, or up to the last one."""
    if not rest.startswith('"'):
        bare = re.match(r"[^\n}\]]*", rest.lstrip("["))
        return [(_text(bare[0] if bare else "").strip(" \"'"), False)]
    closed = re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL)
    if closed is None:
        return [(rest[1:], True)]
    # An option's own quotes may have been copied without their backslashes.
    longest = re.match(r'"(.*)"\s*\}', rest, re.DOTALL)
    readings = [longest[1]] if longest and longest[1] != closed[1] else []
    return [(_unescaped(value), False) for value in (*readings, closed[1])]


def _rationale(text: str, whole: Mapping[str, Any] | None) -> str:
    if whole is not None:
        return _text(whole.get("rationale"))
    found = _RATIONALE.search(text)
    return _unescaped(found[1]) if found else ""


def _unescaped(text: str) -> str:
    try:
        return _whole(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError:
        return text.replace('\\"', '"').replace("\\'", "'").replace("\\n", "\n")


def _whole(text: str) -> str:
    """Return a text that can be written and tokenized: half of an escaped character (\\ud83d) is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: Any) -> str:
    return _whole(value) if isinstance(value, str) else "" if value is None else str(value)


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is, or None; a key given twice makes it none."""
    try:
        pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs, strict=False)
    except (json.JSONDecodeError, RecursionError, ValueError):
        return None
    is_object = text.startswith("{") and len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs) if is_object else None
