"""Forward hooks on the decoder layers: add vectors, capture states, share the lower layers.

All of them act on the output of a decoder layer, which is the residual stream after it. No hook
outlives its `with` block, even if the body raises.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

# Decoder layers return a tensor or, in some architectures, a tuple that begins with it.
Output = Tensor | tuple[Any, ...]
# The place of a tensor among the arguments of a layer: a name or number, and numbers inside tuples.
Place = tuple[str | int, ...]
# For each tensor argument, the axis that counts the rows of a batch; None if there is none.
Axes = dict[Place, int | None]
# Stands for an axis if batches of two and of three rows do not tell which one it is.
UNCLEAR = -1


class SteeringError(RuntimeError):
    """Steering did not act as configured, so that results would be those of an unsteered model."""


class SharingError(SteeringError):
    """The lower layers of a model cannot be shared by rows of the same prompt."""


def _hidden(output: Output) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _replaced(output: Output, hidden: Tensor) -> Output:
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@contextmanager
def steer(
    model: nn.Module,
    layers: nn.ModuleList,
    vectors: dict[int, Tensor],
    mask: Tensor | None = None,
    windows: Tensor | None = None,
) -> Iterator[None]:
    """Add a vector to the output of some layers, a different one for each row of a batch.

    This is activation addition (Turner et al. 2023, arXiv:2308.10248) at all positions of prompt
    and answer, or of a part of them, but the first. All other positions attend to the first one,
    whatever it holds (an attention sink, Xiao et al. 2023, arXiv:2309.17453), and its state is far
    longer than the others. A zero row leaves its sequence as it is.

    Args:
        model: The model whose forward pass is steered.
        layers: Its decoder layers.
        vectors: {layer: (rows, hidden)}; row i steers sequence i.
        mask: 0 at padding, (rows, positions). It ends with the positions of the pass and begins
            with those that the rows have read before. None stands for whole texts, unpadded.
        windows: Where each row is steered, (rows, 2): from which token on, and before which one,
            counted from 0 without padding. None stands for everywhere.

    Raises:
        SteeringError: If a forward pass of `model` did not run every hook once on every row.
    """
    acted: list[int] = []
    passes = 0
    # Once for all layers: on a GPU, starting a kernel takes longer than this work.
    pushed = None if mask is None else _pushed(mask, windows)

    def before_pass(*_: object) -> None:
        acted.clear()

    def push(layer: int, _module: nn.Module, _args: tuple, output: Output) -> Output:
        hidden, added = _hidden(output), vectors[layer]
        if hidden.ndim != 3:
            raise SteeringError(
                f"layer {layer}: its output of shape {tuple(hidden.shape)} is not one residual "
                "stream (rows, positions, hidden)"
            )
        if hidden.shape[0] != added.shape[0]:
            raise SteeringError(
                f"layer {layer}: {hidden.shape[0]} rows in the batch, {added.shape[0]} vectors"
            )
        acted.append(layer)
        at = _pushed(torch.ones(hidden.shape[:2]), windows) if pushed is None else pushed
        at = at[:, -hidden.shape[1] :, None].to(hidden)
        return _replaced(output, torch.addcmul(hidden, added.to(hidden)[:, None], at))

    def after_pass(*_: object) -> None:
        nonlocal passes
        passes += 1
        if sorted(acted) != sorted(vectors):
            raise SteeringError(
                f"steering acted on layers {sorted(acted)}, not on {sorted(vectors)}"
            )

    with ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(before_pass).remove)
        for layer in vectors:
            hooks.callback(layers[layer].register_forward_hook(partial(push, layer)).remove)
        hooks.callback(model.register_forward_hook(after_pass).remove)
        yield
        if vectors and not passes:
            raise SteeringError(
                "the model was not run through its own forward pass while it was steered"
            )


def _pushed(mask: Tensor, windows: Tensor | None) -> Tensor:
    """Return 1 where a row is pushed, (rows, positions); `mask` is 0 at padding."""
    pushed = pushed_positions(mask)
    return pushed if windows is None else pushed * inside(mask, windows)


def pushed_positions(mask: Tensor) -> Tensor:
    """Return 1 at every real position but the first of each row; `mask` is 0 at padding."""
    return mask * (mask.cumsum(-1) > 1)


def inside(mask: Tensor, windows: Tensor) -> Tensor:
    """Return where the tokens of each row are within its window; `mask` is 0 at padding."""
    tokens = mask.cumsum(-1) - 1
    begin, end = windows.to(tokens.device).split(1, -1)
    return (tokens >= begin) & (tokens < end)


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


def make_contiguous(head: nn.Module | None) -> None:
    """Let a layer read its input as one block of memory.

    The logits of the last positions only are computed from a slice of the hidden states, which
    PyTorch multiplies row by row on a CPU: 5 times as slow in float32, 70 times in bfloat16.
    """
    if head is not None:
        head.register_forward_pre_hook(lambda _, args: tuple(each.contiguous() for each in args))


def row_axes(layers: nn.ModuleList, run: Callable[[int], object]) -> list[Axes]:
    """Find out which axes of the layers' arguments count the rows of a batch.

    Shapes of two batches are compared, because a name or a size proves nothing: a bias for each
    attention head looks like one tensor a row if there are as many heads as rows.

    Args:
        layers: The decoder layers.
        run: Runs the model on a batch of that many rows, which are equally long in both.

    Returns:
        For each layer, the axis of each of its tensor arguments.
    """
    seen: list[dict[int, dict[Place, Sequence[int]]]] = [{}, {}]

    def watch(batch: int, layer: int, _module: nn.Module, args: tuple, kwargs: dict) -> None:
        shapes = seen[batch][layer] = {}

        def note(place: Place, value: Tensor) -> Tensor:
            shapes[place] = value.shape
            return value

        _mapped(note, args, kwargs)

    for batch, rows in enumerate((2, 3)):
        with ExitStack() as hooks:
            for number, layer in enumerate(layers):
                hook = partial(watch, batch, number)
                hooks.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
            run(rows)
    return [
        {place: _row_axis(shape, seen[1][number].get(place)) for place, shape in two.items()}
        for number, two in sorted(seen[0].items())
    ]


def _row_axis(two: Sequence[int], three: Sequence[int] | None) -> int | None:
    """Return the axis that is 2 and 3 long in batches of 2 and 3 rows; -1 if it is unclear."""
    if three is None or len(two) != len(three):
        return UNCLEAR
    sizes = list(zip(two, three, strict=True))
    differing = [axis for axis, (in_two, in_three) in enumerate(sizes) if in_two != in_three]
    if not differing:
        return None
    return differing[0] if [sizes[axis] for axis in differing] == [(2, 3)] else UNCLEAR


def _mapped(change: Callable[[Place, Tensor], Tensor], args: tuple, kwargs: dict) -> tuple:
    """Return arguments with all tensors changed, those in tuples and lists, too."""

    def mapped(place: Place, value: Any) -> Any:
        if isinstance(value, Tensor):
            return change(place, value)
        if type(value) in (tuple, list):
            return type(value)(mapped((*place, n), inner) for n, inner in enumerate(value))
        return value

    return (
        tuple(mapped((number,), value) for number, value in enumerate(args)),
        {name: mapped((name,), value) for name, value in kwargs.items()},
    )


@contextmanager
def shared_lower_layers(
    layers: nn.ModuleList, axes: Sequence[Axes], groups: Tensor
) -> Iterator[None]:
    """Run some lower layers on one row per text and spread their output over all rows.

    Until a vector is added, all rows of a text have the same hidden states.

    Args:
        layers: The decoder layers.
        axes: What `row_axes` found for the layers to be shared, from the lowest one on.
        groups: The number of each row's text, counted from 0 as they appear, (rows,). The cache
            has one row for each text in these layers.

    Raises:
        SharingError: If it is not known how the arguments of a layer depend on the rows.
    """
    rows, numbers = len(groups), groups.tolist()
    first_rows = torch.tensor([numbers.index(group) for group in range(max(numbers) + 1)])

    def narrow(known: Axes, place: Place, value: Tensor) -> Tensor:
        axis = known.get(place, UNCLEAR)
        # Layers above the first already get the narrow output of the layer below.
        if axis is None:
            return value
        if axis != UNCLEAR and value.shape[axis] in (1, len(first_rows)):
            return value
        if axis == UNCLEAR or value.shape[axis] != rows:
            name = ".".join(map(str, place))
            raise SharingError(f"argument {name} of the decoder layers is not one tensor a row")
        return value.index_select(axis, first_rows.to(value.device))

    def before(known: Axes, _module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple:
        return _mapped(partial(narrow, known), args, kwargs)

    def spread(_module: nn.Module, _args: tuple, output: Output) -> Output:
        hidden = _hidden(output)
        # A model on several devices has its layers elsewhere than its embeddings.
        return _replaced(output, hidden[groups.to(hidden.device)])

    with ExitStack() as hooks:
        for layer, known in zip(layers, axes, strict=False):
            hook = partial(before, known)
            hooks.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
        if axes:
            hooks.callback(layers[len(axes) - 1].register_forward_hook(spread).remove)
        yield
