"""A push is what its definition says, random pushes keep the geometry, files keep everything."""

from pathlib import Path

import pytest
import torch

from emotion_games.engine import directions
from emotion_games.engine.backend import ModelError
from emotion_games.engine.directions import About, Directions, load, rotate, save
from emotion_games.errors import UserError
from tiny import tiny_model

torch.set_num_threads(1)

CONFIG = Path(__file__).parents[2] / "config"


ABOUT = dict.fromkeys(About.__annotations__) | {
    "layers": [1],
    "depth": 4,
    "calibration": {"anger": 1.0},
    "weights_hash": "w",
}


def some_vectors(seed=0):
    return torch.randn(4, 32, generator=torch.Generator().manual_seed(seed))


def test_the_push_is_what_the_definition_says():
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


def test_random_pushes_take_the_emotions_in_turn():
    about = {"layers": [1, 2], "calibration": {"anger": 1.0, "fear": 1.0}, "weights_hash": "w"}
    both = Directions({"anger": some_vectors(), "fear": some_vectors(1) * 3}, {}, about)
    for seed in range(4):
        emotion = ("anger", "fear")[seed % 2]
        torch.testing.assert_close(
            both.random_push(seed, 1.0).norm(dim=-1), both.push(emotion, 1.0).norm(dim=-1)
        )


def test_file_round_trip_and_content_hash(tmp_path):
    about = ABOUT
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


NAN = some_vectors()
NAN[2, 7] = float("nan")


@pytest.mark.parametrize(
    ("vectors", "shuffled", "about", "fault"),
    [
        (NAN, some_vectors(), {}, "direction/anger holds NaN or infinite numbers"),
        (some_vectors(), NAN / 0, {}, "shuffled/anger holds NaN or infinite numbers"),
        (some_vectors(), some_vectors()[:, :31], {}, r"shuffled/anger has the shape \(4, 31\)"),
        (
            some_vectors()[:3],
            some_vectors()[:3],
            {},
            r"direction/anger has the shape \(3, 32\) in a",
        ),
        (some_vectors(), some_vectors(), {"depth": 5}, "in a model of 5 layers"),
    ],
)
def test_a_file_that_no_extraction_wrote_is_refused_in_one_line(
    tmp_path, vectors, shuffled, about, fault
):
    path = tmp_path / "d.safetensors"
    save(Directions({"anger": vectors}, {"anger": shuffled}, ABOUT | about), path)
    with pytest.raises(UserError, match=f"not a usable directions file: .*{fault}.*; delete it"):
        load(path)


def test_a_file_without_a_part_of_its_description_is_refused(tmp_path):
    path = tmp_path / "d.safetensors"
    about = {key: value for key, value in ABOUT.items() if key != "weights_hash"}
    for vectors, found, part in (
        ({"anger": some_vectors()}, about, "weights_hash"),
        ({}, ABOUT, "directions"),
    ):
        save(Directions(vectors, {"anger": some_vectors()}, found), path)
        with pytest.raises(UserError, match=f"it has no {part}; delete it"):
            load(path)


def test_layers_that_do_not_exist_are_refused_before_anything_is_read(tmp_path, monkeypatch):
    model = tiny_model("llama")
    monkeypatch.setattr(directions, "load_model", lambda *_: model)
    monkeypatch.setattr(directions, "hidden_states", None)
    settings = {"emotions": ["anger"], "layers": [1, 99], "direction_method": "mean_difference"}
    files = {"stimuli": CONFIG / "emotions", "prompts": CONFIG / "prompts.yaml"}
    with pytest.raises(ModelError, match=r"layers: \[99\] do not exist; .* layers 0 to 3$"):
        directions.extract({"id": "x"}, "x", settings, files, tmp_path / "d", {}, lambda _: None)
