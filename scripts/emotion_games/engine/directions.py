"""The directions of a model: one vector per layer for each emotion, measured on stimuli.

An emotion's direction is the mean hidden state at the last token of its stimuli less the mean over
neutral stimuli (Rimsky et al. 2024, arXiv:2312.06681, with unpaired texts). Each model has one
safetensors file with its directions and how they were made.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emotion_games.engine import direction_estimation as estimation
from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.models import load_model, steered_layers, weights_hash
from emotion_games.engine.probes import hidden_states
from emotion_games.errors import UserError, shown
from emotion_games.escapes import say
from emotion_games.hashing import digest
from emotion_games.prompts.messages import probe
from emotion_games.prompts.stimuli import NEUTRAL, load_stimuli, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates

# Seconds between two reports on how many stimuli have been read.
REPORT_SECONDS = 15.0
# Names of the tensors in a file: kind, a slash, and the emotion.
DIRECTION, SHUFFLED = "direction", "shuffled"


class About(TypedDict):
    """How the directions of a model were made; dictionaries are by emotion.

    Attributes:
        model: Id in the config.
        revision: Of the hub repository.
        dtype: Number format of the weights, such as `float32`.
        weights_hash: See `models.weights_hash`.
        stimuli_hash: Of all stimuli.
        method: See `direction_estimation.direction`.
        layers: The steered layers.
        depth: Number of decoder layers.
        calibration: Scale of a push of intensity 1.
        realised_dose: What that push moves the last steered layer, in natural gaps.
        push_ratio: Its norm relative to that of the hidden state, at the layer where it is largest.
        separation: See `direction_estimation.separation`.
        cosines: Between the emotions' directions at the last steered layer.
    """

    model: str
    revision: str | None
    dtype: str
    weights_hash: str
    stimuli_hash: str
    method: str
    layers: list[int]
    depth: int
    calibration: dict[str, float]
    realised_dose: dict[str, float]
    push_ratio: dict[str, float]
    separation: dict[str, list[float]]
    cosines: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Directions:
    """The directions of a model.

    Attributes:
        vectors: {emotion: (layers, hidden)} over all decoder layers, in units of hidden states.
        shuffled: The same from stimuli that were assigned to emotions at random.
        about: How they were made.
    """

    vectors: dict[str, Tensor]
    shuffled: dict[str, Tensor]
    about: About

    @property
    def layers(self) -> list[int]:
        """The steered layers."""
        return self.about["layers"]

    @property
    def shape(self) -> torch.Size:
        """The shape of an emotion's vectors, (layers, hidden)."""
        return next(iter(self.vectors.values())).shape

    @property
    def content_hash(self) -> str:
        """A hash of vectors and calibration, the same whenever and wherever they were made."""
        exact = {name: t.numpy().tobytes().hex() for name, t in self.tensors().items()}
        keys = ("layers", "calibration", "dtype", "weights_hash")
        return digest([exact, {key: self.about.get(key) for key in keys}])

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by their names in the file."""
        found = {}
        for kind, group in ((DIRECTION, self.vectors), (SHUFFLED, self.shuffled)):
            for emotion, tensor in sorted(group.items()):
                found[f"{kind}/{emotion}"] = tensor
        return found

    def push(self, emotion: str, intensity: float, shuffled: bool = False) -> Tensor:
        """Return what is added at the steered layers, (steered layers, hidden).

        It is intensity · c · d_l / K at each of K layers, where c is the emotion's calibration.
        """
        stack = (self.shuffled if shuffled else self.vectors)[emotion][self.layers]
        return stack * (intensity * self.about["calibration"][emotion] / len(self.layers))

    def random_push(self, seed: int, intensity: float) -> Tensor:
        """Return an emotion's push after a random rotation, (steered layers, hidden).

        The rotation keeps the norm at every layer and the angles between layers, so the pushes of
        the layers add up as those of an emotion do.
        """
        return rotate(self.push(self.turned_emotion(seed), intensity), seed)

    def turned_emotion(self, seed: int) -> str:
        """Return the emotion whose push is rotated: seeds cycle through them alphabetically."""
        return sorted(self.vectors)[seed % len(self.vectors)]


def rotate(stack: Tensor, seed: int) -> Tensor:
    """Rotate a stack of vectors (layers, hidden) at random.

    With stackᵀ = Q·R the result is (U·R)ᵀ for random orthonormal columns U.
    """
    upper = torch.linalg.qr(stack.double().T).R
    generator = torch.Generator().manual_seed(1_000_003 * (seed + 1))
    noise = torch.randn(stack.shape[1], upper.shape[0], generator=generator, dtype=torch.float64)
    basis, triangle = torch.linalg.qr(noise)
    # QR alone prefers one sign. With these signs every rotation is equally likely (Mezzadri 2007,
    # arXiv:math-ph/0609050).
    basis = basis * torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (basis @ upper).T.to(stack)


def extract(
    entry: dict[str, Any],
    path: str,
    settings: Mapping[str, Any],
    files: Mapping[str, Path],
    output: Path,
    runtime: dict[str, Any],
    check: Callable[[Backend], None] = lambda _: None,
    log: Callable[[str], None] = say,
) -> None:
    """Measure the directions of a model and write them to a file.

    Args:
        entry: The model's entry of the config.
        path: Its folder or hub id.
        settings: The settings `emotions`, `layers`, `direction_method` and `seed`.
        files: The paths of `stimuli` (a folder) and `prompts` (the texts of the probe).
        output: The file, which appears when it is complete.
        runtime: See `models.load_model`.
        check: Raises an error if the model cannot be used, before anything is measured.
        log: Receives a line now and then.

    Raises:
        UserError: If the stimuli or the model cannot be used.
    """
    stimuli = load_stimuli(files["stimuli"], settings["emotions"], log)
    templates = load_templates(files["prompts"])
    model = load_model(entry, path, runtime)
    layers, method = steered_layers(settings["layers"], model.depth), settings["direction_method"]
    check(model)
    _check_lengths(model, templates, stimuli)
    emotions = [*settings["emotions"], NEUTRAL]
    parts = {e: split_stimuli(stimuli[e]) for e in emotions}
    log(f"directions of {entry['id']}: {len(emotions)} emotions, {model.depth} layers")
    count = _progress(sum(len(stimuli[e]) for e in emotions), log)
    states = {e: hidden_states(model, templates, parts[e][0], count) for e in emotions}
    held_out = {e: hidden_states(model, templates, parts[e][1], count) for e in emotions}
    vectors = {
        e: estimation.direction(states[e], states[NEUTRAL], method) for e in settings["emotions"]
    }
    doses, separations = {}, {}
    for emotion, stack in vectors.items():
        neutral = parts[NEUTRAL][1]
        doses[emotion] = estimation.calibrate(model, templates, neutral, stack, layers)
        separations[emotion] = estimation.separation(held_out[emotion], held_out[NEUTRAL], stack)
    about: About = {
        "model": entry["id"],
        "revision": entry.get("revision"),
        "dtype": str(model.dtype).removeprefix("torch."),
        "weights_hash": weights_hash(entry, path),
        "stimuli_hash": digest({e: stimuli[e] for e in emotions}),
        "method": method,
        "layers": layers,
        "depth": model.depth,
        "calibration": {e: dose.calibration for e, dose in doses.items()},
        "realised_dose": {e: dose.realised for e, dose in doses.items()},
        "push_ratio": {e: dose.push_ratio for e, dose in doses.items()},
        "separation": separations,
        "cosines": estimation.cosines(vectors, layers[-1]),
    }
    shuffled = estimation.shuffled_directions(states, vectors, settings["seed"])
    save(Directions(vectors, shuffled, about), output)
    log(f"directions of {entry['id']}: written to {output}")


def _check_lengths(
    model: Backend, templates: Templates, stimuli: Mapping[str, Sequence[str]]
) -> None:
    """Raise an error if a stimulus with the text around it does not fit the model's context."""
    if model.positions is None:
        return
    for emotion, stimulus in ((e, text) for e, lines in stimuli.items() for text in lines):
        length = len(model.token_ids(model.chat_text(probe(templates, stimulus)[0])))
        if length > model.positions:
            raise ModelError(
                f"model {model.name}: its context of {model.positions:,} tokens is too short "
                f"for a stimulus of {emotion}: {shown(stimulus)} needs {length:,} with the "
                "text around it; shorten it, or choose a model with a longer context"
            )


def _progress(total: int, log: Callable[[str], None]) -> Callable[[int], None]:
    """Return a function that counts the stimuli that have been read and reports now and then."""
    start = reported = time.monotonic()
    done = 0

    def count(more: int) -> None:
        nonlocal reported, done
        done, now = done + more, time.monotonic()
        if now - reported >= REPORT_SECONDS or done == total:
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate
            log(f"{done} of {total} stimuli read, {rate:.1f} a second, {left:.0f} s left")
            reported = now

    return count


def save(directions: Directions, output: Path) -> None:
    """Write one safetensors file, complete or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    tensors = {name: tensor.contiguous() for name, tensor in directions.tensors().items()}
    save_file(tensors, part, metadata={"about": json.dumps(directions.about)})
    os.replace(part, output)


def load(path: Path) -> Directions:
    """Read a directions file.

    Raises:
        UserError: If it is missing, damaged, or not what `extract` writes.
    """
    groups: dict[str, dict[str, Tensor]] = {DIRECTION: {}, SHUFFLED: {}}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                kind, emotion = name.split("/")
                groups[kind][emotion] = file.get_tensor(name)
            about = json.loads(file.metadata()["about"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a readable directions file ({error}); delete it and run again"
        ) from error
    found = Directions(groups[DIRECTION], groups[SHUFFLED], about)
    fault = _fault(found)
    if fault:
        raise UserError(f"{path}: not a usable directions file: {fault}; delete it and run again")
    return found


def _fault(found: Directions) -> str | None:
    """Return what is wrong with directions that were read from a file, or None."""
    missing = [key for key in About.__annotations__ if key not in found.about]
    if missing or not found.vectors:
        return f"it has no {', '.join(missing or ['directions'])}"
    tensors, depth = found.tensors(), found.about["depth"]
    for name, tensor in tensors.items():
        if tensor.shape != found.shape or len(tensor) != depth:
            return f"{name} has the shape {tuple(tensor.shape)} in a model of {depth} layers"
        if not torch.isfinite(tensor).all():
            return f"{name} holds NaN or infinite numbers"
    return None
