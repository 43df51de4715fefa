"""Directions are differences of means, and an intensity of 1 is one natural gap."""

from pathlib import Path

import pytest
import torch

from emotion_games.engine.direction_estimation import (
    calibrate,
    direction,
    separation,
    shuffled_directions,
)
from emotion_games.prompts.templates import load_templates
from tiny import tiny_model

torch.set_num_threads(1)
TEMPLATES = load_templates(Path(__file__).parents[2] / "config" / "prompts.yaml")
STIMULI = [
    "You find a coin.",
    "Your train is late again.",
    "A dog barks at you from behind the gate.",
]


@pytest.fixture(scope="module")
def model():
    return tiny_model("llama")


def some_vectors(seed=0):
    return torch.randn(4, 32, generator=torch.Generator().manual_seed(seed))


def test_mean_difference_and_planted_component():
    generator = torch.Generator().manual_seed(1)
    neutral = torch.randn(2, 40, 16, generator=generator)
    planted = torch.zeros(2, 16)
    planted[:, 3] = 6.0
    states = neutral + planted[:, None] + 0.05 * torch.randn(2, 40, 16, generator=generator)
    for method in ("mean_difference", "paired_pca"):
        found = direction(states, neutral, method)
        torch.testing.assert_close(found, planted, atol=0.05, rtol=0)
    assert separation(states, neutral, planted) == pytest.approx([1.0, 1.0], abs=0.002)


@pytest.mark.parametrize("layers", [[1], [1, 2], [0, 1, 2]])
def test_intensity_one_moves_the_last_steered_layer_by_the_natural_gap(model, layers):
    vectors = some_vectors() * 0.3
    dose = calibrate(model, TEMPLATES, STIMULI, vectors, layers)
    assert dose.realised == pytest.approx(1.0, abs=0.005)
    if len(layers) == 1:
        assert dose.calibration == 1.0 and dose.realised == pytest.approx(1.0, abs=1e-4)


def test_shuffled_directions_have_the_true_norms():
    states = {
        e: torch.randn(4, 12, 32, generator=torch.Generator().manual_seed(i))
        for i, e in enumerate(("anger", "neutral"))
    }
    true = {"anger": some_vectors()}
    found = shuffled_directions(states, true, 0)
    torch.testing.assert_close(found["anger"].norm(dim=-1), true["anger"].norm(dim=-1))


def test_steering_with_a_direction_moves_a_probe_along_it(model):
    vectors = some_vectors() * 0.3
    scale = calibrate(model, TEMPLATES, STIMULI, vectors, [1, 2]).calibration
    push = {at: (vectors[at] * scale / 2)[None] for at in (1, 2)}
    text, target = [model.token_ids("<s>" + STIMULI[0])], vectors[2]
    found = []
    for vectors_added in ({}, push):
        states, _ = model.capture(text, vectors_added, [2])
        found.append(states[2][0, -1])
    moved = float((found[1] - found[0]) @ target / (target @ target))
    assert moved == pytest.approx(1.0, abs=0.15)
