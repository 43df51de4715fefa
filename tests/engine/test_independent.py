"""Steered logits agree with two independent packages.

They run in an environment of their own, with an older transformers. They push the first position,
too, so here the engine does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from emotion_games.engine import hooks
from emotion_games.engine.models import decoder_layers
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import byte_tokenizer

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from plain_ways import save_case  # noqa: E402

PYTHON = os.environ.get("STEERING_PACKAGES_PYTHON", "")
STEERED, CONDITIONS, PROMPTS, LENGTH, HIDDEN, VOCABULARY = (1, 2, 3), 3, 4, 24, 64, 300
TOLERANCE = 1e-5

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON,
        reason="STEERING_PACKAGES_PYTHON names no python of an environment with "
        "tests/benchmarks/requirements.txt",
    ),
]


@pytest.fixture(autouse=True)
def the_first_position_is_pushed(monkeypatch):
    monkeypatch.setattr(hooks, "pushed_positions", lambda mask: mask)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A Llama on disk, prompts, pushes {layer: (conditions, hidden)}; condition 0 is unsteered."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    prompts = torch.randint(3, VOCABULARY, (PROMPTS, LENGTH))
    pushes = {layer: torch.randn(CONDITIONS, HIDDEN) for layer in STEERED}
    for push in pushes.values():
        push[0] = 0
    folder = tmp_path_factory.mktemp("case")
    save_case(folder, model, prompts.tolist(), pushes)
    return (
        folder,
        TransformersBackend(model, byte_tokenizer(), decoder_layers(model), "random"),
        prompts,
        pushes,
    )


@pytest.fixture(scope="module", params=["steering-vectors", "repeng"])
def theirs(request, case):
    """Logits (conditions, prompts, length, vocabulary) that a package finds for the case."""
    module = request.param.replace("-", "_")
    if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode:
        pytest.skip(f"{request.param} is not installed where STEERING_PACKAGES_PYTHON points to")
    folder = case[0]
    request = json.dumps({"way": request.param, "logits": str(folder / f"{module}.safetensors")})
    script = [PYTHON, str(BENCHMARKS / "plain_ways.py"), str(folder)]
    done = subprocess.run(script, input=request + "\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return load_file(folder / f"{module}.safetensors")["logits"]


def rows(prompts, pushes):
    """All prompts under all conditions as rows of one batch, and their pushes."""
    ids = prompts.repeat(CONDITIONS, 1)
    return ids, {layer: push.repeat_interleave(PROMPTS, 0) for layer, push in pushes.items()}


@torch.inference_mode()
def test_steered_logits_of_one_mixed_batch_are_those_of_the_package(case, theirs):
    _, model, prompts, pushes = case
    ids, added = rows(prompts, pushes)
    with hooks.steer(model.model, model.layers, added):
        ours = model.model(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs.flatten(0, 1), atol=TOLERANCE, rtol=TOLERANCE)
    assert (theirs[1] - theirs[0]).abs().max() > 0.1, "the pushes change the logits"


def test_what_the_engine_reads_and_scores_is_what_the_package_finds(case, theirs):
    _, model, prompts, pushes = case
    ids, added = rows(prompts, pushes)
    begun = model.read(ids[:, :10].tolist(), added)
    expected = theirs.flatten(0, 1)
    torch.testing.assert_close(begun.logits, expected[:, 9], atol=TOLERANCE, rtol=TOLERANCE)
    found = begun.score(range(len(ids)), [[rest] for rest in ids[:, 10:].tolist()])
    logprobs = expected[:, 9:-1].log_softmax(-1).gather(-1, ids[:, 10:, None])[..., 0]
    torch.testing.assert_close(torch.tensor(found)[:, 0], logprobs, atol=TOLERANCE, rtol=TOLERANCE)
