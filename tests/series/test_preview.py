"""The table of a dry run: trials of each game, and what is done of each model."""

import json
import re
from pathlib import Path

import pytest

from emotion_games import layout
from emotion_games.experiment.requests import load_questions
from emotion_games.series import state
from emotion_games.series.config import check_config
from emotion_games.series.folder import find_series, open_series
from emotion_games.series.preview import count_games, preview

ROOT = Path(__file__).parents[2]
GAMES = ["Prisoners_Dilemma", "Ultimatum_Game_Responder"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = [{"id": "org/M", "alias": "first"}, *(f"org/N{n}" for n in range(20))]
    return check_config(
        {"experiment": {"name": "Try", "games": GAMES, "models": models, "repeat": 2}}, ROOT
    )


def test_the_number_of_trials_is_that_of_the_plan(config):
    series = find_series(config, ROOT, is_main=True)
    counts = count_games(config)
    for exp_id, experiment in list(series.experiments.items())[:2]:
        files = {
            "game": ROOT / "config" / "games" / experiment.game,
            "scenarios": config.scenario_files[experiment.game],
            "stimuli": config.stimuli,
            "prompts": config.prompts,
        }
        trials = load_questions(series.spec(experiment), files).trials
        assert counts[experiment.game].total == len(trials), exp_id
        assert counts[experiment.game].generated == sum(
            trial.condition.generated for trial in trials
        )


def test_the_table_shows_what_is_done(config):
    series = find_series(config, ROOT, is_main=True)
    open_series(series, {})
    results = series.output_dir("Prisoners_Dilemma_first")
    results.mkdir()
    for name in layout.RESULT_FILES:
        (results / name).touch()
    state.record(
        series.folder,
        "Ultimatum_Game_Responder_first",
        status="pending",
        progress={"done": 30, "total": 40},
    )
    state.record(series.folder, "Prisoners_Dilemma_N0", status="failed", error="no such model")
    lines = preview(find_series(config, ROOT, is_main=True)).splitlines()
    assert lines[0] == f"Series (continued): {series.folder}"
    assert lines[1].startswith("2 games x 21 models = 42 experiments, 1 done; ")
    cells = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert cells["first"] == ["done", "75%"] and cells["N0"] == ["failed", "-"]
    assert "  and 7 more models of which nothing is done yet" in lines


def test_a_file_without_a_usable_scenario_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text("[]")
    experiment = {
        "name": "Try",
        "games": GAMES,
        "models": ["m"],
        "scenarios": {GAMES[0]: "mine.json"},
    }
    shown = preview(find_series(check_config({"experiment": experiment}, ROOT), ROOT, is_main=True))
    assert "no scenario of its file can be used" in shown


def test_the_smallest_effect_is_in_the_table(config):
    series = find_series(config, ROOT, is_main=True)
    shown = preview(series)
    assert re.search(
        r"smallest effect \d+ points, \d+ after Holm \(against random directions \d+, \d+\)", shown
    )


def test_too_few_scenarios_detect_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = {"name": "Try", "games": GAMES[:1], "models": ["m"], "num_scenarios": 4}
    shown = preview(find_series(check_config({"experiment": experiment}, ROOT), ROOT, is_main=True))
    assert "smallest effect none with 4 scenarios (12 are needed)" in shown


def test_entries_that_cannot_be_used_are_counted_and_the_first_ones_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    story = {
        "description": "Two neighbours share a well.",
        "participants": [{"name": "you"}, {"name": "Ada"}],
        "behavior_choices": {"cooperate": "Draw half", "defect": "Draw all"},
    }
    entries = [story, *({"description": f"No people in story {n}."} for n in range(5))]
    (tmp_path / "mine.json").write_text(json.dumps(entries))
    experiment = {
        "name": "Try",
        "games": GAMES,
        "models": ["m"],
        "scenarios": {GAMES[0]: "mine.json"},
    }
    lines = preview(
        find_series(check_config({"experiment": experiment}, ROOT), ROOT, is_main=True)
    ).splitlines()
    place = next(number for number, line in enumerate(lines) if GAMES[0] in line)
    assert "trials a model" in lines[place]
    assert lines[place + 1].strip() == "5 of 6 entries of its scenarios cannot be used:"
    assert [line.split(":")[0].strip() for line in lines[place + 2 : place + 5]] == [
        f"mine.json[{index}]" for index in (1, 2, 3)
    ]
    assert lines[place + 5].strip() == "and 2 more" and GAMES[1] in lines[place + 6]
    assert "cannot be used" not in lines[place + 7]
