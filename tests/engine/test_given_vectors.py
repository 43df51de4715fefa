"""Given vectors take the place of measured directions, exactly, or are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emotion_games.engine import extraction
from emotion_games.engine.directions import load
from emotion_games.engine.extraction import extract
from emotion_games.engine.vector_export import export
from emotion_games.engine.vector_files import Vectors, file_key, read_vectors, write_vectors
from emotion_games.errors import UserError
from emotion_games.hashing import content_hash
from tiny import tiny_model

torch.set_num_threads(1)

CONFIG = Path(__file__).parents[2] / "config"
EMOTIONS, LAYERS = ["guilt", "pride"], [1, 2]
SETTINGS = {
    "emotions": EMOTIONS,
    "layers": LAYERS,
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
    """A function that makes a directions file, with given vectors {emotion: path}."""
    monkeypatch.setattr(extraction, "load_model", lambda *_: model)
    monkeypatch.setattr(extraction, "weights_hash", lambda *_: "w")
    folder = tmp_path / "emotions"
    folder.mkdir()
    for concept in ("guilt", "pride", "shame"):
        lines = [f"{concept} is what event {i} with {concept[::-1]} means." for i in range(12)]
        (folder / f"{concept}.txt").write_text("\n".join(lines) + "\n")

    def run(given=(), **changes):
        given = dict(given)
        settings = SETTINGS | {"directions": {e: content_hash(given[e]) for e in given}} | changes
        files = {"stimuli": folder, "prompts": CONFIG / "prompts.yaml"}
        files |= {file_key(emotion): path for emotion, path in given.items()}
        path = tmp_path / "d.safetensors"
        extract({"id": "x"}, "x", settings, files, path, {}, log=lambda _: None)
        return load(path)

    return run


def drawn(model, layers=range(1, 4), seed=5):
    chance = np.random.default_rng(seed)
    stack = chance.standard_normal((model.depth, model.hidden_size)).astype(np.float32)
    return {layer: stack[layer] for layer in layers}


@pytest.fixture
def greed(model, tmp_path):
    """A control vector of a concept without stimuli."""
    write_vectors(Vectors(drawn(model), {"model_hint": "llama"}), tmp_path / "greed.gguf")
    return tmp_path / "greed.gguf"


def test_a_given_vector_is_the_direction_and_the_others_stay(model, extracted, greed):
    before = extracted()
    found = extracted({"greed": greed}, emotions=["guilt", "greed"])
    assert set(found.vectors) == {"guilt", "greed"}
    for layer, vector in drawn(model).items():
        assert found.vectors["greed"][layer].numpy().tobytes() == vector.tobytes()
    assert torch.equal(found.vectors["guilt"], before.vectors["guilt"])
    assert torch.equal(found.nulls["matched"], before.nulls["matched"])
    push = found.push("greed", 0.2)
    torch.testing.assert_close(push.norm(dim=-1), found.null_push(0, 0.2).norm(dim=-1))
    along = torch.cosine_similarity(push, found.vectors["greed"][LAYERS], dim=-1)
    torch.testing.assert_close(along, torch.ones(2))


def test_the_length_of_given_vectors_changes_no_push(model, extracted, greed, tmp_path):
    longer = Vectors({layer: 7 * v for layer, v in drawn(model).items()}, {})
    write_vectors(longer, tmp_path / "longer.gguf")
    one, other = (
        extracted({"greed": path}, emotions=["greed"]).push("greed", 0.2)
        for path in (greed, tmp_path / "longer.gguf")
    )
    torch.testing.assert_close(one, other)


def test_nothing_is_said_of_a_given_vector_that_only_stimuli_can_show(extracted, greed):
    about = extracted({"greed": greed}, emotions=["guilt", "greed"]).about
    for key in ("natural_gap", "split_half", "accuracy_by_emotion", "realised_gap"):
        assert "guilt" in about[key] and "greed" not in about[key]
    assert about["given"]["greed"] == {
        "file": "greed.gguf",
        "sha256": content_hash(greed),
        "metadata": {"layer_count": "3", "model_hint": "llama"},
        "cosine_with_stimuli": None,
    }
    assert extracted().about["given"] == {}


def test_an_emotion_with_stimuli_keeps_its_place_in_the_reference(extracted, greed):
    plain, found = extracted(), extracted({"pride": greed})
    assert found.about["reference"] == plain.about["reference"] == ["guilt", "pride", "shame"]
    assert found.about["natural_gap"] == plain.about["natural_gap"]
    for kind in ("first_half", "second_half", "shuffled"):
        assert set(found.named[kind]) == {"guilt"}
    assert "pride" not in found.about["accuracy_by_emotion"]
    expected = torch.cosine_similarity(found.vectors["pride"], plain.vectors["pride"], dim=-1)
    cosines = found.about["given"]["pride"]["cosine_with_stimuli"]
    assert cosines == pytest.approx(expected.tolist(), abs=1e-4)


def test_all_emotions_may_be_given(extracted, greed):
    found = extracted({"greed": greed}, emotions=["greed"])
    assert set(found.vectors) == {"greed"} and not found.named["first_half"]
    assert found.about["realised_gap"] == {}


@pytest.mark.parametrize("suffix", [".gguf", ".safetensors"])
def test_exported_directions_come_back_bit_for_bit(extracted, tmp_path, suffix):
    plain = extracted()
    paths = list(export(tmp_path / "d.safetensors", tmp_path / "out"))
    assert [path.name for path in paths] == [
        "guilt.gguf", "guilt.safetensors", "pride.gguf", "pride.safetensors",
    ]  # fmt: skip
    given = {emotion: tmp_path / "out" / f"{emotion}{suffix}" for emotion in EMOTIONS}
    about = read_vectors(given["guilt"]).about
    assert (about["concept"], about["model"], about["method"]) == ("guilt", "x", "contrast")
    assert (about["model_hint"], about["model_layers"]) == ("llama", "4")
    assert about["steered_layers"] == "[1, 2]" and about["length"].startswith("natural gap")
    again = extracted(given)
    for emotion in EMOTIONS:
        for layer in range(suffix == ".gguf", 4):
            one, other = again.vectors[emotion][layer], plain.vectors[emotion][layer]
            assert one.numpy().tobytes() == other.numpy().tobytes()
        assert torch.equal(again.push(emotion, 0.2), plain.push(emotion, 0.2))
        assert again.about["given"][emotion]["cosine_with_stimuli"][-1] == pytest.approx(1)


@pytest.mark.parametrize(("step", "word"), [(1, "late"), (-1, "early")])
def test_vectors_of_the_next_layer_are_refused_where_stimuli_show_it(
    extracted, tmp_path, step, word
):
    """The planted fault: every tensor has the number of the layer after or before it."""
    plain = extracted()
    moved = torch.roll(plain.vectors["pride"], step, dims=0).numpy()
    path = tmp_path / "pride.safetensors"
    write_vectors(Vectors(dict(enumerate(moved)), {"layer_numbering": "decoder_layer"}), path)
    with pytest.raises(UserError, match=f"its vectors are one layer too {word}: their cosine .* 1"):
        extracted({"pride": path})


def test_vectors_of_other_weights_are_refused(extracted, tmp_path, monkeypatch):
    extracted()
    list(export(tmp_path / "d.safetensors", tmp_path / "out"))
    monkeypatch.setattr(extraction, "weights_hash", lambda *_: "other")
    with pytest.raises(UserError, match="made with the weights w, where model x has other"):
        extracted({"pride": tmp_path / "out" / "pride.gguf"})


def test_vectors_that_do_not_fit_are_refused_before_anything_is_read(
    model, extracted, tmp_path, monkeypatch
):
    monkeypatch.setattr(extraction, "hidden_states", None)
    path = tmp_path / "greed.gguf"
    write_vectors(Vectors({1: np.ones(31, np.float32)}, {}), path)
    with pytest.raises(UserError, match="vectors of 31 numbers, where the states of model x have"):
        extracted({"greed": path}, emotions=["greed"])
    write_vectors(Vectors(drawn(model, [2, 3]), {}), path)
    with pytest.raises(UserError, match=r"no vector for the steered layers \[1\] of model x, only"):
        extracted({"greed": path}, emotions=["greed"])


def test_a_file_that_changes_during_a_series_is_refused(extracted, greed):
    with pytest.raises(UserError, match=r"greed.gguf: has changed since the series began; restore"):
        extracted({"greed": greed}, emotions=["greed"], directions={"greed": "another"})


def test_a_folder_that_cannot_be_written_is_one_line(extracted, tmp_path):
    extracted()
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"out/guilt.gguf: cannot be written: "):
        list(export(tmp_path / "d.safetensors", tmp_path / "out"))
