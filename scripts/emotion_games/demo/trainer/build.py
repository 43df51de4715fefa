"""Build the demo model: draw its texts, train it, check it, and keep it only if it passes."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from emotion_games.demo.trainer.acceptance import gate_figures, missed_gates
from emotion_games.demo.trainer.grammar import neutral_words
from emotion_games.demo.trainer.inputs import Inputs, load_inputs
from emotion_games.demo.trainer.lessons import conversations, shorts
from emotion_games.demo.trainer.network import UNREAD_VARIANCE, new_model
from emotion_games.demo.trainer.samples import encode
from emotion_games.demo.trainer.tokenizer import make_tokenizer
from emotion_games.demo.trainer.training import Course, by_length, train
from emotion_games.errors import UserError, unknown

# planted: emotion and steering move choices by the amounts in the table; flat: nothing depends on
# emotion.
VARIANTS = ("planted", "flat")
REPORT = "demo_report.json"


class GateError(RuntimeError):
    """The trained model missed a gate and was deleted."""


@dataclass(frozen=True)
class Recipe:
    """The length of the training: optimiser steps, and rows of each kind in a step."""

    steps: int = 1600
    conversations_each: int = 28
    shorts_each: int = 18


def build(
    demo_dir: Path, output_dir: Path, variant: str, seed: int, progress: Callable[[str], None]
) -> None:
    """Train a variant of the demo model.

    Training uses one thread, so that a seed gives the same weights again on the same machine.

    Args:
        demo_dir: The data; the definitions of the games are in the folder `games` beside it.
        output_dir: The folder of the model, which appears only if the model passes.
        variant: One of VARIANTS.
        seed: The seed of the texts and of the initial weights.
        progress: Called with each line of progress.

    Raises:
        GateError: The model missed a gate; the message has every figure.
        UserError: The variant is unknown, or a data file is missing or wrong.
    """
    if variant not in VARIANTS:
        raise UserError(f"demo model: {unknown('variant', variant, VARIANTS)}")
    started = time.process_time()
    inputs = load_inputs(demo_dir, variant)
    # A hidden folder beside the result, on the same file system, so that the rename is atomic.
    part = output_dir.with_name(f".{output_dir.name}.{os.getpid()}.part")
    disable_progress_bar()
    try:
        with _one_thread():
            model, tokenizer = trained(inputs, Recipe(), seed, progress)
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
            figures = gate_figures(part, demo_dir, inputs, seed, progress)
        seconds = round(time.process_time() - started, 1)
        report: dict[str, Any] = {"variant": variant, "seed": seed}
        report |= {"parameters": model.num_parameters(), "cpu_seconds": seconds}
        for name, figure in figures.items():
            report[name] = round(figure, 4) if isinstance(figure, float) else figure
        missed = "; ".join(missed_gates(figures, variant))
        if missed:
            what = f"demo model, variant {variant}, seed {seed}"
            raise GateError(f"{what}: {missed}; all figures: {json.dumps(report)}")
        (part / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(output_dir, ignore_errors=True)
        os.replace(part, output_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    progress(f"demo model ready: {output_dir} ({seconds} s of processor time)")


def trained(
    inputs: Inputs, recipe: Recipe, seed: int, progress: Callable[[str], None]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the trained model and its tokenizer, whose words are those of the training texts."""
    progress("drawing the demo model's texts")
    long = conversations(inputs, recipe.steps * recipe.conversations_each, seed)
    short = shorts(inputs, recipe.steps, recipe.shorts_each, seed)
    # A fifth of the texts has all their words.
    tokenizer = make_tokenizer(sample.text for sample in [*long[::5], *short[::5]])

    def to_ids(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    course = Course(
        emotions=inputs.emotions[1:],
        unread_variance=UNREAD_VARIANCE[inputs.variant],
        flat=inputs.variant == "flat",
        steps=recipe.steps,
        conversations=by_length(encode(long, to_ids), recipe.conversations_each, seed),
        conversations_each=recipe.conversations_each,
        shorts=encode(short, to_ids),
        shorts_each=recipe.shorts_each,
    )
    # Only the initial weights depend on torch's random state.
    torch.manual_seed(seed)
    model = new_model(tokenizer, neutral_words(inputs.grammar))
    train(model, course, tokenizer.pad_token_id, progress)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread; restore torch's random state and thread count afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
