"""Batches are planned the same way every time, and what is measured does not depend on them."""

import re

import pytest
import torch

from emotion_games.engine import batches as module
from emotion_games.engine.backend import ModelError
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import Instrument, Measurement, Request, measure
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import tiny_model

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def instrument():
    push = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    reopen = lambda answer: '{"rationale": "' + answer[:3] + '", "decision": "'  # noqa: E731
    return Instrument(tiny_model("llama"), [1, 2], {"anger": push}, 0.9, 0.95, reopen)


def requests(number=6):
    options = {"go": "Go on", "stay": "Stay here a while"}
    return [
        Request(
            f"{i}/{push}",
            "<s>" + "What now? " * (1 + i % 3),
            push,
            options,
            '{"decision": "',
            '"}',
            uniforms=tuple(trial_uniforms((i, repeat), 0, 8) for repeat in range(2)),
        )
        for i in range(number)
        for push in (None, "anger")
    ]


def by_key(instrument, batches):
    return {
        r.key: m
        for batch in batches
        for r, m in zip(batch, measure(instrument, batch), strict=True)
    }


def close(a: Measurement, b: Measurement):
    assert a.answers == b.answers
    for one, other in [(a.scores, b.scores), *zip(a.after, b.after, strict=True)]:
        assert one.probabilities == pytest.approx(other.probabilities, abs=2e-5)
        assert one.mass == pytest.approx(other.mass, abs=2e-5)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_results_do_not_depend_on_the_batch_size(instrument, size):
    wanted = requests()
    found = by_key(instrument, [wanted[i : i + size] for i in range(0, len(wanted), size)])
    reference = by_key(instrument, [[r] for r in wanted[::-1]])
    for key, measurement in reference.items():
        close(found[key], measurement)
    assert found["0/None"].scores != found["0/anger"].scores


def test_every_answer_is_scored_again_after_its_own_rationale(instrument):
    found = measure(instrument, requests(1))[0]
    assert len(found.answers) == len(found.after) == 2
    assert found.after[0] != found.after[1]


def test_without_answers_nothing_is_generated(instrument, monkeypatch):
    monkeypatch.setattr(
        CachedRows, "generate", lambda *_: pytest.fail("scoring alone must not generate")
    )
    silent = [
        Request(r.key, r.prompt, r.push, r.options, r.opening, r.closing) for r in requests(2)
    ]
    assert all(m.scores and not m.answers for m in measure(instrument, silent))


def test_out_of_memory_halves_the_batch_and_loses_nothing(instrument, monkeypatch):
    honest, sizes, lines = module._measure, [], []

    def small_memory(instrument, batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("no room")
        return honest(instrument, batch)

    wanted = requests(3)
    expected = by_key(instrument, [wanted])
    monkeypatch.setattr(module, "_measure", small_memory)
    found = measure(instrument, wanted, lines.append)
    for request, measurement in zip(wanted, found, strict=True):
        close(measurement, expected[request.key])
    assert sizes == [6, 3, 3] and lines == ["out of GPU memory with 6 requests; continuing with 3"]


def test_numbers_that_overflow_name_the_request(instrument, monkeypatch):
    honest = TransformersBackend.read

    def overflowing(*arguments, **named):
        rows = honest(*arguments, **named)
        rows.logits = rows.logits.clone()
        rows.logits[1, 0] = float("inf")
        return rows

    monkeypatch.setattr(TransformersBackend, "read", overflowing)
    wanted = requests(2)
    with pytest.raises(
        ModelError, match=f"{re.escape(wanted[1].key)}: the model's numbers overflow"
    ):
        measure(instrument, wanted)


def test_one_row_without_room_is_an_error(instrument, monkeypatch):
    def no_memory(*_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(module, "_measure", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        measure(instrument, requests(2))


def test_batches_hold_every_request_once_within_the_budget():
    wanted = requests(20)
    tokens = {r.prompt: list(r.prompt.encode()) for r in wanted}
    batches = plan_batches(wanted, tokens, answer_tokens=8, budget=400)
    assert sorted(r.key for b in batches for r in b) == sorted(r.key for r in wanted)
    for batch in batches:
        width = max(len(r.prompt) for r in batch) + 8
        assert sum(len(r.uniforms) for r in batch) * width <= 400 or len(batch) == 1
    assert batches == plan_batches(wanted, tokens, 8, 400)


def test_a_request_larger_than_the_budget_is_a_batch_of_its_own():
    wanted = requests(2)
    batches = plan_batches(wanted, {r.prompt: [1] * 50 for r in wanted}, 8, 10)
    assert [len(batch) for batch in batches] == [1, 1, 1, 1]


def test_times_include_the_work_that_a_gpu_has_not_finished(instrument, monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(True))
    with instrument.timed("test"):
        assert not waited
    assert waited and instrument.seconds["test"] >= 0
