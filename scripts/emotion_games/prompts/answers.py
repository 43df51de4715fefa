"""Find the option that a written answer names: strictly first, then loosely, and never by a guess.

An answer that names no option, or more than one, is unparsed; it is not a choice.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_games.prompts.json_answers import (
    Reading,
    answer_is_closed,
    as_text,
    find_decisions,
    find_rationale,
    read_object,
)

STRICT, LOOSE, UNPARSED = "strict", "loose", "unparsed"

# Models write typographic quotes and dashes for the plain ones of an option.
_QUOTES = str.maketrans(
    {c: "'" for c in "‘’‚‛`´"} | {c: '"' for c in "“”„«»"} | {c: "-" for c in "‐‑‒–—"}
)
_NUMBERED = re.compile(r"\boption\s*#?\s*(\d+)\b")
# An option shortly after one of these words is not chosen: "I will not share".
_NEGATION = re.compile(
    r"(\b(not|never|no|refuse|refusing|decline|avoid|without|against|instead of|rather than)\b"
    r"|n't\b)"
)
# In free text a number alone is no choice: "Option 1 is tempting".
_CHOOSING = re.compile(
    r"\b(?:choose|pick|select|take|go with|decide on|decide for|opt for|decision is|choice is"
    r"|answer is)\s*:?\s*\"?option\s*#?\s*(\d+)\b"
)
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
    whole = read_object(text.strip())
    rationale = as_text(whole.get("rationale")) if whole else find_rationale(text)
    decision = whole.get("decision")
    # In Python a boolean is an integer, too.
    if isinstance(decision, (str, int)) and not isinstance(decision, bool):
        named = _named(as_text(decision), shown)
        if len(named) == 1:
            return _found(named, as_text(decision), rationale, STRICT, shown)
    if not text.strip():
        return _unparsed("empty answer")
    fields = find_decisions(text)
    if not fields:
        return _free_text(text, rationale, shown)
    # A model may repeat the form of the answer first, or correct itself: the last object counts.
    for same_object in reversed(fields):
        found = [_read(readings, shown) for readings in same_object]
        named = set().union(*(labels for labels, _ in found))
        if named:
            reading = next(reading for labels, reading in found if labels)
            return _found(named, reading, rationale, LOOSE, shown)
    last = fields[-1][-1][0].text
    return _unparsed("unknown option" if last else "no decision", last, rationale)


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
    # A number with any other text is left to the loose reading.
    if both:
        texts = {label for label, text in shown.items() if _normal(both[2]) == _normal(text)}
        named |= _at(both[1], shown) | texts if texts else set()
    return named


def _at(number: str, shown: Mapping[str, str]) -> set[str]:
    """Return the label of the option with a number, if there is one."""
    # int() refuses numbers of some thousand digits.
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


def _by_prefix(reading: Reading, shown: Mapping[str, str]) -> set[str]:
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
    # The options that broken JSON mentions are part of its rationale.
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
        named = _inside(_NUMBERED.sub("", words), shown)
    if not named:
        return _unparsed("no json", "", rationale)
    # A second option anywhere in the text makes the answer ambiguous.
    return _found(named | _inside(text, shown), text.strip(), rationale, LOOSE, shown)


def _read(readings: Sequence[Reading], shown: Mapping[str, str]) -> tuple[set[str], str]:
    """Return the labels that are named by the first reading to name any, and that reading."""
    for reading in readings:
        exact = _named(reading.text, shown)
        named = exact or _inside(reading.text, shown) or _by_prefix(reading, shown)
        if named:
            return named, reading.text
    return set(), ""
