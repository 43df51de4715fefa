"""Steered answers the plain way: one condition after the other, for comparison with the engine.

There are three ways: plain forward hooks, the package steering-vectors and the package repeng. This
module imports nothing of the engine, so that it also runs in the packages' environment, which needs
an older transformers (requirements.txt). As a script it answers one JSON request per line of its
standard input.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

TEMPERATURE, TOP_P = 0.7, 0.95


@contextmanager
def plain_hooks(model: nn.Module, vectors: Mapping[int, Tensor]) -> Iterator[nn.Module]:
    """Add `vectors[layer]` (hidden,) to a layer's output with one forward hook a layer."""

    def add(output: Tensor | tuple, vector: Tensor) -> Tensor | tuple:
        return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

    with ExitStack() as hooks:
        for layer, vector in vectors.items():
            hook = model.model.layers[layer].register_forward_hook(
                lambda _m, _a, out, v=vector: add(out, v)
            )
            hooks.callback(hook.remove)
        yield model


@contextmanager
def steering_vectors(model: nn.Module, vectors: Mapping[int, Tensor]) -> Iterator[nn.Module]:
    """The same with the package steering-vectors."""
    from steering_vectors import SteeringVector

    with SteeringVector(dict(vectors)).apply(model):
        yield model


@contextmanager
def repeng(model: nn.Module, vectors: Mapping[int, Tensor]) -> Iterator[nn.Module]:
    """The same with the package repeng."""
    from repeng import ControlModel

    control = ControlModel(model, list(vectors))
    control.set_raw_control(dict(vectors))
    try:
        yield control
    finally:
        control.unwrap()


WAYS: dict[str, Callable] = {
    "plain hooks": plain_hooks,
    "steering-vectors": steering_vectors,
    "repeng": repeng,
}


@torch.inference_mode()
def write_answers(
    way: str,
    model: nn.Module,
    prompts: Tensor,
    pushes: Mapping[int, Tensor],
    tokens: int,
    repeats: int,
    rows: int,
) -> None:
    """Write `tokens` tokens after every prompt, one condition after the other.

    Args:
        way: A key of WAYS.
        model: The model.
        prompts: (prompts, length).
        pushes: {layer: (conditions, hidden)}.
        tokens: Length of each answer.
        repeats: Answers per prompt.
        rows: Prompts of a batch.
    """
    for condition in range(len(next(iter(pushes.values())))):
        with WAYS[way](model, {layer: p[condition] for layer, p in pushes.items()}) as steered:
            for batch in prompts.repeat(repeats, 1).split(rows):
                steered.generate(
                    input_ids=batch,
                    attention_mask=torch.ones_like(batch),
                    max_new_tokens=tokens,
                    min_new_tokens=tokens,
                    do_sample=True,
                    temperature=TEMPERATURE,
                    top_p=TOP_P,
                    top_k=0,
                    pad_token_id=0,
                )


@torch.inference_mode()
def all_logits(way: str, model: nn.Module, prompts: Tensor, pushes: Mapping[int, Tensor]) -> Tensor:
    """Return the logits (conditions, prompts, length, vocabulary), one prompt at a time."""
    found = []
    for condition in range(len(next(iter(pushes.values())))):
        with WAYS[way](model, {layer: p[condition] for layer, p in pushes.items()}) as steered:
            found.append(torch.cat([steered(input_ids=prompt[None]).logits for prompt in prompts]))
    return torch.stack(found)


def save_case(
    folder: Path, model: nn.Module, prompts: Tensor, pushes: Mapping[int, Tensor]
) -> None:
    """Write what `serve` reads: the model, and the prompts with the pushes."""
    model.save_pretrained(folder / "model")
    named = {f"push {layer}": push.contiguous() for layer, push in pushes.items()}
    save_file({"prompts": prompts.contiguous(), **named}, folder / "case.safetensors")


def serve(folder: Path) -> None:
    """Answer the requests on standard input.

    {"way", "logits": file} writes logits and is answered by {}; {"way", "tokens", "repeats",
    "rows"} writes answers and is answered by {"seconds": processor time}.
    """
    torch.set_num_threads(1)
    model = (
        AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
        .eval()
        .requires_grad_(False)
    )
    case = load_file(folder / "case.safetensors")
    prompts = case.pop("prompts")
    pushes = {int(name.split()[1]): push for name, push in case.items()}
    for line in sys.stdin:
        request = json.loads(line)
        way = request.pop("way")
        if "logits" in request:
            save_file({"logits": all_logits(way, model, prompts, pushes)}, request["logits"])
            print(json.dumps({}), flush=True)
            continue
        start = time.process_time()
        write_answers(way, model, prompts, pushes, **request)
        print(json.dumps({"seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
