"""Choice probabilities: whole texts, closing quote included, without length normalisation."""

import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from emotion_games.engine.hooks import steer
from emotion_games.engine.scoring import (
    Continuation,
    normalised,
    score_options,
    scores,
    shared_tokens,
    whole_texts,
)
from tiny import tiny_model
from vocabularies import merging_tokenizer

torch.set_num_threads(1)
OPENING, CLOSING = '{"decision": "', '"}'


def scored(model, prompt, opening, options, closing):
    """What is scored of each option, as a text."""
    texts = whole_texts(model, prompt, opening, options, closing)
    return [model.tokenizer.decode(text.ids[text.start :]) for text in texts]


def with_merges(*merges):
    model = tiny_model("llama")
    model.tokenizer = merging_tokenizer(merges)
    return model


def test_scored_tokens_are_the_text_and_the_closing_quote():
    assert scored(tiny_model("llama"), "<s>Decide!", OPENING, ["Go now"], CLOSING) == ['Go now"']


def test_without_closing_the_text_alone_is_scored():
    assert scored(tiny_model("llama"), "How?", "", ["fear", "joy"], "") == ["fear", "joy"]


def test_an_opening_quote_that_merges_with_one_option_counts_for_all():
    options = ["$20 for you", "Nothing"]
    found = scored(with_merges('" $'), "<s>Decide!", OPENING, options, CLOSING)
    assert found == ['"$20 for you"', '"Nothing"']
    # `"$` is one token, so the space stands alone; elsewhere the space goes with the quote.
    found = scored(with_merges('" $', 'Ġ "'), "<s>Decide!", OPENING, options, CLOSING)
    assert found == [' "$20 for you"', ' "Nothing"']


def test_a_closing_quote_that_merges_with_what_follows_counts_alike_for_all():
    options = ["I pay.", "Nothing"]
    assert scored(with_merges('" }'), "<s>!", OPENING, options, CLOSING) == [
        'I pay."}',
        'Nothing"}',
    ]
    # `."` is one token and `"}` another one: the first option ends at the quote, the second cannot.
    found = scored(with_merges('. "', '" }'), "<s>!", OPENING, options, CLOSING)
    assert found == ['I pay."}', 'Nothing"}']
    assert scored(with_merges('. "'), "<s>!", OPENING, options, CLOSING) == ['I pay."', 'Nothing"']


def test_options_that_begin_alike_are_compared_from_where_they_begin():
    assert scored(tiny_model("llama"), "<s>!", OPENING, ["Go up", "Go on"], CLOSING) == [
        'Go up"',
        'Go on"',
    ]


def test_line_breaks_that_end_a_prompt_are_those_of_the_whole_text():
    # As in GPT-2: two line breaks are one token at the end of a text, and two before more text.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate([*letters, "ĊĊ"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    model = tiny_model("llama")
    model.tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    prompt, whole = model.token_ids("Hi.\n\n"), model.token_ids("Hi.\n\n{")
    assert (len(prompt), len(whole)) == (4, 6)
    texts = whole_texts(model, "Hi.\n\n", OPENING, ["Go"], CLOSING)
    assert shared_tokens(prompt, texts) == 3
    assert model.tokenizer.decode(texts[0].after(3).ids) == "\n\n" + OPENING + 'Go"'


class OddOffsets:
    """A model whose tokenizer knows one text."""

    positions = None

    def __init__(self, spans):
        self.spans = spans

    def token_spans(self, text):
        return list(range(len(self.spans))), self.spans


def test_offsets_of_special_tokens_and_of_parts_of_a_character_mislead_nobody():
    # The text "<s>é" and the option "ü" with its quote; bytes are tokens, and special tokens claim
    # to stand at 0 or to have no width.
    spans = [(0, 0), (3, 4), (3, 4), (0, 0), (4, 5), (4, 5), (5, 5), (5, 6), (0, 0)]
    (found,) = whole_texts(OddOffsets(spans), "<s>é", "", ["ü"], '"')
    assert (found.start, len(found.ids)) == (4, 9)
    # Offsets without the spaces at the edges of a token, as RoBERTa's.
    (found,) = whole_texts(OddOffsets([(0, 3), (4, 6), (7, 9)]), "The", "", [" ox is"], "")
    assert (found.start, len(found.ids)) == (1, 3)


def test_probabilities_of_a_known_tree():
    # Both options begin with token 1, then branch into 2 (three quarters) and 3 (one quarter).
    options = {"a": Continuation((9, 1, 2, 5), 1), "b": Continuation((9, 1, 3, 5), 1)}
    logs = [
        [-7.0, math.log(0.8), math.log(0.75), math.log(0.5)],
        [-7.0, math.log(0.8), math.log(0.25), math.log(1.0)],
    ]
    found = scores(options, logs)
    assert found.probabilities == pytest.approx({"a": 0.3 / 0.5, "b": 0.2 / 0.5})
    assert found.mass == pytest.approx(0.8 * 0.75 * 0.5 + 0.8 * 0.25)
    assert found.branch == pytest.approx({"a": 0.75, "b": 0.25}), "only the branching token counts"
    assert found.per_token["a"] == pytest.approx(
        (math.log(0.8) + math.log(0.75) + math.log(0.5)) / 3, abs=1e-5
    )


def test_normalising_survives_tiny_probabilities():
    assert normalised([-2000.0, -2000.0]) == [0.5, 0.5]


@torch.inference_mode()
def test_scores_of_a_real_model_are_products_of_its_token_probabilities():
    model = tiny_model("llama")
    prompt, texts = "<s>Take one.", {"x": "red", "y": "a long blue thing"}
    pushes = {1: torch.full((1, 32), 0.1)}
    read = model.token_ids(prompt)
    rows = model.read([read], pushes)
    wholes = whole_texts(model, prompt, OPENING, list(texts.values()), CLOSING)
    options = dict(zip(texts, (whole.after(len(read)) for whole in wholes), strict=True))
    found = score_options(rows, [0], [options])[0]
    totals = {}
    for label, text in texts.items():
        ids = model.token_ids(prompt + OPENING + text + '"')
        begin = len(model.token_ids(prompt + OPENING))
        with steer(model.model, model.layers, pushes):
            logs = model.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        totals[label] = sum(float(logs[i - 1, ids[i]]) for i in range(begin, len(ids)))
    weights = {label: math.exp(total - totals["x"]) for label, total in totals.items()}
    expected = {label: weight / sum(weights.values()) for label, weight in weights.items()}
    assert found.probabilities == pytest.approx(expected, abs=1e-4)
