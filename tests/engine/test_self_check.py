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


def test_a_removed_hook_is_found(instrument, requests, monkeypatch):
    change_vectors(monkeypatch, lambda vectors: {})
    with pytest.raises(SteeringError, match="differs from the plain model"):
        check_steering(instrument, requests)


def test_a_wrong_layer_is_found(instrument, requests, monkeypatch):
    change_vectors(monkeypatch, lambda vectors: {k + 1: v for k, v in vectors.items()})
    with pytest.raises(SteeringError, match="differs from the plain model"):
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


def test_swapped_rows_are_found(instrument, requests, monkeypatch):
    honest = Instrument.batch_pushes
    monkeypatch.setattr(
        Instrument,
        "batch_pushes",
        lambda self, cs: {k: v.flip(0) for k, v in honest(self, cs).items()},
    )
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
