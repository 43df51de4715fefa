"""Choosing the next token with random numbers that belong to the trial, not to the batch.

Each trial brings one uniform number a step; the token is the inverse of the cumulative distribution at that number.
A trial's answer therefore depends neither on its neighbours nor on the order of the batches.
"""

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from emotion_games.errors import UserError

# Beyond this many tokens the nucleus is found by sorting the whole vocabulary.
CANDIDATES = 1024
OVERFLOW = "the model's numbers overflow; use dtype bfloat16 or float32, or a smaller intensity"


def trial_uniforms(key: tuple, seed: int, steps: int) -> np.ndarray:
    """Uniform numbers (steps,) in [0, 1) for one trial: a Philox stream keyed by a hash of the seed and the key."""
    hashed = hashlib.sha256(json.dumps([seed, *key]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashed[:16], "little"))).random(
        steps
    )


def next_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token a row from logits (rows, vocabulary) and uniforms (rows,); temperature 0 takes the likeliest.

    The nucleus holds the likeliest tokens until their mass reaches `top_p` (Holtzman et al. 2020, arXiv:1904.09751),
    and all that are as likely as the last of them. Raises UserError for logits that are not finite.
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
    # In the order of the vocabulary, nearly equal probabilities cannot change places between two batch sizes.
    cumulative = torch.where(probabilities >= least, probabilities, 0.0).cumsum(-1)
    mass = cumulative[:, -1:]
    # Below the mass even when the product is rounded up to it, so that the place is a token of the nucleus.
    at = (uniforms[:, None] * mass).minimum(mass.nextafter(torch.zeros_like(mass)))
    return torch.searchsorted(cumulative, at, right=True)[:, 0]
