"""The directions of a model, their null directions, and the pushes along them.

Each model has one safetensors file with its directions and how they were made. A push of some
intensity has the same size at each layer, whichever emotion or null direction it follows.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emotion_games.errors import UserError
from emotion_games.hashing import digest

# Names of the tensors in a file: a kind of direction, a slash, and the emotion; the null directions
# of a kind are one tensor.
DIRECTION, SHUFFLED = "direction", "shuffled"
HALVES = FIRST_HALF, SECOND_HALF = "first_half", "second_half"
NULLS = MATCHED, ISOTROPIC = "matched", "isotropic"
# Units of intensity; see `Directions.push`.
HIDDEN_NORM, GAP, RAW = "hidden_norm", "gap", "raw"


class About(TypedDict):
    """How the directions of a model were made; dictionaries are by emotion.

    Attributes:
        model: Id in the config.
        revision: Of the hub repository.
        architecture: `model_type` of its config, such as `qwen2`.
        dtype: Number format of the weights, such as `float32`.
        weights_hash: See `models.weights_hash`.
        weights_state: See `models.weights_state`; empty for a hub id.
        stimuli_hash: Of all stimuli.
        method: See `direction_estimation.directions`.
        reference: The emotions against whose mean an emotion is measured.
        given: The emotions whose directions were not measured but read from a file: its `file`,
            `sha256` and `metadata`, and by layer the `cosine_with_stimuli`, with the direction that
            the emotion's stimuli make, if it has any.
        layers: The steered layers.
        depth: Number of decoder layers.
        hidden_norm: Mean length of the states of the reference at each layer.
        natural_gap: Lengths of the directions at each layer, relative to `hidden_norm`, of the
            reference and the measured emotions.
        split_half: Cosines of the directions of two halves of the stimuli at each layer. This and
            what follows is of measured emotions only, except for the cosines.
        accuracy: Share of held-out stimuli of the reference whose nearest mean is that of their
            emotion, at each layer.
        accuracy_by_emotion: The same at the last steered layer.
        cosines: Between the emotions' directions at the last steered layer.
        realised_gap: What the push of the headline intensity moves the last steered layer along
            the direction, in natural gaps.
    """

    model: str
    revision: str | None
    architecture: str
    dtype: str
    weights_hash: str
    weights_state: list[str]
    stimuli_hash: str
    method: str
    reference: list[str]
    given: dict[str, dict[str, Any]]
    layers: list[int]
    depth: int
    hidden_norm: list[float]
    natural_gap: dict[str, list[float]]
    split_half: dict[str, list[float]]
    accuracy: list[float]
    accuracy_by_emotion: dict[str, float]
    cosines: dict[str, dict[str, float]]
    realised_gap: dict[str, float]


@dataclass(frozen=True)
class Directions:
    """The directions of a model.

    Attributes:
        named: {kind: {emotion: (layers, hidden)}} over all decoder layers, in units of hidden
            states. Kinds are `direction`, `first_half` and `second_half` of its stimuli, and
            `shuffled`: from stimuli that were assigned to emotions at random. A given direction
            is as its file has it, and of the first kind only.
        nulls: Null directions, {kind: (number, layers, hidden)}, of the kinds `matched` and
            `isotropic`.
        about: How they were made.
    """

    named: dict[str, dict[str, Tensor]]
    nulls: dict[str, Tensor]
    about: About

    @property
    def vectors(self) -> dict[str, Tensor]:
        """The directions of the emotions, {emotion: (layers, hidden)}."""
        return self.named[DIRECTION]

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
        """A hash of vectors and lengths, the same whenever and wherever they were made."""
        exact = {
            name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
            for name, tensor in self.tensors().items()
        }
        keys = ("layers", "hidden_norm", "natural_gap", "reference", "dtype", "weights_hash")
        return digest([exact, {key: self.about.get(key) for key in keys}])

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by their names in the file."""
        found = dict(self.nulls)
        for kind, group in self.named.items():
            for emotion, tensor in sorted(group.items()):
                found[f"{kind}/{emotion}"] = tensor
        return found

    def push(
        self, emotion: str, intensity: float, unit: str = HIDDEN_NORM, kind: str = DIRECTION
    ) -> Tensor:
        """Return what is added at the steered layers, (steered layers, hidden).

        At each of K steered layers it follows the emotion's direction and is as long as the
        intensity times

        - `hidden_norm`: the mean length of the hidden states there, divided by K.
        - `gap`: the mean length of the reference's directions there, divided by K.
        - `raw`: 1.
        """
        return self._scaled(self.named[kind][emotion], intensity, unit)

    def null_push(
        self, number: int, intensity: float, unit: str = HIDDEN_NORM, kind: str = MATCHED
    ) -> Tensor:
        """Return a push along a null direction, as long at each layer as those of the emotions."""
        return self._scaled(self.nulls[kind][number], intensity, unit)

    def push_ratio(self, intensity: float, unit: str = HIDDEN_NORM) -> float:
        """Return ‖push‖/‖h‖ at the steered layer where it is largest."""
        shares = self._lengths(unit) / self._hidden_norm()
        return float(shares.max()) * abs(intensity)

    def _scaled(self, vectors: Tensor, intensity: float, unit: str) -> Tensor:
        unit_vectors = torch.nn.functional.normalize(vectors[self.layers], dim=-1)
        return unit_vectors * (intensity * self._lengths(unit))[:, None]

    def _lengths(self, unit: str) -> Tensor:
        """Return the length of a push of intensity 1 at each steered layer."""
        norms = self._hidden_norm()
        if unit == RAW:
            return torch.ones_like(norms)
        if unit == HIDDEN_NORM:
            return norms / len(self.layers)
        if unit != GAP:
            raise ValueError(f"unknown unit of intensity: {unit}")
        gaps = torch.tensor([self.about["natural_gap"][e] for e in self.about["reference"]])
        return norms * gaps.mean(0)[self.layers] / len(self.layers)

    def _hidden_norm(self) -> Tensor:
        return torch.tensor(self.about["hidden_norm"])[self.layers]


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
        UserError: If it is missing, damaged, or not what `extraction.extract` writes.
    """
    named: dict[str, dict[str, Tensor]] = {kind: {} for kind in (DIRECTION, *HALVES, SHUFFLED)}
    try:
        with safe_open(path, framework="pt") as file:
            nulls = {kind: file.get_tensor(kind) for kind in NULLS}
            for name in sorted(set(file.keys()) - set(NULLS)):
                kind, emotion = name.split("/")
                named[kind][emotion] = file.get_tensor(name)
            about = json.loads(file.metadata()["about"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a readable directions file ({error}); delete it and run again"
        ) from error
    found = Directions(named, nulls, about)
    fault = _fault(found)
    if fault:
        raise UserError(f"{path}: not a usable directions file: {fault}; delete it and run again")
    return found


def _fault(found: Directions) -> str | None:
    """Return what is wrong with directions that were read from a file, or None."""
    missing = [key for key in About.__annotations__ if key not in found.about]
    if missing or not found.vectors:
        return f"it has no {', '.join(missing or ['directions'])}"
    depth = found.about["depth"]
    for name, tensor in found.tensors().items():
        shape = tensor.shape[1:] if name in NULLS else tensor.shape
        if shape != found.shape or len(found.shape) != 2 or found.shape[0] != depth:
            return f"{name} has the shape {tuple(tensor.shape)} in a model of {depth} layers"
        if not torch.isfinite(tensor).all():
            return f"{name} holds NaN or infinite numbers"
    return None
