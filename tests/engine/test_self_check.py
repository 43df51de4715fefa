"""The self-check passes on an honest engine and turns every kind of broken steering into an error."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from emotion_games.engine import batches, generation, self_check
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.self_check import check_steering
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


def test_an_honest_engine_passes(instrument, requests):
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
    monkeypatch.setattr(generation, "steer", lambda *_: nullcontext())
    with pytest.raises(SteeringError, match="differs from the plain model"):
        check_steering(instrument, requests)


def test_a_wrong_layer_is_found(instrument, requests, monkeypatch):
    honest = generation.steer
    monkeypatch.setattr(
        generation,
        "steer",
        lambda m, layers, v: honest(m, layers, {k + 1: x for k, x in v.items()}),
    )
    with pytest.raises(SteeringError, match="differs from the plain model"):
        check_steering(instrument, requests)


def test_a_stale_cache_is_found(instrument, requests, monkeypatch):
    honest, kept = batches.read, []

    def stale(loaded, prompts, pushes, share):
        rows = honest(loaded, prompts, {k: torch.zeros_like(v) for k, v in pushes.items()}, share)
        kept.append(rows.cache)
        fresh = honest(loaded, prompts, pushes, share)
        fresh.cache = kept[0]
        return fresh

    monkeypatch.setattr(batches, "read", stale)
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
    honest = self_check.steer
    monkeypatch.setattr(
        self_check,
        "steer",
        lambda m, layers, v: honest(m, layers, {k: x * 0.5 for k, x in v.items()}),
    )
    with pytest.raises(SteeringError, match="layer 1 is off"):
        check_steering(instrument, requests)
