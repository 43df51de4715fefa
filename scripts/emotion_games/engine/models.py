"""Language models: loading one, finding its decoder layers, and turning messages into tokens.

Knows transformers; knows nothing of emotions, games or steering. Reads safetensors only, never a pickle.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import jinja2
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from emotion_games.errors import UserError

# Where the architectures people use keep their decoder layers; the last two are multimodal wrappers of Gemma 3 and kin.
LAYER_PATHS = (
    "model.layers",
    "transformer.h",
    "gpt_neox.layers",
    "model.decoder.layers",
    "model.language_model.layers",
    "language_model.model.layers",
)


class ModelError(UserError):
    """A model that cannot be loaded or used; fails its experiments, not the series."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be steered. `layers` are its decoder layers in order."""

    model: PreTrainedModel
    tokenizer: object
    layers: nn.ModuleList
    name: str

    @property
    def device(self) -> torch.device:
        """Where token ids have to be put."""
        return self.model.get_input_embeddings().weight.device

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return self.model.config.get_text_config().hidden_size


def load_model(entry: dict, path: str, runtime: dict) -> LoadedModel:
    """Load a hub id or a local folder in evaluation mode.

    `entry` is the model's entry of the config (id, revision, dtype, quantization, layers_path, trust_remote_code),
    `runtime` says where to run (device, device_map, threads). Raises ModelError with one line.
    """
    disable_progress_bar()
    if runtime.get("threads"):
        torch.set_num_threads(runtime["threads"])
    device = pick_device(runtime.get("device", "auto"))
    options = {
        "revision": entry.get("revision"),
        "trust_remote_code": entry.get("trust_remote_code", False),
    }
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=_dtype(entry, device),
            device_map=runtime.get("device_map") or ({"": device} if device != "cpu" else None),
            quantization_config=_quantization(entry),
            use_safetensors=True,
            **options,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        where = "" if Path(path).is_dir() else "there is no such folder here, and from the hub it "
        raise ModelError(
            f"model {entry['id']}: {where}cannot be loaded: {_first_line(error)}"
        ) from error
    _prepare_padding(tokenizer, entry["id"])
    model.eval().requires_grad_(False)
    return LoadedModel(
        model, tokenizer, decoder_layers(model, entry.get("layers_path")), entry["id"]
    )


def pick_device(wanted: str) -> str:
    """`auto` takes the first GPU where there is one."""
    if wanted != "auto":
        return wanted
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _dtype(entry: dict, device: str) -> torch.dtype:
    name = entry.get("dtype") or ("float32" if device == "cpu" else "bfloat16")
    return getattr(torch, name)


def _quantization(entry: dict) -> BitsAndBytesConfig | None:
    bits = entry.get("quantization")
    return (
        None
        if bits is None
        else BitsAndBytesConfig(load_in_4bit=bits == "4bit", load_in_8bit=bits == "8bit")
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def _prepare_padding(tokenizer: object, name: str) -> None:
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ModelError(f"model {name}: its tokenizer has neither a padding nor an end token")
        tokenizer.pad_token = tokenizer.eos_token


def decoder_layers(model: nn.Module, layers_path: str | None = None) -> nn.ModuleList:
    """The list of decoder layers; `layers_path` (dotted, from the config) names them where they are not found."""
    for path in [layers_path] if layers_path else LAYER_PATHS:
        found = model
        for part in path.split("."):
            found = getattr(found, part, None)
        if isinstance(found, nn.ModuleList) and len(found):
            return found
    lists = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) > 1]
    raise ModelError(
        f"model {type(model).__name__}: decoder layers not found at {layers_path or ', '.join(LAYER_PATHS)}; "
        f"name them in the config: layers_path: {' or '.join(lists[:3]) or '<dotted path>'}"
    )


def steered_layers(choice: str | list[int], depth: int) -> list[int]:
    """Indices of the layers to steer: the middle third, or the list from the config."""
    if choice == "middle_third":
        return list(range(round(depth / 3), max(round(depth / 3) + 1, round(2 * depth / 3))))
    wrong = [layer for layer in choice if not 0 <= layer < depth]
    if wrong:
        raise ModelError(f"layers: {wrong} do not exist; this model has layers 0 to {depth - 1}")
    return sorted(choice)


def chat_text(tokenizer: object, messages: list[dict], answering: bool = True) -> str:
    """The text that the model reads, with its own chat template where it has one.

    A template without a system role gets the system text before the first user message; a thinking mode is switched
    off; a base model reads the messages as paragraphs. Special tokens are part of the text.
    """
    if not getattr(tokenizer, "chat_template", None):
        paragraphs = "\n\n".join(m["content"] for m in messages)
        return _begin(tokenizer) + paragraphs + ("\n\n" if answering else "")
    options = {"tokenize": False, "add_generation_prompt": answering, "enable_thinking": False}
    system = messages[0]["content"].strip() if messages[0]["role"] == "system" else ""
    try:
        text = tokenizer.apply_chat_template(messages, **options)
    except jinja2.TemplateError:
        text = ""
    if system not in text or not text:
        if not system:
            raise ModelError(
                f"tokenizer {type(tokenizer).__name__}: its chat template refuses a question alone"
            )
        text = tokenizer.apply_chat_template(_without_system(messages), **options)
    begin = _begin(tokenizer)
    return text if text.startswith(begin) else begin + text


def _without_system(messages: list[dict]) -> list[dict]:
    system, first, *rest = messages
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def _begin(tokenizer: object) -> str:
    """The beginning-of-sequence token as text, where this tokenizer puts one before plain text."""
    ids = tokenizer("a")["input_ids"]
    has_begin = tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]
    return tokenizer.bos_token if has_begin else ""


def plain_text(tokenizer: object, text: str) -> str:
    """A text outside any chat, with the beginning-of-sequence token where this tokenizer puts one."""
    return _begin(tokenizer) + text


def token_ids(tokenizer: object, text: str) -> list[int]:
    """Tokens of a text that already holds its special tokens."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def end_tokens(loaded: LoadedModel) -> set[int]:
    """Every token that ends an answer, from the tokenizer and from the generation config."""
    configured = loaded.model.generation_config.eos_token_id
    configured = configured if isinstance(configured, list) else [configured]
    return {i for i in [*configured, loaded.tokenizer.eos_token_id] if i is not None}


def weights_hash(entry: dict, path: str) -> str:
    """SHA-256 over a local folder's weight, tokenizer and code files, or over a hub id and its commit."""
    folder = Path(path)
    if not folder.is_dir():
        return _hub_hash(entry, path)
    total = hashlib.sha256()
    kinds = (".safetensors", ".json", ".jinja", ".model", ".txt", ".py")
    for file in sorted(folder.iterdir()):
        if file.suffix in kinds and file.name != "demo_report.json":
            with open(file, "rb") as content:
                total.update(
                    f"{file.name}:{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode()
                )
    return total.hexdigest()


def _hub_hash(entry: dict, path: str) -> str:
    """A hub repository's commit names its files' contents; the commit is read from the local cache."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(path, "config.json", revision=entry.get("revision"))
    commit = (
        Path(config).parent.name if isinstance(config, str | os.PathLike) else entry.get("revision")
    )
    return hashlib.sha256(json.dumps([path, commit]).encode()).hexdigest()
