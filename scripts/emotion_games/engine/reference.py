"""A second, plain way to compute what the engine computes.

The self-check compares the engine with it, so it shares no function with the engine: it has its own
tokenization and its own hooks, and it reads one whole text at a time, without cache, padding or
attention mask.
"""

import sys
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
# All tokens but the first: see `Text.pushed`.
EVERYWHERE = (1, sys.maxsize)


@dataclass(frozen=True)
class Text:
    """The tokens of a prompt with one of its answers.

    Those from `start` on are scored. `pushed` says from which token on, and before which one, a
    push acts.
    """

    ids: Tokens
    start: int
    pushed: tuple[int, int] = EVERYWHERE


def prompt_tokens(model: "TransformersBackend", prompt: str) -> Tokens:
    """Return the tokens of a prompt, which already contains its special tokens."""
    return tuple(model.tokenizer(prompt, add_special_tokens=False)["input_ids"])


def common_length(one: Tokens, other: Tokens) -> int:
    """Return how many tokens two texts have in common at their beginning."""
    length = 0
    while one[length : length + 1] == other[length : length + 1] != ():
        length += 1
    return length


def push_edges(model: "TransformersBackend", request: "Request") -> tuple[Tokens, Tokens | None]:
    """Return the tokens before the first pushed character of a prompt, and before its last one.

    The second is None if the push goes on after the prompt.
    """
    begin = prompt_tokens(model, request.prompt[: request.begin]) if request.begin else ()
    if request.end is None:
        return begin, None
    return begin, prompt_tokens(model, request.prompt[: request.end])


def pushed_tokens(ids: Tokens, edges: tuple[Tokens, Tokens | None]) -> tuple[int, int]:
    """Return where a text is pushed; see `Text.pushed`."""
    begin, end = edges
    last = EVERYWHERE[1] if end is None else common_length(ids, end)
    return max(EVERYWHERE[0], common_length(ids, begin)), last


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
        tokens = tuple(ids[label][: sum(end <= last for end in ends)])
        found[label] = Text(tokens, start, pushed_tokens(tokens, push_edges(model, request)))
    return found


def add_push(
    push: Tensor, tokens: tuple[int, int], _module: object, _args: object, output: Any
) -> Any:
    """Add a push to the output of a decoder layer at some tokens; a forward hook."""
    hidden = output[0] if isinstance(output, tuple) else output
    before, inside = hidden[:, : tokens[0]], hidden[:, tokens[0] : tokens[1]]
    after = hidden[:, max(tokens) :]
    pushed = torch.cat([before, inside + push.to(hidden), after], 1)
    return (pushed, *output[1:]) if isinstance(output, tuple) else pushed


@torch.inference_mode()
def plain_logits(
    model: "TransformersBackend",
    ids: Tokens,
    pushes: Mapping[int, Tensor],
    pushed: tuple[int, int] = EVERYWHERE,
) -> Tensor:
    """Return the logits after every token of a text, (positions, vocabulary).

    Args:
        model: The model.
        ids: The tokens of the text.
        pushes: What is added to the outputs of decoder layers, {layer: (hidden,)}.
        pushed: At which tokens; see `Text.pushed`.
    """
    hooks = [
        model.layers[layer].register_forward_hook(partial(add_push, push, pushed))
        for layer, push in pushes.items()
    ]
    try:
        whole = torch.tensor([ids], device=model.device)
        return model.model(input_ids=whole, use_cache=False).logits[0]
    finally:
        for hook in hooks:
            hook.remove()
