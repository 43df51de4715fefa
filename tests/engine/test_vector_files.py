"""Files of vectors: other tools read what is written, and what cannot be used is one line."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from safetensors.numpy import load_file, save_file

from emotion_games.engine.vector_files import (
    Target,
    Vectors,
    misfit,
    read_vectors,
    write_vectors,
)
from emotion_games.errors import UserError

DEPTH, HIDDEN = 6, 32
ABOUT = {"model_hint": "qwen2", "layer_numbering": "decoder_layer"}
MODEL = Target("org/M", DEPTH, HIDDEN, "qwen2", "w" * 64, [2, 3])


def vectors_for(layers, about=ABOUT, hidden=HIDDEN):
    chance = np.random.default_rng(0)
    drawn = chance.standard_normal((max(layers) + 1, hidden)).astype(np.float32)
    return Vectors({layer: drawn[layer] for layer in layers}, about)


def control_vector(path, tensors, architecture="controlvector", **texts):
    """Write a GGUF file as other tools do."""
    writer = GGUFWriter(path, architecture)
    for key, value in texts.items():
        writer.add_string(f"controlvector.{key}", value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def refused(path):
    with pytest.raises(UserError) as caught:
        read_vectors(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_a_control_vector_has_the_same_bits_in_the_package_gguf(tmp_path):
    ours = vectors_for(range(DEPTH))
    write_vectors(ours, tmp_path / "a.gguf")
    found = GGUFReader(tmp_path / "a.gguf")
    names = [tensor.name for tensor in found.tensors]
    # llama.cpp refuses a file with a tensor for layer 0.
    assert names == [f"direction.{layer}" for layer in range(1, DEPTH)]
    for layer, tensor in enumerate(found.tensors, start=1):
        assert tensor.data.dtype == np.float32 and tensor.data.shape == (HIDDEN,)
        assert tensor.data.tobytes() == ours.by_layer[layer].tobytes()
    for key, value in {
        "general.architecture": "controlvector",
        "controlvector.model_hint": "qwen2",
        "controlvector.layer_count": DEPTH - 1,
    }.items():
        assert found.get_field(key).contents() == value


@pytest.mark.parametrize(("suffix", "first"), [(".gguf", 1), (".safetensors", 0)])
def test_what_is_written_is_read_bit_for_bit(tmp_path, suffix, first):
    ours = vectors_for(range(DEPTH))
    write_vectors(ours, tmp_path / f"a{suffix}")
    found = read_vectors(tmp_path / f"a{suffix}")
    assert list(found.by_layer) == list(range(first, DEPTH))
    for layer, vector in found.by_layer.items():
        assert vector.tobytes() == ours.by_layer[layer].tobytes()
    assert found.about.items() >= ABOUT.items()


def test_a_safetensors_file_is_one_for_any_reader(tmp_path):
    ours = vectors_for([0, 3])
    write_vectors(ours, tmp_path / "a.safetensors")
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == {"direction.0", "direction.3"}
    assert found["direction.3"].tobytes() == ours.by_layer[3].tobytes()


def test_hidden_states_are_counted_from_the_embeddings(tmp_path):
    tensors = {f"direction.{n}": v for n, v in vectors_for(range(DEPTH + 1)).by_layer.items()}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"layer_numbering": "hidden_state"})
    found = read_vectors(tmp_path / "a.safetensors").by_layer
    assert list(found) == list(range(DEPTH))
    for layer in range(DEPTH):
        assert found[layer].tobytes() == tensors[f"direction.{layer + 1}"].tobytes()


ONE = np.ones(HIDDEN, np.float32)
NAN = np.where(np.arange(HIDDEN) == 5, np.nan, ONE).astype(np.float32)


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        ({"direction.2": ONE, "direction.03": ONE}, "a tensor 'direction.03'; allowed: direction."),
        ({"v": ONE}, "a tensor 'v'; allowed: direction.<layer>, such as direction.12; rename"),
        ({"direction.2": ONE.astype(np.float16)}, "direction.2 is F16; allowed: F32; save it as"),
        ({"direction.2": ONE, "direction.3": ONE[:31]}, "layer 3 has the shape (31,); write it"),
        ({"direction.2": ONE.reshape(4, 8)}, "the vector of layer 2 has the shape (4, 8); write"),
        ({"direction.2": NAN}, "the vector of layer 2 holds NaN or infinite numbers; write it"),
        (
            {"direction.2": ONE * np.inf},
            "the vector of layer 2 holds NaN or infinite numbers; write",
        ),
        ({}, "no vector for any layer; write it again with one vector a layer"),
    ],
)
def test_a_file_with_other_tensors_is_refused_in_one_line(tmp_path, tensors, fault):
    save_file(tensors, tmp_path / "a.safetensors", metadata=ABOUT)
    assert fault in refused(tmp_path / "a.safetensors")
    assert fault in refused(control_vector(tmp_path / "a.gguf", tensors))


@pytest.mark.parametrize("metadata", [None, {"layer_numbering": "from_one"}])
def test_a_safetensors_file_must_say_what_it_counts(tmp_path, metadata):
    save_file({"direction.2": ONE}, tmp_path / "a.safetensors", metadata=metadata)
    found = "'from_one'" if metadata else "nothing"
    assert refused(tmp_path / "a.safetensors") == (
        f"layer_numbering is {found} in its metadata; allowed: decoder_layer (direction.0 is for "
        "the output of the first layer) or hidden_state (direction.0 is for the embeddings); write "
        "there which one it is"
    )


def test_only_vectors_are_read(tmp_path):
    model = control_vector(tmp_path / "m.gguf", {"direction.1": ONE}, architecture="llama")
    assert refused(model).startswith("a GGUF file of 'llama'; allowed: controlvector, as ")
    assert refused(tmp_path / "v.pt") == (
        "a file '.pt'; allowed: .gguf (a control vector) or .safetensors"
    )
    assert refused(tmp_path / "v.gguf") == "no such file"


@pytest.mark.parametrize("suffix", [".gguf", ".safetensors"])
def test_a_damaged_file_is_one_line_wherever_it_ends(tmp_path, suffix):
    write_vectors(vectors_for([1, 2]), tmp_path / f"whole{suffix}")
    data, path = (tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"part{suffix}"
    for length in range(0, len(data), 11):
        path.write_bytes(data[:length])
        refused(path)


def reason(layers=range(1, DEPTH), target=MODEL, hidden=HIDDEN, **about):
    return misfit(vectors_for(layers, about, hidden), target)


def test_vectors_of_the_model_fit_it():
    assert reason() is None
    assert reason(range(DEPTH), **ABOUT, weights_hash="w" * 64, model_layers="6") is None
    # Vectors for some layers only, whichever a tool was asked for.
    assert reason([2, 3]) is None and reason(range(2, 5)) is None
    # Only as far as something is known.
    assert reason(range(9), Target("org/M", None, None), hidden=7, weights_hash="x") is None


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"hidden": 48}, "vectors of 48 numbers, where the states of model org/M have 32"),
        ({"model_layers": "7"}, "made in a model with 7 layers, where model org/M has 6"),
        ({"layers": range(1, 7)}, "a vector for layer 6, where model org/M has layers 0 to 5"),
        ({"layers": range(1, 5)}, "vectors for all layers up to 4, as in a model with 5 layers, "),
        ({"model_hint": "gemma2"}, "of the kind 'gemma2', where model org/M is 'qwen2'"),
        ({"weights_hash": "v" * 64}, "made with the weights vvvvvvvvvv, where model org/M has ww"),
        ({"layers": [3, 4]}, "no vector for the steered layers [2] of model org/M, only for 3, 4"),
    ],
)
def test_vectors_of_another_model_or_layer_are_refused(found, fault):
    line = reason(**found)
    assert fault in line and line.endswith("; use vectors that were made for this model")


def test_a_zero_vector_at_a_steered_layer_is_refused():
    zeros = vectors_for(range(1, DEPTH))
    zeros.by_layer[3][:] = 0
    assert misfit(zeros, MODEL).startswith("the vectors of the steered layers [3] are zero; ")


@pytest.mark.parametrize(
    ("hint", "architecture", "fits"),
    [
        ("llama", "llama", True),
        # llama.cpp's names.
        ("llama", "mistral", True),
        ("qwen3moe", "qwen3_moe", True),
        ("gemma3", "gemma3_text", True),
        ("llama", "qwen2", False),
        ("qwen2", "qwen3", False),
    ],
)
def test_a_hint_may_be_written_as_transformers_or_llama_cpp_do(hint, architecture, fits):
    target = Target("org/M", DEPTH, HIDDEN, architecture)
    assert (reason(target=target, model_hint=hint) is None) == fits


def test_an_old_file_is_overwritten_whole(tmp_path):
    path = tmp_path / "a.gguf"
    for layers in (range(DEPTH), [2]):
        write_vectors(vectors_for(layers), path)
    assert list(read_vectors(path).by_layer) == [2]
    assert [p.name for p in Path(tmp_path).iterdir()] == ["a.gguf"]
