"""Computing the layers below the first steered one only once for rows that read the same prompt.

Until a vector is added, all conditions of a prompt have the same hidden states. Inside `shared_lower_layers` the lower
layers run on one row a prompt, and the output of the last of them is spread over all rows. It works on any decoder
whose layers take their tensors row by row; the cache is spread afterwards with `spread_cache`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from transformers import DynamicCache


@contextmanager
def shared_lower_layers(layers: nn.ModuleList, depth: int, groups: Tensor) -> Iterator[None]:
    """Run `layers[:depth]` once a group; `groups` (rows,) numbers the prompt of each row from 0."""
    rows = len(groups)
    representatives = torch.stack(
        [(groups == g).nonzero()[0, 0] for g in range(int(groups.max()) + 1)]
    )

    def narrow(value: object) -> object:
        if isinstance(value, Tensor) and value.ndim > 1 and value.shape[0] == rows:
            return value[representatives.to(value.device)]
        return tuple(narrow(v) for v in value) if isinstance(value, tuple) else value

    def before(first: bool, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        hidden, *rest = args
        hidden = hidden[representatives.to(hidden.device)] if first else hidden
        return (hidden, *map(narrow, rest)), {name: narrow(value) for name, value in kwargs.items()}

    def spread(output: Tensor | tuple) -> Tensor | tuple:
        hidden = output[0] if isinstance(output, tuple) else output
        # A model spread over devices has its layers elsewhere than its embeddings.
        spread_out = hidden[groups.to(hidden.device)]
        return (spread_out, *output[1:]) if isinstance(output, tuple) else spread_out

    with ExitStack() as hooks:
        for number, layer in enumerate(layers[:depth]):
            narrowing = layer.register_forward_pre_hook(
                lambda _m, args, kwargs, first=number == 0: before(first, args, kwargs),
                with_kwargs=True,
            )
            hooks.callback(narrowing.remove)
        hooks.callback(
            layers[depth - 1].register_forward_hook(lambda _m, _a, out: spread(out)).remove
        )
        yield


def spread_cache(cache: DynamicCache, depth: int, groups: Tensor) -> None:
    """Give every row its own copy of the keys and values that the lower layers computed once a group."""
    for layer in cache.layers[:depth]:
        rows = groups.to(layer.keys.device)
        layer.keys, layer.values = layer.keys[rows], layer.values[rows]
