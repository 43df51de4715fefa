"""Models load or are refused in one line, and their decoder layers are found."""

import os
import shutil

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine.backend import ModelError
from emotion_games.engine.models import (
    decoder_layers,
    load_model,
    steered_layers,
    weights_hash,
    weights_state,
)
from tiny import ARCHITECTURES, byte_tokenizer, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    loaded = tiny_model("qwen2")
    loaded.model.save_pretrained(path)
    loaded.tokenizer.save_pretrained(path)
    return path


def test_decoder_layers_of_every_architecture():
    for kind in ARCHITECTURES:
        assert len(tiny_model(kind).layers) == 4, kind


def test_unknown_architecture_is_refused_with_what_to_write():
    model = nn.Module()
    model.tower = nn.Module()
    model.tower.blocks = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    with pytest.raises(ModelError, match="layers_path: tower.blocks"):
        decoder_layers(model)
    assert decoder_layers(model, "tower.blocks") is model.tower.blocks


def test_layers_from_half_to_five_sixths_of_the_depth():
    assert steered_layers("past_middle", 1) == [0]
    assert steered_layers("past_middle", 2) == [1]
    assert steered_layers("past_middle", 3) == [1]
    assert steered_layers("past_middle", 12) == [7, 8, 9, 10]
    assert steered_layers("past_middle", 30) == list(range(18, 28))
    assert steered_layers("past_middle", 32) == list(range(19, 30))


def test_middle_third():
    assert steered_layers("middle_third", 1) == [0]
    assert steered_layers("middle_third", 2) == [1]
    assert steered_layers("middle_third", 3) == [1]
    assert steered_layers("middle_third", 12) == [4, 5, 6, 7]
    assert steered_layers("middle_third", 32) == list(range(11, 21))
    assert steered_layers([5, 2], 6) == [2, 5]
    with pytest.raises(ModelError, match="layers 0 to 5"):
        steered_layers([6], 6)


def test_a_local_folder_is_loaded_with_the_weights_it_holds(folder):
    loaded = load_model({"id": "x"}, str(folder), {"device": "cpu"})
    assert torch.equal(loaded.model.lm_head.weight, tiny_model("qwen2").model.lm_head.weight)
    assert loaded.model.dtype == torch.float32 and not loaded.model.training
    half = load_model({"id": "x", "dtype": "bfloat16"}, str(folder), {"device": "cpu"})
    assert half.model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "runtime, expected",
    [
        ({}, ({"": "cuda:0"}, torch.bfloat16)),
        ({"device": "cuda"}, ({"": "cuda"}, torch.bfloat16)),
        ({"device_map": "auto"}, ("auto", torch.bfloat16)),
        ({"device": "cpu"}, (None, torch.float32)),
    ],
)
def test_a_gpu_is_used_where_there_is_one(folder, monkeypatch, runtime, expected):
    loads, load = [], AutoModelForCausalLM.from_pretrained

    def record(path, device_map, dtype, **others):
        loads.append((device_map, dtype))
        return load(path, dtype=dtype, **others)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", record)
    load_model({"id": "x"}, str(folder), runtime)
    assert loads == [expected]


def test_a_model_that_is_too_large_for_the_gpu_is_not_called_damaged(folder, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(torch.OutOfMemoryError):
        load_model({"id": "x"}, str(folder), {})


def test_a_folder_that_does_not_exist_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="there is no such folder here") as caught:
        load_model({"id": "x"}, str(tmp_path / "m"), {})
    assert "\n" not in str(caught.value)


NO_CACHE = "keeps no .*cache"
BOTH_WAYS = "reads in both directions"
NARROW = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.mark.parametrize(
    "kind, settings, said",
    [
        ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2}, NO_CACHE),
        ("openai-gpt", {"n_embd": 32, "n_layer": 1, "n_head": 4}, NO_CACHE),
        ("xlnet", {"d_model": 32, "n_layer": 1, "n_head": 4, "d_inner": 32}, NO_CACHE),
        ("bert", {**NARROW, "intermediate_size": 32}, BOTH_WAYS),
        ("roberta", {**NARROW, "intermediate_size": 32}, BOTH_WAYS),
        ("megatron-bert", {**NARROW, "intermediate_size": 32}, BOTH_WAYS),
    ],
)
def test_models_that_the_engine_cannot_run_are_refused_without_advice(
    tmp_path, kind, settings, said
):
    tokenizer = byte_tokenizer()
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), pad_token_id=0, **settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=said) as caught:
        load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})
    assert "\n" not in str(caught.value) and "layers_path" not in str(caught.value)


@pytest.mark.parametrize("kind", ["t5", "bart", "whisper"])
def test_encoder_decoders_are_refused_by_their_config_alone(folder, tmp_path, kind):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="model x: it is an encoder-decoder"):
        load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})


def test_a_model_that_does_not_say_its_width_is_refused(folder, monkeypatch):
    load = AutoModelForCausalLM.from_pretrained

    def widthless(*args, **options):
        model, report = load(*args, **options)
        model.config = PreTrainedConfig()
        return model, report

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", widthless)
    with pytest.raises(ModelError, match="model x: Qwen2ForCausalLM has no hidden_size"):
        load_model({"id": "x"}, str(folder), {"device": "cpu"})


def test_a_model_without_layers_gets_no_advice_to_name_them():
    with pytest.raises(ModelError, match="it has no list of layers$"):
        decoder_layers(nn.Linear(2, 2))


def test_weights_hash_follows_contents_not_times(folder, tmp_path):
    path = tmp_path / "copy"
    path.mkdir()
    for file in folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    assert weights_hash({}, str(path)) == weights_hash({}, str(folder))
    weights = path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_hash({}, str(path)) != weights_hash({}, str(folder))


def test_weights_state_changes_with_every_file_that_the_hash_reads(folder, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(folder, path)
    before = weights_state(str(path))
    assert before == weights_state(str(path)) and len(before) > 1
    (path / "README.md").write_text("not a part of the model")
    assert weights_state(str(path)) == before
    weights = path / "model.safetensors"
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    assert weights_state(str(path)) != before
    assert weights_state("a/hub-id") == []


def test_weights_hash_covers_every_shard_and_their_index(tmp_path):
    loaded = tiny_model("qwen2")
    loaded.model.save_pretrained(tmp_path, max_shard_size="50KB")
    loaded.tokenizer.save_pretrained(tmp_path)
    whole = weights_hash({}, str(tmp_path))
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1 and load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})
    for file in [*shards, tmp_path / "model.safetensors.index.json"]:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert weights_hash({}, str(tmp_path)) != whole, file.name
        file.write_bytes(content)
    (tmp_path / "checkpoints.json").mkdir()
    assert weights_hash({}, str(tmp_path)) == whole
