"""A GGUF file becomes a model folder that computes the same, or is refused in one line."""

import json
import re

import pytest
import torch
from transformers import AutoModelForCausalLM

from emotion_games.engine.backend import ModelError
from emotion_games.engine.gguf_conversion import convert
from emotion_games.engine.gguf_files import quantization, read_header
from emotion_games.engine.models import load_model
from emotion_games.errors import UserError
from tiny_gguf import write_gguf

torch.set_num_threads(1)
TEXT = [[1, 20, 90, 33, 5, 77, 21, 60]]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.Q8_0.gguf")


@pytest.fixture(scope="module")
def folder(file, tmp_path_factory):
    path = tmp_path_factory.mktemp("converted")
    convert(file, path, None, "a test", print)
    return path


def converted(file, tmp_path, dtype=None):
    folder = tmp_path / "converted"
    folder.mkdir()
    convert(file, folder, dtype, "a test", print)
    return folder


def test_the_converted_model_computes_what_the_library_reads_from_the_file(file, folder):
    found = load_model({"id": "x"}, str(folder), {"device": "cpu"})
    expected = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).eval()
    assert found.model.dtype == torch.float32
    ids = torch.tensor(TEXT)
    assert torch.equal(found.model(ids).logits, expected(ids).logits)


def test_the_folder_is_whole_and_names_the_licence(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert "generation_config.json" in names and not list(folder.glob("*.index.json"))
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert "chat_template" in json.loads((folder / "tokenizer_config.json").read_text())
    text = (folder / "LICENSE").read_text()
    assert "Licence: mit" in text and "Source: a test" in text and "Q8_0" in text


def test_the_tokenizer_splits_words_as_the_file_says(folder, tmp_path):
    tokenizer = load_model({"id": "x"}, str(folder), {"device": "cpu"}).tokenizer
    assert tokenizer.tokenize("the 12") == ["th", "e", "Ġ", "1", "2"]
    assert tokenizer("<s>the<|end|>")["input_ids"][0] == tokenizer.bos_token_id
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12")
    assert [piece for piece, _ in pieces] == ["a", "ĠĠ", "1", "2"]


def test_weights_are_written_in_the_number_format_of_the_entry(file, tmp_path):
    folder = converted(file, tmp_path, "bfloat16")
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    loaded = load_model({"id": "x", "dtype": "bfloat16"}, str(folder), {"device": "cpu"})
    assert loaded.model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "rwkv7"}, "architecture rwkv7 is not supported"),
        ({"without": "blk.1.ffn_up.weight"}, "missing in the files: model.layers.1.mlp.up_proj"),
        (
            {"without": "token_embd.weight"},
            "missing in the files: lm_head.weight, model.embed_tokens.weight",
        ),
        ({"pre": "of-tomorrow"}, "how its tokenizer splits texts (of-tomorrow) is not known"),
        ({"split__count": 3}, "one of 3 parts of a model"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_in_one_line(tmp_path, changes, said):
    file = write_gguf(tmp_path / "m.gguf", **changes)
    with pytest.raises(ModelError) as caught:
        converted(file, tmp_path)
    assert str(caught.value).startswith("model m.gguf: ") and said in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_tensors_that_the_library_leaves_out_are_refused(tmp_path):
    file = write_gguf(tmp_path / "m.gguf", more="rope_freqs.weight")
    with pytest.raises(ModelError) as caught:
        converted(file, tmp_path)
    assert "the library reads 27,008 of its 27,016 numbers" in str(caught.value)
    assert "(not, for example, rope_freqs.weight)" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.7, 0.99])
def test_a_file_that_ends_early_is_refused_in_one_line(file, tmp_path, share):
    content = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError) as caught:
        converted(cut, tmp_path)
    assert "cut.gguf" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"no model at all" * 100, b"GGUF" + b"\xff" * 99]
)
def test_a_head_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_header(path)


def test_the_head_says_how_the_weights_are_stored(file, tmp_path):
    assert quantization(read_header(file)) == "Q8_0"
    assert read_header(file)["general.license"] == "mit"
    assert quantization({"general.file_type": 999}) == "type 999"
    assert quantization({}) is None
