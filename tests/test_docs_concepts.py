"""What docs/concepts.md shows works: a concept that is no emotion, vectors out, and vectors in."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from emotion_games import layout
from emotion_games.engine.directions import load
from emotion_games.engine.vector_files import Vectors, read_vectors, write_vectors
from emotion_games.prompts.stimuli import load_stimuli, reference_emotions, split_stimuli
from emotion_games.prompts.templates import load_templates
from emotion_games.series.folder import find_series
from test_docs import ROOT, add, blocks_of, config_of, copy_project, run
from tiny import tiny_model

BLOCKS = blocks_of(ROOT / "docs" / "concepts.md")
PREPARE, VIRTUES, EXPORT, GIVEN = (block.body for block in BLOCKS if block.language == "bash")
PYTHON = os.environ.get("STEERING_PACKAGES_PYTHON", "")
# repeng trains a vector on sentences, one token a byte as in the tiny model.
TRAINING = """
import sys
import torch
from pathlib import Path
from repeng import ControlVector
from repeng.extract import DatasetEntry
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

model = AutoModelForCausalLM.from_pretrained("models/my-model", dtype=torch.float32).eval()
file = "models/my-model/tokenizer.json"
tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, pad_token="<|pad|>", padding_side="right")
texts = [Path(f"my/virtues/{name}.txt").read_text().splitlines()[1:9] for name in sys.argv[1:3]]
ControlVector.train(model, tokenizer, [DatasetEntry(*pair) for pair in zip(*texts)]).export_gguf(
    sys.argv[3]
)
"""

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the examples added, and a tiny model."""
    copy = copy_project(tmp_path_factory.mktemp("concepts"))
    shutil.copytree(ROOT / "docs" / "examples", copy / "docs" / "examples")
    run(PREPARE, copy)
    for block in BLOCKS:
        add(block, copy)
    made = tiny_model("qwen2")
    made.model.save_pretrained(copy / "models" / "my-model")
    made.tokenizer.save_pretrained(copy / "models" / "my-model")
    return copy


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


@pytest.fixture(scope="module")
def virtues(project):
    """The folder with the results of the series with generosity and greed."""
    run(VIRTUES, project)
    return results("Virtues", project)


@pytest.fixture(scope="module")
def exported(virtues, project):
    run(EXPORT, project)
    return project / "my" / "vectors"


def results(name, project):
    home = project / "results" / "ExperimentSeries"
    (folder,) = home.glob(f"{name}_*/Ultimatum_Game_Proposer_my-model_*")
    report = json.loads((folder.parent / layout.REPORT).read_text())["experiments"]
    assert {row["status"] for row in report.values()} == {"completed"}
    return folder


def about(folder):
    return yaml.safe_load((folder / layout.CONFIGURATION).read_text())["directions"]


def statistics(folder):
    return json.loads((folder / layout.STATISTICS).read_text())


def test_the_concepts_have_sixty_stimuli_each_on_the_same_topics(inside):
    folder = inside / "my" / "virtues"
    stimuli = load_stimuli(folder, log=pytest.fail)
    assert {name: len(lines) for name, lines in stimuli.items()} == {
        "generosity": 60, "greed": 60, "neutral": 120,
    }  # fmt: skip
    assert [len(part) for part in split_stimuli(stimuli["greed"])] == [45, 15]
    assert reference_emotions(folder) == ["generosity", "greed"]
    lengths = [np.mean([len(text.split()) for text in stimuli[n]]) for n in ("generosity", "greed")]
    assert abs(lengths[0] - lengths[1]) < 1
    for name, words in load_templates(inside / "my" / "prompts.yaml").feelings.items():
        text = " ".join(stimuli[name]).casefold()
        assert name == "neutral" or not any(word in text for word in (name, *words))


def test_the_configs_are_accepted(inside):
    assert config_of("config/virtues.yaml", inside).settings["emotions"] == ["generosity", "greed"]
    vectors = Vectors({layer: np.ones(32, np.float32) for layer in range(4)}, {})
    write_vectors(vectors, inside / "my" / "greed.gguf")
    assert set(config_of("config/given.yaml", inside).vectors) == {"greed"}


def test_a_file_written_as_the_text_shows_is_read(inside):
    (code,) = (block.body for block in BLOCKS if block.language == "python")
    exec(code, {})
    assert list(read_vectors(inside / "my" / "greed.safetensors").by_layer) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_series_runs_with_concepts_that_are_no_emotions(virtues):
    trials = pd.read_csv(virtues / "exp_results.csv", keep_default_na=False)
    steered = trials[trials["arm"] == "steered"]
    assert set(steered["emotion"]) == {"generosity", "greed"} and (steered["push_ratio"] > 0).all()
    prompted = trials[trials["arm"] == "prompted"]
    stimuli = load_stimuli(ROOT / "docs" / "examples" / "virtues")
    for concept, event in prompted[["emotion", "event"]].itertuples(index=False):
        assert event in stimuli[concept]
    # With two concepts each is the opposite of the other.
    assert about(virtues)["cosines"]["generosity"]["greed"] == pytest.approx(-1, abs=1e-3)
    found = statistics(virtues)
    assert set(found["emotion_analysis"]) == {"generosity", "greed"}
    assert {(one["emotion"], len(one["checks"])) for one in found["induced"]} == {
        ("generosity", 3), ("greed", 3),
    }  # fmt: skip
    rises = found["induced"][0]["checks"]["named_emotion"]["rises"]
    assert set(rises) == {"generosity", "greed", "neutral"}
    assert "Generosity at intensity 0.2" in found["text_description"]
    page = (virtues.parent / layout.PAGE).read_text()
    assert "generosity" in page


@pytest.mark.slow
def test_the_directions_of_the_series_are_exported_for_other_tools(exported, project):
    assert {path.name for path in exported.iterdir()} == {
        "generosity.gguf", "generosity.safetensors", "greed.gguf", "greed.safetensors",
    }  # fmt: skip
    (file,) = (project / "results" / "directions").glob("my-model-*.safetensors")
    measured = load(file).vectors["greed"]
    for number, vector in load_file(exported / "greed.safetensors").items():
        assert torch.equal(vector, measured[int(number.removeprefix("direction."))])
    for layer, vector in read_vectors(exported / "greed.gguf").by_layer.items():
        assert np.array_equal(vector, measured[layer].numpy())
    wrong = [sys.executable, "scripts/export_directions.py", "config/demo.yaml", "my/vectors"]
    done = subprocess.run(wrong, cwd=project, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("ERROR: config/demo.yaml: not a readable directions file")


@pytest.fixture(scope="module")
def greed(project):
    """A control vector: of repeng, where it is installed, or of its form."""
    path = project / "my" / "greed.gguf"
    if PYTHON:
        command = [PYTHON, "-c", TRAINING, "greed", "generosity", str(path)]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    else:
        chance = np.random.default_rng(0)
        drawn = {n: chance.standard_normal(32).astype(np.float32) for n in (3, 2, 1)}
        write_vectors(Vectors(drawn, {"model_hint": "qwen2"}), path)
    return path


@pytest.mark.slow
def test_a_vector_of_repeng_steers_a_series(greed, inside):
    # Without figures and pages.
    run(f"{GIVEN.strip()} --until run_experiment", inside)
    folder = results("Given", inside)
    trials = pd.read_csv(folder / "exp_results.csv", keep_default_na=False)
    shown = trials.set_index(["scenario_id", "option_order", "arm", "emotion"])["p_offer_high"]
    neutral = trials[trials["arm"] == "neutral"]["p_offer_high"].tolist()
    for emotion in ("greed", "anger"):
        assert shown.xs(("steered", emotion), level=("arm", "emotion")).tolist() != neutral
    made = about(folder)
    given = made["given"]["greed"]
    assert given["file"] == "greed.gguf" and given["metadata"]["model_hint"] == "qwen2"
    assert set(made["split_half"]) == {"anger"}
    (file,) = {
        path
        for path in (inside / "results" / "directions").glob("*.safetensors")
        if "greed" in load(path).about["given"]
    }
    vectors = load(file).vectors["greed"]
    for layer, vector in read_vectors(greed).by_layer.items():
        assert vectors[layer].numpy().tobytes() == vector.tobytes()
    text = statistics(folder)["text_description"]
    assert "The vectors of greed were given, not measured on stimuli, so " in text
    # The same file continues the series, and another one begins a new one.
    assert find_series(config_of("config/given.yaml", inside), inside, True).how == "continued"
    vectors = {layer: np.ones(32, np.float32) for layer in (1, 2, 3)}
    write_vectors(Vectors(vectors, {}), greed)
    how = find_series(config_of("config/given.yaml", inside), inside, True).how
    assert "other settings: directions.greed" in how
