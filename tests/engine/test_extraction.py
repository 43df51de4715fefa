"""A directions file is what its settings and stimuli say, with any recipe and any concepts."""

from pathlib import Path

import pytest
import torch

from emotion_games.engine import direction_estimation as estimation
from emotion_games.engine import extraction
from emotion_games.engine.backend import ModelError
from emotion_games.engine.directions import load
from emotion_games.engine.extraction import extract
from emotion_games.engine.probes import hidden_states
from emotion_games.prompts.stimuli import NEUTRAL, SHIPPED, load_stimuli, split_stimuli
from emotion_games.prompts.templates import load_templates
from tiny import tiny_model

torch.set_num_threads(1)

CONFIG = Path(__file__).parents[2] / "config"
SETTINGS = {
    "emotions": ["guilt", "pride"],
    "layers": [1, 2],
    "direction_method": "contrast",
    "directions": {},
    "seed": 3,
    "headline_intensity": 0.2,
    "intensity_unit": "hidden_norm",
    "nulls": {"matched": 4, "isotropic": 2},
}


@pytest.fixture(scope="module")
def model():
    return tiny_model("llama")


@pytest.fixture
def extracted(model, tmp_path, monkeypatch):
    """A function that extracts directions of some concepts with some settings."""
    monkeypatch.setattr(extraction, "load_model", lambda *_: model)
    monkeypatch.setattr(extraction, "weights_hash", lambda *_: "w")
    folder = tmp_path / "emotions"
    folder.mkdir()

    def run(concepts, **changes):
        for concept in concepts:
            lines = [f"{concept} is what event {i} with {concept[::-1]} means." for i in range(12)]
            (folder / f"{concept}.txt").write_text("\n".join(lines) + "\n")
        files = {"stimuli": folder, "prompts": CONFIG / "prompts.yaml"}
        path = tmp_path / "d.safetensors"
        extract({"id": "x"}, "x", SETTINGS | changes, files, path, {}, log=lambda _: None)
        return load(path), load_stimuli(folder)

    return run


def states_of(model, stimuli, part):
    templates = load_templates(CONFIG / "prompts.yaml")
    return {e: hidden_states(model, templates, split_stimuli(t)[part]) for e, t in stimuli.items()}


def test_a_foreign_set_without_neutral_is_measured_against_all_its_concepts(model, extracted):
    found, stimuli = extracted(["guilt", "pride", "shame"])
    states, reference = states_of(model, stimuli, 0), ["guilt", "pride", "shame"]
    expected = estimation.contrast(states, reference)
    assert found.about["reference"] == reference and list(found.vectors) == SETTINGS["emotions"]
    for emotion in SETTINGS["emotions"]:
        torch.testing.assert_close(found.vectors[emotion], expected[emotion])
    nulls = estimation.null_directions(states, reference, 4, 3)
    torch.testing.assert_close(found.nulls["matched"], nulls)
    assert found.nulls["isotropic"].shape == (2, model.depth, model.hidden_size)
    halves = estimation.half_directions(states, reference, "contrast")
    for kind, half in zip(("first_half", "second_half"), halves, strict=True):
        for emotion in SETTINGS["emotions"]:
            torch.testing.assert_close(found.named[kind][emotion], half[emotion])
    lengths = torch.cat(list(states.values()), 1).norm(dim=-1).mean(1)
    torch.testing.assert_close(torch.tensor(found.about["hidden_norm"]), lengths)
    for emotion in reference:
        gap = torch.tensor(found.about["natural_gap"][emotion]) * lengths
        torch.testing.assert_close(gap, expected[emotion].norm(dim=-1))
    held_out = states_of(model, stimuli, 1)
    right = estimation.accuracies(
        held_out, expected, estimation.origin(states, reference, "contrast")
    )
    by_emotion = {e: float(shares[2]) for e, shares in right.items()}
    assert found.about["accuracy_by_emotion"] == pytest.approx(by_emotion, abs=1e-4)
    shares = torch.stack(list(right.values())).mean(0)
    assert found.about["accuracy"] == pytest.approx(shares.tolist(), abs=1e-4)


ONE = {"matched": 1, "isotropic": 0}


def test_the_reference_does_not_depend_on_the_configured_emotions(extracted):
    few, _ = extracted([*SHIPPED, NEUTRAL], emotions=["fear"], nulls=ONE)
    many, _ = extracted([*SHIPPED, NEUTRAL], emotions=["anger", "fear"], nulls=ONE)
    assert few.about["reference"] == sorted(SHIPPED)
    assert torch.equal(few.vectors["fear"], many.vectors["fear"])
    assert torch.equal(few.nulls["matched"], many.nulls["matched"])
    assert few.about["stimuli_hash"] == many.about["stimuli_hash"]


@pytest.mark.parametrize("method", ["mean_difference", "paired_pca"])
def test_other_recipes_measure_against_neutral(model, extracted, method):
    found, stimuli = extracted(["guilt", "pride", NEUTRAL], direction_method=method)
    expected = estimation.directions(states_of(model, stimuli, 0), ["guilt", "pride"], method)
    for emotion in SETTINGS["emotions"]:
        torch.testing.assert_close(found.vectors[emotion], expected[emotion], atol=1e-5, rtol=1e-3)
    assert found.push("guilt", 0.2).norm(dim=-1).tolist() == pytest.approx(
        found.null_push(0, 0.2).norm(dim=-1).tolist()
    )


def test_what_a_push_realises_is_what_the_last_steered_layer_moves(model, extracted):
    """With one steered layer nothing reacts to the push before it is measured."""
    found, _ = extracted(["guilt", "pride", "shame"], layers=[2], headline_intensity=-0.5)
    for emotion, vectors in found.vectors.items():
        push = found.push(emotion, -0.5)
        expected = float(push[0] @ vectors[2] / vectors[2].square().sum())
        assert found.about["realised_gap"][emotion] == pytest.approx(expected, abs=1e-3)
    more, _ = extracted(["guilt", "pride", "shame"], layers=[1, 2], headline_intensity=-0.5)
    assert more.about["realised_gap"] != found.about["realised_gap"]


def test_layers_that_do_not_exist_are_refused_before_anything_is_read(extracted, monkeypatch):
    monkeypatch.setattr(extraction, "hidden_states", None)
    with pytest.raises(ModelError, match=r"layers: \[99\] do not exist; .* layers 0 to 3$"):
        extracted(["guilt", "pride"], layers=[1, 99])
