"""Training texts as rows of segments, and their tokens, loss weights and target distributions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """A piece of text, possibly one of several options.

    Where options with the same beginning have different next tokens, the target is not the text
    that was drawn but the distribution of these tokens.

    Attributes:
        text: The text.
        weight: The loss weight of each token; 0 if it is only read.
        options: All texts that were possible. An option that has no common beginning with `text`
            acts on its first token only.
        shares: The probability of each option, with sum 1.
        branch_weight: The loss weight of the tokens at which options differ.
    """

    text: str
    weight: float = 0.0
    options: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    branch_weight: float = 0.0


@dataclass(frozen=True)
class Sample:
    """One training text.

    Attributes:
        segments: The parts of the text.
        emotion: The emotion that the text describes.
        captured: The index of the segment at whose last token the hidden state is recorded.
        steered: The emotion and the intensity of a push at the steered layer. The push of neutral
            has a null direction, which means nothing.
    """

    segments: tuple[Segment, ...]
    emotion: str
    captured: int | None = None
    steered: tuple[str, float] | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True)
class Encoded:
    """A sample in tokens.

    Attributes:
        ids: The tokens, `(tokens,)`.
        weights: Their loss weights, `(tokens,)`.
        targets: By position, the distribution {token: share} that replaces the token as target.
        sample: The sample.
        captured: The position at which the hidden state is recorded.
    """

    ids: np.ndarray
    weights: np.ndarray
    targets: dict[int, dict[int, float]]
    sample: Sample
    captured: int | None


@dataclass(frozen=True)
class Batch:
    """Right-padded samples, and a list of the n tokens that are learnt.

    Attributes:
        ids: The tokens, `(rows, tokens)`.
        before: The index into the flattened `ids` of the token before each learnt one, `(n,)`.
            Its output predicts the learnt token.
        targets: The learnt tokens, `(n,)`.
        weights: Their loss weights, `(n,)`.
        soft: The indices of the m learnt tokens with a distribution as target, `(m,)`.
        soft_tokens: The tokens of these distributions, `(m, options)`.
        soft_shares: The shares of these tokens, `(m, options)`.
    """

    ids: Tensor
    before: Tensor
    targets: Tensor
    weights: Tensor
    soft: Tensor
    soft_tokens: Tensor
    soft_shares: Tensor


def encode(
    samples: Sequence[Sample], to_ids: Callable[[list[str]], list[list[int]]]
) -> list[Encoded]:
    """Turn samples into tokens; `to_ids` maps texts to their token ids."""
    texts = set()
    for sample in samples:
        for segment in sample.segments:
            texts |= {segment.text, *segment.options}
    # Segments recur often, so each text is tokenized once.
    known = dict(zip(texts, to_ids(list(texts)), strict=True))
    return [_encode_one(sample, known) for sample in samples]


def _encode_one(sample: Sample, known: dict[str, list[int]]) -> Encoded:
    ids: list[int] = []
    weights: list[float] = []
    targets, captured = {}, None
    for number, segment in enumerate(sample.segments):
        own = known[segment.text]
        branching = _branches(own, [known[text] for text in segment.options], segment.shares)
        for place, distribution in branching.items():
            targets[len(ids) + place] = distribution
        for place in range(len(own)):
            weights.append(segment.branch_weight if place in branching else segment.weight)
        ids += own
        if number == sample.captured:
            captured = len(ids) - 1
    return Encoded(np.array(ids), np.array(weights, np.float32), targets, sample, captured)


def _branches(
    own: list[int], options: list[list[int]], shares: Sequence[float]
) -> dict[int, dict[int, float]]:
    """Return {place: {token: share}} for each place at which the possible options differ."""
    if not options:
        return {}
    # Options that have agreed with the text so far.
    alive = list(zip(options, shares, strict=True))
    branches = {}
    for place, token in enumerate(own):
        following: dict[int, float] = {}
        for ids, share in alive:
            if place < len(ids):
                following[ids[place]] = following.get(ids[place], 0.0) + share
        total = sum(following.values())
        # At a place with one possible token, that token is an ordinary target.
        if len(following) > 1 and total > 0:
            branches[place] = {
                each: share / total for each, share in following.items() if share > 0
            }
        alive = [(ids, share) for ids, share in alive if place < len(ids) and ids[place] == token]
    return branches


def pack(encoded: Sequence[Encoded], pad: int) -> Batch:
    """Put samples into one batch, padded on the right.

    No mask is needed, because causal attention does not reach the padding.
    """
    length = max(len(item.ids) for item in encoded)
    ids = np.full((len(encoded), length), pad)
    places: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    soft: list[int] = []
    distributions: list[dict[int, float]] = []
    for row, item in enumerate(encoded):
        ids[row, : len(item.ids)] = item.ids
        for place in np.flatnonzero(item.weights).tolist():
            if place in item.targets:
                soft.append(len(places))
                distributions.append(item.targets[place])
            places.append(row * length + place - 1)
            targets.append(int(item.ids[place]))
            weights.append(float(item.weights[place]))
    width = max((len(each) for each in distributions), default=1)
    tokens = np.zeros((len(soft), width), np.int64)
    shares = np.zeros((len(soft), width), np.float32)
    for row, each in enumerate(distributions):
        tokens[row, : len(each)] = list(each)
        shares[row, : len(each)] = list(each.values())
    return Batch(
        torch.from_numpy(ids),
        torch.tensor(places),
        torch.tensor(targets),
        torch.tensor(weights),
        torch.tensor(soft, dtype=torch.long),
        torch.from_numpy(tokens),
        torch.from_numpy(shares),
    )
