"""Choice probabilities: whole texts, closing quote included, without length normalisation."""

import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from emotion_games.engine.hooks import steer
from emotion_games.engine.scoring import (
    Continuation,
    continuation,
    normalised,
    score_options,
    scores,
)
from tiny import tiny_model

torch.set_num_threads(1)
OPENING, CLOSING = '{"decision": "', '"}'


def test_scored_tokens_are_the_text_and_the_closing_quote():
    model = tiny_model("llama")
    found = continuation(model, "<s>Decide!", OPENING, "Go now", CLOSING)
    assert model.tokenizer.decode(found.ids) == OPENING + 'Go now"'
    assert model.tokenizer.decode(found.ids[found.start : found.end]) == 'Go now"'


def test_without_closing_the_text_alone_is_scored():
    found = continuation(tiny_model("llama"), "How?", "", "fear", "")
    assert (found.start, found.end) == (0, 4)


def test_line_breaks_that_end_a_prompt_are_not_read_twice():
    # As GPT-2's: two line breaks are one token at the end of a text, and two before more text.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate([*letters, "ĊĊ"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    assert (
        len(tokenizer("Hi.\n\n")["input_ids"]) == 4 and len(tokenizer("Hi.\n\n{")["input_ids"]) == 6
    )
    model = tiny_model("llama")
    model.tokenizer = tokenizer
    found = continuation(model, "Hi.\n\n", OPENING, "Go", CLOSING)
    assert tokenizer.decode(found.ids) == OPENING + 'Go"'
    assert tokenizer.decode(found.ids[found.start : found.end]) == 'Go"'


def test_probabilities_of_a_known_tree():
    # Both options begin with token 1, then branch into 2 (three quarters) and 3 (one quarter).
    options = {"a": Continuation((9, 1, 2, 5), 1, 4), "b": Continuation((9, 1, 3, 5), 1, 4)}
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
    rows = model.read([model.token_ids(prompt)], pushes)
    options = {k: continuation(model, prompt, OPENING, t, CLOSING) for k, t in texts.items()}
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
