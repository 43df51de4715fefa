"""repeng reads what is exported, bit for bit, and what it writes steers as it does there.

It runs in an environment of its own, with an older transformers.
"""

import json
import os
import subprocess

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from emotion_games.engine import hooks
from emotion_games.engine.models import decoder_layers
from emotion_games.engine.vector_files import (
    Target,
    Vectors,
    misfit,
    read_vectors,
    write_vectors,
)

PYTHON = os.environ.get("STEERING_PACKAGES_PYTHON", "")
DEPTH, HIDDEN, VOCABULARY, STEERED = 6, 64, 300, (2, 3)
TOLERANCE = 1e-5
# What repeng does, in one process: it reads our file, trains a vector of its own on texts of random
# tokens, and steers with it.
SCRIPT = """
import json, sys
import torch
from repeng import ControlModel, ControlVector
from repeng.extract import DatasetEntry
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

folder, steered = sys.argv[1], json.loads(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(f"{folder}/model", dtype=torch.float32).eval()


class Tokens:
    def __call__(self, texts, padding, return_tensors):
        ids = torch.tensor([json.loads(text) for text in texts])
        return Batch(input_ids=ids, attention_mask=torch.ones_like(ids))


class Batch(dict):
    def to(self, device):
        return self


ours = ControlVector.import_gguf(f"{folder}/ours.gguf")
found = {str(layer): torch.tensor(vector) for layer, vector in ours.directions.items()}
save_file(found, f"{folder}/read.safetensors", metadata={"model_type": ours.model_type})
torch.manual_seed(1)
pairs = torch.randint(3, 300, (12, 2, 7)).tolist()
pairs = [DatasetEntry(json.dumps(one), json.dumps(other)) for one, other in pairs]
trained = ControlVector.train(model, Tokens(), pairs)
trained.export_gguf(f"{folder}/theirs.gguf")
arrays = {str(layer): torch.tensor(vector) for layer, vector in trained.directions.items()}
save_file(arrays, f"{folder}/trained.safetensors")
prompt = torch.arange(3, 30)[None]
control = ControlModel(model, steered)
control.set_control(trained, 2.0)
with torch.no_grad():
    save_file({"logits": control(input_ids=prompt).logits}, f"{folder}/logits.safetensors")
"""

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON,
        reason="STEERING_PACKAGES_PYTHON names no python of an environment with "
        "tests/benchmarks/requirements.txt",
    ),
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=128,
        num_hidden_layers=DEPTH,
        num_attention_heads=4,
        max_position_embeddings=128,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ours():
    drawn = np.random.default_rng(2).standard_normal((DEPTH, HIDDEN)).astype(np.float32)
    return Vectors(dict(enumerate(drawn)), {"model_hint": "llama", "concept": "anger"})


@pytest.fixture(scope="module")
def folder(model, ours, tmp_path_factory):
    """What repeng has read, trained and computed."""
    folder = tmp_path_factory.mktemp("repeng")
    model.save_pretrained(folder / "model")
    write_vectors(ours, folder / "ours.gguf")
    command = [PYTHON, "-c", SCRIPT, str(folder), json.dumps(STEERED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_its_reader_finds_the_same_bits_under_the_same_numbers(folder, ours):
    found = load_file(folder / "read.safetensors")
    assert found.keys() == {str(layer) for layer in range(1, DEPTH)}
    for layer, vector in found.items():
        assert vector.numpy().tobytes() == ours.by_layer[int(layer)].tobytes()


def test_what_it_has_trained_is_read_bit_for_bit_and_fits_the_model(folder):
    theirs, expected = (
        read_vectors(folder / "theirs.gguf"),
        load_file(folder / "trained.safetensors"),
    )
    assert theirs.by_layer.keys() == {int(layer) for layer in expected} == set(range(1, DEPTH))
    for layer, vector in expected.items():
        assert theirs.by_layer[int(layer)].tobytes() == vector.numpy().tobytes()
    assert misfit(theirs, Target("ours", DEPTH, HIDDEN, "llama", "w", STEERED)) is None
    assert "of the kind 'llama'" in misfit(theirs, Target("other", DEPTH, HIDDEN, "qwen2"))


@pytest.mark.parametrize("moved", [0, 1, -1])
def test_it_steers_as_there_and_a_vector_of_another_layer_does_not(
    model, folder, moved, monkeypatch
):
    # repeng pushes the first position, too.
    monkeypatch.setattr(hooks, "pushed_positions", lambda mask: mask)
    theirs = read_vectors(folder / "theirs.gguf").by_layer
    pushes = {layer: 2.0 * torch.from_numpy(theirs[layer + moved])[None] for layer in STEERED}
    with torch.inference_mode(), hooks.steer(model, decoder_layers(model), pushes):
        logits = model(input_ids=torch.arange(3, 30)[None]).logits
    difference = (logits - load_file(folder / "logits.safetensors")["logits"]).abs().max()
    assert (difference <= TOLERANCE) == (moved == 0)
    assert moved == 0 or difference > 100 * TOLERANCE
