"""Choice probabilities: how likely the model is to write each option at the place of the answer.

The probability of an option is that of its whole text with the closing quote, given the opening of
the answer. There is no length normalisation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_games.engine.backend import Backend, Rows

# Digits that are written to files. Results in float32 agree over batch sizes well beyond this.
DIGITS = 5


@dataclass(frozen=True)
class Continuation:
    """Token ids of an answer. Those in [start, end) are scored; the others lead up to them."""

    ids: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Scores:
    """What is known about the options of a request.

    Attributes:
        probabilities: Normalised over the options (sum 1).
        mass: Sum of the options' probabilities before they are normalised.
        branch: The same as `probabilities`, from the tokens only at which options differ.
        per_token: Mean log-probability of the tokens of each option, in nats.
    """

    probabilities: dict[str, float]
    mass: float
    branch: dict[str, float]
    per_token: dict[str, float]


def continuation(
    model: Backend, prompt: str, opening: str, text: str, closing: str
) -> Continuation:
    """Return the tokens of `opening + text + closing` after a prompt.

    Scored are all tokens that reach beyond the opening, up to the one that holds the first
    character of the closing (or the last of the text, if there is no closing).

    Raises:
        ModelError: If the tokenizer has no character offsets.
    """
    ids, spans = model.token_spans(prompt + opening + text + closing)
    first = len(prompt) + len(opening)
    last = first + len(text) + min(1, len(closing))
    # By characters, not by counting tokens: line breaks at the end of a prompt may be tokenized
    # differently if more text follows.
    skip = next(i for i, (_, end) in enumerate(spans) if end > len(prompt))
    start = next(i for i, (_, end) in enumerate(spans) if end > first)
    end = max(i for i, (begin, _) in enumerate(spans) if begin < last) + 1
    return Continuation(tuple(ids[skip:end]), start - skip, end - skip)


def score_options(
    rows: Rows, places: Sequence[int], options: Sequence[Mapping[str, Continuation]]
) -> list[Scores]:
    """Score sets of options, the k-th after row `places[k]`. Rows may be used more than once."""
    texts = [[c.ids for c in several.values()] for several in options]
    found = rows.score(places, texts)
    return [scores(several, values) for several, values in zip(options, found, strict=True)]


def scores(options: Mapping[str, Continuation], logprobs: Sequence[Sequence[float]]) -> Scores:
    """Combine the log-probabilities of the options' tokens (nats, one list per option)."""
    spans = []
    for option, values in zip(options.values(), logprobs, strict=True):
        scored = slice(option.start, option.end)
        spans.append((option.ids[scored], values[scored]))
    totals = [sum(values) for _, values in spans]
    means = [round(sum(values) / len(values), DIGITS) for _, values in spans]
    return Scores(
        probabilities=dict(zip(options, normalised(totals), strict=True)),
        mass=round(sum(map(math.exp, totals)), DIGITS),
        branch=dict(zip(options, normalised(_branching_sums(spans)), strict=True)),
        per_token=dict(zip(options, means, strict=True)),
    )


def normalised(logs: Sequence[float]) -> list[float]:
    """Return exp(logs) divided by their sum, rounded as it is written to files."""
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    return [round(weight / sum(weights), DIGITS) for weight in weights]


def _branching_sums(spans: Sequence[tuple[Sequence[int], Sequence[float]]]) -> list[float]:
    """Sum over the tokens at which an option differs from another that agreed with it so far."""
    sums = []
    for ids, values in spans:
        total = 0.0
        for place, value in enumerate(values):
            rivals = [o for o, _ in spans if o is not ids and o[:place] == ids[:place]]
            if any(o[place : place + 1] != ids[place : place + 1] for o in rivals):
                total += value
        sums.append(total)
    return sums
