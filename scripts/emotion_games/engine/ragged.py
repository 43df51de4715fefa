"""Texts of different lengths in one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emotion_games.engine.backend import Ids


def padded(texts: Sequence[Ids], value: int, side: str = "right") -> Tensor:
    """Return one text per row, (rows, longest), with `value` beside the shorter ones."""
    rows = [torch.tensor(text, dtype=torch.long) for text in texts]
    return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)


def logprobs(logits: Tensor, texts: Sequence[Ids]) -> list[list[float]]:
    """Return the log-probability of each token of one text per row.

    The t-th token of a text follows `logits[:, t]`.
    """
    ids = padded(texts, 0).to(logits.device)
    steps = logits[:, : ids.shape[1]].float()
    # Not log_softmax, which would write a number for every token of the vocabulary.
    values = steps.gather(-1, ids[..., None])[..., 0] - steps.logsumexp(-1)
    return [row[: len(text)] for row, text in zip(values.tolist(), texts, strict=True)]
