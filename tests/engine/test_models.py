"""Models load or are refused in one line, and their decoder layers are found."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from emotion_games.engine.backend import ModelError
from emotion_games.engine.models import decoder_layers, load_model, steered_layers, weights_hash
from tiny import ARCHITECTURES, tiny_model


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


def test_middle_third():
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
        ({"device": "cuda:1"}, ({"": "cuda:1"}, torch.bfloat16)),
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


@pytest.mark.parametrize("damage", ["missing", "truncated", "pickle"])
def test_damaged_models_are_refused_in_one_line(folder, tmp_path, damage):
    path = tmp_path / "m"
    path.mkdir()
    if damage == "missing":
        path.rmdir()
    else:
        for file in folder.iterdir():
            (path / file.name).write_bytes(file.read_bytes())
        weights = path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        if damage == "pickle":
            weights.rename(path / "pytorch_model.bin")
    message = "no such folder here" if damage == "missing" else "model x: cannot be loaded"
    with pytest.raises(ModelError, match=message) as caught:
        load_model({"id": "x"}, str(path), {})
    assert "\n" not in str(caught.value)


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
