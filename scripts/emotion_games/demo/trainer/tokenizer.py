"""The demo model's tokenizer: one token per known word, bytes for other words."""

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, BEGIN, END = "<|pad|>", "<s>", "<|end|>"
ROLES = ("system", "user", "assistant")
SPECIAL = (PAD, BEGIN, END, *(f"<|{role}|>" for role in ROLES))
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# A word, a number or a single sign, each with the space before it. Signs are separate, so that the
# quotation mark at the end of a decision is always a token of its own.
PIECES = r" ?\w+| ?[^\w\s]|\s"
# Log-probabilities of the unigram model.
BYTE_COST, WORD_COST = -20.0, -1.0


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Build the tokenizer whose vocabulary is every word of `texts`, the most frequent first.

    All words have the same cost, which is lower than that of their bytes. So a known word is one
    token, and an unknown word is split into the bytes of its UTF-8 form.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(re.findall(PIECES, _without_special(text)))
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
    words = [to_bytes.pre_tokenize_str(word)[0][0] for word in by_frequency]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    costs = [(token, 0.0) for token in SPECIAL] + [(byte, BYTE_COST) for byte in alphabet]
    costs += [(word, WORD_COST) for word in words if len(word) > 1]
    # A word of one byte is already in the alphabet.
    core = Tokenizer(models.Unigram(costs, unk_id=0, byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PIECES), "isolated"), to_bytes]
    )
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        additional_special_tokens=[f"<|{role}|>" for role in ROLES],
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _without_special(text: str) -> str:
    for token in SPECIAL:
        text = text.replace(token, "\n")
    return text


def turn(role: str, content: str) -> str:
    """Return one message in the form of the chat template."""
    return f"<|{role}|>{content}{END}"
