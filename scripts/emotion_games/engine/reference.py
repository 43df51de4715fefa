"""A second, plain way to compute what the engine computes.

The self-check compares the engine with it, so it shares no function with the engine: it has its own
tokenization and its own hooks, and it reads one whole text at a time, without cache, padding or
attention mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from emotion_games.engine.batches import Request
    from emotion_games.engine.transformers_backend import TransformersBackend


Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Text:
    """The tokens of a prompt with one of its answers. Those from `start` on are scored."""

    ids: Tokens
    start: int


def prompt_tokens(model: "TransformersBackend", request: "Request") -> Tokens:
    """Return the tokens of a prompt, which already contains its special tokens."""
    return tuple(model.tokenizer(request.prompt, add_special_tokens=False)["input_ids"])


def answer_texts(model: "TransformersBackend", request: "Request") -> dict[str, Text]:
    """Return the tokens of prompt, opening, option and closing as one text, for each option.

    The scored tokens of all options begin at the same character, the first of the option or an
    earlier one, and end at the same character of the closing.
    """
    before = request.prompt + request.opening
    ids: dict[str, list[int]] = {}
    reached: dict[str, list[int]] = {}
    for label, option in request.options.items():
        encoded = model.tokenizer(
            before + option + request.closing,
            add_special_tokens=False,
            return_offsets_mapping=True,
        )
        ids[label] = encoded["input_ids"]
        # The last character that the tokens so far hold. A special token may claim to hold none.
        reached[label] = list(accumulate((end for _, end in encoded["offset_mapping"]), max))
    start = 0
    while len({tokens[start] for tokens in ids.values()}) == 1 and all(
        ends[start] <= len(before) for ends in reached.values()
    ):
        start += 1
    # How far behind its option each text has a boundary between two tokens.
    behind = [
        {end - len(before) - len(request.options[label]) for end in ends}
        for label, ends in reached.items()
    ]
    closed = min(n for n in set.intersection(*behind) if n >= min(1, len(request.closing)))
    found = {}
    for label, ends in reached.items():
        last = len(before) + len(request.options[label]) + closed
        found[label] = Text(tuple(ids[label][: sum(end <= last for end in ends)]), start)
    return found


def add_push(push: Tensor, _module: object, _args: object, output: Any) -> Any:
    """Add a push to the output of a decoder layer, but not at the first token; a forward hook."""
    hidden = output[0] if isinstance(output, tuple) else output
    pushed = torch.cat([hidden[:, :1], hidden[:, 1:] + push.to(hidden)], 1)
    return (pushed, *output[1:]) if isinstance(output, tuple) else pushed


@torch.inference_mode()
def plain_logits(model: "TransformersBackend", ids: Tokens, pushes: Mapping[int, Tensor]) -> Tensor:
    """Return the logits after every token of a text, (positions, vocabulary).

    Args:
        model: The model.
        ids: The tokens of the text.
        pushes: What is added to the outputs of decoder layers, {layer: (hidden,)}.
    """
    hooks = [
        model.layers[layer].register_forward_hook(partial(add_push, push))
        for layer, push in pushes.items()
    ]
    try:
        whole = torch.tensor([ids], device=model.device)
        return model.model(input_ids=whole, use_cache=False).logits[0]
    finally:
        for hook in hooks:
            hook.remove()
