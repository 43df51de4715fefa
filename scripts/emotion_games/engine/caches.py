"""Caches of what a model has read, for prompts that are continued in several ways.

Attention layers keep the keys and values of every token, and the attention mask makes a window.
Recurrent layers keep a state, which cannot go back to an earlier token.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import (
    CacheLayerMixin,
    DummyLayer,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionCacheLayerMixin,
    LinearAttentionLayer,
)

# What is used in place of layers that forget tokens outside their window: rows that are padded or
# branch off would forget different ones.
FULL_LENGTH: dict[type, type] = {
    DynamicSlidingWindowLayer: DynamicLayer,
    LinearAttentionAndSlidingWindowAttentionLayer: LinearAttentionAndFullAttentionLayer,
}
# Layers of which rows can be copied. Another kind may keep more than its methods copy.
COPIED = (
    DynamicLayer,
    DynamicIndexedLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    DummyLayer,
)
# An attribute of a cache with something for each row, which copies take along. The self-check notes
# there what it has seen of a row.
NOTES = "notes"


class CacheError(RuntimeError):
    """The cache of a model cannot be used here."""


class RoomyLayer(DynamicLayer):
    """A copy of some rows of a cache layer, with room set aside for new tokens.

    New tokens are written into that room, so that the old ones are never moved.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, layer: DynamicLayer, branches: "Branches", room: int) -> None:
        super().__init__()
        assert layer.keys is not None and layer.values is not None, "nothing has been read yet"
        self.lazy_initialization(layer.keys, layer.values)
        rows, length = len(branches.rows), layer.keys.shape[-2]
        # A slice of the whole tensor is what the model sees; it grows without a copy.
        self._whole = []
        for old in (layer.keys, layer.values):
            whole = old.new_empty(rows, old.shape[1], length + room, old.shape[3])
            self._whole.append(whole)
            branches.copy(old, whole[:, :, :length])
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys, self.values = (whole[:, :, :length] for whole in self._whole)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write new keys and values (rows, heads, new, width) and return all of them."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        self._show(end)
        return self.keys, self.values


@dataclass(frozen=True)
class Branches:
    """Rows that go on from rows of a cache.

    Attributes:
        rows: The row of the cache that each one goes on from, (branches,).
        drops: How many of the last tokens of that row each one drops, (branches,). What is left
            moves to the right, so that the padding is on the left.
    """

    rows: Tensor
    drops: Tensor

    def copy(self, old: Tensor, new: Tensor) -> None:
        """Copy keys or values, both (rows, heads, length, width)."""
        rows, drops = self.rows.to(old.device), self.drops.to(old.device)
        if not drops.any():
            torch.index_select(old, 0, rows, out=new)
            return
        for drop in drops.unique().tolist():
            at = (drops == drop).nonzero().flatten()
            new[at, :, drop:] = old[rows[at], :, : old.shape[2] - drop]
            # Padding, which must not be something infinite.
            new[at, :, :drop] = 0


def new_cache(config: PreTrainedConfig) -> DynamicCache:
    """Return an empty cache for a model.

    Raises:
        CacheError: If rows of its layers cannot be copied.
    """
    cache = DynamicCache(config=config)
    for place, layer in enumerate(cache.layers):
        if full := FULL_LENGTH.get(type(layer)):
            states = getattr(layer, "number_of_states", 1)
            cache.layers[place] = layer = full(number_of_states=states)
        if type(layer) not in COPIED:
            raise CacheError(
                f"rows of a cache layer of type {type(layer).__name__} cannot be copied"
            )
    return cache


def has_attention(cache: DynamicCache) -> bool:
    """Return whether some layer keeps keys and values."""
    return any(isinstance(layer, CacheLayerMixin) for layer in cache.layers)


def can_go_back(cache: DynamicCache) -> bool:
    """Return whether the last tokens can be taken out of a cache."""
    return not any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in cache.layers)


def can_branch(cache: DynamicCache) -> bool:
    """Return whether rows can go on from an earlier token of a row."""
    return all(type(layer) in (DynamicLayer, RoomyLayer) for layer in cache.layers)


def branch(
    cache: DynamicCache, parents: Sequence[int], branches: Sequence[Branches], room: int
) -> DynamicCache:
    """Return a cache of rows that go on from rows of another one.

    Args:
        cache: What has been read.
        parents: The row that each new one goes on from; repeats are allowed.
        branches: The same for each layer of the cache, which may have fewer rows.
        room: For how many more tokens there is room.
    """
    copied = copy(cache)
    layers = zip(cache.layers, branches, strict=True)
    copied.layers = [_copied(layer, own, room) for layer, own in layers]
    if notes := getattr(cache, NOTES, None):
        setattr(copied, NOTES, [notes[row] for row in parents])
    return copied


def _copied(layer: Any, branches: Branches, room: int) -> Any:
    if type(layer) in (DynamicLayer, RoomyLayer) and layer.is_initialized:
        return RoomyLayer(layer, branches, room)
    copied = copy(layer)
    # The states of a recurrent layer are in dictionaries, which are changed in place.
    copied.__dict__ |= {k: dict(v) for k, v in vars(layer).items() if isinstance(v, dict)}
    copied.reorder_cache(branches.rows)
    return copied


def change_states(cache: DynamicCache) -> bool:
    """Change every recurrent state, but not what convolutions keep; return whether there are any.

    For the question whether a model reads its states.
    """
    found = [s for layer in cache.layers for s in getattr(layer, "recurrent_states", {}).values()]
    states = [state for state in found if state is not None]
    for state in states:
        state += 1
    return bool(states)
