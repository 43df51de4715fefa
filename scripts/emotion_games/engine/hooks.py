"""Adding vectors to hidden states, a different one for each row of a batch, and reading states at the same place.

The place is the output of a decoder layer (the residual stream after it). Knows nothing of emotions or of what the
vectors mean. Whatever happens in the body, no hook outlives its `with` block.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


class SteeringError(RuntimeError):
    """Steering did not act as asked; results would be those of an unsteered model."""


@contextmanager
def steer(model: nn.Module, layers: nn.ModuleList, vectors: dict[int, Tensor]) -> Iterator[None]:
    """Add `vectors[layer]` of shape (rows, hidden) to that layer's output: row i steers sequence i.

    A vector acts at every position that the attention mask does not hide, in prompt and answer; a zero row leaves its
    sequence as it is. Raises SteeringError when a forward pass of `model` did not run every hook once on every row.
    """
    mask: dict[str, Tensor | None] = {}
    acted: list[int] = []
    passes: list[int] = []

    def before_pass(_module: nn.Module, _args: tuple, kwargs: dict) -> None:
        shown = kwargs.get("attention_mask")
        mask["now"] = None if shown is None else shown[..., None]
        acted.clear()

    def push(layer: int, added: Tensor, output: Tensor | tuple) -> Tensor | tuple:
        hidden = output[0] if isinstance(output, tuple) else output
        if hidden.shape[0] != added.shape[0]:
            raise SteeringError(
                f"layer {layer}: {hidden.shape[0]} rows in the batch, {added.shape[0]} vectors"
            )
        if "now" not in mask:
            raise SteeringError(
                "the model was not run through its own forward pass while it was steered"
            )
        acted.append(layer)
        added, shown = added.to(hidden)[:, None], mask["now"]
        if shown is None:
            pushed = hidden + added
        else:
            pushed = torch.addcmul(hidden, added, shown[:, -hidden.shape[1] :].to(hidden))
        return (pushed, *output[1:]) if isinstance(output, tuple) else pushed

    def after_pass(*_: object) -> None:
        passes.append(1)
        mask.clear()
        if sorted(acted) != sorted(vectors):
            raise SteeringError(
                f"steering acted on layers {sorted(acted)}, not on {sorted(vectors)}"
            )

    with ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(before_pass, with_kwargs=True).remove)
        for layer, added in vectors.items():
            hook = layers[layer].register_forward_hook(
                lambda _m, _a, out, at=layer, v=added: push(at, v, out)
            )
            hooks.callback(hook.remove)
        hooks.callback(model.register_forward_hook(after_pass).remove)
        yield
        if vectors and not passes:
            raise SteeringError(
                "the model was not run through its own forward pass while it was steered"
            )


@contextmanager
def capture(layers: nn.ModuleList, wanted: list[int]) -> Iterator[dict[int, Tensor]]:
    """Collect the outputs (rows, positions, hidden) of layers, as the hooks registered before leave them."""
    states: dict[int, Tensor] = {}

    def keep(layer: int, output: Tensor | tuple) -> None:
        states[layer] = output[0] if isinstance(output, tuple) else output

    with ExitStack() as hooks:
        for layer in wanted:
            hooks.callback(
                layers[layer]
                .register_forward_hook(lambda _m, _a, out, at=layer: keep(at, out))
                .remove
            )
        yield states
