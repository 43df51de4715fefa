"""Convert a GGUF file to a model folder: its weights are unpacked to plain numbers, once.

The library unpacks them. Where it would leave something of the file out or guess, the file is
refused. Memory and disk take the unpacked weights: 4 bytes a weight in float32.
"""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.integrations.gguf.reader import GgufHeader
from transformers.utils.logging import disable_progress_bar

from emotion_games.engine.backend import ModelError
from emotion_games.engine.gguf_files import quantization, read_header
from emotion_games.engine.models import decoder_layers, in_one_line
from emotion_games.engine.weights import NAMED, check_weights

LICENCE = "LICENSE"
# How vocabularies of the kind of GPT-2 split a text into words, by the name in the file, where the
# library does not say. The first ones split it as GPT-2 does, the others put every digit apart
# before (src/llama-vocab.cpp of llama.cpp).
_AS_GPT2 = ("gpt-2", "phi-2", "mpt", "olmo", "jais")
_WITH_DIGITS_APART = (
    "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
)  # fmt: skip


def convert(
    file: Path, folder: Path, dtype: str | None, source: str, log: Callable[[str], None]
) -> None:
    """Write the model of a GGUF file into a folder, which exists.

    Args:
        file: The GGUF file.
        folder: Receives config.json, model.safetensors, tokenizer and LICENSE.
        dtype: The number format of the weights; None is float32.
        source: Where the file comes from, for LICENSE.
        log: Receives a line for each step.

    Raises:
        UserError: The file cannot be used.
    """
    disable_progress_bar()
    header, name = read_header(file), f"model {file.name}"
    if header.get("split.count", 1) > 1:
        raise ModelError(
            f"{name}: one of {header['split.count']} parts of a model; join them with "
            "`llama-gguf-split --merge`"
        )
    log(f"converting {file.name}, {file.stat().st_size / 1e6:,.0f} MB: tokenizer")
    with in_one_line(f"{name}: it cannot be read"):
        # Given to both others, which would take seconds to read it again.
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    with in_one_line(f"{name}: its tokenizer cannot be read"):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, config=config, gguf_file=file.name)
    _split_words(tokenizer, header, name)
    log(f"converting {file.name}: weights, to {dtype or 'float32'}")
    with in_one_line(f"{name}: it cannot be read"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            file.parent,
            config=config,
            gguf_file=file.name,
            dtype=getattr(torch, dtype or "float32"),
            # Otherwise the library may keep the weights as they are stored, and cannot save them.
            quantization_config=GgufConfig(dequantize=True),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    model, report = loaded
    model.eval().requires_grad_(False)
    check_weights(model, decoder_layers(model), report, file.name)
    _check_nothing_left_out(file, model, name)
    # Everything in one file.
    model.save_pretrained(folder, max_shard_size=1 + 4 * model.num_parameters())
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    (folder / LICENCE).write_text(_licence(header, source), encoding="utf-8")


def _check_nothing_left_out(file: Path, model: PreTrainedModel, name: str) -> None:
    """Refuse a file with more numbers than the library has read; it leaves some out silently.

    Raises:
        ModelError: Tensors of the file have no place in the model.
    """
    tensors = {info.name: prod(info.shape) for info in GgufHeader.from_file(str(file)).tensors}
    # A tied weight counts once, as it stands once in a file.
    read = {weight.data_ptr(): weight.numel() for weight in model.state_dict().values()}
    if sum(tensors.values()) == sum(read.values()):
        return
    likely = [each for each in tensors if "rope" in each] or sorted(tensors)[:NAMED]
    raise ModelError(
        f"{name}: the library reads {sum(read.values()):,} of its {sum(tensors.values()):,} "
        f"numbers (not, for example, {', '.join(likely)}), so that it would be another model; use "
        "the safetensors of this model"
    )


def _split_words(tokenizer: PreTrainedTokenizerBase, header: dict[str, Any], name: str) -> None:
    """Let the tokenizer split texts into words as the file says.

    Raises:
        ModelError: It is not known how.
    """
    kind = header.get("tokenizer.ggml.pre")
    if header.get("tokenizer.ggml.model") != "gpt2" or kind in GGUF_PRE_TOKENIZER_SPLITS:
        return
    if kind in _WITH_DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    elif kind not in _AS_GPT2:
        raise ModelError(
            f"{name}: how its tokenizer splits texts ({kind or 'no tokenizer.ggml.pre'}) is not "
            "known; use the safetensors of this model"
        )


def _licence(header: dict[str, Any], source: str) -> str:
    """Return whose model this is, under which licence, and what was done to it."""
    lines = [
        f"Model: {header.get('general.name', 'not named in the file')}",
        f"Organization: {header.get('general.organization', 'not named in the file')}",
        f"Licence: {header.get('general.license', 'not named in the file')}",
        f"Source: {source}",
        f"Weights: unpacked from a GGUF file ({quantization(header) or 'of unknown type'}).",
    ]
    return "\n".join(lines) + "\n"
