"""Tiny random-weight models of the architectures people use, and a tokenizer, made on the spot."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine.models import decoder_layers
from emotion_games.engine.transformers_backend import TransformersBackend

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
}
EXPERTS = {
    "num_local_experts": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}
ARCHITECTURES = {
    "llama": SMALL,
    "mistral": SMALL,
    "qwen2": SMALL,
    "qwen3": SMALL,
    "gemma2": {**SMALL, "sliding_window": 16, "query_pre_attn_scalar": 8},
    "gemma3_text": {**SMALL, "sliding_window": 16, "query_pre_attn_scalar": 8},
    "phi3": SMALL,
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 4096},
    "gpt_neox": {**SMALL, "num_key_value_heads": None},
    "olmo2": SMALL,
    "falcon": {
        **SMALL,
        "head_dim": None,
        "num_key_value_heads": None,
        "new_decoder_architecture": True,
        "num_kv_heads": 2,
        "alibi": False,
    },
    "mixtral": {**SMALL, **EXPERTS},
    "qwen3_moe": {**SMALL, **EXPERTS, "decoder_sparse_step": 1},
}


def byte_tokenizer(chat_template: str | None = CHAT) -> PreTrainedTokenizerFast:
    """One token a byte, and the special tokens of a chat."""
    vocabulary = {
        token: i for i, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=SPECIAL[3:],
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def tiny_model(kind: str, seed: int = 0) -> TransformersBackend:
    """A random model of an architecture, float32, with the byte tokenizer."""
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer()
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    settings = {k: v for k, v in ARCHITECTURES[kind].items() if v is not None}
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **special, **settings)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    # Larger weights than at the start of training, so that rows differ visibly.
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(3.0)
    return TransformersBackend(model, tokenizer, decoder_layers(model), kind)
