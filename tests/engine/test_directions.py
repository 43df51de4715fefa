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
    "weights_state": [],
}
# At intensity 1, at the layers 1 and 2.
LENGTHS = {
    "hidden_norm": [10.0 / 2, 40.0 / 2],
    "gap": [10.0 * 0.3 / 2, 40.0 * 0.15 / 2],
    "raw": [1.0, 1.0],
}


NAMED = {
    "direction": {"anger": some_vectors(), "fear": 7 * some_vectors(1)},
    "first_half": {"anger": some_vectors(6), "fear": some_vectors(7)},
    "second_half": {"anger": some_vectors(8), "fear": some_vectors(9)},
    "shuffled": {"anger": some_vectors(2), "fear": some_vectors(3)},
}


def made(**changes):
    parts = {
        "named": NAMED,
        "nulls": {"matched": some_nulls(), "isotropic": some_nulls(4)},
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
        (found.push("fear", intensity, unit, "shuffled"), NAMED["shuffled"]["fear"]),
        (found.push("anger", intensity, unit, "second_half"), NAMED["second_half"]["anger"]),
        (found.null_push(2, intensity, unit), found.nulls["matched"][2]),
        (found.null_push(2, intensity, unit, "isotropic"), found.nulls["isotropic"][2]),
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
    assert first.tensors().keys() == original.tensors().keys()
    for name, tensor in original.tensors().items():
        assert torch.equal(first.tensors()[name], tensor), name
    assert first.about == ABOUT
    assert first.content_hash == second.content_hash == original.content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"named": NAMED | {"direction": {"anger": some_vectors(5), "fear": some_vectors(1)}}},
        {"named": NAMED | {"first_half": {"anger": some_vectors(5), "fear": some_vectors(7)}}},
        {"nulls": {"matched": some_nulls(2), "isotropic": some_nulls(4)}},
        {"about": ABOUT | {"hidden_norm": [3.0, 10.0, 40.0, 90.5]}},
        {"about": ABOUT | {"layers": [1]}},
    ],
    ids=["vectors", "halves", "nulls", "lengths", "layers"],
)
def test_the_content_hash_is_that_of_all_that_pushes_depend_on(changes):
    assert made(**changes).content_hash != made().content_hash


def test_a_file_may_hold_no_null_directions(tmp_path):
    none = {kind: some_nulls(3)[:0] for kind in ("matched", "isotropic")}
    save(made(nulls=none), tmp_path / "d.safetensors")
    assert {n.shape for n in load(tmp_path / "d.safetensors").nulls.values()} == {(0, 4, 32)}


@pytest.mark.parametrize("content", [b"", b"no tensors here", None])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "d.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable directions file"):
        load(path)


NAN = some_vectors()
NAN[2, 7] = float("nan")


def with_named(**kinds):
    return {"named": NAMED | {kind: {"anger": vectors} for kind, vectors in kinds.items()}}


def with_nulls(matched):
    return {"nulls": {"matched": matched, "isotropic": some_nulls(4)}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (with_named(direction=NAN), "direction/anger holds NaN or infinite numbers"),
        (with_named(shuffled=NAN / 0), "shuffled/anger holds NaN or infinite numbers"),
        (with_nulls(torch.stack([NAN, NAN])), "matched holds NaN or infinite numbers"),
        (
            with_named(first_half=some_vectors()[:, :31]),
            r"first_half/anger has the shape \(4, 31\)",
        ),
        (with_nulls(some_nulls()[:, :3]), r"matched has the shape \(3, 3, 32\)"),
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
    for changes, part in (
        ({"about": about}, "weights_hash"),
        ({"named": NAMED | {"direction": {}}}, "directions"),
    ):
        save(made(**changes), path)
        with pytest.raises(UserError, match=f"it has no {part}; delete it"):
            load(path)
