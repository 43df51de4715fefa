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
    begin = f"model {name}: {folder} "
    if (folder / ADAPTER).exists():
        raise ModelError(f"{begin}holds an adapter; merge it into its model and save that")
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{begin}holds no {CONFIG}; it is no model folder")
    if not any((folder / file).is_file() for file in WEIGHTS):
        raise ModelError(
            f"{begin}holds no {WEIGHTS[0]}; pickled weights (.bin, .pt) are never read: "
            "save the model as safetensors"
        )
    for file in JSON_FILES:
        if (folder / file).exists() and not _holds_object(folder / file):
            raise ModelError(f"{begin}is damaged: {file} holds no JSON object")


def _holds_object(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False
