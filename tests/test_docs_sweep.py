"""The example of docs/sweep.md runs: a sweep, its choice, and the series that takes it."""

import csv
import json

import pytest
import yaml

from emotion_games import layout
from emotion_games.analysis.sweep import Setting
from emotion_games.experiment.requests import load_questions
from emotion_games.series.folder import find_series
from emotion_games.series.sweep import choose_setting, summary, write_sweep
from test_docs import ROOT, add, blocks_of, config_of, copy_project, run
from tiny import tiny_model

TEXT = ROOT / "docs" / "sweep.md"
BLOCKS = blocks_of(TEXT)
SWEEP, SHIPPED, TAKE = (block.body for block in BLOCKS if block.language == "bash")
GAME = "Prisoners_Dilemma"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the examples added, and a tiny model."""
    copy = copy_project(tmp_path_factory.mktemp("sweep"))
    for block in BLOCKS:
        add(block, copy)
    made = tiny_model("qwen2")
    for part in (made.model, made.tokenizer):
        part.save_pretrained(copy / "models" / "my-model")
    return copy


def test_the_text_describes_every_column_of_the_table():
    text = TEXT.read_text()
    for column in {*Setting.__annotations__} - {
        "model", "layer_set", "layers", "position", "intensity",
    }:  # fmt: skip
        assert f"`{column}`" in text


def test_the_shipped_sweep_and_the_example_compare_several_settings(project, monkeypatch):
    monkeypatch.chdir(project)
    assert "--configfile config/sweep.yaml" in SHIPPED
    for path, settings in (("config/sweep.yaml", 8), ("config/my_sweep.yaml", 4)):
        config = config_of(path, project)
        series = find_series(config, project, is_main=True)
        assert len(series.experiments) * len(config.settings["intensity"]) == settings


def clear(series):
    """Clear the smaller dose of damage, as if the tiny model could read the neutral texts."""
    for file in series.glob(f"*/{layout.STATISTICS}"):
        found = json.loads(file.read_text())
        for record in found["damage"]:
            record["complete"] = record["intensity"] == 0.1
        file.write_text(json.dumps(found))


@pytest.mark.slow
def test_a_sweep_chooses_a_setting_and_a_series_takes_it(project, monkeypatch):
    monkeypatch.chdir(project)
    # One of the layer sets: the jobs of the others would do the same.
    config = project / "config" / "my_sweep.yaml"
    config.write_text(config.read_text().replace("early: [0, 1], ", ""))
    with pytest.raises(AssertionError) as failed:
        run(f"{SWEEP.strip()} --until choose_setting", project)
    # A random model reads no text, so that nothing can be cleared.
    line = "models/my-model: none of 2 settings fits: 0 damage the model, 2 could not be cleared"
    assert line in str(failed.value) and "Traceback" not in str(failed.value)
    (series,) = (project / "results" / "ExperimentSeries").glob("My_Sweep_*")
    assert not layout.chosen_path(series, "my-model").exists()
    assert layout.sweep_path(series, "my-model").with_suffix(".png").exists()
    assert "doses compared: my-model" in (series / layout.PAGE).read_text()
    clear(series)
    write_sweep(series, "my-model")
    found = config_of("config/my_sweep.yaml", project)
    path = choose_setting(
        series, "my-model", {"stimuli": found.stimuli, "checks": found.check_items}
    )
    chosen = yaml.safe_load(path.read_text())
    assert chosen["layers"] == [2, 3] and chosen["intensity"] == 0.1
    assert "chosen were layers 2, 3, position all, intensity 0.1" in summary(path)
    with open(layout.sweep_path(series, "my-model"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["chosen"] for row in rows] == ["True", "False"]
    assert [row["damage"] for row in rows] == ["cleared", "unclear"]
    (folder,) = series.glob(f"{GAME}_*")
    about = yaml.safe_load((folder / layout.CONFIGURATION).read_text())
    assert about["scenarios"]["used"] == list(chosen["stories"][GAME])
    run(TAKE.splitlines()[0], project)
    following = find_series(config_of("config/my_series.yaml", project), project, is_main=True)
    (experiment,) = following.experiments.values()
    files = {
        "game": project / "config" / "games" / GAME,
        "scenarios": following.config.scenario_files[GAME],
        "stimuli": following.config.stimuli,
        "prompts": following.config.prompts,
    }
    tested = load_questions(following.spec(experiment), files).scenarios
    assert len(tested) == 48 and not set(tested) & set(chosen["stories"][GAME])
