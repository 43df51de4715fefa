"""Vectors that a series is given in files, in place of directions measured on stimuli."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion_games.engine.direction_estimation import rounded
from emotion_games.engine.vector_files import Target, file_key, misfit, read_vectors
from emotion_games.errors import UserError
from emotion_games.hashing import content_hash

# Vectors that are so similar to the directions of stimuli at the next layer, and by so much less to
# those at their own layer, are numbered wrongly.
SIMILAR, LESS = 0.9, 0.02


@dataclass(frozen=True)
class Given:
    """The vectors of an emotion from a file, (layers, hidden); zero where it has none."""

    path: Path
    sha256: str
    metadata: dict[str, str]
    vectors: Tensor

    def record(self, measured: Tensor | None, layers: Sequence[int]) -> dict[str, Any]:
        """Return where the vectors come from; see `directions.About`.

        Args:
            measured: The directions that stimuli of the same emotion make, if there are any.
            layers: The steered layers.

        Raises:
            UserError: The vectors are those of the layers before or after.
        """
        cosines = None
        if measured is not None:
            self._check_layers(measured, torch.tensor(layers))
            cosines = rounded(torch.cosine_similarity(self.vectors, measured, dim=-1))
        return {
            "file": self.path.name,
            "sha256": self.sha256,
            "metadata": self.metadata,
            "cosine_with_stimuli": cosines,
        }

    def _check_layers(self, measured: Tensor, layers: Tensor) -> None:
        cosines = {}
        for step in (-1, 0, 1):
            own = layers[(layers + step >= 0) & (layers + step < len(measured))]
            if len(own):
                found = torch.cosine_similarity(self.vectors[own], measured[own + step], dim=-1)
                cosines[step] = float(found.mean())
        best = max(cosines, key=lambda step: cosines[step])
        if cosines[best] > SIMILAR and cosines[best] > cosines[0] + LESS:
            raise UserError(
                f"{self.path}: its vectors are one layer too {'late' if best < 0 else 'early'}: "
                f"their cosine with the directions of the stimuli is {cosines[0]:.2f}, and "
                f"{cosines[best]:.2f} one layer {'before' if best < 0 else 'after'}; number its "
                "tensors anew"
            )


def load_given(
    hashes: Mapping[str, str], files: Mapping[str, Path], target: Target
) -> dict[str, Given]:
    """Read the given vectors of a series, by emotion.

    Args:
        hashes: The SHA-256 of each emotion's file.
        files: The files, by `file_key`.
        target: The model, of which everything is known.

    Raises:
        UserError: A file has changed since the series began, or does not fit the model.
    """
    found = {}
    for emotion, sha256 in hashes.items():
        path = files[file_key(emotion)]
        if content_hash(path) != sha256:
            raise UserError(f"{path}: has changed since the series began; restore it")
        own = read_vectors(path)
        if reason := misfit(own, target):
            raise UserError(f"{path}: {reason}")
        assert target.depth and target.hidden_size, "the model is known"
        vectors = torch.zeros(target.depth, target.hidden_size)
        for layer, vector in own.by_layer.items():
            vectors[layer] = torch.from_numpy(vector)
        found[emotion] = Given(path, sha256, dict(own.about), vectors)
    return found
