"""A run continues the newest series with equal frozen settings, and never one with others."""

import copy
import os
import shutil
from pathlib import Path

import pytest

from emotion_games import files, layout
from emotion_games.errors import UserError
from emotion_games.series import state
from emotion_games.series.config import check_config
from emotion_games.series.folder import PINNED, find_series, open_series
from emotion_games.series.preview import preview
from emotion_games.series.state import read_series

ROOT = Path(__file__).parents[2]


def find(is_main=True, top=None, **experiment):
    config = {
        "experiment": {
            "name": "Try",
            "games": ["Prisoners_Dilemma"],
            "models": ["org/M"],
            "stimuli": "mine",
        }
    }
    config = copy.deepcopy(config) | (top or {})
    config["experiment"] |= experiment
    return find_series(check_config(config, ROOT), ROOT, is_main)


def opened(**experiment):
    series = find(**experiment)
    open_series(series, {})
    return series


def measure(series, exp_id="Prisoners_Dilemma_M"):
    """Write a journal with a trial."""
    layout.journal_path(series.folder, exp_id).write_text("{}\n")


def test_finding_writes_nothing(place):
    series = find()
    assert series.how == "new" and not (place / "results").exists()
    assert series.folder == Path("results/ExperimentSeries") / f"Try_{series.stamp}"


def test_equal_settings_are_continued(place):
    first = opened()
    grid = {"models": ["org/M", "org/N"], "games": ["Stag_Hunt", "Prisoners_Dilemma"]}
    again = find(**grid, runtime={"device": "cpu"})
    assert again.how == "continued" and again.folder == first.folder and again.stamp == first.stamp
    assert len(again.experiments) == 4


def test_the_day_of_a_series_stays_when_it_continues_on_another_day(place):
    first = opened()
    (name,) = first.experiments
    day = first.spec(first.experiments[name])["date"]
    assert day.replace("-", "") == first.stamp[:8]
    # A series that began long ago.
    record = files.read_json(layout.record_path(first.folder))
    files.write_json(layout.record_path(first.folder), record | {"stamp": "20240229_235959"})
    again = find()
    assert again.how == "continued"
    assert again.spec(again.experiments[name])["date"] == "2024-02-29"


def test_other_settings_begin_another_series_and_the_old_ones_continue_the_old_one(place):
    first = opened()
    second = opened(repeat=3)
    assert second.folder != first.folder
    difference = "has other settings: repeat 1 there, 3 here"
    assert second.how == f"new, since {first.folder.name} {difference}"
    assert find().folder == first.folder and find(repeat=3).folder == second.folder


def test_a_setting_that_is_newer_than_the_series_has_its_default_there(place):
    first = opened()
    path = layout.record_path(first.folder)
    content = read_series(first.folder)
    del content["settings"]["answer_form"], content["settings"]["arms"]["prompted"]
    files.write_json(path, content)
    assert find().folder == first.folder
    assert find(answer_form="decision").how.startswith("new")


def test_the_newest_of_several_equal_ones_is_continued(place):
    first = opened()
    series = find(top={"new": "true"})
    assert series.how == "new" and series.folder > first.folder
    open_series(series, {})
    assert find().folder == series.folder
    assert find(top={"series": first.folder.name}).folder == first.folder
    # Only the run itself begins a new series; its jobs have the same command line and follow it.
    assert find(is_main=False, top={"new": "true"}).folder == series.folder


def test_a_job_follows_its_run(place, monkeypatch):
    first = opened()
    monkeypatch.setenv(PINNED, str(first.folder))
    second = find(top={"new": "true"})
    open_series(second, {})
    assert find(is_main=False).folder == first.folder
    assert find().folder == second.folder


def test_changed_files_count_only_once_there_are_trials(place):
    first = opened()
    things = ("cup", "pen", "jug", "hoe", "saw", "axe", "rod", "bow")
    events = [f"Somebody broke your {thing}.\n" for thing in things]
    (place / "mine" / "anger.txt").write_text("".join(events))
    assert find().folder == first.folder
    open_series(find(), {})
    measure(first)
    assert find().folder == first.folder
    events[0] = "Somebody broke your plate.\n"
    (place / "mine" / "anger.txt").write_text("".join(events))
    difference = "has other settings: the stimuli files have changed"
    assert find().how == f"new, since {first.folder.name} {difference}"


@pytest.mark.parametrize("path_of", [layout.push_checks_path, layout.push_checks_journal])
def test_changed_files_count_once_pushes_were_checked_with_them(place, path_of):
    """Else a table of the old checks would stand beside the hash of the new ones."""
    first = opened()
    path = path_of(first.folder, "M")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with open(place / "mine" / "anger.txt", "a") as file:
        file.write("Somebody broke your plate.\n")
    difference = "has other settings: the stimuli files have changed"
    assert find().how == f"new, since {first.folder.name} {difference}"


def test_the_settings_of_a_game_count_only_for_its_own_trials(place):
    first = opened(games=["Ultimatum_Game"])
    measure(first, "Ultimatum_Game_Proposer_M")
    changed = {"Ultimatum_Game_Responder": {"endowment": 20}}
    assert find(games=["Ultimatum_Game"], game_settings=changed).folder == first.folder
    changed = {"Ultimatum_Game_Proposer": {"endowment": 20}}
    series = find(games=["Ultimatum_Game"], game_settings=changed)
    assert "game_settings.Ultimatum_Game_Proposer.endowment none there, 20 here" in series.how
    assert find(games=["Ultimatum_Game_Responder"], game_settings=changed).folder == first.folder


def test_another_revision_is_another_experiment_of_the_same_series(place):
    first = opened()
    series = find(models=[{"id": "org/M", "revision": "v2"}])
    assert series.folder == first.folder
    assert list(series.experiments) == ["Prisoners_Dilemma_org--M"]


def test_an_alias_that_was_another_model_begins_another_series(place):
    first = opened(models=[{"id": "org/M", "alias": "small"}])
    series = find(models=[{"id": "org/N", "alias": "small"}])
    assert (
        series.folder != first.folder and "the alias small belongs to another model" in series.how
    )
    with pytest.raises(UserError, match="the alias small belongs to another model"):
        find(models=[{"id": "org/N", "alias": "small"}], top={"series": first.folder.name})


def test_a_named_series_must_exist_and_have_the_same_settings(place):
    first = opened()
    assert find(top={"series": str(first.folder)}).folder == first.folder
    with pytest.raises(UserError, match="there is no series Try_1 in .*; found: Try_"):
        find(top={"series": "Try_1"})
    with pytest.raises(UserError, match="repeat 1 there, 4 here"):
        find(top={"series": first.folder.name}, repeat=4)
    for elsewhere in ("..", "../..", "/tmp", "results", "results/ExperimentSeries/x/.."):
        with pytest.raises(UserError):
            find(top={"series": elsewhere})


def test_a_smaller_grid_keeps_experiments_with_a_recorded_state(place):
    series = opened(models=["org/M", "org/N", "org/O"])
    state.record(series.folder, "Prisoners_Dilemma_N", status="failed")
    open_series(find(), {"Prisoners_Dilemma": 7})
    rows = read_series(series.folder)["experiments"]
    assert list(rows) == ["Prisoners_Dilemma_M", "Prisoners_Dilemma_N"]
    assert rows["Prisoners_Dilemma_M"]["total"] == 7
    # A name that was given once is not given to another model.
    assert list(find(models=["other/O"]).experiments) == ["Prisoners_Dilemma_other--O"]


def test_the_spec_of_an_experiment_has_contents_and_no_paths(place):
    series = find(models=["demo"])
    spec = series.spec(series.experiments["Prisoners_Dilemma_demo"])
    shared = {"stimuli", "prompts", "checks"}
    assert set(spec["hashes"]) == shared | {"game", "scenarios", "demo", "directions"}
    assert str(ROOT) not in str(spec) and "mine" not in str(spec)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: [],
        lambda record: {},
        lambda record: record | {"experiments": []},
        lambda record: record | {"stamp": "99999999_999999"},
        lambda record: record | {"stamp": 1},
        lambda record: record | {"models": {key: [] for key in record["models"]}},
        lambda record: record | {"models": {}},
        lambda record: {
            **record,
            "models": {key: row | {"slug": "../x"} for key, row in record["models"].items()},
        },
        lambda record: (
            record | {"experiments": {"../x": next(iter(record["experiments"].values()))}}
        ),
        lambda record: record | {"games": {}},
    ],
)
def test_a_damaged_record_of_a_series_is_refused_in_one_line(place, damage):
    first = opened()
    path = layout.record_path(first.folder)
    files.write_json(path, damage(read_series(first.folder)))
    for top in ({}, {"series": first.folder.name}):
        with pytest.raises(
            UserError, match=r"^results/.*/Try_\d+_\d+: .state/series.json is missing or"
        ):
            find(top=top)
    # A new series is not held up by an old one.
    assert find(top={"new": True}).how == "new"


@pytest.mark.parametrize(
    "text",
    ["[]", "3", "{", '{"status": []}', '{"status": "odd"}', '{"progress": 3}', '{"checks": "x"}'],
)
def test_a_damaged_state_of_an_experiment_counts_as_none(place, text):
    series = opened()
    layout.state_path(series.folder, "Prisoners_Dilemma_M").write_text(text)
    assert state.read_state(series.folder, "Prisoners_Dilemma_M") == {}
    assert "1 experiment, 0 done; " in preview(series)


def test_notes_beside_scenario_files_begin_no_new_series(place):
    stories = place / "stories"
    stories.mkdir()
    shutil.copy(ROOT / "config/games/Prisoners_Dilemma/scenarios.yaml", stories / "a.yaml")
    mine = {"scenarios": {"Prisoners_Dilemma": "stories"}}
    measure(opened(**mine))
    for name in ("README.txt", ".a.yaml.swp", "a.yaml~", "._a.yaml"):
        (stories / name).write_text("notes")
    assert find(**mine).how == "continued"
    (stories / "b.yaml").write_text("[]")
    assert "the scenarios files have changed" in find(**mine).how


def test_a_folder_of_scenarios_that_cannot_be_read_is_one_line(place):
    (place / "stories").mkdir()
    os.mkfifo(place / "stories" / "a.yaml")
    with pytest.raises(UserError, match="^stories/a.yaml: cannot be read: not a regular file$"):
        find(scenarios={"Prisoners_Dilemma": "stories"})
