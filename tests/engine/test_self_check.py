"""The self-check passes for a correct engine and finds every kind of broken steering."""

from dataclasses import replace

import pytest
import torch

from emotion_games.engine import self_check
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.self_check import check_steering
from emotion_games.engine.transformers_backend import CachedRows, TransformersBackend
from tiny import tiny_model

torch.set_num_threads(1)
PUSHES = (None, "anger", "random")


@pytest.fixture
def instrument():
    generator = torch.Generator().manual_seed(0)
    pushes = {name: torch.randn(2, 32, generator=generator) for name in PUSHES if name}
    return Instrument(tiny_model("llama"), [1, 2], pushes, temperature=0.7, top_p=0.95)


@pytest.fixture
def requests():
    options = {"go": "Go on", "stay": "Stay here"}
    return [
        Request(str(name), "<s>What now? ", name, options, '{"decision": "', '"}')
        for name in PUSHES
    ]


def change_vectors(monkeypatch, change):
    """Change the vectors that are added when the engine reads, without its notice."""
    honest = CachedRows.extend

    def broken(rows, *arguments):
        configured = rows.vectors
        rows.vectors = change(configured)
        found = honest(rows, *arguments)
        rows.vectors = configured
        return found

    monkeypatch.setattr(CachedRows, "extend", broken)


def test_a_correct_engine_passes(instrument, requests):
    check_steering(instrument, requests)


def test_every_request_is_checked_also_where_nothing_is_scored(instrument, requests, monkeypatch):
    unscored = [replace(r, scored=False) for r in requests]
    honest, seen = self_check.measure, []
    monkeypatch.setattr(
        self_check, "measure", lambda i, asked: seen.extend(asked) or honest(i, asked)
    )
    check_steering(instrument, unscored)
    assert [r.push for r in seen] == list(PUSHES) and all(r.scored for r in seen)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda vectors: {}, id="a removed hook"),
        pytest.param(lambda vectors: {k + 1: v for k, v in vectors.items()}, id="a wrong layer"),
        pytest.param(lambda vectors: {k: v.flip(0) for k, v in vectors.items()}, id="swapped rows"),
        pytest.param(lambda vectors: {k: v * 1.1 for k, v in vectors.items()}, id="a wrong size"),
    ],
)
def test_other_vectors_in_the_engine_are_found(instrument, requests, monkeypatch, change):
    change_vectors(monkeypatch, change)
    with pytest.raises(SteeringError, match="differs from the plain model"):
        check_steering(instrument, requests)


@pytest.mark.parametrize("place", [0, -1])
def test_a_position_that_every_pass_leaves_out_is_found(instrument, requests, monkeypatch, place):
    honest = TransformersBackend.capture

    @torch.inference_mode()
    def broken(model, texts, vectors, watched):
        states, logits = honest(model, texts, vectors, watched)
        plain = honest(model, texts, {k: torch.zeros_like(v) for k, v in vectors.items()}, watched)
        for layer, state in states.items():
            state[:, place] = plain[0][layer][:, place]
        return states, logits

    monkeypatch.setattr(TransformersBackend, "capture", broken)
    with pytest.raises(SteeringError, match="layer 1 is off"):
        check_steering(instrument, requests)


def test_a_stale_cache_is_found(instrument, requests, monkeypatch):
    honest, kept = TransformersBackend.read, []

    def stale(model, prompts, pushes, *others):
        zeros = {layer: torch.zeros_like(push) for layer, push in pushes.items()}
        kept.append(honest(model, prompts, zeros, *others).cache)
        fresh = honest(model, prompts, pushes, *others)
        fresh.cache = kept[0]
        return fresh

    monkeypatch.setattr(TransformersBackend, "read", stale)
    with pytest.raises(SteeringError, match="differs from the plain model"):
        check_steering(instrument, requests)


def test_a_push_that_misses_its_layer_is_found(instrument, requests, monkeypatch):
    honest = TransformersBackend.capture
    monkeypatch.setattr(
        TransformersBackend,
        "capture",
        lambda model, texts, vectors, watched: honest(
            model, texts, {layer: v / 2 for layer, v in vectors.items()}, watched
        ),
    )
    with pytest.raises(SteeringError, match="layer 1 is off"):
        check_steering(instrument, requests)
