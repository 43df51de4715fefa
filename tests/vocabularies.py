"""Tokenizers whose tokens span the boundaries between prompt, opening, option and closing."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaTokenizerFast, PreTrainedTokenizerFast

from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import SPECIAL, tiny_model

# The package is never installed: transformers behaves differently where it can be imported.
MISTRAL_PACKAGE = "mistral-common==1.13.1"
MISTRAL_FILE = "mistral_common/data/tokenizer.model.v1"


def with_vocabulary(tokenizer: PreTrainedTokenizerFast, kind: str = "llama") -> TransformersBackend:
    """A random model of an architecture with this tokenizer."""
    model = tiny_model(kind)
    model.model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for parameter in (*model.model.parameters(),):
        parameter.requires_grad_(False)
    tokenizer.pad_token_id = 0
    model.tokenizer = tokenizer
    return model


def merging_tokenizer(merges: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token a byte, but these pairs of tokens become one, as "] {" makes "]{".

    Earlier pairs go first, wherever they stand: nothing splits a text into words before.
    """
    pairs = [tuple(pair.replace("\n", "Ċ").split(" ")) for pair in merges]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = dict.fromkeys([*SPECIAL, *letters, *map("".join, pairs)])
    vocabulary = {token: number for number, token in enumerate(tokens)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return _fast(core)


def trained_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE in the style of GPT-2, trained on some texts."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(texts, trainer)
    return _fast(core)


def _fast(core: Tokenizer) -> PreTrainedTokenizerFast:
    core.decoder = decoders.ByteLevel()
    special = {"bos_token": "<s>", "eos_token": "<|end|>", "pad_token": "<|pad|>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=core, additional_special_tokens=SPECIAL[3:], **special
    )


def mistral_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The SentencePiece vocabulary of Mistral 7B v0.1, fetched into `folder` if it is not there.

    Without a network the test is skipped. On CI it fails.
    """
    model = folder / "tokenizer.model"
    if not model.exists():
        _fetch(model)
    return LlamaTokenizerFast.from_pretrained(folder, legacy=True, add_bos_token=True)


def _fetch(model: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "1"]
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [*pip, "-d", folder, MISTRAL_PACKAGE], capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            reason = f"pip cannot download {MISTRAL_PACKAGE}: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        (wheel,) = Path(folder).glob("*.whl")
        part = model.with_suffix(".part")
        part.write_bytes(zipfile.ZipFile(wheel).read(MISTRAL_FILE))
    part.rename(model)
