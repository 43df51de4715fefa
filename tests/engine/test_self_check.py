"""What the self-check asks, apart from the faults of `test_faults.py`, and its reference path."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from architectures import tiny_architecture
from emotion_games.engine import batches, hooks, reference, self_check
from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.hooks import SharingError, SteeringError
from emotion_games.engine.scoring import whole_texts
from emotion_games.engine.self_check import check_steering, differences
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import tiny_model
from vocabularies import merging_tokenizer, with_vocabulary

torch.set_num_threads(1)
PUSHES = (None, "anger", "random")
OPTIONS = {"go": "Go on", "stay": "Stay here"}


@pytest.fixture
def instrument():
    generator = torch.Generator().manual_seed(0)
    pushes = {name: torch.randn(2, 32, generator=generator) for name in PUSHES if name}
    return Instrument(tiny_model("llama"), [1, 2], pushes, temperature=0.7, top_p=0.95)


@pytest.fixture
def requests():
    prompts = ["<s>What now? ", "<s>What now? ", "<s>And what do you do then? "]
    return [
        Request(str(name), prompt, name, OPTIONS, '{"decision": "', '"}')
        for name, prompt in zip(PUSHES, prompts, strict=True)
    ]


def test_a_correct_engine_passes_with_the_instrument_unchanged(instrument, requests):
    log = []
    assert check_steering(instrument, requests, log.append) is instrument
    assert not log


def test_requests_are_checked_also_where_nothing_is_scored_or_steered(instrument, requests):
    instrument = replace(instrument, share=False)
    unscored = [replace(r, scored=False, uniforms=(np.zeros(2),)) for r in requests]
    assert differences(instrument, unscored).keys() == differences(instrument, requests).keys()
    unsteered = [replace(r, push=None) for r in requests]
    assert all("changes" not in what for what in differences(instrument, unsteered))


def test_where_sharing_fails_it_is_switched_off_with_one_line(instrument, requests, monkeypatch):
    honest, shares = TransformersBackend.read, []

    def broken(model, prompts, vectors, share=True, watched=(), windows=()):
        shares.append(share)
        found = honest(model, prompts, vectors, share, watched, windows)
        if share:
            found.cache.reorder_cache(torch.arange(len(prompts)).roll(1))
        return found

    monkeypatch.setattr(TransformersBackend, "read", broken)
    log = []
    assert check_steering(instrument, requests, log.append) == replace(instrument, share=False)
    assert [line for line in log if "cannot share what they read" in line] == log[:1] == log
    first = shares.index(False)
    assert all(shares[:first]) and not any(shares[first:]), "what failed is not tried again"
    assert check_steering(replace(instrument, share=False), requests, log.append).share is False


def check_again(instrument, requests):
    """Check a back end that has learned nothing yet about its model; return whether rows share."""
    old = instrument.model
    model = TransformersBackend(old.model, old.tokenizer, old.layers, old.name)
    return check_steering(replace(instrument, model=model), requests, lambda _: None).share


def test_layers_that_share_wrongly_are_found(instrument, requests, monkeypatch):
    # A bias for each head passed as one tensor a row.
    honest, layer = hooks.row_axes, instrument.model.layers[0]
    forward, bias = layer.forward, torch.arange(3.0)[:, None]
    layer.forward = lambda hidden, *a, bias=None, **k: forward(hidden * (1 + bias.mean()), *a, **k)
    give = lambda _module, args, kwargs: (args, {**kwargs, "bias": bias})  # noqa: E731
    layer.register_forward_pre_hook(give, with_kwargs=True)
    assert check_again(instrument, requests), "the bias stays whole"

    def guessed(layers, run):
        axes = honest(layers, run)
        axes[0]["bias",] = 0
        return axes

    monkeypatch.setattr(hooks, "row_axes", guessed)
    assert not check_again(instrument, requests)


def test_a_tensor_that_no_batch_explains_is_not_shared(instrument, requests):
    bloom = tiny_architecture("bloom")
    case = replace(instrument, model=bloom)
    with pytest.raises(SharingError, match="argument alibi of the decoder layers"):
        measure(case, requests)
    assert not check_steering(case, requests, print).share
    assert len(measure(replace(case, share=False), requests)) == len(requests)


def test_an_error_where_rows_share_means_no_but_a_full_gpu_does_not(
    instrument, requests, monkeypatch
):
    honest = TransformersBackend.read

    def fails(error):
        def read(model, prompts, vectors, share=True, watched=(), windows=()):
            if share:
                raise error
            return honest(model, prompts, vectors, share, watched, windows)

        monkeypatch.setattr(TransformersBackend, "read", read)

    fails(IndexError("beyond"))
    assert not check_steering(instrument, requests, print).share
    fails(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        check_steering(instrument, requests, print)


def test_other_tokens_than_those_of_the_whole_text_are_found(instrument, requests, monkeypatch):
    honest = batches.whole_texts

    def broken(model, prompt, opening, options, closing):
        return honest(model, prompt, opening.replace(" ", ""), options, closing)

    monkeypatch.setattr(batches, "whole_texts", broken)
    with pytest.raises(SteeringError, match=r"^random: the engine did not read the first \d+ tok"):
        check_steering(instrument, requests[2:], print)


def test_scores_of_the_wrong_option_are_found_even_in_an_unsteered_model(
    instrument, requests, monkeypatch
):
    honest = batches.score_options

    def swapped(rows, places, options):
        found = honest(rows, places, options)
        return [
            replace(s, per_token=dict(zip(s.per_token, [*s.per_token.values()][::-1], strict=True)))
            for s in found
        ]

    monkeypatch.setattr(batches, "score_options", swapped)
    with pytest.raises(SteeringError, match=r"^None: the score of go is .* nats a token off"):
        check_steering(instrument, requests[:1], print)


@pytest.mark.parametrize("way", ["guided", "free"])
def test_options_after_a_rationale_are_checked_where_they_are_scored(
    way, instrument, requests, monkeypatch
):
    honest = CachedRows.generate

    def forgets_its_pushes(rows, *arguments):
        written = honest(rows, *arguments)
        rows.vectors = {layer: 0 * vectors for layer, vectors in rows.vectors.items()}
        return written

    monkeypatch.setattr(CachedRows, "generate", forgets_its_pushes)
    check_steering(instrument, requests, print)
    if way == "guided":
        frame = {"lead": '{"rationale": "', "link": '", "decision": "'}
        requests = [replace(request, **frame) for request in requests]
    else:
        instrument = replace(instrument, reopen=lambda _: "never called by the check")
    with pytest.raises(SteeringError, match=r"^anger: .* what was added is not its push"):
        check_steering(instrument, requests, print)
    monkeypatch.setattr(CachedRows, "generate", honest)
    found = differences(instrument, requests)
    assert "anger: the changes of the logits for stay after a rationale" in found
    assert check_steering(instrument, requests, print) is instrument


def test_a_push_that_is_lost_in_rounding_is_refused(instrument, requests):
    small = {name: push * 1e-15 for name, push in instrument.pushes.items()}
    with pytest.raises(SteeringError, match="^anger: its push changes no logit"):
        check_steering(replace(instrument, pushes=small), requests, print)


def test_a_push_at_the_first_token_is_found(instrument, requests, monkeypatch):
    monkeypatch.setattr(hooks, "pushed_positions", lambda mask: mask)
    line = "^anger: layer 1: a vector was added at the first token, which should stay"
    with pytest.raises(SteeringError, match=line):
        check_steering(instrument, requests, print)


def test_states_that_overflow_are_named_as_such(instrument, requests):
    large = {name: push * 1e38 for name, push in instrument.pushes.items()}
    with pytest.raises(ModelError, match="numbers overflow"):
        check_steering(replace(instrument, pushes=large), requests, print)


def test_the_reference_shares_no_function_with_the_engine():
    body = ast.parse(Path(reference.__file__).read_text()).body
    ours = [
        node
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom) and "emotion_games" in ast.unparse(node)
    ]
    types = [ast.unparse(node) for node in body if isinstance(node, ast.If)]
    assert not ours and len(types) == 1 and types[0].startswith("if TYPE_CHECKING:")


@pytest.mark.parametrize("opening", ['{"decision": "', "", '{"rationale": "x", "decision": "'])
@pytest.mark.parametrize(
    "merges", [[], ["] {", '" $'], ['. "', '" }'], ["] $", "] N", '] "'], ['g "', '" }', "] {"]]
)
def test_its_own_tokenization_agrees_with_that_of_the_scores(merges, opening):
    model = with_vocabulary(merging_tokenizer(merges))
    options = {"pay": "$20 for Ann.", "none": "Nothing"}
    request = Request("x", "<s>Well [I]", None, options, opening, '"}')
    found = reference.answer_texts(model, request)
    expected = whole_texts(model, request.prompt, opening, tuple(options.values()), '"}')
    assert [(t.ids, t.start) for t in found.values()] == [(c.ids, c.start) for c in expected]


def test_long_pushes_that_float16_cannot_hold_are_shortened(requests, monkeypatch):
    model = tiny_model("llama")
    embeddings = model.model.get_input_embeddings().weight
    embeddings.mul_(1e4 / embeddings.square().mean().sqrt())
    half = TransformersBackend(model.model.half(), model.tokenizer, model.layers, "half")
    generator = torch.Generator().manual_seed(0)
    pushes = {name: torch.randn(2, 32, generator=generator) * 100 for name in PUSHES if name}
    case = Instrument(half, [1, 2], pushes, temperature=0.7, top_p=0.95)
    honest, tried = self_check.ask, []

    def ask(instrument, questions):
        tried.append(float(instrument.pushes["anger"].norm(dim=-1).sum()) / 1e4 / 32**0.5)
        return honest(instrument, questions)

    monkeypatch.setattr(self_check, "ask", ask)
    assert check_steering(case, requests, print) is case
    assert tried[2:4] == pytest.approx([3.0, 1.0], rel=0.2), "three and one hidden states long"
