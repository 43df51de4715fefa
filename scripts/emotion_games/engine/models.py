"""Loading a language model: its weights from safetensors, its decoder layers, its hash.

`load_model` is the only place that chooses a back end. Pickled weights are never read.
"""

import hashlib
import json
import os
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils.logging import disable_progress_bar

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.transformers_backend import TransformersBackend

# Where common architectures keep their decoder layers. The last two are multimodal wrappers, such
# as that of Gemma 3.
LAYER_PATHS = (
    "model.layers",
    "transformer.h",
    "gpt_neox.layers",
    "model.decoder.layers",
    "model.language_model.layers",
    "language_model.model.layers",
)
# The files of a model folder that can change what the model computes or reads.
HASHED_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt", ".py")
# Written beside the demo model after its training; it changes nothing that the model does.
NOT_HASHED = "demo_report.json"


def load_model(entry: dict[str, Any], path: str, runtime: dict[str, Any]) -> Backend:
    """Load a hub id or a local folder in evaluation mode.

    Args:
        entry: The model's entry of the config (id, revision, dtype, quantization, layers_path,
            trust_remote_code).
        path: The folder or hub id.
        runtime: Where to run (device, device_map, threads).

    Raises:
        ModelError: If it cannot be loaded, in one line.
    """
    disable_progress_bar()
    if runtime.get("threads"):
        torch.set_num_threads(runtime["threads"])
    device = runtime.get("device", "auto")
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    dtype = entry.get("dtype") or ("float32" if device == "cpu" else "bfloat16")
    options = {
        "revision": entry.get("revision"),
        "trust_remote_code": entry.get("trust_remote_code", False),
    }
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            device_map=runtime.get("device_map") or ({"": device} if device != "cpu" else None),
            quantization_config=_quantization(entry.get("quantization")),
            use_safetensors=True,
            **options,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        is_folder = Path(path).is_dir()
        where = "" if is_folder else "there is no such folder here, and from the hub it "
        raise ModelError(
            f"model {entry['id']}: {where}cannot be loaded: {_first_line(error)}"
        ) from error
    model.eval().requires_grad_(False)
    layers = decoder_layers(model, entry.get("layers_path"))
    return TransformersBackend(model, tokenizer, layers, entry["id"])


def _quantization(bits: str | None) -> BitsAndBytesConfig | None:
    if bits is None:
        return None
    return BitsAndBytesConfig(load_in_4bit=bits == "4bit", load_in_8bit=bits == "8bit")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def decoder_layers(model: nn.Module, layers_path: str | None = None) -> nn.ModuleList:
    """Return the list of decoder layers.

    Args:
        model: The model.
        layers_path: Its dotted path, for architectures whose layers are not at `LAYER_PATHS`.

    Raises:
        ModelError: If there is no list of modules at any of the paths.
    """
    paths = [layers_path] if layers_path else LAYER_PATHS
    for path in paths:
        try:
            found = attrgetter(path)(model)
        except AttributeError:
            continue
        if isinstance(found, nn.ModuleList) and len(found):
            return found
    lists = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) > 1]
    raise ModelError(
        f"model {type(model).__name__}: decoder layers not found at {', '.join(paths)}; "
        f"name them in the config: layers_path: {' or '.join(lists[:3]) or '<dotted path>'}"
    )


def steered_layers(layers: str | list[int], depth: int) -> list[int]:
    """Return the indices of the layers to steer.

    Args:
        layers: `middle_third`, or a list from the config.
        depth: Number of decoder layers.

    Raises:
        ModelError: If a layer of the list does not exist.
    """
    if isinstance(layers, str):
        return list(range(round(depth / 3), max(round(depth / 3) + 1, round(2 * depth / 3))))
    wrong = [layer for layer in layers if not 0 <= layer < depth]
    if wrong:
        raise ModelError(f"layers: {wrong} do not exist; this model has layers 0 to {depth - 1}")
    return sorted(layers)


def weights_hash(entry: dict[str, Any], path: str) -> str:
    """Return the SHA-256 of a model.

    For a local folder it covers the weight, tokenizer and code files; for a hub repository its id
    and commit.
    """
    folder = Path(path)
    if not folder.is_dir():
        return _hub_hash(path, entry.get("revision"))
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in HASHED_SUFFIXES and file.name != NOT_HASHED:
            with open(file, "rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            total.update(f"{file.name}:{found}\n".encode())
    return total.hexdigest()


def _hub_hash(repository: str, revision: str | None) -> str:
    """Hash the commit, which determines all files; it is read from the local cache."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json", revision=revision)
    commit = Path(config).parent.name if isinstance(config, str | os.PathLike) else revision
    return hashlib.sha256(json.dumps([repository, commit]).encode()).hexdigest()
