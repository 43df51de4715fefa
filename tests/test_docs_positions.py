"""What docs/positions.md shows works: the grid of places, and what the files of a place say."""

import re

import pandas as pd
import pytest
import torch
import yaml

from emotion_games.engine.extraction import extract
from emotion_games.experiment.conditions import direction_settings
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.series.folder import find_series
from test_docs import ROOT, add, blocks_of, config_of, copy_project, run
from tiny import tiny_model
from tiny_experiment import FILES, finish

TEXT = ROOT / "docs" / "positions.md"
BLOCKS = blocks_of(TEXT)
OUTPUTS = re.findall(r"<!-- output -->\n```\n(.*?)```", TEXT.read_text(), re.DOTALL)

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the example, and a tiny model."""
    copy = copy_project(tmp_path_factory.mktemp("positions"))
    for block in BLOCKS:
        add(block, copy)
    made = tiny_model("qwen2")
    made.model.save_pretrained(copy / "models" / "my-model")
    made.tokenizer.save_pretrained(copy / "models" / "my-model")
    return copy


def test_the_dry_run_shows_every_place(project):
    (command,) = (block.body for block in BLOCKS if block.language == "bash")
    printed = run(command, project)
    assert len(OUTPUTS) == 2
    for output in OUTPUTS:
        assert output in printed


def test_each_place_has_results_of_its_own(project, monkeypatch):
    monkeypatch.chdir(project)
    config = config_of("config/where.yaml", project)
    series = find_series(config, project, True)
    assert len({series.directions(e) for e in series.experiments.values()}) == 2, "by layer set"
    # The shorter texts of the demo, which are read sooner.
    files = FILES | {"checks": config.check_items}
    quiet, steered, neutral = Control(log=lambda _: None, announce=lambda _: None), [], []
    for name in ("early_prompt", "early_answer"):
        exp_id = f"Prisoners_Dilemma_my-model_{name}"
        spec = series.spec(series.experiments[exp_id])
        vectors = project / f"{spec['hashes']['directions']}.safetensors"
        if not vectors.exists():
            settings = direction_settings(spec["settings"])
            extract(spec["model"], "models/my-model", settings, files, vectors, {}, log=print)
        journal, out = project / f"{exp_id}.jsonl", project / exp_id
        inputs = Inputs(spec, files, "models/my-model", vectors, journal, {"device": "cpu"})
        finish(inputs, out, quiet)
        found = yaml.safe_load((out / "exp_config.yaml").read_text())
        layer_set, position = name.split("_")
        own = {"layer_set": layer_set, "layers": [0, 1], "position": position}
        assert own.items() <= found["settings"].items()
        assert found["directions"]["layers"] == [0, 1]
        assert found["plan"]["plan"]["position"] == position
        trials = pd.read_csv(out / "exp_results.csv", keep_default_na=False)
        assert set(trials["model_name"]) == {f"models/my-model · {layer_set} · {position}"}
        by_arm = trials.groupby("arm")["p_cooperate"].apply(list)
        steered.append(by_arm["steered"])
        neutral.append(by_arm["neutral"])
    assert steered[0] != steered[1] and neutral[0] == neutral[1]
