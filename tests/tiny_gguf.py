"""A tiny random Llama as a GGUF file."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tiny import CHAT, SPECIAL, byte_tokenizer

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS = 32, 64, 2, 4, 2
CONTROL, NORMAL = 3, 1


def write_gguf(
    path: Path,
    seed: int = 0,
    kind: str = "llama",
    without: str = "",
    more: str = "",
    **metadata: Any,
) -> Path:
    """Write a file whose matrices are stored as Q8_0.

    Args:
        path: The file.
        seed: Of the weights.
        kind: The architecture that it names.
        without: The name of a tensor to leave out.
        more: The name of a tensor of 8 numbers that no Llama has.
        metadata: More texts and numbers, with `__` for a point in their keys.
    """
    words = [*sorted(byte_tokenizer().get_vocab(), key=byte_tokenizer().get_vocab().get), "th"]
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name("Tiny")
    writer.add_license("mit")
    writer.add_block_count(LAYERS)
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(words))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(metadata.pop("pre", "smollm"))
    writer.add_token_list(words)
    writer.add_token_types([CONTROL if word in SPECIAL else NORMAL for word in words])
    writer.add_token_merges(["t h"])
    for name, word in {"bos": "<s>", "eos": "<|end|>", "pad": "<|pad|>"}.items():
        getattr(writer, f"add_{name}_token_id")(words.index(word))
    writer.add_chat_template(CHAT)
    for key, value in metadata.items():
        add = writer.add_string if isinstance(value, str) else writer.add_uint32
        add(key.replace("__", "."), value)
    tensors = _tensors(len(words), seed) | ({more: np.ones(8, np.float32)} if more else {})
    tensors.pop(without, None)
    for name, values in tensors.items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        stored = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, stored, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(vocabulary: int, seed: int) -> dict[str, np.ndarray]:
    random, keys = np.random.default_rng(seed), HIDDEN * KEY_HEADS // HEADS
    shapes = {"token_embd.weight": (vocabulary, HIDDEN), "output_norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        block = {
            "attn_norm": (HIDDEN,), "ffn_norm": (HIDDEN,), "attn_q": (HIDDEN, HIDDEN),
            "attn_k": (keys, HIDDEN), "attn_v": (keys, HIDDEN), "attn_output": (HIDDEN, HIDDEN),
            "ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER),
        }  # fmt: skip
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
    return {
        name: (random.normal(size=shape) * 0.3 + (len(shape) == 1)).astype(np.float32)
        for name, shape in shapes.items()
    }
