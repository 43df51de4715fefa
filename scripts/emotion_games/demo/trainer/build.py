"""Building the demo model: draw its texts, train it, check it, and put it in place only when it passes.

Knows the order of the steps, the variants and the files; each step is a module of its own.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from emotion_games.data_files import read_data
from emotion_games.demo.trainer.acceptance import Material, failures, gate_figures
from emotion_games.demo.trainer.grammar import load_grammar
from emotion_games.demo.trainer.lessons import World, conversations, scenario_key, shorts
from emotion_games.demo.trainer.samples import encode
from emotion_games.demo.trainer.tokenizer import make_tokenizer
from emotion_games.demo.trainer.training import Course, by_length, new_model, train
from emotion_games.demo.trainer.truth import load_truth
from emotion_games.errors import UserError, unknown
from emotion_games.games.catalog import load_game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.prompts.stimuli import load_stimuli
from emotion_games.prompts.templates import load_templates

# planted: emotion and steering move choices as the table says; flat: nothing depends on emotion; emergent: emotion
# moves choices, steering was never taught.
VARIANTS = ("planted", "flat", "emergent")
REPORT = "demo_report.json"


class GateError(RuntimeError):
    """The trained model missed a threshold; nothing was put in place."""


@dataclass(frozen=True)
class Recipe:
    """How much is learnt: optimiser steps, and rows of each kind in a step."""

    steps: int = 700
    conversations_each: int = 28
    shorts_each: int = 16


def build(
    demo_dir: Path, output_dir: Path, variant: str, seed: int, progress: Callable[[str], None]
) -> None:
    """Train a variant of the demo model from the data in `demo_dir`; `output_dir` gets it complete or not at all.

    The games' definitions are those beside `demo_dir`. Uses one thread, so that a seed gives the same weights again on
    the same machine. Raises GateError with every figure that misses its threshold.
    """
    if variant not in VARIANTS:
        raise UserError(f"demo model: {unknown('variant', variant, VARIANTS)}")
    started = time.process_time()
    material = load_material(Path(demo_dir), variant, seed)
    output_dir = Path(output_dir)
    part = output_dir.with_name(f".{output_dir.name}.{os.getpid()}.part")
    disable_progress_bar()
    try:
        with _one_thread():
            model, tokenizer = trained(material.world, Recipe(), seed, progress)
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
            figures = gate_figures(part, material, progress)
        report = {"variant": variant, "seed": seed, "parameters": model.num_parameters()}
        report |= {"cpu_seconds": round(time.process_time() - started, 1), **_rounded(figures)}
        missed = failures(figures, variant)
        if missed:
            lines = "; ".join(missed)
            raise GateError(
                f"demo model, variant {variant}, seed {seed}: {lines}; all figures: {json.dumps(report)}"
            )
        (part / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(output_dir, ignore_errors=True)
        os.replace(part, output_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    progress(f"demo model ready: {output_dir} ({report['cpu_seconds']} s of processor time)")


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(figure, 4) if isinstance(figure, float) else figure
        for name, figure in figures.items()
    }


def load_material(demo_dir: Path, variant: str, seed: int) -> Material:
    """Read the demo's data. Raises UserError when a file is missing or wrong."""
    truth_file = demo_dir / "truth.yaml"
    games = {
        name: load_game(demo_dir.parent / "games" / name) for name in read_data(truth_file)["games"]
    }
    scenarios = {}
    for name, game in games.items():
        scenarios[name], problems = load_scenarios(
            demo_dir / "games" / name / "scenarios.yaml", game
        )
        if problems:
            raise UserError(problems[0])
    world = World(
        grammar=load_grammar(demo_dir / "grammar.yaml"),
        truth=load_truth(truth_file, games, flat=variant == "flat"),
        games=games,
        templates=load_templates(demo_dir / "prompts.yaml"),
        shipped=frozenset(
            scenario_key(scenario) for several in scenarios.values() for scenario in several
        ),
        plant=variant != "emergent",
    )
    return Material(
        world, load_truth(truth_file, games), scenarios, load_stimuli(demo_dir / "emotions"), seed
    )


def trained(
    world: World, recipe: Recipe, seed: int, progress: Callable[[str], None]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model after its training, and its tokenizer, whose words are those of the training texts."""
    progress("drawing the demo model's texts")
    long = conversations(world, recipe.steps * recipe.conversations_each, seed)
    short = shorts(world, recipe.steps, recipe.shorts_each, seed)
    tokenizer = make_tokenizer(sample.text for sample in [*long[::5], *short[::5]])

    def to_ids(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    course = Course(
        steps=recipe.steps,
        conversations=by_length(encode(long, to_ids), recipe.conversations_each, seed),
        conversations_each=recipe.conversations_each,
        shorts=encode(short, to_ids),
        shorts_each=recipe.shorts_each,
    )
    torch.manual_seed(seed)
    model = new_model(tokenizer)
    train(model, course, tokenizer.pad_token_id, progress)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread and leave torch's random state and thread count as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
