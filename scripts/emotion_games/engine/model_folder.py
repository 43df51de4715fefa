"""The files of a model folder, checked before they are loaded."""

import json
from pathlib import Path

from emotion_games.engine.backend import ModelError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Files that the library takes for JSON objects without looking.
JSON_FILES = (
    CONFIG,
    WEIGHTS[1],
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
ADAPTER = "adapter_config.json"


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that holds no complete model.

    Args:
        folder: The folder.
        name: The model's id, for the message.

    Raises:
        ModelError: If files are missing or no JSON objects, or if it is an adapter.
    """
    check_small_files(folder, name)
    if (folder / WEIGHTS[0]).is_file():
        return
    for file in shards(folder) or [WEIGHTS[0]]:
        if not (folder / file).is_file():
            raise ModelError(
                f"model {name}: {folder} holds no {file}; pickled weights (.bin, .pt) are never "
                "read: save the model as safetensors"
            )


def check_small_files(folder: Path, name: str) -> None:
    """Refuse a folder of which the files besides the weights are those of no model.

    Raises:
        ModelError: If there is no config, files are no JSON objects, or it is an adapter.
    """
    begin = f"model {name}: {folder} "
    if (folder / ADAPTER).exists():
        raise ModelError(f"{begin}holds an adapter; merge it into its model and save that")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{begin}holds no {CONFIG}; it is no model folder")
    for file in JSON_FILES:
        if (folder / file).exists() and not _holds_object(folder / file):
            raise ModelError(f"{begin}is damaged: {file} holds no JSON object")


def shards(folder: Path) -> list[str]:
    """Return the names of the files that hold the weights in parts; empty for a single file."""
    index = folder / WEIGHTS[1]
    if not index.is_file():
        return []
    parts = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
    return sorted({str(part) for part in parts.values()}) if isinstance(parts, dict) else []


def _holds_object(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False
