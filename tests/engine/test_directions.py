"""Directions are differences of means; intensity 1 is the natural gap; random directions keep the geometry."""

from pathlib import Path

import pytest
import torch

from emotion_games.engine import directions
from emotion_games.engine.directions import (
    Directions,
    calibrate,
    direction,
    load,
    rotate,
    save,
    separation,
)
from emotion_games.engine.hooks import capture, steer
from emotion_games.errors import UserError
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
def loaded():
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
def test_intensity_one_moves_the_last_steered_layer_by_the_natural_gap(loaded, layers):
    vectors = some_vectors() * 0.3
    dose = calibrate(loaded, TEMPLATES, STIMULI, vectors, layers)
    assert dose["realised"] == pytest.approx(1.0, abs=0.005)
    if len(layers) == 1:
        assert dose["calibration"] == 1.0 and dose["realised"] == pytest.approx(1.0, abs=1e-4)


def test_the_push_is_what_the_definition_says(loaded):
    about = {"layers": [1, 2], "calibration": {"anger": 0.8}, "weights_hash": "w"}
    vectors = some_vectors()
    push = Directions({"anger": vectors}, {"anger": vectors}, about).push("anger", -0.5)
    torch.testing.assert_close(push, vectors[[1, 2]] * -0.5 * 0.8 / 2)


def test_random_stacks_keep_norms_and_angles_and_nothing_else():
    stack = some_vectors()
    turned = [rotate(stack, seed) for seed in range(20)]
    for one in turned:
        torch.testing.assert_close(one @ one.T, stack @ stack.T, atol=1e-4, rtol=1e-4)
    assert torch.equal(turned[3], rotate(stack, 3))
    cosines = torch.stack([torch.nn.functional.cosine_similarity(t, stack) for t in turned])
    assert cosines.abs().mean() < 0.3, "unrelated to the emotion: 1/sqrt(32) is expected"


def test_no_random_rotation_is_likelier_than_its_mirror_image():
    stack = some_vectors()[:1]
    positive = sum(float(rotate(stack, seed)[0, 0]) > 0 for seed in range(200))
    assert 70 <= positive <= 130


def test_random_pushes_take_the_emotions_in_turn(loaded):
    about = {"layers": [1, 2], "calibration": {"anger": 1.0, "fear": 1.0}, "weights_hash": "w"}
    both = Directions({"anger": some_vectors(), "fear": some_vectors(1) * 3}, {}, about)
    for seed in range(4):
        emotion = ("anger", "fear")[seed % 2]
        torch.testing.assert_close(
            both.random_push(seed, 1.0).norm(dim=-1), both.push(emotion, 1.0).norm(dim=-1)
        )


def test_shuffled_directions_have_the_true_norms():
    states = {
        e: torch.randn(4, 12, 32, generator=torch.Generator().manual_seed(i))
        for i, e in enumerate(("anger", "neutral"))
    }
    true = {"anger": some_vectors()}
    found = directions.shuffled_directions(states, true, {"seed": 0})
    torch.testing.assert_close(found["anger"].norm(dim=-1), true["anger"].norm(dim=-1))


def test_file_round_trip_and_content_hash(tmp_path):
    about = {"layers": [1], "calibration": {"anger": 1.0}, "weights_hash": "w"}
    original = Directions({"anger": some_vectors()}, {"anger": some_vectors(2)}, about)
    for name in ("a.safetensors", "b.safetensors"):
        save(original, tmp_path / name)
    first, second = load(tmp_path / "a.safetensors"), load(tmp_path / "b.safetensors")
    assert torch.equal(first.vectors["anger"], original.vectors["anger"]) and first.about == about
    assert first.content_hash == second.content_hash == original.content_hash
    assert Directions({"anger": some_vectors(5)}, {}, about).content_hash != original.content_hash


@pytest.mark.parametrize("content", [b"", b"no tensors here", None])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "d.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable directions file"):
        load(path)


def test_steering_with_a_direction_moves_a_probe_along_it(loaded):
    vectors = some_vectors() * 0.3
    scale = calibrate(loaded, TEMPLATES, STIMULI, vectors, [1, 2])["calibration"]
    push = {at: (vectors[at] * scale / 2)[None] for at in (1, 2)}
    ids = torch.tensor([loaded.tokenizer("<s>" + STIMULI[0])["input_ids"]])
    found = []
    for factor in (0, 1):
        with (
            torch.inference_mode(),
            steer(loaded.model, loaded.layers, {k: v * factor for k, v in push.items()}),
        ):
            with capture(loaded.layers, [2]) as seen:
                loaded.model(ids)
            found.append(seen[2][0, -1])
    assert float((found[1] - found[0]) @ vectors[2] / (vectors[2] @ vectors[2])) == pytest.approx(
        1.0, abs=0.15
    )
