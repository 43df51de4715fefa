"""Forward hooks on the decoder layers: add vectors, capture states, share the lower layers.

All of them act on the output of a decoder layer, which is the residual stream after it. No hook
outlives its `with` block, even if the body raises.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

# Decoder layers return a tensor or, in some architectures, a tuple that begins with it.
Output = Tensor | tuple[Any, ...]


class SteeringError(RuntimeError):
    """Steering did not act as configured, so that results would be those of an unsteered model."""


def _hidden(output: Output) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _replaced(output: Output, hidden: Tensor) -> Output:
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@contextmanager
def steer(model: nn.Module, layers: nn.ModuleList, vectors: dict[int, Tensor]) -> Iterator[None]:
    """Add a vector to the output of some layers, a different one for each row of a batch.

    This is activation addition (Turner et al. 2023, arXiv:2308.10248) at all positions of prompt
    and answer that the attention mask does not hide. A zero row leaves its sequence as it is.

    Args:
        model: The model whose forward pass is steered.
        layers: Its decoder layers.
        vectors: {layer: (rows, hidden)}; row i steers sequence i.

    Raises:
        SteeringError: If a forward pass of `model` did not run every hook once on every row.
    """
    mask: Tensor | None = None
    acted: list[int] = []
    running, passes = False, 0

    def before_pass(_module: nn.Module, _args: tuple, kwargs: dict[str, Any]) -> None:
        nonlocal mask, running
        mask, running = kwargs.get("attention_mask"), True
        acted.clear()

    def push(layer: int, _module: nn.Module, _args: tuple, output: Output) -> Output:
        hidden, added = _hidden(output), vectors[layer]
        if hidden.shape[0] != added.shape[0]:
            raise SteeringError(
                f"layer {layer}: {hidden.shape[0]} rows in the batch, {added.shape[0]} vectors"
            )
        # Without the model's own pass the mask is unknown, and padding would be steered too.
        if not running:
            raise SteeringError(not_run)
        acted.append(layer)
        added = added.to(hidden)[:, None]
        if mask is None:
            return _replaced(output, hidden + added)
        # The mask also covers the cached positions; those of this pass are the last ones.
        shown = mask[:, -hidden.shape[1] :, None].to(hidden)
        return _replaced(output, torch.addcmul(hidden, added, shown))

    def after_pass(*_: object) -> None:
        nonlocal running, passes
        running, passes = False, passes + 1
        if sorted(acted) != sorted(vectors):
            raise SteeringError(
                f"steering acted on layers {sorted(acted)}, not on {sorted(vectors)}"
            )

    not_run = "the model was not run through its own forward pass while it was steered"
    with ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(before_pass, with_kwargs=True).remove)
        for layer in vectors:
            hooks.callback(layers[layer].register_forward_hook(partial(push, layer)).remove)
        hooks.callback(model.register_forward_hook(after_pass).remove)
        yield
        if vectors and not passes:
            raise SteeringError(not_run)


@contextmanager
def capture(layers: nn.ModuleList, watched: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Collect the outputs of the watched layers, {layer: (rows, positions, hidden)}.

    Hooks that were registered before have already changed them.
    """
    states: dict[int, Tensor] = {}

    def keep(layer: int, _module: nn.Module, _args: tuple, output: Output) -> None:
        states[layer] = _hidden(output)

    with ExitStack() as hooks:
        for layer in watched:
            hooks.callback(layers[layer].register_forward_hook(partial(keep, layer)).remove)
        yield states


@contextmanager
def shared_lower_layers(layers: nn.ModuleList, depth: int, groups: Tensor) -> Iterator[None]:
    """Run `layers[:depth]` on one row per prompt and spread the last output over all rows.

    Until a vector is added, all rows of a prompt have the same hidden states. This works for any
    decoder whose layers take their tensors row by row. The cache must be spread afterwards
    (`caches.spread_rows`).

    Args:
        layers: The decoder layers.
        depth: How many of them are shared; 0 shares nothing.
        groups: The number of each row's prompt, counted from 0, (rows,).
    """
    rows, numbers = len(groups), groups.tolist()
    first_rows = torch.tensor([numbers.index(group) for group in range(max(numbers) + 1)])

    def narrow(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim > 1 and value.shape[0] == rows:
            return value[first_rows.to(value.device)]
        return tuple(map(narrow, value)) if isinstance(value, tuple) else value

    # Layers above the first already get the narrow output of the layer below.
    def before(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
        return narrow(args), {name: narrow(value) for name, value in kwargs.items()}

    def spread(_module: nn.Module, _args: tuple, output: Output) -> Output:
        hidden = _hidden(output)
        # A model on several devices has its layers elsewhere than its embeddings.
        return _replaced(output, hidden[groups.to(hidden.device)])

    with ExitStack() as hooks:
        for layer in layers[:depth]:
            hooks.callback(layer.register_forward_pre_hook(before, with_kwargs=True).remove)
        if depth:
            hooks.callback(layers[depth - 1].register_forward_hook(spread).remove)
        yield
