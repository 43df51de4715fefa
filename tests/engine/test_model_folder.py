"""A folder that holds no sound model is refused in one line that says what is wrong with it."""

import json
import shutil

import pytest
import torch

from emotion_games.engine.backend import ModelError
from emotion_games.engine.models import load_model
from tiny import tiny_model

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    loaded = tiny_model("llama")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def without(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def holding(name, content):
    return lambda folder: (folder / name).write_text(content)


def cut(name, size):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:size])

    return change


def renamed(name, to):
    return lambda folder: (folder / name).rename(folder / to)


def edited(name, **changes):
    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))

    return change


def sharded(index):
    def change(folder):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(index)

    return change


INDEX = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}


@pytest.mark.parametrize(
    "change, said",
    [
        (without("config.json"), "holds no config.json"),
        (holding("config.json", ""), "config.json holds no JSON object"),
        (holding("config.json", "[]"), "config.json holds no JSON object"),
        (holding("config.json", "[" * 100_000), "config.json holds no JSON object"),
        (holding("config.json", "{}"), "its config cannot be loaded"),
        (edited("config.json", model_type=["llama"]), "its config cannot be loaded"),
        (edited("config.json", model_type="x"), "does not recognize this architecture"),
        (edited("config.json", hidden_size="32"), "'hidden_size' expected int, got str"),
        (edited("config.json", num_attention_heads=0), "its config cannot be loaded"),
        (edited("config.json", dtype="none"), "its config cannot be loaded"),
        (edited("config.json", hidden_act="none"), "its weights cannot be loaded"),
        (edited("config.json", pad_token_id=10**6), "its weights cannot be loaded"),
        (edited("config.json", quantization_config={"quant_method": "gptq"}), "cannot be loaded"),
        (without("model.safetensors"), "holds no model.safetensors"),
        (renamed("model.safetensors", "pytorch_model.bin"), "pickled weights"),
        (cut("model.safetensors", 1000), "its weights cannot be loaded"),
        (cut("model.safetensors", -1000), "its weights cannot be loaded"),
        (holding("model.safetensors", "version https://git-lfs"), "its weights cannot be loaded"),
        (sharded("[]"), "model.safetensors.index.json holds no JSON object"),
        (sharded(json.dumps(INDEX)), "model-00001-of-00002.safetensors"),
        (without("tokenizer.json"), "its tokenizer cannot be loaded"),
        (holding("tokenizer.json", "[]"), "its tokenizer cannot be loaded"),
        (edited("tokenizer.json", model={"type": "x"}), "its tokenizer cannot be loaded"),
        (cut("tokenizer.json", 500), "its tokenizer cannot be loaded"),
        (edited("tokenizer_config.json", tokenizer_class=3), "its tokenizer cannot be loaded"),
        (holding("tokenizer_config.json", "[]"), "tokenizer_config.json holds no JSON object"),
        (holding("generation_config.json", "["), "generation_config.json holds no JSON object"),
        (holding("adapter_config.json", "{}"), "holds an adapter"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_one_line(sound, tmp_path, change, said):
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    change(folder)
    with pytest.raises(ModelError) as caught:
        load_model({"id": "x"}, str(folder), {"device": "cpu"})
    message = str(caught.value)
    assert message.startswith("model x: ") and said in message
    assert "\n" not in message and len(message) < 500


def test_an_error_that_no_file_explains_keeps_its_traceback(sound, monkeypatch):
    class Unheard(Exception):
        pass

    def fail(*_, **__):
        raise Unheard

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", fail)
    with pytest.raises(Unheard):
        load_model({"id": "x"}, str(sound), {"device": "cpu"})
