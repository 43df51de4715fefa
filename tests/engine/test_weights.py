"""A loaded model holds the tensors of its files, all of them and nothing else."""

from functools import cache

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine.backend import ModelError
from emotion_games.engine.models import load_model
from tiny import ARCHITECTURES, EXPERTS, SMALL, byte_tokenizer

torch.set_num_threads(1)

TOKENIZER = byte_tokenizer()
NARROW = {"n_embd": 32, "n_layer": 4, "n_head": 4, "rotary_dim": 4}
MORE_ARCHITECTURES = {
    "gptj": NARROW,
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global"], 2]],
    },
    "opt": {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "gpt_oss": {**SMALL, **EXPERTS},
    "olmoe": {**SMALL, **EXPERTS},
    "gemma3": {
        "text_config": {**ARCHITECTURES["gemma3_text"], "vocab_size": 262},
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "image_size": 28,
            "patch_size": 14,
        },
    },
    "deepseek_v3": {
        **SMALL,
        "num_key_value_heads": 4,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_nextn_predict_layers": 1,
    },
}


@cache
def made(kind, **changes):
    """A random model of an architecture."""
    torch.manual_seed(0)
    settings = {**ARCHITECTURES, **MORE_ARCHITECTURES}[kind] | changes
    settings = {key: value for key, value in settings.items() if value is not None}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, vocab_size=len(TOKENIZER), **special, **settings)
    return AutoModelForCausalLM.from_config(config).eval()


def saved(folder, kind, **changes):
    """Save a random model of an architecture and return the path of its weights."""
    made(kind, **changes).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder / "model.safetensors"


def rewrite(weights, change):
    """Save the tensors of a file after `change` has edited them."""
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights, metadata={"format": "pt"})


def load(folder):
    return load_model({"id": "m"}, str(folder), {"device": "cpu"})


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize("kind", [*ARCHITECTURES, *MORE_ARCHITECTURES])
def test_a_saved_model_of_every_architecture_loads_as_it_was(tmp_path, kind):
    saved(tmp_path, kind)
    loaded = load(tmp_path).model.state_dict()
    original = made(kind).state_dict()
    assert loaded.keys() == original.keys()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in original.items())


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2"])
def test_a_head_that_is_the_embedding_need_not_be_in_the_file(tmp_path, kind):
    weights = saved(tmp_path, kind, tie_word_embeddings=True)
    assert not any("lm_head" in name for name in load_file(weights))
    load(tmp_path)


def test_a_missing_tensor_is_named(tmp_path):
    weights = saved(tmp_path, "llama")
    rewrite(weights, lambda tensors: tensors.pop("model.layers.3.mlp.down_proj.weight"))
    expected = "missing in the files: model.layers.3.mlp.down_proj.weight"
    assert refusal(tmp_path) == f"model m: its weights do not fit its config; {expected}"


def test_many_missing_tensors_are_counted(tmp_path):
    weights = saved(tmp_path, "llama")

    def drop(tensors):
        for name in [name for name in tensors if ".layers.3." in name]:
            del tensors[name]

    rewrite(weights, drop)
    assert refusal(tmp_path).endswith(".layers.3.mlp.gate_proj.weight and 6 more")


@pytest.mark.parametrize("kind", ["qwen3_moe", "mixtral"])
def test_an_expert_that_lacks_a_tensor_is_refused(tmp_path, kind):
    weights = saved(tmp_path, kind)
    found = []

    def drop(tensors):
        found.append(next(name for name in tensors if "experts.2." in name))
        del tensors[found[0]]

    rewrite(weights, drop)
    assert "its weights" in refusal(tmp_path)


def test_a_foreign_prefix_is_refused(tmp_path):
    weights = saved(tmp_path, "llama")

    def prefix(tensors):
        for name in list(tensors):
            tensors[f"student.{name}"] = tensors.pop(name)

    rewrite(weights, prefix)
    assert "missing in the files: lm_head.weight" in refusal(tmp_path)


@pytest.mark.parametrize("kind, layer", [("llama", "model.layers.2"), ("gpt2", "transformer.h.2")])
def test_layers_that_the_config_leaves_out_are_refused(tmp_path, kind, layer):
    saved(tmp_path, kind)
    config = AutoConfig.from_pretrained(tmp_path)
    config.num_hidden_layers = 2
    if hasattr(config, "layer_types"):
        config.layer_types = None
    config.save_pretrained(tmp_path)
    assert f"not in the model: {layer}." in refusal(tmp_path)


def test_layers_without_the_prefix_of_the_model_are_found_too(tmp_path):
    weights = saved(tmp_path, "gpt2")

    def shorten(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)

    rewrite(weights, shorten)
    load(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    config.n_layer = 2
    config.save_pretrained(tmp_path)
    assert "not in the model: " in refusal(tmp_path)


def test_a_bias_that_the_model_would_leave_out_is_refused(tmp_path):
    weights = saved(tmp_path, "llama")
    name = "model.layers.1.self_attn.q_proj.bias"
    rewrite(weights, lambda tensors: tensors.update({name: torch.ones(32)}))
    assert refusal(tmp_path).endswith(f"not in the model: {name}")


@pytest.mark.parametrize(
    "kind, leftovers",
    [
        ("llama", ["model.layers.0.self_attn.rotary_emb.inv_freq"]),
        ("gpt2", ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"]),
        ("gptj", ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"]),
        ("gpt_neo", ["transformer.h.1.attn.attention.bias"]),
        ("gpt_neox", ["gpt_neox.layers.0.attention.masked_bias"]),
        ("deepseek_v3", ["model.layers.4.eh_proj.weight", "model.layers.4.mlp.gate.weight"]),
        ("llama", ["vision_tower.encoder.layers.0.mlp.fc1.weight", "value_head.weight"]),
    ],
)
def test_buffers_and_parts_that_the_model_does_not_use_are_no_fault(tmp_path, kind, leftovers):
    weights = saved(tmp_path, kind)
    more = {name: torch.ones(4, 4) for name in leftovers}
    rewrite(weights, lambda tensors: tensors.update(more))
    load(tmp_path)


def test_predicting_layers_beyond_those_of_the_config_are_refused(tmp_path):
    weights = saved(tmp_path, "deepseek_v3")
    more = {"model.layers.5.eh_proj.weight": torch.ones(4, 4)}
    rewrite(weights, lambda tensors: tensors.update(more))
    assert "not in the model: model.layers.5.eh_proj.weight" in refusal(tmp_path)


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"hidden_size": 64}, "lm_head.weight [262, 32] for [262, 64]"),
        ({"vocab_size": 300}, "lm_head.weight [262, 32] for [300, 32]"),
        ({"intermediate_size": 64}, "mlp.down_proj.weight [32, 48] for [32, 64]"),
    ],
)
def test_a_config_of_another_size_is_refused(tmp_path, changes, named):
    saved(tmp_path, "llama")
    config = AutoConfig.from_pretrained(tmp_path)
    config.update(changes)
    config.save_pretrained(tmp_path)
    message = refusal(tmp_path)
    assert "of another shape than the config says: " in message and named in message


def set_to(name, value, place=...):
    def change(tensors):
        tensors[name][place] = value

    return change


@pytest.mark.parametrize(
    "value, dtype",
    [("nan", "float32"), ("nan", "bfloat16"), ("inf", "float16"), ("-inf", "float32")],
)
def test_one_number_that_is_none_is_found_in_every_format(tmp_path, value, dtype):
    weights = saved(tmp_path, "llama")
    name = "model.layers.1.mlp.up_proj.weight"
    rewrite(weights, set_to(name, float(value), (3, 5)))
    with pytest.raises(ModelError, match=f"its weights are damaged; NaN or infinite: {name}$"):
        load_model({"id": "m", "dtype": dtype}, str(tmp_path), {"device": "cpu"})


def test_weights_that_overflow_the_chosen_format_are_refused(tmp_path):
    weights = saved(tmp_path, "llama")
    rewrite(weights, set_to("model.norm.weight", 1e5, 0))
    load(tmp_path)
    with pytest.raises(ModelError, match="NaN or infinite: model.norm.weight"):
        load_model({"id": "m", "dtype": "float16"}, str(tmp_path), {"device": "cpu"})


@pytest.mark.parametrize(
    "name",
    ["model.layers.2.self_attn.o_proj.weight", "model.embed_tokens.weight", "lm_head.weight"],
)
def test_a_matrix_of_zeros_is_refused(tmp_path, name):
    weights = saved(tmp_path, "llama")
    rewrite(weights, set_to(name, 0.0))
    assert refusal(tmp_path) == f"model m: its weights are damaged; all zero: {name}"


def test_zeros_that_training_leaves_are_no_fault(tmp_path):
    weights = saved(tmp_path, "gemma2")

    def zero(tensors):
        tensors["model.layers.0.input_layernorm.weight"].zero_()  # Gemma adds 1 to it
        tensors["model.embed_tokens.weight"][0] = 0  # padding

    rewrite(weights, zero)
    load(tmp_path)
    weights = saved(tmp_path, "gpt_oss")
    biases = "model.layers.0.mlp.experts.gate_up_proj_bias"
    rewrite(weights, set_to(biases, 0.0))
    load(tmp_path)


def test_an_expert_that_was_never_chosen_may_be_zero(tmp_path):
    weights = saved(tmp_path, "qwen3_moe")

    def zero(tensors):
        for name, tensor in tensors.items():
            if ".layers.1.mlp.experts.3." in name:
                tensor.zero_()

    rewrite(weights, zero)
    load(tmp_path)
