"""A tokenizer that does not belong to its model, or would read it otherwise, is refused."""

import io
import json

import pytest
import torch
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import AddedToken, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import AutoConfig

from emotion_games.engine import vocabulary
from emotion_games.engine.backend import ModelError
from emotion_games.engine.models import load_model
from tiny import ARCHITECTURES, tiny_model

torch.set_num_threads(1)

SENTENCES = ["the cat sat on the mat", "a dog ate the cat", "do you help or do you keep"]
LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load_model({"id": "x"}, str(folder), {"device": "cpu"})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(folder, tokens=(), special=False, template=None):
    """Save a model whose tokenizer has more tokens than its embedding has rows."""
    loaded = tiny_model("llama")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.add_tokens([AddedToken(token) for token in tokens], special_tokens=special)
    loaded.tokenizer.chat_template = template or loaded.tokenizer.chat_template
    loaded.tokenizer.save_pretrained(folder)


def test_ids_beyond_the_embedding_are_refused(tmp_path):
    saved(tmp_path, ["cooperate", "defect"])
    expected = "its tokenizer has ids up to 263, its embedding has 262 rows"
    assert expected in refusal(tmp_path)


def test_special_tokens_without_an_embedding_are_no_fault(tmp_path):
    saved(tmp_path, ["<image>"], special=True)
    load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})


def test_special_tokens_of_the_chat_need_an_embedding(tmp_path):
    saved(tmp_path, ["<turn>"], special=True, template="<turn>{{ messages[0].content }}")
    assert "has ids up to 262" in refusal(tmp_path)


@pytest.mark.parametrize("pad", ["<new>", None])
def test_padding_needs_no_token_of_its_own(tmp_path, pad):
    loaded = tiny_model("llama")
    rows = [[10, 11, 12], [13]]
    expected = loaded.read(rows, {}).logits
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.pad_token = pad
    loaded.tokenizer.save_pretrained(tmp_path)
    again = load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})
    assert again.tokenizer.pad_token == pad
    torch.testing.assert_close(again.read(rows, {}).logits, expected)


def sentencepiece(folder, kind="llama", settings=None, dummy_prefix=True):
    """Save a model with a vocabulary of SentencePiece alone, and return the vocabulary."""
    content = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3),
        model_writer=content,
        vocab_size=60,
        model_type="bpe",
        hard_vocab_limit=False,
        add_dummy_prefix=dummy_prefix,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(content.getvalue())
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    original = SentencePieceProcessor(model_proto=content.getvalue())
    rows = original.vocab_size()
    config = AutoConfig.for_model(kind, vocab_size=rows, pad_token_id=0, **ARCHITECTURES[kind])
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return original


@pytest.mark.parametrize(
    "kind, settings, dummy_prefix",
    [("llama", LLAMA, True), ("gemma2", {"tokenizer_class": "GemmaTokenizer"}, False)],
)
def test_a_sentencepiece_vocabulary_is_read_as_sentencepiece_reads_it(
    tmp_path, kind, settings, dummy_prefix
):
    original = sentencepiece(tmp_path, kind, settings, dummy_prefix)
    loaded = load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})
    for text in SENTENCES:
        assert loaded.token_ids(text) == original.encode(text)
        assert loaded.decode(original.encode(text)) == text


def test_a_conversion_that_reads_otherwise_is_refused(tmp_path):
    sentencepiece(tmp_path, "gemma2", {"tokenizer_class": "GemmaTokenizer"}, dummy_prefix=True)
    assert "otherwise than SentencePiece" in refusal(tmp_path)


def test_a_vocabulary_that_does_not_say_how_texts_begin_is_refused(tmp_path):
    sentencepiece(tmp_path)
    assert "add tokenizer.json or tokenizer_config.json" in refusal(tmp_path)


@pytest.mark.parametrize("package", ["protobuf", "sentencepiece"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    sentencepiece(tmp_path, "llama", LLAMA)
    monkeypatch.setattr(vocabulary, f"is_{package}_available", lambda: False)
    message = refusal(tmp_path)
    assert "pip install sentencepiece protobuf" in message and "tiktoken" not in message


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path):
    sentencepiece(tmp_path, "llama", LLAMA)
    (tmp_path / "tokenizer.model").write_bytes(b"nothing")
    assert "its tokenizer cannot be loaded" in refusal(tmp_path)
