"""What the benchmarks measure: a random Llama, requests of exact lengths, and clocks.

A prompt is random letters, one token each, and no token that the model can write ends an answer, so
that every run does the same work.
"""

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from plain_ways import TEMPERATURE, TOP_P, save_case
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_games.engine.backend import ByLayer, Ids
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.memory import batch_tokens
from emotion_games.engine.models import decoder_layers
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.engine.transformers_backend import TransformersBackend

# Tokens of an answer's opening and of one option: two options of eight words in real tokenizers.
OPENING, OPTION, OPTIONS = 5, 11, 2
PACKAGES = ("steering-vectors", "repeng")


@dataclass(frozen=True)
class Shape:
    """A model and its work. `steered` are layers; lengths are in tokens."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    steered: range
    scenarios: int
    conditions: int
    prompt: int
    answer: int


CPU = Shape(
    384, 1056, 12, 6, 6, 4096, range(4, 8), scenarios=8, conditions=19, prompt=160, answer=24
)
QUICK = Shape(32, 48, 4, 2, 2, 300, range(1, 3), scenarios=2, conditions=3, prompt=20, answer=4)
GPU = Shape(
    4096,
    14336,
    32,
    32,
    8,
    128256,
    range(11, 21),
    scenarios=36,
    conditions=19,
    prompt=500,
    answer=100,
)


@dataclass(frozen=True)
class Work:
    """A model with its prompts (texts), and pushes {condition: (steered layers, hidden)}."""

    shape: Shape
    model: TransformersBackend
    prompts: list[str]
    conditions: list[str]
    pushes: dict[str, Tensor]

    def instrument(self, share: bool = True, steered: bool = True) -> Instrument:
        """Return the instrument; unsteered, it reads and writes the same rows without hooks."""
        layers, pushes = (list(self.shape.steered), self.pushes)
        if not steered:
            layers, pushes = [], {name: push[:0] for name, push in pushes.items()}
        return Instrument(self.model, layers, pushes, TEMPERATURE, TOP_P, share=share)

    def requests(self, repeats: int) -> list[Request]:
        """Return one request per prompt and condition; its options are not scored."""
        letters = random.Random(1)
        options = {f"option {i}": _letters(letters, OPTION - 1) for i in range(OPTIONS)}
        requests, opening = [], "o" * OPENING
        for n, prompt in enumerate(self.prompts):
            drawn = tuple(trial_uniforms((n, r), 0, self.shape.answer) for r in range(repeats))
            for name in self.conditions:
                key = f"{n}/{name}"
                requests.append(Request(key, prompt, name, options, opening, '"', False, drawn))
        return requests

    def batches(self, repeats: int = 1, budget: int | None = None) -> list[list[Request]]:
        """Return the requests in the batches that an experiment would make of them."""
        tokens = {prompt: self.model.token_ids(prompt) for prompt in self.prompts}
        asked, answer = self.requests(repeats), self.shape.answer
        most = budget or batch_tokens(self.instrument(), asked, tokens, answer)
        return plan_batches(asked, tokens, answer, most)

    def prompt_ids(self) -> list[list[int]]:
        """Return the tokens of the prompts."""
        return [self.model.token_ids(prompt) for prompt in self.prompts]

    def layer_pushes(self) -> dict[int, Tensor]:
        """Return {layer: (conditions, hidden)}."""
        pushes = self.instrument().batch_pushes(self.conditions)
        return {at: push.to(self.model.device, self.model.dtype) for at, push in pushes.items()}


def build(shape: Shape, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Work:
    """Return random weights, prompts and pushes of a shape."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=1024,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
        dtype=dtype,
    )
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype).eval().requires_grad_(False)
    letters = random.Random(0)
    conditions = [f"emotion{i}" for i in range(shape.conditions)]
    pushes = {name: torch.randn(len(shape.steered), shape.hidden) * 0.1 for name in conditions}
    tokenizer = byte_tokenizer(shape.vocabulary)
    backend = TransformersBackend(model, tokenizer, decoder_layers(model), "random")
    prompts = [_letters(letters, shape.prompt) for _ in range(shape.scenarios)]
    return Work(shape, backend, prompts, conditions, pushes)


def byte_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per byte.

    Its end token is outside the model's vocabulary, so that no answer ends early.
    """
    tokens = ["<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    ids = {token: i for i, token in enumerate(tokens)} | {"<end>": vocabulary}
    backend = Tokenizer(models.BPE(vocab=ids, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<pad>")


def _letters(source: random.Random, number: int) -> str:
    return "".join(source.choices("abcdefghijklmnop", k=number))


def run(instrument: Instrument, batches: list[list[Request]]) -> None:
    """Measure all batches."""
    for batch in batches:
        measure(instrument, batch)


def timed(device: torch.device, body: Callable[[], object]) -> float:
    """Return the seconds of the body: wall time on a GPU, processor time of this thread on a CPU.

    Other programs on the machine do not change the processor time, so that ratios hold on shared
    cores.
    """
    clock = time.process_time
    if device.type == "cuda":
        torch.cuda.synchronize()
        clock = time.perf_counter
    start = clock()
    body()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


@contextmanager
def package_ways(
    python: str,
    model: nn.Module,
    prompts: Sequence[Ids],
    pushes: ByLayer,
    tokens: int,
) -> Iterator[dict[str, Callable[[], float]]]:
    """Yield the packages' ways, run by one process of their own that lives through all rounds.

    Args:
        python: That of the packages' environment.
        model: The model.
        prompts: The tokens of each prompt.
        pushes: {layer: (conditions, hidden)}.
        tokens: Length of each answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_case(Path(folder), model, prompts, pushes)
        script = [python, str(Path(__file__).with_name("plain_ways.py")), folder]
        with subprocess.Popen(
            script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:

            def answers(way: str) -> float:
                sizes = {"tokens": tokens, "repeats": 1}
                print(json.dumps({"way": way, **sizes}), file=process.stdin, flush=True)
                return json.loads(process.stdout.readline())["seconds"]

            yield {way: lambda w=way: answers(w) for way in PACKAGES}
            process.stdin.close()


def alternate(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round.

    Every other round runs backwards, so that no way is always the first.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(ways[name]())
    return found
