"""Checks of a tokenizer: its ids have embeddings, and it reads texts as it was trained to."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase
from transformers.utils import is_protobuf_available, is_sentencepiece_available

from emotion_games.engine.backend import Backend, ModelError

SENTENCEPIECE = "tokenizer.model"
# How many words of its own a SentencePiece vocabulary is tried on.
TRIED_WORDS = 8


def check_ids(model: Backend, rows: int) -> None:
    """Refuse a tokenizer that belongs to another model.

    Special tokens without an embedding, such as that of an image, are no fault as long as chats
    do not contain them.

    Args:
        model: The model.
        rows: Rows of its embedding.

    Raises:
        ModelError: If texts can have ids beyond the embedding.
    """
    tokenizer = model.tokenizer
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    in_chats = model.token_ids(model.chat_text([{"role": "user", "content": "a"}]))
    largest = max({*tokenizer.get_vocab().values()} - special | {*in_chats}, default=0)
    if largest >= rows:
        raise ModelError(
            f"model {model.name}: its tokenizer has ids up to {largest}, its embedding has "
            f"{rows} rows; use the tokenizer that belongs to the model"
        )


def converts_sentencepiece(folder: Path) -> bool:
    """Return True if the library makes the tokenizer of a folder from a SentencePiece model."""
    return (folder / SENTENCEPIECE).is_file() and not (folder / "tokenizer.json").exists()


def check_packages(folder: Path, name: str) -> None:
    """Refuse a SentencePiece model that cannot be converted.

    Raises:
        ModelError: If a package is missing, or the settings without which texts would begin
            otherwise than in training.
    """
    if not (is_sentencepiece_available() and is_protobuf_available()):
        raise ModelError(
            f"model {name}: {SENTENCEPIECE} can be read with the packages sentencepiece and "
            "protobuf only: pip install sentencepiece protobuf"
        )
    if not (folder / "tokenizer_config.json").exists():
        raise ModelError(
            f"model {name}: {folder} holds {SENTENCEPIECE} alone, which does not say how texts "
            "begin; add tokenizer.json or tokenizer_config.json from where the model came"
        )


def check_conversion(tokenizer: PreTrainedTokenizerBase, folder: Path, name: str) -> None:
    """Compare a converted tokenizer with SentencePiece on words of its vocabulary.

    Raises:
        ModelError: If they cut the text differently.
    """
    from sentencepiece import SentencePieceProcessor

    original = SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE))
    pieces = (original.id_to_piece(i) for i in range(original.vocab_size()))
    words = [piece[1:] for piece in pieces if piece[0] == "▁" and piece[1:].isalpha()]
    text = " ".join(words[:TRIED_WORDS])
    if tokenizer.tokenize(text) != original.encode(text, out_type=str):
        raise ModelError(
            f"model {name}: the tokenizer made from {SENTENCEPIECE} reads {text!r} otherwise than "
            "SentencePiece; add tokenizer.json from where the model came"
        )
