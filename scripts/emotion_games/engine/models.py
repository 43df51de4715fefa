"""Loading a language model: its config, tokenizer and weights, and its decoder layers.

`load_model` is the only place that chooses a back end. Pickled weights are never read.
"""

import hashlib
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from emotion_games.engine import attention, vocabulary
from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.downloads import file_hash
from emotion_games.engine.hub import cached_folder
from emotion_games.engine.model_folder import check_folder
from emotion_games.engine.support import unsupported
from emotion_games.engine.transformers_backend import TransformersBackend
from emotion_games.engine.weights import check_weights
from emotion_games.hashing import digest

# Where common architectures keep their decoder layers. The last two are multimodal wrappers, such
# as that of Gemma 3.
LAYER_PATHS = (
    "model.layers",
    "transformer.h",
    "gpt_neox.layers",
    "model.decoder.layers",
    "backbone.layers",
    "backbone.blocks",
    "model.language_model.layers",
    "language_model.model.layers",
)
# The files of a model folder that can change what the model computes or reads.
HASHED_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".tiktoken", ".txt", ".py")
# Written beside the demo model after its training; it changes nothing that the model does.
NOT_HASHED = "demo_report.json"
# What the library raises for files that it cannot use.
LOADING_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    ImportError,
    RuntimeError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    SafetensorError,
    StrictDataclassError,
)


def load_model(entry: dict[str, Any], path: str, runtime: dict[str, Any]) -> Backend:
    """Load a model in evaluation mode; the network is not used.

    Args:
        entry: The model's entry of the config (id, revision, dtype, quantization, layers_path,
            trust_remote_code).
        path: Its folder, or a hub id whose files at this revision are in the cache.
        runtime: Where to run (device, device_map, threads).

    Raises:
        ModelError: If it cannot be loaded, in one line.
    """
    disable_progress_bar()
    attention.install()
    if runtime.get("threads"):
        torch.set_num_threads(runtime["threads"])
    name = entry["id"]
    folder = Path(path) if os.path.isdir(path) else cached_folder(path, entry.get("revision"))
    check_folder(folder, name)
    options = {
        "trust_remote_code": entry.get("trust_remote_code", False),
        "local_files_only": True,
    }
    config = _load_config(folder, options, name)
    tokenizer = _load_tokenizer(folder, options, name)
    with in_one_line(f"model {name}: its weights cannot be loaded"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            quantization_config=_quantization(entry.get("quantization")),
            use_safetensors=True,
            # They are refused below, by name.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **_device_and_dtype(entry, runtime),
            **options,
        )
    model, report = loaded
    model.eval().requires_grad_(False)
    _check_kind(model, name)
    layers = decoder_layers(model, entry.get("layers_path"))
    check_weights(model, layers, report, name)
    backend = TransformersBackend(model, tokenizer, layers, name)
    vocabulary.check_ids(backend, len(next(model.get_input_embeddings().parameters())))
    if reason := unsupported(backend):
        raise ModelError(f"model {name}: {type(model).__name__} is not supported: {reason}")
    return backend


def _load_config(folder: Path, options: dict[str, Any], name: str) -> PreTrainedConfig:
    with in_one_line(f"model {name}: its config cannot be loaded"):
        config = AutoConfig.from_pretrained(folder, **options)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"model {name}: it is an encoder-decoder; only decoders can be steered")
    return config


def _device_and_dtype(entry: dict[str, Any], runtime: dict[str, Any]) -> dict[str, Any]:
    device = runtime.get("device", "auto")
    if device == "auto":
        # The first of the devices that the job has claimed.
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    dtype = entry.get("dtype") or ("float32" if device == "cpu" else "bfloat16")
    device_map = runtime.get("device_map") or ({"": device} if device != "cpu" else None)
    return {"device_map": device_map, "dtype": getattr(torch, dtype)}


def _load_tokenizer(folder: Path, options: dict[str, Any], name: str) -> PreTrainedTokenizerBase:
    converted = vocabulary.converts_sentencepiece(folder)
    if converted:
        vocabulary.check_packages(folder, name)
    with in_one_line(f"model {name}: its tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        if converted:
            vocabulary.check_conversion(tokenizer, folder, name)
    return tokenizer


@contextmanager
def in_one_line(begin: str) -> Iterator[None]:
    """Turn errors of the library into a line with their message, shortened."""
    try:
        yield
    except (ModelError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # For a broken tokenizer the library `tokenizers` raises plain `Exception`.
        if type(error) is not Exception and not isinstance(error, LOADING_ERRORS):
            raise
        text = shorten(str(error), 300, placeholder=" ...") or "no message"
        raise ModelError(f"{begin}: {type(error).__name__}: {text}") from error


def _check_kind(model: PreTrainedModel, name: str) -> None:
    """Refuse architectures that the engine cannot run.

    Raises:
        ModelError: If the model keeps no cache, reads in both directions or does not say its
            width.
    """
    begin = f"model {name}: {type(model).__name__} "
    if not {"past_key_values", "cache_params"} & {*inspect.signature(model.forward).parameters}:
        raise ModelError(
            f"{begin}keeps no key-value cache and no recurrent states; it is not supported"
        )
    causal = [module.is_causal for module in model.modules() if hasattr(module, "is_causal")]
    is_decoder = any(causal) or (not causal and getattr(model.config, "is_decoder", True))
    if not is_decoder:
        raise ModelError(f"{begin}reads in both directions; only decoders can be steered")
    if not isinstance(getattr(model.config.get_text_config(), "hidden_size", None), int):
        raise ModelError(f"{begin}has no hidden_size in its config; it is not supported")


def _quantization(bits: str | None) -> BitsAndBytesConfig | None:
    if bits is None:
        return None
    return BitsAndBytesConfig(load_in_4bit=bits == "4bit", load_in_8bit=bits == "8bit")


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
    lists = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)]
    advice = f"name them in the config: layers_path: {' or '.join(lists[:3])}"
    raise ModelError(
        f"model {type(model).__name__}: decoder layers not found at {', '.join(paths)}; "
        f"{advice if lists else 'it has no list of layers'}"
    )


def steered_layers(layers: str | list[int], depth: int) -> list[int]:
    """Return the indices of the layers to steer.

    Args:
        layers: `past_middle` (from three fifths to fifteen sixteenths of the depth),
            `middle_third`, or a list from the config.
        depth: Number of decoder layers.

    Raises:
        ModelError: If a layer of the list does not exist.
    """
    if layers == "past_middle":
        first = 3 * depth // 5
        return list(range(first, max(first + 1, 15 * depth // 16)))
    if isinstance(layers, str):
        return list(range(round(depth / 3), max(round(depth / 3) + 1, round(2 * depth / 3))))
    wrong = [layer for layer in layers if not 0 <= layer < depth]
    if wrong:
        raise ModelError(f"layers: {wrong} do not exist; this model has layers 0 to {depth - 1}")
    return sorted(layers)


def weights_hash(entry: dict[str, Any], path: str) -> str:
    """Return the SHA-256 of a model.

    For a folder it covers the weight, tokenizer and code files; for a hub id the id and the
    commit, which determines all files.
    """
    folder = Path(path)
    if not folder.is_dir():
        return digest([path, entry.get("revision")])
    total = hashlib.sha256()
    for file in _weight_files(folder):
        total.update(f"{file.name}:{file_hash(file)}\n".encode())
    return total.hexdigest()


def weights_state(path: str) -> list[str]:
    """Return names, sizes and times of the files that `weights_hash` reads.

    While they are the same, so is the hash, which takes half a minute for a large model.
    """
    folder, states = Path(path).resolve(), []
    for file in _weight_files(folder) if folder.is_dir() else ():
        state = file.stat()
        states.append(f"{file} {state.st_size} {state.st_mtime_ns}")
    return states


def _weight_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if file.suffix in HASHED_SUFFIXES and file.name != NOT_HASHED and file.is_file()
    ]
