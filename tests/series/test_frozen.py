"""A job rejects files and weights that have changed since its series began."""

import shutil
from pathlib import Path

import pytest

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.files import write_json
from emotion_games.series.config import check_config
from emotion_games.series.folder import find_series, open_series
from emotion_games.series.frozen import check_files, check_weights, loaded_from

ROOT = Path(__file__).parents[2]


@pytest.fixture
def series(place):
    """A series with its own stimuli and scenarios."""
    game = ROOT / "config" / "games" / "Prisoners_Dilemma"
    shutil.copy(game / "scenarios.yaml", place / "stories.yaml")
    experiment = {
        "name": "Try",
        "games": ["Prisoners_Dilemma", "Stag_Hunt"],
        "models": ["org/M"],
        "stimuli": "mine",
    }
    experiment |= {"scenarios": {"Prisoners_Dilemma": "stories.yaml"}, "emotions": ["anger"]}
    found = find_series(check_config({"experiment": experiment}, ROOT), ROOT, is_main=True)
    open_series(found, {})
    return found


def test_a_file_that_changes_during_a_run_is_rejected(place, series):
    game, config = ROOT / "config" / "games" / "Prisoners_Dilemma", series.config
    scenarios = place / "stories.yaml"
    files = {"prompts": config.prompts, "checks": config.check_items, "stimuli": config.stimuli}
    files |= {"game": game, "scenarios": scenarios}
    check_files(series.folder, files, ["anger"], "Prisoners_Dilemma")
    (place / "mine" / "pride.txt").write_text("not a file of this series\n")
    check_files(series.folder, files, ["anger"], "Prisoners_Dilemma")
    for path, problem in (
        (scenarios, "stories.yaml: has changed"),
        (place / "mine" / "anger.txt", "mine: has changed"),
        # Anger is measured against the mean of all shipped emotions.
        (place / "mine" / "fear.txt", "mine: has changed"),
    ):
        before = path.read_text()
        path.write_text(before + "# a word\n")
        with pytest.raises(UserError, match=problem):
            check_files(series.folder, files, ["anger"], "Prisoners_Dilemma")
        path.write_text(before)


def test_a_series_never_mixes_two_sets_of_weights_of_one_model(series):
    check_weights(series.folder, "Stag_Hunt_M", "new")
    finished = series.output_dir("Prisoners_Dilemma_M")
    finished.mkdir(parents=True)
    for name in layout.RESULT_FILES:
        (finished / name).write_text("directions: {weights_hash: old}")
    check_weights(series.folder, "Stag_Hunt_M", "old")
    problem = "model org/M: its weights are not those that Prisoners_Dilemma_M was measured"
    with pytest.raises(UserError, match=problem):
        check_weights(series.folder, "Stag_Hunt_M", "new")


def test_a_model_is_loaded_as_it_was_fetched(tmp_path):
    entry, path = {"id": "org/M"}, layout.source_path(tmp_path, "M")
    frozen = {"entry": {"id": "org/M", "revision": "1" * 40}, "path": "org/M"}
    write_json(path, frozen)
    assert loaded_from(entry, str(path)) == (frozen["entry"], "org/M")
    assert loaded_from(entry, "models/mine") == (entry, "models/mine")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is damaged; delete it and run again"),
        ('{"entry": {"id": "org/M"}}', "is damaged; delete it and run again"),
        (
            '{"entry": {"id": "smollm2"}, "path": "no/folder"}',
            "no/folder: this converted model is gone; delete ",
        ),
    ],
)
def test_a_fetched_model_that_is_gone_is_one_line(tmp_path, content, said):
    path = layout.source_path(tmp_path, "M")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        loaded_from({"id": "smollm2"}, str(path))
