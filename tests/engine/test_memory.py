"""A batch on a GPU is as large as the memory allows, measured on some of the requests."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emotion_games.engine import memory
from emotion_games.engine.batch_plan import size_of
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.requests import Thinking
from emotion_games.engine.sampling import trial_uniforms
from tiny import tiny_model

GPUS = [torch.device("cuda", 0), torch.device("cuda", 1)]
ROWS = np.zeros((2, 8))


def requests(prompts, pushes, answers=1):
    return [
        Request(f"{prompt}/{push}", prompt, str(push), {}, uniforms=tuple(ROWS[:answers]))
        for prompt in prompts
        for push in range(pushes)
    ]


class Card:
    """Two made-up GPUs: a row takes bytes by its tokens, and the second GPU takes twice as much."""

    def __init__(self, monkeypatch, each=100, kept=10_000, free=10**6):
        self.each, self.kept, self.used, self.peak = each, kept, kept, kept
        self.measured = []
        monkeypatch.setattr(memory, "measure", self.measure)
        monkeypatch.setattr(memory, "release", lambda: None)
        cuda = torch.cuda
        monkeypatch.setattr(cuda, "reset_peak_memory_stats", self.reset)
        monkeypatch.setattr(cuda, "memory_allocated", lambda gpu: self.kept)
        monkeypatch.setattr(cuda, "max_memory_allocated", self.most)
        monkeypatch.setattr(cuda, "mem_get_info", lambda gpu: (free, 10**9))

    def reset(self, gpu):
        self.peak = 0

    def most(self, gpu):
        return self.kept + self.peak * (1 + gpu.index)

    def measure(self, instrument, batch):
        self.measured.append(batch)
        # The first run of a kernel takes memory that stays.
        first = 10**9 if len(self.measured) == 1 else 0
        answer = max(len(numbers) for r in batch for numbers in r.uniforms)
        self.peak = first + self.each * size_of(batch, TOKENS, answer)


PROMPTS = ["a" * 40, "a" * 30 + "b" * 10]
TOKENS = {prompt: [ord(letter) for letter in prompt] for prompt in PROMPTS}


def instrument(gpus):
    return SimpleNamespace(model=SimpleNamespace(gpus=gpus))


def test_a_batch_takes_most_of_the_memory_of_the_gpu_that_is_filled_first(monkeypatch):
    card = Card(monkeypatch, each=100, free=10**6)
    wanted = requests(PROMPTS, 100)
    found = memory.batch_tokens(instrument(GPUS), wanted, TOKENS, 8)
    # 200 bytes a token on the second one.
    assert found == int(memory.USED_SHARE * 10**6 / 200)
    assert card.measured[0] == card.measured[1] and len(card.measured) == 2


def test_what_is_measured_is_small_and_branches_as_the_batches_do(monkeypatch):
    card = Card(monkeypatch)
    memory.batch_tokens(instrument(GPUS[:1]), requests(PROMPTS, 100, answers=2), TOKENS, 8)
    sample = card.measured[0]
    assert sum(len(r.uniforms) for r in sample) == memory.SAMPLE_ROWS
    assert {r.prompt for r in sample} == set(PROMPTS)


def test_what_is_measured_writes_few_tokens(monkeypatch):
    card = Card(monkeypatch)
    thinking = Thinking(np.zeros(50), "</think>", "</think>")
    wanted = [replace(r, thinking=thinking) for r in requests(PROMPTS, 100, answers=2)]
    found = memory.batch_tokens(instrument(GPUS[:1]), wanted, TOKENS, 8)
    written = {(len(r.thinking.uniforms), *map(len, r.uniforms)) for r in card.measured[0]}
    assert written == {(memory.SAMPLE_ANSWER,) * 3}
    # What a token takes is that of the tokens that were written.
    assert found == int(memory.USED_SHARE * 10**6 / 100)


def test_less_free_memory_makes_smaller_batches_but_none_of_nothing(monkeypatch):
    sizes = []
    for free in (10**6, 10**5, 0):
        Card(monkeypatch, free=free)
        sizes.append(memory.batch_tokens(instrument(GPUS), requests(PROMPTS, 50), TOKENS, 8))
    assert sizes[0] == pytest.approx(10 * sizes[1], abs=10) and sizes[2] == 1


def test_a_cpu_has_a_fixed_size_and_nothing_is_measured(monkeypatch):
    card = Card(monkeypatch)
    found = memory.batch_tokens(instrument([]), requests(PROMPTS, 2), TOKENS, 8)
    assert found == memory.CPU_BATCH_TOKENS and not card.measured


def allocated(tmp_path, run):
    """Return the most bytes that torch held on the CPU for a function at once."""
    with torch.profiler.profile(profile_memory=True) as profiled:
        run()
    profiled.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    held = [e["args"]["Total Allocated"] for e in events if e["name"] == "[memory]"]
    return max(held) - held[0]


def test_a_batch_whose_answers_end_fits_into_the_memory_for_which_it_was_planned(
    monkeypatch, tmp_path
):
    """Rows whose answers end leave the batch, and the others are copied while the old ones stay."""
    answer, prompts = 20, ["<s>" + "What now? " * 20 + "ab"[i % 2] for i in range(80)]
    model = tiny_model("llama")
    monkeypatch.setattr(model, "end_tokens", set())
    wanted = [
        Request(str(i), prompt, None, {}, scored=False, uniforms=(trial_uniforms((i,), 0, answer),))
        for i, prompt in enumerate(prompts)
    ]
    tokens = {prompt: model.token_ids(prompt) for prompt in prompts}
    writes = Instrument(model, [], {}, 0.0, 1.0)

    def ends(self, written, token, is_closed):
        """Let a quarter of the answers end halfway."""
        written.append(token)
        return len(written) == answer // 2 and token_ends.pop()

    monkeypatch.setattr(CachedRows, "_ends", ends)
    token_ends = [True, False, False, False] * 20
    peaks = lambda gpus, run: [allocated(tmp_path, run)]  # noqa: E731
    monkeypatch.setattr(memory, "peak_memory", peaks)
    each = memory.token_bytes(writes, wanted, tokens, answer)[0]
    planned = each * size_of(wanted, tokens, answer)
    taken = allocated(tmp_path, lambda: measure(writes, wanted))
    assert not token_ends
    # Without the copies it would be less than planned.
    assert 1.2 * planned < taken <= planned / memory.USED_SHARE
