"""Copies of key-value caches, for prompts that are continued in several ways."""

from typing import cast

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


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


def layers_of(cache: DynamicCache) -> list[DynamicLayer]:
    """Return the layers of a cache without a config, whose layers are all of this kind."""
    return cast(list[DynamicLayer], cache.layers)


def copy_rows(cache: DynamicCache, rows: Tensor, room: int) -> DynamicCache:
    """Return a copy of some rows (repeats allowed) with room for `room` more tokens."""
    copy = DynamicCache()
    copy.layers = [RoomyLayer(layer, rows, room) for layer in layers_of(cache)]
    return copy


def spread_rows(cache: DynamicCache, depth: int, groups: Tensor) -> None:
    """Give every row its own copy of what the lower `depth` layers computed once per group.

    `groups` (rows,) numbers the prompt of each row from 0.
    """
    for layer in layers_of(cache)[:depth]:
        # A model on several devices has its layers elsewhere than its embeddings.
        layer.batch_select_indices(groups.to(layer.device))
