"""Choice probabilities: how likely the model is to write each option, as it stands, at the place of the answer.

The probability of an option is that of its whole text with the closing quote, given the opening of the answer; there is
no length normalisation. Knows texts and tokens; knows nothing of conditions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_games.engine.generation import Rows, token_logprobs
from emotion_games.engine.models import LoadedModel, ModelError

# What is written to files; float32 results agree over batch sizes well beyond this.
DIGITS = 5


@dataclass(frozen=True)
class Continuation:
    """Token ids of an answer; those in [start, end) belong to the scored text, the others to what leads up to it."""

    ids: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Scores:
    """Probabilities over the options (sum 1), their total mass before normalising, and the same over branching tokens.

    `per_token` is the mean log-probability a token of each option's text, in nats.
    """

    probabilities: dict[str, float]
    mass: float
    branch: dict[str, float]
    per_token: dict[str, float]


def continuation(
    tokenizer: object, prompt: str, opening: str, text: str, closing: str
) -> Continuation:
    """Tokens of `opening + text + closing` after a prompt, and which of them are scored.

    Scored are all tokens that reach beyond the opening, up to the one that holds the first character of the closing
    (or the last of the text, where there is no closing).
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"tokenizer {type(tokenizer).__name__}: has no character offsets; a fast tokenizer is needed"
        )
    encoded = tokenizer(
        prompt + opening + text + closing, add_special_tokens=False, return_offsets_mapping=True
    )
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    # By characters, not by counting: a prompt's closing line breaks may be other tokens before text than at the end.
    skip = next(i for i, (_, reached) in enumerate(offsets) if reached > len(prompt))
    first = len(prompt) + len(opening)
    last = first + len(text) + min(1, len(closing))
    start = next(i for i in range(skip, len(ids)) if offsets[i][1] > first)
    end = max(i for i in range(start, len(ids)) if offsets[i][0] < last) + 1
    return Continuation(tuple(ids[skip:end]), start - skip, end - skip)


def score_options(
    loaded: LoadedModel,
    rows: Rows,
    places: Sequence[int],
    options: Sequence[Mapping[str, Continuation]],
) -> list[Scores]:
    """Score sets of options, the k-th after row `places[k]`; a row may stand there more than once."""
    logprobs = token_logprobs(
        loaded, rows, places, [[c.ids for c in several.values()] for several in options]
    )
    return [scores(several, values) for several, values in zip(options, logprobs, strict=True)]


def scores(options: Mapping[str, Continuation], logprobs: Sequence[Sequence[float]]) -> Scores:
    """Combine token log-probabilities, one list an option, into probabilities."""
    spans = [
        (c.ids[c.start : c.end], values[c.start : c.end])
        for c, values in zip(options.values(), logprobs, strict=True)
    ]
    totals = [sum(values) for _, values in spans]
    return Scores(
        probabilities=dict(zip(options, normalised(totals), strict=True)),
        mass=round(sum(map(math.exp, totals)), DIGITS),
        branch=dict(zip(options, normalised(_branching_sums(spans)), strict=True)),
        per_token={
            label: round(sum(v) / len(v), DIGITS)
            for label, (_, v) in zip(options, spans, strict=True)
        },
    )


def normalised(logs: Sequence[float]) -> list[float]:
    """exp(logs) divided by their sum, rounded to what is written."""
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    return [round(weight / sum(weights), DIGITS) for weight in weights]


def _branching_sums(spans: Sequence[tuple[Sequence[int], Sequence[float]]]) -> list[float]:
    """Sum over the tokens at which an option parts from another one that agreed with it so far."""
    sums = []
    for ids, values in spans:
        total = 0.0
        for place, value in enumerate(values):
            others = [
                o for o, _ in spans if o is not ids and tuple(o[:place]) == tuple(ids[:place])
            ]
            if any(len(o) <= place or o[place] != ids[place] for o in others):
                total += value
        sums.append(total)
    return sums
