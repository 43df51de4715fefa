"""Choosing the next token with random numbers that belong to the trial, not to the batch.

Each trial brings one uniform number a step; the token is the inverse of the cumulative distribution at that number.
A trial's answer therefore depends neither on its neighbours nor on the order of the batches.
"""

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

# Beyond this many tokens the nucleus is found by sorting the whole vocabulary.
CANDIDATES = 1024


def trial_uniforms(key: tuple, seed: int, steps: int) -> np.ndarray:
    """Uniform numbers (steps,) in [0, 1) for one trial: a Philox stream keyed by a hash of the seed and the key."""
    hashed = hashlib.sha256(json.dumps([seed, *key]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashed[:16], "little"))).random(steps)


def next_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token a row from logits (rows, vocabulary) and uniforms (rows,); temperature 0 takes the likeliest.

    The nucleus holds the likeliest tokens until their mass reaches `top_p` (Holtzman et al. 2020, arXiv:1904.09751).
    """
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.double() / temperature, -1)
    top, tokens = probabilities.topk(min(CANDIDATES, probabilities.shape[-1]))
    if bool((top.sum(-1) < top_p).any()):
        top, tokens = probabilities.sort(descending=True)
    top = torch.where(top.cumsum(-1) - top < top_p, top, 0.0)
    # In the order of the vocabulary, nearly equal probabilities cannot change places between two batch sizes.
    tokens, order = tokens.sort()
    cumulative = top.gather(-1, order).cumsum(-1)
    place = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True)
    return tokens.gather(-1, place.clamp(max=tokens.shape[-1] - 1))[:, 0]
