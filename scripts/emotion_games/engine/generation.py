"""Reading prompts and writing answers for many rows at once, each row under its own steering vectors.

A row is one prompt under one condition. Prompts are read once; repeats, option scores and rationales branch off the
key-value cache of what has been read. Knows tokens and vectors only: nothing of games, emotions or text.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from os.path import commonprefix

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from emotion_games.engine.hooks import steer
from emotion_games.engine.models import LoadedModel, end_tokens
from emotion_games.engine.sampling import next_tokens
from emotion_games.engine.sharing import shared_lower_layers, spread_cache

# Finished rows leave the batch when they are this share of it: copying the cache costs a few steps.
LEAVING_SHARE = 0.25
# Logits held at once while scoring, in elements (1 GiB in float32).
LOGITS_AT_ONCE = 2**28
# Rows that are scored together.
SCORED_AT_ONCE = 64


class RoomyLayer(DynamicLayer):
    """A copy of some rows of a cache layer, with room set aside: new tokens are written there, and nothing is moved."""

    def __init__(self, keys: Tensor, values: Tensor, rows: Tensor, room: int) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        length = keys.shape[-2]
        self._whole = [
            t.new_empty(len(rows), t.shape[1], length + room, t.shape[3]) for t in (keys, values)
        ]
        self.keys, self.values = (whole[:, :, :length] for whole in self._whole)
        for old, copy in ((keys, self.keys), (values, self.values)):
            torch.index_select(old, 0, rows.to(old.device), out=copy)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write the new keys and values (rows, heads, new, width); returns all of them."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        self.keys, self.values = (whole[:, :, :end] for whole in self._whole)
        return self.keys, self.values


@dataclass
class Rows:
    """Rows that have been read, with the logits (rows, vocabulary) of what comes next.

    `mask` (rows, length) is 0 at padding; `pushes` is {layer: (rows, hidden)}.
    """

    cache: DynamicCache
    mask: Tensor
    pushes: dict[int, Tensor]
    logits: Tensor

    def take(self, index: Sequence[int], room: int) -> "Rows":
        """A copy of some rows, in the given order, repeats allowed, with room for `room` more tokens."""
        at = torch.as_tensor(index, device=self.mask.device)
        cache = DynamicCache()
        cache.layers = [
            RoomyLayer(layer.keys, layer.values, at, room) for layer in self.cache.layers
        ]
        return Rows(
            cache, self.mask[at], {k: v[at] for k, v in self.pushes.items()}, self.logits[at]
        )

    def forget(self, tokens: int) -> None:
        """Go back to before the last `tokens` tokens; `logits` stay as they are."""
        for layer in self.cache.layers:
            layer.crop(-tokens)
        self.mask = self.mask[:, : self.mask.shape[1] - tokens]


def read(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    pushes: dict[int, Tensor],
    share: bool = True,
) -> Rows:
    """Read prompts (token ids, one a row) under `pushes` {layer: (rows, hidden)}; rows are padded on the left."""
    width = max(map(len, prompts))
    pad = loaded.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=loaded.device)
    mask = torch.tensor(
        [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=loaded.device
    )
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
    loaded: LoadedModel,
    ids: Tensor,
    mask: Tensor,
    pushes: dict[int, Tensor],
    cache: DynamicCache,
    keep: int,
) -> Tensor:
    """Logits (rows, keep, vocabulary) after `ids`, of which `mask` (rows, past + new) hides the padding."""
    accepted = inspect.signature(loaded.model.forward).parameters
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extras = {"position_ids": positions, "logits_to_keep": keep}
    extras = {name: value for name, value in extras.items() if name in accepted}
    with steer(loaded.model, loaded.layers, pushes):
        out = loaded.model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extras
        )
    return out.logits[:, -keep:]


def _extend(loaded: LoadedModel, rows: Rows, ids: Tensor, real: Tensor) -> Tensor:
    """Read `ids` (rows, new) after `rows`, in place; `real` (rows, new) is 0 at padding. Returns all new logits."""
    rows.mask = torch.cat([rows.mask, real], 1)
    return _forward(loaded, ids, rows.mask, rows.pushes, rows.cache, keep=ids.shape[1])


def token_logprobs(
    loaded: LoadedModel, rows: Rows, places: Sequence[int], texts: Sequence[Sequence[Sequence[int]]]
) -> list[list[list[float]]]:
    """Log-probability of every token of continuations.

    `texts[k]` holds several lists of token ids that follow row `places[k]`; what they all begin with is read once. The
    rows stay as they are. Returns nested lists of the same shape as `texts`.
    """
    begins = [len(commonprefix([list(ids[:-1]) for ids in several])) for several in texts]
    # Padding between the tokens of a row would fill its sliding window. So rows that are scored together read on
    # together only as far as each of them can, and neighbours can go about equally far.
    order = sorted(range(len(texts)), key=begins.__getitem__)
    longest = max(len(ids) for several in texts for ids in several)
    chunk = max(1, min(SCORED_AT_ONCE, LOGITS_AT_ONCE // (longest * rows.logits.shape[-1])))
    results: dict[int, list[list[float]]] = {}
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        branch = rows.take([places[k] for k in part], room=longest)
        found = _follow(loaded, branch, [texts[k] for k in part], begins[part[0]])
        results |= zip(part, found, strict=True)
    return [results[k] for k in range(len(texts))]


def _follow(
    loaded: LoadedModel, rows: Rows, texts: Sequence[Sequence[Sequence[int]]], begin: int
) -> list[list[list[float]]]:
    """Log-probabilities of several texts after each row; the first `begin` tokens are the same in a row's texts."""
    opening = [several[0][:begin] for several in texts]
    logits = _read_on(loaded, rows, opening)
    rows.logits, begun = logits[:, -1], _logprobs(logits, opening)
    results: list[list[list[float]]] = [[] for _ in texts]
    length = rows.mask.shape[1]
    for number in range(max(map(len, texts))):
        rest = [several[number][begin:] if number < len(several) else [] for several in texts]
        found = _logprobs(_read_on(loaded, rows, [ids[:-1] for ids in rest]), rest)
        rows.forget(rows.mask.shape[1] - length)
        for place, several in enumerate(texts):
            if number < len(several):
                results[place].append(begun[place] + found[place])
    return results


def _read_on(loaded: LoadedModel, rows: Rows, texts: Sequence[Sequence[int]]) -> Tensor:
    """Read one text a row, in place; logits (rows, longest + 1, vocabulary) before the first token and after each."""
    width = max(map(len, texts))
    if width == 0:
        return rows.logits[:, None]
    pad, device = loaded.tokenizer.pad_token_id, loaded.device
    ids = torch.tensor([list(t) + [pad] * (width - len(t)) for t in texts], device=device)
    real = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t in texts], device=device)
    return torch.cat([rows.logits[:, None], _extend(loaded, rows, ids, real)], 1)


def _logprobs(logits: Tensor, texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probability of each token of one text a row, whose t-th token follows `logits[:, t]`."""
    width = max(map(len, texts))
    ids = torch.tensor(
        [list(t) + [0] * (width - len(t)) for t in texts], device=logits.device, dtype=torch.long
    )
    values = logits[:, :width].float().log_softmax(-1).gather(-1, ids[..., None])[..., 0].tolist()
    return [row[: len(text)] for row, text in zip(values, texts, strict=True)]


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
    ends, answers, steps = end_tokens(loaded), [[] for _ in range(len(uniforms))], uniforms.shape[1]
    uniforms = uniforms.to(loaded.device)
    at = list(range(len(uniforms)))  # the answer that each row of the batch belongs to
    alive = set(at)
    for step in range(steps):
        tokens = next_tokens(rows.logits, uniforms[at, step], temperature, top_p)
        for answer, token in zip(at, tokens.tolist(), strict=True):
            if answer in alive and _add_token(loaded, answers[answer], token, ends, is_closed):
                alive.remove(answer)
        if not alive or step + 1 == steps:
            break
        if len(alive) <= (1 - LEAVING_SHARE) * len(at):
            keep = [place for place, answer in enumerate(at) if answer in alive]
            rows, at, tokens = (
                rows.take(keep, steps - step),
                [at[place] for place in keep],
                tokens[keep],
            )
        rows.logits = _extend(loaded, rows, tokens[:, None], torch.ones_like(tokens[:, None]))[
            :, -1
        ]
    return answers


def _add_token(
    loaded: LoadedModel, answer: list[int], token: int, ends: set[int], is_closed: Callable
) -> bool:
    """Append a token unless it ends the answer; True when the answer is complete."""
    if token in ends:
        return True
    answer.append(token)
    return "}" in loaded.tokenizer.decode([token]) and is_closed(loaded.tokenizer.decode(answer))
