"""A batch on a GPU is as large as the memory allows, measured on some of the requests."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emotion_games.engine import memory
from emotion_games.engine.batch_plan import size_of
from emotion_games.engine.batches import Request

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
        self.peak = first + self.each * size_of(batch, TOKENS, 8)


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
