"""What docs/thinking.md shows works: the dry run, trials at three positions, and the refusal."""

import pandas as pd
import pytest
import torch

from emotion_games.engine.backend import ModelError
from emotion_games.engine.extraction import extract
from emotion_games.engine.thinking import frame_of
from emotion_games.experiment.conditions import direction_settings
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.run import run
from emotion_games.series.folder import find_series
from emotion_games.series.preview import preview
from test_docs import ROOT, add, blocks_of, config_of, copy_project
from thinking import thinking_model
from tiny import CHAT
from tiny_experiment import FILES

torch.set_num_threads(1)
BLOCKS = blocks_of(ROOT / "docs" / "thinking.md")
DRY_RUN, REFUSAL = (block.body for block in BLOCKS if block.mark == "message")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = copy_project(tmp_path_factory.mktemp("thinking"))
    for block in BLOCKS:
        add(block, copy)
    made = thinking_model()
    made.model.save_pretrained(copy / "models" / "my-model")
    made.tokenizer.save_pretrained(copy / "models" / "my-model")
    return copy


@pytest.fixture
def series(project, monkeypatch):
    monkeypatch.chdir(project)
    return find_series(config_of("config/thinking.yaml", project), project, is_main=True)


def test_the_dry_run_counts_the_thoughts(series):
    assert DRY_RUN in preview(series)


@pytest.mark.slow
def test_trials_think_at_each_position(series, tmp_path):
    # Short stories and few stimuli, because the tiny model reads byte by byte.
    by_position, files = {}, FILES | {"checks": series.config.check_items}
    vectors = tmp_path / "directions.safetensors"
    quiet = Control(log=lambda _: None, announce=lambda _: None)
    for experiment in series.experiments.values():
        spec = series.spec(experiment)
        path = spec["model"]["id"]
        if not vectors.exists():
            settings = direction_settings(spec["settings"])
            extract(spec["model"], path, settings, files, vectors, {}, log=lambda _: None)
        journal = tmp_path / f"{experiment.exp_id}.jsonl"
        inputs = Inputs(spec, files, path, vectors, journal, {"device": "cpu"})
        by_position[spec["settings"]["position"]] = run(inputs, quiet).trials
    assert list(by_position) == ["all", "thoughts", "answer"]
    for table in by_position.values():
        assert len(table) == 16 and set(table["thoughts_end"]) <= {"closed", "budget", "end token"}
    where = ["scenario_id", "option_order"]
    neutral, steered = (
        {position: rows_of(table, arm, where) for position, table in by_position.items()}
        for arm in ("neutral", "steered")
    )
    pd.testing.assert_frame_equal(neutral["all"], neutral["answer"])
    moved = {p: (steered[p]["thoughts"] != neutral[p]["thoughts"]).any() for p in steered}
    assert moved == {"all": True, "thoughts": True, "answer": False}
    column = "choice_probabilities"
    assert (steered["answer"][column] != neutral["answer"][column]).any()


def rows_of(table, arm, where):
    columns = ["thoughts", "output", "choice_probabilities"]
    return table[table["arm"] == arm].set_index(where).sort_index()[columns]


def test_a_model_without_thoughts_is_refused_as_shown():
    made = thinking_model(template=CHAT)
    made.name = "models/my-model"
    with pytest.raises(ModelError) as caught:
        frame_of(made)
    assert str(caught.value) == REFUSAL.strip()
