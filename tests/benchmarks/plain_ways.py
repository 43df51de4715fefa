"""Steered answers the plain way: one condition after the other, for comparison with the engine.

Three ways: forward hooks as anyone would write them, the package steering-vectors and the package repeng. Knows torch
and transformers only and nothing of the engine, so that it also runs beside the packages, which need an older
transformers (requirements.txt). As a script it answers one JSON request a line on its standard input.
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
    """Write `tokens` tokens after every prompt (prompts, length), `rows` at once, condition after condition.

    `pushes` is {layer: (conditions, hidden)}.
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
    """Logits (conditions, prompts, length, vocabulary), one prompt and one condition at a time."""
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
    """Answer requests on standard input: {"way", "logits": file} or {"way", "tokens", "repeats", "rows"}.

    The answer to the first is {}, to the second {"seconds": processor time}.
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
        asked = json.loads(line)
        if "logits" in asked:
            save_file({"logits": all_logits(asked["way"], model, prompts, pushes)}, asked["logits"])
            print(json.dumps({}), flush=True)
            continue
        start = time.process_time()
        write_answers(
            asked["way"], model, prompts, pushes, asked["tokens"], asked["repeats"], asked["rows"]
        )
        print(json.dumps({"seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
