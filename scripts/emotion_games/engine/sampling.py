"""Choosing the next token with random numbers that belong to the trial, not to the batch.

Each trial has one uniform number per step, and the token is the inverse of the cumulative
distribution at that number. An answer therefore depends neither on the other rows of its batch nor
on the order of the batches.
"""

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from emotion_games.errors import UserError

# If the nucleus is larger than this many tokens, the whole vocabulary is sorted to find it.
CANDIDATES = 1024
OVERFLOW = "the model's numbers overflow; use dtype bfloat16 or float32, or a smaller intensity"


def trial_uniforms(key: tuple, seed: int, steps: int) -> np.ndarray:
    """Return the uniform numbers of a trial, (steps,) in [0, 1).

    They are a Philox stream (Salmon et al. 2011) whose key is a hash of seed and trial, so that a
    longer stream begins with a shorter one.

    Args:
        key: What identifies the trial; anything that JSON can hold.
        seed: The seed of the series.
        steps: The largest number of tokens of the answer.
    """
    hashed = hashlib.sha256(json.dumps([seed, *key]).encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(hashed[:16], "little"))
    return np.random.Generator(stream).random(steps)


def next_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return one token per row, (rows,).

    The nucleus holds the most likely tokens until their mass reaches `top_p` (Holtzman et al.
    2020, arXiv:1904.09751), and all tokens that are as likely as the last of them.

    Args:
        logits: (rows, vocabulary).
        uniforms: (rows,) in [0, 1).
        temperature: Divides the logits; 0 takes the most likely token.
        top_p: Probability mass of the nucleus.

    Raises:
        UserError: If a logit is infinite or not a number.
    """
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.double() / temperature, -1)
    top = probabilities.topk(min(CANDIDATES, probabilities.shape[-1])).values
    if not bool((top.sum(-1) >= top_p).all()):
        if not bool(probabilities.isfinite().all()):
            raise UserError(OVERFLOW)
        top = probabilities.sort(descending=True).values
    least = top.masked_fill(top.cumsum(-1) - top >= top_p, 1.0).amin(-1, keepdim=True)
    # In the order of the vocabulary, so that nearly equal probabilities cannot change places
    # between two batch sizes.
    cumulative = torch.where(probabilities >= least, probabilities, 0.0).cumsum(-1)
    mass = cumulative[:, -1:]
    # The product may be rounded up to the mass itself, where there is no token of the nucleus.
    at = (uniforms[:, None] * mass).minimum(mass.nextafter(torch.zeros_like(mass)))
    return torch.searchsorted(cumulative, at, right=True)[:, 0]
