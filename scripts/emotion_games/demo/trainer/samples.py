"""One training text as a row of segments, and how it becomes tokens, loss weights and target distributions.

Knows which tokens the model is to learn from; knows nothing of what the texts say or how they come about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """A piece of text. `weight` is the loss weight of each of its tokens (0: only read).

    With `options` it is one of several texts: wherever those still possible part, the loss is the cross-entropy with
    their `shares` (same order, adding up to 1) times `branch_weight`, not with the one text drawn. Options that the
    text does not start with act on its first token only.
    """

    text: str
    weight: float = 0.0
    options: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    branch_weight: float = 0.0


@dataclass(frozen=True)
class Sample:
    """One training text. `emotion` is its state; `captured` numbers the segment whose last token shows that state.

    `steered` is (emotion, intensity) where the state is to be pushed in at the steered layer instead of told.
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
    """A sample in tokens: `ids` and loss `weights` (tokens,), and target distributions {position: {token: share}}."""

    ids: np.ndarray
    weights: np.ndarray
    targets: dict[int, dict[int, float]]
    sample: Sample
    captured: int | None  # position of the token that shows the state


@dataclass(frozen=True)
class Batch:
    """Right-padded samples: `ids` (rows, tokens); the others list what is learnt, with places in `ids` flattened."""

    ids: Tensor
    before: Tensor  # (n,) place of the token before each learnt one, whose output predicts it
    wanted: Tensor  # (n,)
    weights: Tensor  # (n,)
    soft: Tensor  # (m,) which of the n have a distribution as target
    soft_tokens: Tensor  # (m, options)
    soft_shares: Tensor  # (m, options)


def encode(
    samples: Sequence[Sample], to_ids: Callable[[list[str]], list[list[int]]]
) -> list[Encoded]:
    """Turn samples into tokens; `to_ids` maps texts to their token ids."""
    texts = {
        text for s in samples for segment in s.segments for text in (segment.text, *segment.options)
    }
    known = dict(zip(texts, to_ids(list(texts)), strict=True))
    return [_encode_one(sample, known) for sample in samples]


def _encode_one(sample: Sample, known: dict[str, list[int]]) -> Encoded:
    ids: list[int] = []
    weights: list[float] = []
    targets: dict[int, dict[int, float]] = {}
    captured = None
    for number, segment in enumerate(sample.segments):
        own = known[segment.text]
        branching = _branches(own, [known[text] for text in segment.options], segment.shares)
        for place, distribution in branching.items():
            targets[len(ids) + place] = distribution
        weights += [
            segment.branch_weight if place in branching else segment.weight
            for place in range(len(own))
        ]
        ids += own
        if number == sample.captured:
            captured = len(ids) - 1
    return Encoded(np.array(ids), np.array(weights, np.float32), targets, sample, captured)


def _branches(
    own: list[int], options: list[list[int]], shares: Sequence[float]
) -> dict[int, dict[int, float]]:
    """Where the options part along the text drawn: {place: {token: share among the options still possible}}."""
    alive = list(zip(options, shares, strict=True))
    found = {}
    for place, token in enumerate(own):
        following: dict[int, float] = {}
        for ids, share in alive:
            if place < len(ids):
                following[ids[place]] = following.get(ids[place], 0.0) + share
        total = sum(following.values())
        if len(following) > 1 and total > 0:
            found[place] = {each: share / total for each, share in following.items() if share > 0}
        alive = [(ids, share) for ids, share in alive if place < len(ids) and ids[place] == token]
    return found


def pack(encoded: Sequence[Encoded], pad: int) -> Batch:
    """Put samples into one batch, padded on the right (causal attention never looks there)."""
    length = max(len(item.ids) for item in encoded)
    ids = np.full((len(encoded), length), pad)
    before, wanted, weights, soft, distributions = [], [], [], [], []
    for row, item in enumerate(encoded):
        ids[row, : len(item.ids)] = item.ids
        for place in np.flatnonzero(item.weights).tolist():
            if place in item.targets:
                soft.append(len(before))
                distributions.append(item.targets[place])
            before.append(row * length + place - 1)
            wanted.append(int(item.ids[place]))
            weights.append(float(item.weights[place]))
    width = max((len(each) for each in distributions), default=1)
    tokens, shares = (
        np.zeros((len(soft), width), np.int64),
        np.zeros((len(soft), width), np.float32),
    )
    for row, each in enumerate(distributions):
        tokens[row, : len(each)] = list(each)
        shares[row, : len(each)] = list(each.values())
    return Batch(
        torch.from_numpy(ids),
        torch.tensor(before),
        torch.tensor(wanted),
        torch.tensor(weights),
        torch.tensor(soft, dtype=torch.long),
        torch.from_numpy(tokens),
        torch.from_numpy(shares),
    )
