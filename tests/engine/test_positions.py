"""The longest text is that of the architecture, and shorter where answers depend on a batch."""

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine.positions import most_positions
from tiny import ARCHITECTURES, SMALL, tiny_model

LONGROPE = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
LONG = {**SMALL, "max_position_embeddings": 4096}


@pytest.mark.parametrize(
    "kind, settings, expected",
    [
        ("llama", {"max_position_embeddings": 512}, 512),
        ("gpt2", {"n_positions": 300}, 300),
        ("gptj", {"n_positions": 300, "n_embd": 32, "n_head": 4, "rotary_dim": 4}, 300),
        ("opt", {"max_position_embeddings": 300}, 300),
        ("mpt", {"max_seq_len": 300}, 300),
        ("gemma3", {"text_config": {"max_position_embeddings": 300}}, 300),
        ("bloom", {}, None),
        ("xlnet", {}, None),
        (
            "llama",
            {**LONG, "rope_scaling": {"rope_type": "yarn", "factor": 8.0}},
            4096,
        ),
        ("llama", {**LONG, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, 4096),
        (
            "phi3",
            {
                **LONG,
                "pad_token_id": 0,
                "original_max_position_embeddings": 300,
                "rope_scaling": {"type": "longrope", **LONGROPE},
            },
            300,
        ),
        (
            "olmo3",
            {
                "rope_parameters": {
                    "full_attention": {
                        "rope_type": "longrope",
                        "rope_theta": 1e4,
                        "original_max_position_embeddings": 300,
                        **LONGROPE,
                    },
                    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
                }
            },
            300,
        ),
    ],
)
def test_the_length_is_that_of_the_config(kind, settings, expected):
    assert most_positions(AutoConfig.for_model(kind, **settings)) == expected


def test_every_model_says_how_much_it_reads():
    assert tiny_model("gpt2").positions == ARCHITECTURES["gpt2"]["n_positions"]
    assert tiny_model("gemma3_text").positions == SMALL["max_position_embeddings"]


@pytest.mark.parametrize(
    "kind, settings",
    [
        ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 20}),
        (
            "opt",
            {
                "hidden_size": 32,
                "ffn_dim": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "word_embed_proj_dim": 32,
                "max_position_embeddings": 20,
            },
        ),
    ],
)
def test_learned_positions_end_exactly_there(kind, settings):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).eval()
    most = most_positions(model.config)
    model(torch.ones(1, most, dtype=torch.long))
    with pytest.raises(IndexError):
        model(torch.ones(1, most + 1, dtype=torch.long))


def test_longrope_depends_on_the_batch_only_beyond_the_length():
    settings = {**LONG, "pad_token_id": 0, "vocab_size": 100, "original_max_position_embeddings": 8}
    settings["rope_scaling"] = {"type": "longrope", **LONGROPE}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("phi3", **settings)).eval()
    most = most_positions(model.config)
    short = torch.arange(4)

    def beside(length):
        other = torch.ones(length, dtype=torch.long)
        ids = torch.stack([torch.cat([short, other[4:]]), other])
        return model(ids).logits[0, 3]

    torch.testing.assert_close(beside(most), beside(4), atol=1e-5, rtol=0)
    assert (beside(most + 1) - beside(4)).abs().max() > 1e-3
