"""Reading prompts and writing answers for many rows at once, each row under its own steering vectors.

A row is one prompt under one condition. Prompts are read once; repeats, option scores and rationales branch off the
key-value cache of what has been read. Knows tokens and vectors only: nothing of games, emotions or text.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from emotion_games.models import LoadedModel, end_tokens
from emotion_games.sampling import next_tokens
from emotion_games.sharing import shared_lower_layers, spread_cache
from emotion_games.steering import steer

# Finished rows leave the batch when they are this share of it: copying the cache costs about one step.
LEAVING_SHARE = 0.25
# Logits held at once while scoring, in elements (1 GiB in float32).
LOGITS_AT_ONCE = 2**28


@dataclass
class Rows:
    """Rows that have been read, with the logits (rows, vocabulary) of what comes next.

    `mask` (rows, length) is 0 at padding; `pushes` is {layer: (rows, hidden)}.
    """

    cache: DynamicCache
    mask: Tensor
    pushes: dict[int, Tensor]
    logits: Tensor

    def take(self, index: Sequence[int]) -> "Rows":
        """A copy of some rows, in the given order, repeats allowed."""
        at = torch.as_tensor(index, device=self.mask.device)
        cache = DynamicCache()
        for number, layer in enumerate(self.cache.layers):
            cache.update(layer.keys[at], layer.values[at], number)
        return Rows(cache, self.mask[at], {k: v[at] for k, v in self.pushes.items()}, self.logits[at])


def read(loaded: LoadedModel, prompts: Sequence[Sequence[int]], pushes: dict[int, Tensor], share: bool = True) -> Rows:
    """Read prompts (token ids, one a row) under `pushes` {layer: (rows, hidden)}; rows are padded on the left."""
    width = max(map(len, prompts))
    pad = loaded.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=loaded.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=loaded.device)
    numbers = {p: i for i, p in enumerate(dict.fromkeys(map(tuple, prompts)))}
    groups = torch.tensor([numbers[tuple(p)] for p in prompts], device=loaded.device)
    depth = min(pushes) + 1 if share and pushes and len(numbers) < len(prompts) else 0
    cache = DynamicCache()
    with shared_lower_layers(loaded.layers, depth, groups) if depth else nullcontext():
        logits = _forward(loaded, ids, mask, pushes, cache, keep=1)
    if depth:
        spread_cache(cache, depth, groups)
    return Rows(cache, mask, pushes, logits[:, -1])


@torch.inference_mode()
def _forward(
    loaded: LoadedModel, ids: Tensor, mask: Tensor, pushes: dict[int, Tensor], cache: DynamicCache, keep: int
) -> Tensor:
    """Logits (rows, keep, vocabulary) after `ids`, of which `mask` (rows, past + new) hides the padding."""
    accepted = inspect.signature(loaded.model.forward).parameters
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extras = {"position_ids": positions, "logits_to_keep": keep}
    extras = {name: value for name, value in extras.items() if name in accepted}
    with steer(loaded.model, loaded.layers, pushes):
        out = loaded.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extras)
    return out.logits[:, -keep:]


def _extend(loaded: LoadedModel, rows: Rows, ids: Tensor, real: Tensor) -> Tensor:
    """Read `ids` (rows, new) after `rows`, in place; `real` (rows, new) is 0 at padding. Returns all new logits."""
    rows.mask = torch.cat([rows.mask, real], 1)
    return _forward(loaded, ids, rows.mask, rows.pushes, rows.cache, keep=ids.shape[1])


def token_logprobs(
    loaded: LoadedModel, rows: Rows, places: Sequence[int], texts: Sequence[Sequence[Sequence[int]]]
) -> list[list[list[float]]]:
    """Log-probability of every token of continuations.

    `texts[k]` holds several lists of token ids that follow row `places[k]`. The rows stay as they are. Returns nested lists of the same shape as `texts`.
    """
    flat = [(row, ids) for row, several in zip(places, texts, strict=True) for ids in several]
    longest = max(len(ids) for _, ids in flat)
    # No more rows at once than were read, so that scoring never needs more memory than a second such cache.
    chunk = max(1, min(len(rows.mask), LOGITS_AT_ONCE // (longest * rows.logits.shape[-1])))
    results: list[list[float]] = []
    for start in range(0, len(flat), chunk):
        results += _score_chunk(loaded, rows, flat[start : start + chunk])
    found = iter(results)
    return [[next(found) for _ in several] for several in texts]


def _score_chunk(loaded: LoadedModel, rows: Rows, flat: list[tuple[int, Sequence[int]]]) -> list[list[float]]:
    width = max(len(ids) for _, ids in flat)
    pad, device = loaded.tokenizer.pad_token_id, loaded.device
    targets = torch.tensor([list(ids) + [pad] * (width - len(ids)) for _, ids in flat], device=device)
    real = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for _, ids in flat], device=device)
    branch = rows.take([row for row, _ in flat])
    logits = branch.logits[:, None]
    if width > 1:
        logits = torch.cat([logits, _extend(loaded, branch, targets[:, :-1], real[:, :-1])], 1)
    chosen = logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0].tolist()
    return [values[: len(ids)] for values, (_, ids) in zip(chosen, flat, strict=True)]


def generate(
    loaded: LoadedModel,
    rows: Rows,
    uniforms: Tensor,
    temperature: float,
    top_p: float,
    is_closed: Callable[[str], bool],
) -> list[list[int]]:
    """Write an answer for every row, of at most `uniforms.shape[1]` tokens; `rows` is used up.

    `uniforms` (rows, steps) decides the tokens. A row ends with an end token (not returned) or when `is_closed` says
    that its text is complete; finished rows leave the batch.
    """
    ends, answers = end_tokens(loaded), [[] for _ in range(len(uniforms))]
    uniforms = uniforms.to(loaded.device)
    alive = list(range(len(uniforms)))
    at = list(alive)  # the answer that each row of the batch belongs to
    for step in range(uniforms.shape[1]):
        tokens = next_tokens(rows.logits, uniforms[at, step], temperature, top_p)
        done = set()
        for row, token in zip(at, tokens.tolist(), strict=True):
            if row in alive and _add_token(loaded, answers[row], token, ends, is_closed):
                done.add(row)
        alive = [row for row in alive if row not in done]
        if not alive:
            break
        if len(alive) <= (1 - LEAVING_SHARE) * len(at):
            keep = [place for place, row in enumerate(at) if row in alive]
            rows, at, tokens = rows.take(keep), list(alive), tokens[keep]
        rows.logits = _extend(loaded, rows, tokens[:, None], torch.ones_like(tokens[:, None]))[:, -1]
    return answers


def _add_token(loaded: LoadedModel, answer: list[int], token: int, ends: set[int], is_closed: Callable) -> bool:
    """Append a token unless it ends the answer; True when the answer is complete."""
    if token in ends:
        return True
    answer.append(token)
    return "}" in loaded.tokenizer.decode([token]) and is_closed(loaded.tokenizer.decode(answer))
