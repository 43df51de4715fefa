"""Pushes are as long as their definition says, and files keep everything."""

import pytest
import torch

from emotion_games.engine.directions import About, Directions, load, save
from emotion_games.errors import UserError

torch.set_num_threads(1)
UNITS = ("hidden_norm", "gap", "raw")


def some_vectors(seed=0):
    return torch.randn(4, 32, generator=torch.Generator().manual_seed(seed))


def some_nulls(number=3):
    return torch.stack([some_vectors(100 + place) for place in range(number)])


ABOUT = dict.fromkeys(About.__annotations__) | {
    "layers": [1, 2],
    "depth": 4,
    "hidden_norm": [3.0, 10.0, 40.0, 90.0],
    "reference": ["anger", "fear"],
    "natural_gap": {
        "anger": [0.1, 0.2, 0.1, 0.1],
        "fear": [0.1, 0.4, 0.2, 0.1],
        "guilt": [9.0, 9.0, 9.0, 9.0],
    },
    "weights_hash": "w",
}
# At intensity 1, at the layers 1 and 2.
LENGTHS = {
    "hidden_norm": [10.0 / 2, 40.0 / 2],
    "gap": [10.0 * 0.3 / 2, 40.0 * 0.15 / 2],
    "raw": [1.0, 1.0],
}


def made(**changes):
    parts = {
        "vectors": {"anger": some_vectors(), "fear": 7 * some_vectors(1)},
        "shuffled": {"anger": some_vectors(2), "fear": some_vectors(3)},
        "nulls": some_nulls(),
        "about": ABOUT,
    }
    return Directions(**parts | changes)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("intensity", [0.2, -0.5])
def test_all_pushes_of_an_intensity_are_equally_long_at_each_layer(unit, intensity):
    found = made()
    lengths = torch.tensor(LENGTHS[unit]) * intensity
    for push, vectors in (
        (found.push("anger", intensity, unit), found.vectors["anger"]),
        (found.push("fear", intensity, unit), found.vectors["fear"]),
        (found.push("fear", intensity, unit, shuffled=True), found.shuffled["fear"]),
        (found.null_push(2, intensity, unit), found.nulls[2]),
    ):
        stack = vectors[[1, 2]]
        expected = stack / stack.norm(dim=-1, keepdim=True) * lengths[:, None]
        torch.testing.assert_close(push, expected)


def test_an_intensity_is_a_share_of_the_hidden_states_unless_something_else_is_said():
    found = made()
    assert torch.equal(found.push("anger", 0.2), found.push("anger", 0.2, "hidden_norm"))
    assert torch.equal(found.null_push(0, 0.2), found.null_push(0, 0.2, "hidden_norm"))


@pytest.mark.parametrize("unit", UNITS)
def test_the_push_ratio_is_that_of_the_layer_where_it_is_largest(unit):
    found = made()
    push = found.push("anger", -0.3, unit)
    expected = (push.norm(dim=-1) / torch.tensor([10.0, 40.0])).max()
    assert found.push_ratio(-0.3, unit) == pytest.approx(float(expected))


def test_file_round_trip_and_content_hash(tmp_path):
    original = made()
    for name in ("a.safetensors", "b.safetensors"):
        save(original, tmp_path / name)
    first, second = load(tmp_path / "a.safetensors"), load(tmp_path / "b.safetensors")
    assert torch.equal(first.vectors["anger"], original.vectors["anger"])
    assert torch.equal(first.nulls, original.nulls) and first.about == ABOUT
    assert first.content_hash == second.content_hash == original.content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"vectors": {"anger": some_vectors(5), "fear": 7 * some_vectors(1)}},
        {"nulls": some_nulls(2)},
        {"about": ABOUT | {"hidden_norm": [3.0, 10.0, 40.0, 90.5]}},
        {"about": ABOUT | {"layers": [1]}},
    ],
    ids=["vectors", "nulls", "lengths", "layers"],
)
def test_the_content_hash_is_that_of_all_that_pushes_depend_on(changes):
    assert made(**changes).content_hash != made().content_hash


def test_a_file_may_hold_no_null_directions(tmp_path):
    save(made(nulls=some_nulls(3)[:0]), tmp_path / "d.safetensors")
    assert load(tmp_path / "d.safetensors").nulls.shape == (0, 4, 32)


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
    ("changes", "fault"),
    [
        ({"vectors": {"anger": NAN}}, "direction/anger holds NaN or infinite numbers"),
        ({"shuffled": {"anger": NAN / 0}}, "shuffled/anger holds NaN or infinite numbers"),
        ({"nulls": torch.stack([NAN, NAN])}, "nulls holds NaN or infinite numbers"),
        (
            {"shuffled": {"anger": some_vectors()[:, :31]}},
            r"shuffled/anger has the shape \(4, 31\)",
        ),
        ({"nulls": some_nulls()[:, :3]}, r"nulls has the shape \(3, 3, 32\)"),
        (
            {"vectors": {"anger": some_vectors()[:3]}, "nulls": some_nulls()[:, :3]},
            r"has the shape \(3, 3, 32\) in a model of 4 layers",
        ),
        ({"about": ABOUT | {"depth": 5}}, "in a model of 5 layers"),
    ],
)
def test_a_file_that_no_extraction_wrote_is_refused_in_one_line(tmp_path, changes, fault):
    path = tmp_path / "d.safetensors"
    save(made(**changes), path)
    with pytest.raises(UserError, match=f"not a usable directions file: .*{fault}.*; delete it"):
        load(path)


def test_a_file_without_a_part_of_its_description_is_refused(tmp_path):
    path = tmp_path / "d.safetensors"
    about = {key: value for key, value in ABOUT.items() if key != "weights_hash"}
    for changes, part in (({"about": about}, "weights_hash"), ({"vectors": {}}, "directions")):
        save(made(**changes), path)
        with pytest.raises(UserError, match=f"it has no {part}; delete it"):
            load(path)
