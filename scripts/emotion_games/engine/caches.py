"""Caches of what a model has read, for prompts that are continued in several ways.

Attention layers keep the keys and values of every token, and the attention mask makes a window.
Recurrent layers keep a state, which cannot go back to an earlier token.
"""

from copy import copy
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


class CacheError(RuntimeError):
    """The cache of a model cannot be used here."""


class RoomyLayer(DynamicLayer):
    """A copy of some rows of a cache layer, with room set aside for new tokens.

    New tokens are written into that room, so that the old ones are never moved.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, layer: DynamicLayer, rows: Tensor, room: int) -> None:
        super().__init__()
        assert layer.keys is not None and layer.values is not None, "nothing has been read yet"
        self.lazy_initialization(layer.keys, layer.values)
        length = layer.keys.shape[-2]
        # A slice of the whole tensor is what the model sees; it grows without a copy.
        self._whole = []
        for old in (layer.keys, layer.values):
            whole = old.new_empty(len(rows), old.shape[1], length + room, old.shape[3])
            torch.index_select(old, 0, rows.to(old.device), out=whole[:, :, :length])
            self._whole.append(whole)
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


def cache_bytes(cache: DynamicCache) -> int:
    """Return the size of everything that a cache keeps."""
    kept: list[object] = []
    for layer in cache.layers:
        for value in vars(layer).values():
            kept += value.values() if isinstance(value, dict) else [value]
    return sum(value.nbytes for value in kept if isinstance(value, Tensor))


def copy_rows(cache: DynamicCache, rows: Tensor, room: int) -> DynamicCache:
    """Return a copy of some rows (repeats allowed) with room for `room` more tokens."""
    copied = copy(cache)
    copied.layers = [_copied(layer, rows, room) for layer in cache.layers]
    return copied


def _copied(layer: Any, rows: Tensor, room: int) -> Any:
    if type(layer) in (DynamicLayer, RoomyLayer) and layer.is_initialized:
        return RoomyLayer(layer, rows, room)
    copied = copy(layer)
    # The states of a recurrent layer are in dictionaries, which are changed in place.
    copied.__dict__ |= {k: dict(v) for k, v in vars(layer).items() if isinstance(v, dict)}
    copied.reorder_cache(rows)
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
