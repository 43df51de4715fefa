"""The shares that a text states in its own numbers, to compare them with those of a game."""

import re
from itertools import combinations

_SMALL = [
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: number for number, word in enumerate(_SMALL, start=2)}
_VALUES |= {word: 10 * number for number, word in enumerate(_TENS, start=2)}
# `The two` and `two of you` count people.
_WORD = re.compile(
    rf"(?<!the )\b({'|'.join(_VALUES)})(?:[- ](one|{'|'.join(_SMALL[:8])}))?\b(?! of (?:you|us))"
)
_DIVISORS = {"third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:%|percent\b|per cent\b)")
_FRACTION = re.compile(rf"\b(a|one|\d+)[ -]({'|'.join(_DIVISORS)})s?\b")
_HALF = re.compile(
    r"\bhal(?:f|ves)\b(?!-| an? )|\b(?:equal|even) (?:split|share|part)s?\b"
    r"|\b(?:split|divid|shar)[^.;]* (?:equally|evenly)\b"
)
_RATIO = re.compile(r"\b(\d+) ?[/:-] ?(\d+)\b")
_SCALES = {"": 1, "k": 1_000, " hundred": 100, " thousand": 1_000, " million": 1_000_000}
_AMOUNT = re.compile(
    r"([$€£]?) ?\b(\d+(?:\.\d+)?)(k\b| hundred\b| thousand\b| million\b|)"
    r"(?: of (?:the|your|those|these))?(?: ([^\W\d_]+))?"
)
_CURRENCIES = {"dollar": "$", "euro": "€", "pound": "£"}


def stated_shares(option: str, story: str = "") -> set[float]:
    """Return the shares of a whole that an option states, from 0 to 1.

    These are percentages, fractions, `3 of 10`, splits (`4 hours for Ann and 6 for you`), and
    amounts of something of which the story names a larger one (`$20`, with `$50` in the story). A
    text does not say which part is given and which is kept, so each share comes with the rest. The
    result is empty for an option without such numbers.
    """
    text, shares = _with_digits(option), set()
    for number in _PERCENT.findall(text):
        shares.add(float(number) / 100)
    for count, part in _FRACTION.findall(text):
        shares.add((float(count) if count.isdigit() else 1) / _DIVISORS[part])
    for first, second in _RATIO.findall(text):
        # `60/40` divides a hundred, `2/3` is a fraction.
        total = float(first) + float(second)
        shares.add(_ratio(float(first), total if total in (10, 100) else float(second)))
    if _HALF.search(text):
        shares.add(0.5)
    for pattern in (_PERCENT, _FRACTION, _RATIO):
        text = pattern.sub(" ", text)
    amounts = _amounts(text)
    for (first, _), (second, _) in combinations(amounts, 2):
        shares |= {_ratio(first, second), _ratio(second, first), _ratio(first, first + second)}
    for whole, unit in _amounts(_PERCENT.sub(" ", _with_digits(story))):
        shares |= {_ratio(part, whole) for part, same in amounts if unit and unit == same}
    return {share for part in shares if part <= 1 for share in (part, 1 - part)}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _amounts(text: str) -> list[tuple[float, str]]:
    """Return the numbers of a text, each with what it counts."""
    amounts = []
    for sign, number, scale, noun in _AMOUNT.findall(text):
        unit = noun.removesuffix("s")
        amounts.append((float(number) * _SCALES[scale], sign or _CURRENCIES.get(unit, unit)))
    return amounts


def _with_digits(text: str) -> str:
    """Return a text in lower case with digits for numbers in words, without commas in them."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.casefold())
    text = re.sub(r"\b(?:a|one) (?=hundred\b|thousand\b|million\b)", "1 ", text)
    return _WORD.sub(_digits, text)


def _digits(words: re.Match[str]) -> str:
    tens, ones = words.groups()
    return str(_VALUES[tens] + (_VALUES.get(ones, 1) if ones else 0))
