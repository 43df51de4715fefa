"""What is wrong with the files of given vectors, as far as no model must be loaded to see it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from emotion_games.data_files import read_data
from emotion_games.engine.vector_files import Target, misfit, read_vectors
from emotion_games.errors import UserError, unknown
from emotion_games.series.models import Model, model_file
from emotion_games.series.sites import plan_sites

# How `config.json` names the number of layers and the size of hidden states.
_DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model")


def vector_problems(
    experiment: Mapping[str, Any], files: Mapping[str, Path], models: Sequence[Model], folder: Path
) -> Iterator[str]:
    """Yield a line for each file of given vectors that cannot be used.

    The jobs of a model check again what fits it, since they know all of it.

    Args:
        experiment: The settings.
        files: The file of each emotion in `directions`.
        models: The models of the series.
        folder: That of the models which the workflow makes.
    """
    named = [site.layers for site in plan_sites(experiment)]
    steered = sorted({layer for layers in named if isinstance(layers, list) for layer in layers})
    for emotion, path in files.items():
        where = f"experiment.directions.{emotion}"
        if emotion not in experiment["emotions"]:
            yield f"{where}: {unknown('emotion', emotion, experiment['emotions'])}"
        try:
            vectors = read_vectors(path)
        except UserError as error:
            yield f"{where}: {error}"
            continue
        for model in models:
            if reason := misfit(vectors, _target(model, folder, steered)):
                yield f"{where}: {path}: {reason}"


def _target(model: Model, folder: Path, steered: Sequence[int]) -> Target:
    """Return what is known of a model before it is loaded."""
    config: Any = {}
    # The job of the model says what is wrong with the file.
    with suppress(UserError):
        path = model_file(model, folder, "config.json")
        config = read_data(path) if path else {}
    outer = config if isinstance(config, dict) else {}
    # Models of several parts have a config for each.
    text = outer.get("text_config")
    text = text if isinstance(text, dict) else outer
    depth, hidden = (
        next((text[key] for key in keys if isinstance(text.get(key), int)), None)
        for keys in (_DEPTH, _HIDDEN)
    )
    kind = outer.get("model_type")
    return Target(model.name, depth, hidden, kind if isinstance(kind, str) else None, None, steered)
