"""A series that takes the setting of a sweep, and what is refused before it starts."""

import copy
from pathlib import Path

import pytest
import yaml

from emotion_games.errors import ProblemList, UserError
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.conditions import Position
from emotion_games.experiment.held_out import text_key
from emotion_games.games.catalog import load_game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.hashing import content_hash
from emotion_games.prompts.stimuli import stimulus_files, used_stimuli
from emotion_games.schemas import read_schema
from emotion_games.series.config import check_config
from emotion_games.series.folder import find_series, open_series
from emotion_games.series.frozen import check_weights
from emotion_games.series.preview import count_games, preview

ROOT = Path(__file__).parents[2]
GAME = "Stag_Hunt"
EMOTIONS = ["anger", "fear"]
PLAIN = {"name": "Try", "games": [GAME], "models": ["org/M"], "emotions": EMOTIONS}
TAKING = PLAIN | {"settings_from": "settings_M.yaml"}


def bank(game=GAME):
    return load_scenarios(
        ROOT / "config" / "games" / game / "scenarios.yaml",
        load_game(ROOT / "config" / "games" / game),
    )[0]


@pytest.fixture
def content(place):
    """The content of a file of a sweep of twelve stories."""
    stimuli = stimulus_files(place / "mine")
    return {
        "model": {"name": "org/M", "entry": {"id": "org/M"}, "weights_hash": "w"},
        "layers": [5, 6, 7],
        "position": "answer",
        "intensity": 0.15,
        "intensity_unit": "gap",
        "direction_method": "mean_difference",
        "choice": {"rule": "the best"},
        "sweep": {"series": "Sweep_20260102_030405", "table_sha256": "t", "plans": {"x": "p"}},
        "stories": {GAME: {s.scenario_id: text_key(s.description) for s in bank()[:12]}},
        "files": {
            "stimuli": {
                name: content_hash(stimuli[name]) for name in used_stimuli(place / "mine", EMOTIONS)
            },
            "check_items": content_hash(ROOT / "config" / "checks.yaml"),
        },
    }


@pytest.fixture
def take(content, place):
    """Check a config that takes the setting of the file."""

    def take(file=None, **changes):
        text = yaml.safe_dump(content if file is None else file)
        (place / "settings_M.yaml").write_text(text)
        experiment = TAKING | {"stimuli": "mine"} | changes
        return check_config({"experiment": copy.deepcopy(experiment)}, ROOT)

    return take


def problem(take, *arguments, **changes):
    with pytest.raises(ProblemList) as caught:
        take(*arguments, **changes)
    (line,) = caught.value.problems
    return line


def test_the_setting_of_the_file_is_that_of_the_series(take):
    settings = take().settings
    assert settings["layers"] == [5, 6, 7] and settings["position"] == "answer"
    assert settings["intensity"] == [0.15] and settings["headline_intensity"] == 0.15
    assert settings["intensity_unit"] == "gap"
    assert settings["direction_method"] == "mean_difference"
    source = settings["settings_from"]
    assert source["sweep"] == "Sweep_20260102_030405" and len(source["stories"][GAME]) == 12


def test_dry_run_plan_and_specification_say_where_the_setting_comes_from(take):
    config = take()
    series = find_series(config, ROOT, is_main=True)
    line = (
        "Settings from the sweep Sweep_20260102_030405: layers 5, 6, 7, position answer, intensity "
        "0.15; its 12 stories are left out."
    )
    assert line in preview(series)
    (experiment,) = series.experiments.values()
    settings = series.spec(experiment)["settings"]
    assert settings["settings_from"]["sweep"] == "Sweep_20260102_030405"
    plan = the_plan(settings, config.games[GAME])
    assert plan["settings_from"] == settings["settings_from"]


def test_the_stories_of_the_sweep_are_not_used(take, content):
    counted = count_games(take())[GAME]
    used = {story.scenario_id for story in counted.stories}
    assert counted.scenarios == 36 and not used & set(content["stories"][GAME])


def test_a_changed_file_begins_a_new_series_and_the_same_one_continues_it(take, content):
    series = find_series(take(), ROOT, is_main=True)
    open_series(series, {GAME: None})
    assert find_series(take(), ROOT, is_main=True).how == "continued"
    assert find_series(take(content | {"intensity": 0.2}), ROOT, True).how.startswith("new")


def test_other_weights_than_those_of_the_sweep_are_refused(take):
    series = find_series(take(), ROOT, is_main=True)
    open_series(series, {GAME: None})
    check_weights(series.folder, "Stag_Hunt_M", "w")
    with pytest.raises(UserError, match="not those that the sweep Sweep_20260102_030405 was"):
        check_weights(series.folder, "Stag_Hunt_M", "v")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", [3]),
        ("layer_sets", {"early": [1]}),
        ("position", "prompt"),
        ("intensity", [0.1]),
        ("headline_intensity", 0.15),
        ("intensity_unit", "gap"),
        ("direction_method", "contrast"),
    ],
)
def test_what_the_file_sets_cannot_be_set_in_the_config(take, key, value):
    line = problem(take, **{key: value})
    assert line == (
        f"experiment.{key}: with settings_from it comes from settings_M.yaml; remove one of them"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", [15, 15]),
        ("position", "answers"),
        ("intensity", 0),
        ("intensity", -0.1),
        ("intensity", 5000),
        ("intensity_unit", "hidden-norm"),
        ("direction_method", "pca"),
    ],
)
def test_a_value_that_no_config_may_have_is_refused(take, content, key, value):
    line = problem(take, content | {key: value})
    assert line.startswith(f"experiment.settings_from: settings_M.yaml: {key}: ")


def test_the_values_are_those_of_a_config():
    own = read_schema("chosen_settings")["properties"]
    config = read_schema("config")["properties"]["experiment"]["properties"]
    for key in ("intensity_unit", "direction_method"):
        assert own[key]["enum"] == config[key]["enum"]
    assert own["position"]["enum"] == config["position"]["items"]["enum"] == list(Position)
    assert own["layers"]["items"]["maximum"] == config["layers"]["items"]["maximum"]
    assert own["intensity"]["maximum"] == config["intensity"]["items"]["maximum"]


def test_another_choice_of_a_sweep_begins_a_series_with_a_short_reason(take, content, place):
    series = find_series(take(), ROOT, is_main=True)
    open_series(series, {})
    content["stories"][GAME].popitem()
    how = find_series(take(), ROOT, is_main=True).how
    assert "has other settings: settings_from Sweep_20260102_030405, sha256 " in how
    assert len(how) < 250


def test_a_sweep_takes_no_setting(take):
    assert "experiment.settings_from: a sweep chooses a setting" in problem(take, sweep=True)


def test_another_model_than_that_of_the_sweep_is_refused(take):
    line = problem(take, models=["org/M", {"id": "org/M", "dtype": "float16"}])
    assert line.startswith("experiment.models[1]: org/M (dtype=float16) is not the model of the")
    # What only affects running makes no other model.
    assert take(models=[{"id": "org/M", "alias": "mine"}])


def test_a_game_with_too_few_stories_left_is_refused(take, content):
    content["stories"][GAME] |= {s.scenario_id: text_key(s.description) for s in bank()[12:25]}
    line = problem(take)
    assert line.startswith(
        "experiment.settings_from: 23 of 48 stories of Stag_Hunt are left, the others chose the "
        "setting; needed: 24"
    )
    assert take(num_scenarios=12) and take(games=["Prisoners_Dilemma"])


def test_stimuli_and_check_items_must_be_those_of_the_sweep(take, place):
    (place / "checks.yaml").write_bytes((ROOT / "config" / "checks.yaml").read_bytes() + b"\n")
    assert "checks.yaml is not as it was in the sweep" in problem(take, check_items="checks.yaml")
    with open(place / "mine" / "fear.txt", "a") as file:
        file.write("One more line.\n")
    assert "fear.txt is not as it was in the sweep" in problem(take)


def test_halves_of_few_check_items_are_refused(take, place):
    items = yaml.safe_load((ROOT / "config" / "checks.yaml").read_text())
    items["neutral_texts"] = items["neutral_texts"][:3]
    (place / "checks.yaml").write_text(yaml.safe_dump(items))
    config = PLAIN | {"sweep": True, "check_items": "checks.yaml"}
    with pytest.raises(ProblemList) as caught:
        check_config({"experiment": config}, ROOT)
    assert caught.value.problems == [
        "experiment.check_items: checks.yaml has 3 neutral_texts, of which a sweep and its series "
        "have half each; write 4 or more"
    ]


def test_a_file_that_no_sweep_has_written_is_refused(take, content):
    del content["layers"]
    line = problem(take)
    assert line.startswith("experiment.settings_from: settings_M.yaml: layers: missing")
    with pytest.raises(ProblemList, match="experiment.settings_from: no such file: none.yaml"):
        check_config({"experiment": TAKING | {"settings_from": "none.yaml"}}, ROOT)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"checks": {"damage": False}}, "experiment.checks.damage: a sweep chooses by it"),
        ({"checks": {"manipulation": False}}, "experiment.checks.manipulation: a sweep chooses"),
        ({"intensity": [-0.1, 0.2]}, "experiment.intensity[0]: -0.1 with sweep: true"),
    ],
)
def test_a_sweep_that_could_choose_nothing_is_refused(changes, line, place):
    with pytest.raises(ProblemList) as caught:
        check_config({"experiment": PLAIN | {"sweep": True} | changes}, ROOT)
    assert [found.startswith(line) for found in caught.value.problems] == [True]


def test_a_sweep_uses_half_of_the_stories(place):
    config = check_config({"experiment": PLAIN | {"sweep": True}}, ROOT)
    assert count_games(config)[GAME].scenarios == 24
    assert "A sweep: it uses at most half of the stories" in preview(
        find_series(config, ROOT, is_main=True)
    )
