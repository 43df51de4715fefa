"""Choice probabilities: how likely the model is to write each option at the place of the answer.

Prompt, opening, option and closing quote are tokenized as one text, whatever merges across their
boundaries. The probability of an option is that of its tokens given the tokens before them. All
options of a request are continuations of the same tokens and reach as far into the closing:

- The scored tokens begin after the last token that all options share and that holds no character of
  an option. If one option's first character is merged with the opening quote, the quote belongs to
  the scored tokens of every option.
- They end with the first character of the closing. If that is merged with what follows it in one
  option, what follows it belongs to the scored tokens of every option.

Otherwise one option would be charged for characters that another one gets for nothing. Other
tokenizations of the same text are not counted. There is no length normalisation.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from os.path import commonprefix

from emotion_games.engine.backend import Backend, Ids, ModelError, Rows
from emotion_games.engine.sampling import OVERFLOW
from emotion_games.engine.windows import Window

# Digits that are written to files. Results in float32 agree over batch sizes well beyond this.
DIGITS = 5


@dataclass(frozen=True)
class Continuation:
    """Token ids that end with an option. Those from `start` on are scored.

    `window` are the tokens of the whole text at which its push acts.
    """

    ids: tuple[int, ...]
    start: int
    window: Window = Window()

    def after(self, read: int) -> "Continuation":
        """Return what follows the first `read` tokens, none of which is scored."""
        return Continuation(self.ids[read:], self.start - read, self.window)


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


def whole_texts(
    model: Backend, prompt: str, opening: str, options: Sequence[str], closing: str
) -> list[Continuation]:
    """Return the tokens of `prompt + opening + option + closing` for each option.

    They end with the last scored token. What is left of the closing decides nothing.

    Raises:
        ModelError: If the tokenizer has no character offsets, or a text does not fit the context.
    """
    first = len(prompt) + len(opening)
    ids, reached = [], []
    for option in options:
        tokens, spans = model.token_spans(prompt + opening + option + closing)
        ids.append(tuple(tokens))
        # How far the text is covered after each token: special tokens may claim to cover nothing,
        # and several tokens of one character claim the whole of it.
        reached.append(list(accumulate((end for _, end in spans), max)))
    longest = max(map(len, ids), default=0)
    if model.positions is not None and longest > model.positions:
        raise ModelError(
            f"model {model.name}: its context of {model.positions:,} tokens is too short for an "
            f"option that makes {longest:,} with its prompt; choose a model with a longer context, "
            "or a smaller generation.max_new_tokens"
        )
    start = min([len(commonprefix(ids)), *(bisect_right(places, first) for places in reached)])
    lasts = [first + len(option) for option in options]
    closed = _closed(reached, lasts, len(closing))
    ends = [
        bisect_right(places, last + closed) for places, last in zip(reached, lasts, strict=True)
    ]
    return [Continuation(text[:end], start) for text, end in zip(ids, ends, strict=True)]


def _closed(reached: Sequence[Sequence[int]], lasts: Sequence[int], length: int) -> int:
    """Return the least number of characters of the closing after which a token ends in each text.

    Args:
        reached: For each text, how far it is covered after each token.
        lasts: Where the closing begins in each text.
        length: The number of characters of the closing.
    """
    for closed in range(min(1, length), length):
        if all(last + closed in places for places, last in zip(reached, lasts, strict=True)):
            return closed
    return length


def shared_tokens(prompt: Ids, texts: Sequence[Continuation]) -> int:
    """Return with how many tokens of the prompt all texts begin, none of which is scored."""
    shared = len(commonprefix([tuple(prompt), *(text.ids for text in texts)]))
    return min([shared, *(text.start for text in texts)])


def score_options(
    rows: Rows, places: Sequence[int], options: Sequence[Mapping[str, Continuation]]
) -> list[Scores]:
    """Score sets of options, the k-th after row `places[k]`. Rows may be used more than once."""
    texts = [[c.ids for c in several.values()] for several in options]
    windows = [[c.window for c in several.values()] for several in options]
    found = rows.score(places, texts, windows)
    return [scores(several, values) for several, values in zip(options, found, strict=True)]


def scores(options: Mapping[str, Continuation], logprobs: Sequence[Sequence[float]]) -> Scores:
    """Combine the log-probabilities of the options' tokens (nats, one list per option)."""
    spans = []
    for option, values in zip(options.values(), logprobs, strict=True):
        spans.append((option.ids[option.start :], values[option.start :]))
    totals = [sum(values) for _, values in spans]
    means = [round(sum(values) / len(values), DIGITS) for _, values in spans]
    return Scores(
        probabilities=dict(zip(options, normalised(totals), strict=True)),
        mass=round(sum(map(math.exp, totals)), DIGITS),
        branch=dict(zip(options, normalised(_branching_sums(spans)), strict=True)),
        per_token=dict(zip(options, means, strict=True)),
    )


def normalised(logs: Sequence[float]) -> list[float]:
    """Return exp(logs) divided by their sum, rounded as it is written to files.

    Raises:
        ModelError: If a number is NaN or all are infinite.
    """
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    # Written so that NaN fails, too: the largest number has weight 1.
    if not sum(weights) >= 1:
        raise ModelError(OVERFLOW)
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
