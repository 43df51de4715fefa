"""Write the directions of a model as files that other tools read."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from emotion_games.engine.directions import Directions, load
from emotion_games.engine.gguf_files import SUFFIX
from emotion_games.engine.vector_files import (
    DECODER_LAYER,
    HINT,
    MODEL_LAYERS,
    NUMBERING,
    SAFETENSORS,
    WEIGHTS,
    Vectors,
    write_vectors,
)
from emotion_games.errors import UserError


def export(source: Path, folder: Path) -> Iterator[Path]:
    """Write `<emotion>.gguf` and `<emotion>.safetensors` for each emotion; yield their paths.

    Args:
        source: A directions file.
        folder: Is made if it does not exist. A file there appears when it is complete.

    Raises:
        UserError: The file cannot be read, or the folder cannot be written.
    """
    directions = load(source)
    for emotion in directions.vectors:
        vectors = vectors_of(directions, emotion)
        for suffix in (SUFFIX, SAFETENSORS):
            path = folder / f"{emotion}{suffix}"
            part = path.with_name(f".{emotion}.{os.getpid()}{suffix}")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_vectors(vectors, part)
                os.replace(part, path)
            except OSError as error:
                raise UserError(f"{path}: cannot be written: {error.strerror}") from error
            yield path


def vectors_of(directions: Directions, emotion: str) -> Vectors:
    """Return the vectors of an emotion with what other tools and other series must know."""
    about, given = directions.about, directions.about["given"].get(emotion)
    by_layer = dict(enumerate(directions.vectors[emotion].numpy()))
    return Vectors(
        # Layers for which a given file had no vector have none here either.
        {layer: vector for layer, vector in by_layer.items() if vector.any()},
        {
            HINT: about["architecture"],
            NUMBERING: DECODER_LAYER,
            MODEL_LAYERS: str(about["depth"]),
            WEIGHTS: about["weights_hash"],
            "concept": emotion,
            "model": about["model"],
            "method": "given" if given else about["method"],
            "length": "as given" if given else "natural gap, in units of hidden states",
            "hidden_norm": json.dumps(about["hidden_norm"]),
            "steered_layers": json.dumps(about["layers"]),
        },
    )
