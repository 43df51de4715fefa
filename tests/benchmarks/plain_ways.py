"""Steered answers the plain way: one condition after the other, for comparison with the engine.

There are three ways: plain forward hooks, the package steering-vectors and the package repeng. This
module imports nothing of the engine, so that it also runs in the packages' environment, which needs
an older transformers (requirements.txt). As a script it answers one JSON request per line of its
standard input.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

TEMPERATURE, TOP_P = 0.7, 0.95
# Prompts of a batch.
ROWS = 8


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
    prompts: Sequence[Sequence[int]],
    pushes: Mapping[int, Tensor],
    tokens: int,
    repeats: int,
    rows: int = ROWS,
) -> None:
    """Write `tokens` tokens after every prompt, one condition after the other.

    Args:
        way: A key of WAYS.
        model: The model.
        prompts: The tokens of each prompt.
        pushes: {layer: (conditions, hidden)}.
        tokens: Length of each answer.
        repeats: Answers per prompt.
        rows: Prompts of a batch.
    """
    for vectors in one_by_one(pushes):
        with WAYS[way](model, vectors) as steered:
            for ids, mask in padded_batches([*prompts] * repeats, rows, model.device):
                steered.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=tokens,
                    min_new_tokens=tokens,
                    do_sample=True,
                    temperature=TEMPERATURE,
                    top_p=TOP_P,
                    top_k=0,
                    pad_token_id=0,
                )


@torch.inference_mode()
def score_texts(
    model: nn.Module, texts: Sequence[tuple[Sequence[int], int]], pushes: Mapping[int, Tensor]
) -> None:
    """Score the ends of whole texts with plain hooks, one condition after the other.

    Args:
        model: The model.
        texts: The tokens of each text, and the place of the first one that is scored.
        pushes: {layer: (conditions, hidden)}.
    """
    # Texts of like lengths, and logits where they are scored.
    texts = sorted(texts, key=lambda text: len(text[0]))
    longest = 1 + max(len(ids) - start for ids, start in texts)
    for vectors in one_by_one(pushes):
        with plain_hooks(model, vectors) as steered:
            for ids, mask in padded_batches([ids for ids, _ in texts], ROWS, model.device):
                out = steered(input_ids=ids, attention_mask=mask, logits_to_keep=longest)
                logs = out.logits[:, :-1].float().log_softmax(-1)
                logs.gather(-1, ids[:, 1 - longest :, None])


def one_by_one(pushes: Mapping[int, Tensor]) -> Iterator[dict[int, Tensor]]:
    """Yield {layer: (hidden,)} for each condition."""
    for condition in range(len(next(iter(pushes.values())))):
        yield {layer: vectors[condition] for layer, vectors in pushes.items()}


def padded_batches(
    texts: Sequence[Sequence[int]], rows: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield token ids and their mask, padded on the left, for some texts at a time."""
    for start in range(0, len(texts), rows):
        batch = texts[start : start + rows]
        width = max(map(len, batch))
        padding = [width - len(ids) for ids in batch]
        ids = [[0] * left + list(own) for left, own in zip(padding, batch, strict=True)]
        mask = [[0] * left + [1] * (width - left) for left in padding]
        yield torch.tensor(ids, device=device), torch.tensor(mask, device=device)


@torch.inference_mode()
def all_logits(
    way: str, model: nn.Module, prompts: Sequence[Sequence[int]], pushes: Mapping[int, Tensor]
) -> Tensor:
    """Return the logits (conditions, prompts, length, vocabulary), one prompt at a time."""
    found = []
    for vectors in one_by_one(pushes):
        with WAYS[way](model, vectors) as steered:
            logits = [steered(input_ids=torch.tensor([ids])).logits for ids in prompts]
        found.append(torch.cat(logits))
    return torch.stack(found)


def save_case(
    folder: Path,
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    pushes: Mapping[int, Tensor],
) -> None:
    """Write what `serve` reads: the model, and the prompts with the pushes."""
    model.save_pretrained(folder / "model")
    (folder / "prompts.json").write_text(json.dumps([list(ids) for ids in prompts]))
    named = {str(layer): push.contiguous() for layer, push in pushes.items()}
    save_file(named, folder / "pushes.safetensors")


def serve(folder: Path) -> None:
    """Answer the requests on standard input.

    {"way", "logits": file} writes logits and is answered by {}; {"way", "tokens", "repeats"} writes
    answers and is answered by {"seconds": processor time}.
    """
    torch.set_num_threads(1)
    model = (
        AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
        .eval()
        .requires_grad_(False)
    )
    prompts = json.loads((folder / "prompts.json").read_text())
    case = load_file(folder / "pushes.safetensors")
    pushes = {int(layer): push for layer, push in case.items()}
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
