"""The architectures that are tested, as tiny random models, and the table of them in the docs.

`python tests/architectures.py` writes `docs/architectures.md`.
"""

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine.models import decoder_layers
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import EXPERTS, SMALL, byte_tokenizer

DOCS = Path(__file__).parents[1] / "docs" / "architectures.md"
VOCABULARY = len(byte_tokenizer())
LINEAR = ["linear_attention", "full_attention"] * 2
WINDOWS = ["sliding_attention", "full_attention"] * 2
CONVOLUTIONS = ["conv", "full_attention"] * 2
# Windows are shorter than the texts of the tests.
COMMON = {
    **SMALL,
    **EXPERTS,
    "max_position_embeddings": 256,
    "sliding_window": 6,
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Names that other configs do not know or compute.
NOT_COMMON = dict.fromkeys(
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"]
    + ["max_position_embeddings", "intermediate_size"]
)
GPT = {**NOT_COMMON, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 256}
MOSAIC = {**NOT_COMMON, "d_model": 32, "n_heads": 4, "n_layers": 4, "max_seq_len": 256}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
}
MAMBA = {"state_size": 8, "time_step_rank": 4, "intermediate_size": 64}
MAMBA_2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
    "mamba_expand": 2,
}
DELTA = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 4,
    "layer_types": LINEAR,
    "shared_expert_intermediate_size": 16,
}
KIMI = {
    **LATENT,
    "layer_types": LINEAR,
    "mlp_layer_types": ["dense", "sparse"] * 2,
    "linear_head_dim": 8,
    "linear_num_heads": 4,
    "num_experts_per_token": 2,
    "num_expert_group": 1,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
GEMMA_4 = {
    "layer_types": WINDOWS,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY,
    "global_head_dim": 16,
    "num_kv_shared_layers": 0,
}

# In the fast tests.
FAST = {
    "bloom": {},
    "cohere2": {"layer_types": WINDOWS},
    "deepseek_v3": LATENT,
    "falcon": {
        "head_dim": None,
        "num_key_value_heads": None,
        "new_decoder_architecture": True,
        "num_kv_heads": 2,
        "alibi": False,
    },
    "gemma": {},
    "gemma2": {"query_pre_attn_scalar": 8},
    "gemma3_text": {"query_pre_attn_scalar": 8, "layer_types": WINDOWS},
    "gemma4_text": GEMMA_4,
    "glm4": {},
    "gpt2": GPT,
    "gpt_neox": {"num_key_value_heads": None},
    "gpt_oss": {"layer_types": WINDOWS},
    "gptj": {**GPT, "rotary_dim": 4},
    "jamba": {
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
    },
    "lfm2": {"layer_types": CONVOLUTIONS, "block_multiple_of": 8},
    "llama": {},
    "mamba": MAMBA,
    "mistral": {},
    "mixtral": {},
    "mpt": MOSAIC,
    "olmo2": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "phi": {},
    "phi3": {},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": {"decoder_sparse_step": 1},
    "qwen3_5_text": DELTA,
    "qwen3_next": DELTA,
    "stablelm": {},
}
# In the slow tests.
SLOW = {
    "afmoe": {"layer_types": WINDOWS},
    "apertus": {},
    "arcee": {},
    "aria_text": {},
    "axk1": LATENT,
    "axk2": LATENT,
    "bailing_hybrid": KIMI,
    "bamba": {**MAMBA_2, "attn_layer_indices": [1, 3]},
    "beam": {"n_routed_experts": 4, "n_group": 1, "topk_group": 1},
    "biogpt": {},
    "bitnet": {},
    "codegen": {**GPT, "rotary_dim": 4},
    "cohere": {},
    "cohere2_moe": {},
    "ctrl": {**NOT_COMMON, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 256, "dff": 48},
    "cwm": {},
    "dbrx": {
        **MOSAIC,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": {
            "hidden_size": 32,
            "ffn_hidden_size": 48,
            "moe_num_experts": 4,
            "moe_top_k": 2,
        },
    },
    "deepseek_v2": LATENT,
    "deepseek_v32": LATENT,
    "diffllama": {},
    "doge": {},
    "dots1": {"n_shared_experts": 1, "first_k_dense_replace": 1, "n_routed_experts": 4}
    | {"n_group": 1, "topk_group": 1},
    "ernie4_5": {},
    "ernie4_5_moe": {},
    "exaone4": {},
    "exaone_moe": {"n_group": 1, "topk_group": 1},
    "falcon_h1": {**MAMBA_2, "mamba_d_ssm": 64},
    "falcon_mamba": MAMBA,
    "flex_olmo": {},
    "flint": {},
    "gemma3": {
        "text_config": {**COMMON, "query_pre_attn_scalar": 8, "layer_types": WINDOWS},
        "vision_config": VISION,
    },
    # Its upper layers use the keys and values of lower ones.
    "gemma4": {
        "text_config": {**COMMON, **GEMMA_4, "num_kv_shared_layers": 2},
        "vision_config": None,
        "audio_config": None,
    },
    "glm": {},
    "glm4_moe": {"n_shared_experts": 1, "n_routed_experts": 4, "n_group": 1, "topk_group": 1},
    "glm4_moe_lite": LATENT,
    "glm_moe_dsa": LATENT,
    "gpt_bigcode": GPT,
    "gpt_neo": {
        "num_hidden_layers": None,
        "num_attention_heads": None,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 6,
    },
    "gpt_neox_japanese": {},
    "granite": {},
    "granitemoe": {},
    "granitemoehybrid": {**MAMBA_2, "layer_types": LINEAR, "shared_intermediate_size": 32},
    "granitemoeshared": {},
    "helium": {},
    "hunyuan_v1_dense": {},
    "hunyuan_v1_moe": {},
    "hy_v3": {},
    "hyperclovax": {},
    "internlm3": {},
    "jais2": {},
    "jetmoe": {"kv_channels": 8},
    "kimi_linear": KIMI,
    "laguna": {
        "num_attention_heads_per_layer": [4] * 4,
        "mlp_layer_types": ["dense", "sparse"] * 2,
        "layer_types": WINDOWS,
        "shared_expert_intermediate_size": 16,
    },
    "lfm2_moe": {"layer_types": CONVOLUTIONS, "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", "full_attention", "conv", "sliding_attention"]},
    "llama4": {
        "text_config": {**COMMON, "attention_chunk_size": 6, "intermediate_size_mlp": 48},
        "vision_config": {**VISION, "vision_output_dim": 16},
    },
    "llama4_text": {
        "attention_chunk_size": 6,
        "interleave_moe_layer_step": 2,
        "intermediate_size_mlp": 48,
    },
    "longcat_flash": {
        **LATENT,
        "num_layers": 2,
        "num_hidden_layers": None,
        "ffn_hidden_size": 48,
        "expert_ffn_hidden_size": 16,
        "moe_topk": 2,
        "zero_expert_num": 2,
    },
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8},
    "mellum": {"layer_types": WINDOWS},
    "mimo_v2_flash": {"layer_types": WINDOWS},
    "minicpm3": LATENT,
    "minimax_m2": {},
    "ministral": {},
    "ministral3": {},
    "modernbert-decoder": {"local_attention": 6, "global_attn_every_n_layers": 2},
    "nanochat": {},
    "nemotron": {},
    "nemotron_h": {
        "layers_block_type": ["linear_attention", "mlp", "full_attention", "moe"],
        "num_hidden_layers": None,
        "ssm_state_size": 8,
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "n_groups": 1,
        "chunk_size": 8,
        "n_routed_experts": 4,
        "moe_shared_expert_intermediate_size": 16,
    },
    "olmo": {},
    "olmo3": {"layer_types": WINDOWS},
    "olmo_hybrid": DELTA,
    "olmoe": {},
    "persimmon": {},
    "phimoe": {},
    "qwen2_moe": {"shared_expert_intermediate_size": 16, "decoder_sparse_step": 1},
    "qwen3_5": {
        "text_config": {**COMMON, **DELTA},
        "vision_config": {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
        },
    },
    "qwen3_5_moe_text": DELTA,
    "seed_oss": {},
    "smollm3": {},
    "solar_open": {"n_routed_experts": 4, "n_group": 1, "topk_group": 1},
    "starcoder2": {},
    "vaultgemma": {},
    "xglm": {
        "hidden_size": None,
        "num_hidden_layers": None,
        "num_attention_heads": None,
        "d_model": 32,
        "ffn_dim": 48,
        "attention_heads": 4,
        "num_layers": 4,
    },
    "youtu": LATENT,
    "zamba": {
        "num_key_value_heads": 4,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "n_mamba_heads": 2,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
    },
    "zamba2": {
        "num_key_value_heads": 4,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "n_mamba_heads": 8,
        "mamba_headdim": 8,
        "mamba_d_state": 8,
        "chunk_size": 8,
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "hybrid_layer_ids": [1, 3],
        "adapter_rank": 4,
        "kv_channels": 8,
        "num_query_groups": 4,
    },
    "zaya": {"layer_types": ["hybrid"] * 4, "router_hidden_size": 16, "num_experts_per_tok": 1}
    | {"rope_parameters": None, "sliding_window": None},
}
TESTED = {**FAST, **SLOW}
# Whose lower layers rows of one prompt cannot share: a bias of (rows * heads), keys and values or
# states of the experts' router that go from layer to layer beside the residual stream.
UNSHARED = {"bloom", "gemma4", "zaya"}
# Which need `layers_path`.
PATHS = {
    "biogpt": "biogpt.layers",
    "dbrx": "transformer.blocks",
    "gpt_neox_japanese": "gpt_neox_japanese.layers",
    "mpt": "transformer.blocks",
}
# What is refused, with settings and a part of the message.
NO_CACHE, BOTH_WAYS = "keeps no key-value cache", "reads in both directions"
OTHER_CACHE, SEVERAL_STREAMS = (
    "(?i)cache'? object|cache of its own|cannot be copied",
    "is not one residual stream",
)
NOT_ALONE = "differs from what it reads alone"
REFUSED = {
    "bert": ({}, BOTH_WAYS),
    "deepseek_v4": (LATENT, OTHER_CACHE),
    "gemma3n_text": (
        {**GEMMA_4, "laurel_rank": 4, "activation_sparsity_pattern": [0.0] * 4},
        SEVERAL_STREAMS,
    ),
    "hy_v4": (LATENT, SEVERAL_STREAMS),
    "minimax": ({"layer_types": LINEAR, "block_size": 8}, OTHER_CACHE),
    "openai-gpt": (GPT, NO_CACHE),
    "recurrent_gemma": (
        {"lru_width": 32, "attention_window_size": 6, "block_types": ["recurrent", "attention"]},
        NOT_ALONE,
    ),
    "rwkv": ({"attention_hidden_size": 32, "context_length": 256}, NO_CACHE),
    "xlstm": (
        {"v_head_dim": None, "head_dim": None, "num_blocks": 4, "num_heads": 4, "chunk_size": 8}
        | {"embedding_dim": 32},
        OTHER_CACHE,
    ),
}
# The refusals in other words.
WHY = {
    NO_CACHE: "it keeps no cache that copies of a row could continue from.",
    BOTH_WAYS: "it reads in both directions.",
    OTHER_CACHE: "its cache is of a kind of its own, whose rows cannot be copied.",
    SEVERAL_STREAMS: "its layers pass on several residual streams, and a push has no one place.",
    NOT_ALONE: "what it reads in a padded batch or from its cache is not what it reads alone.",
}
HEAD = """# Architectures

<!-- made by tests/architectures.py -->
Names are the `model_type` in a model's `config.json`. For each tested architecture, a tiny random
model was compared with a plain one that reads one text alone, whole, without a cache and without
hooks: steered logits, log-probabilities of options, and written answers agree to 1e-4 of what the
push changes (float32). Other architectures may work. Every model is tried when it is loaded, and
refused in one line if it cannot be read in a padded batch that continues from its cache."""


def tiny_causal_model(kind: str, settings: dict) -> torch.nn.Module:
    """A random model of an architecture in float32, whose rows differ visibly."""
    torch.manual_seed(0)
    found = {k: v for k, v in {**COMMON, **settings}.items() if v is not None}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **found))
    model.eval().requires_grad_(False)
    # Larger weights than at the start of training.
    for parameter in model.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)
        if parameter.ndim > 1:
            parameter.mul_(3.0)
    return model


def tiny_architecture(kind: str) -> TransformersBackend:
    """A tiny model of a tested architecture with the byte tokenizer."""
    model = tiny_causal_model(kind, TESTED[kind])
    layers = decoder_layers(model, PATHS.get(kind))
    return TransformersBackend(model, byte_tokenizer(), layers, kind)


def docs_page() -> str:
    """Return the page of the documentation."""
    lines = [HEAD, "", f"## Tested ({len(TESTED)})", ""]
    lines += [_wrapped(TESTED), "", "Rows of one prompt cannot share their lower layers in"]
    lines += [f"{_listed(UNSHARED)}: these take longer.", "", "These need `layers_path`:"]
    lines += [", ".join(f"`{kind}`: `{path}`" for kind, path in PATHS.items()) + "."]
    lines += ["", "## Refused", ""]
    lines += [f"- `{kind}`: {WHY[reason]}" for kind, (_, reason) in sorted(REFUSED.items())]
    return "\n".join(lines) + "\n"


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(f"`{kind}`" for kind in sorted(kinds))


def _wrapped(kinds: Iterable[str]) -> str:
    return fill(_listed(kinds), 100, break_on_hyphens=False)


if __name__ == "__main__":
    DOCS.write_text(docs_page(), encoding="utf-8")
