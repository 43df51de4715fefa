"""The table of a dry run: trials of each game, and what is done of each model."""

import dataclasses
import json
import socket
from pathlib import Path

import pytest
import yaml

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.experiment import power
from emotion_games.experiment.planned_power import Known, power_figures
from emotion_games.experiment.requests import load_questions
from emotion_games.series import state
from emotion_games.series.config import check_config
from emotion_games.series.folder import find_series, open_series
from emotion_games.series.preview import (
    count_games,
    hub_id_lines,
    preview,
    skipped_lines,
    skipped_record,
)

ROOT = Path(__file__).parents[2]
GAMES = ["Prisoners_Dilemma", "Ultimatum_Game_Responder"]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Powers of few simulations; what they are is tested with the module."""
    monkeypatch.setattr(power, "SERIES", 200)
    for cached in (power._draws, power._variances, power._of_others, power_figures):
        cached.cache_clear()
    yield
    for cached in (power._draws, power._variances, power._of_others, power_figures):
        cached.cache_clear()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = [{"id": "org/M", "alias": "first"}, *(f"org/N{n}" for n in range(20))]
    return check_config(
        {"experiment": {"name": "Try", "games": GAMES, "models": models, "repeat": 2}}, ROOT
    )


def test_the_number_of_trials_is_that_of_the_plan(config):
    config = dataclasses.replace(config, settings=config.settings | {"num_scenarios": 3})
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


def test_the_grid_of_the_paper_is_shown_with_its_cost_and_without_a_network(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a dry run must not connect")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    paper = yaml.safe_load((ROOT / "config" / "paper_2604_06562.yaml").read_text())
    shown = preview(find_series(check_config(paper, ROOT), ROOT, is_main=True))
    assert "9 games x 13 models = 117 experiments, 0 done; 5,420,688 trials" in shown
    # Stories x option orders x (neutral, 3 doses of 6 emotions, 2 halves, null directions, events).
    arms = 1 + 3 * 6 + 2 * 6 + 200 + 6 + 1
    assert f"Beauty_Contest {48 * 4 * arms:,} trials a model, 48 stories" in " ".join(shown.split())
    assert f"Sealed_Auction {48 * 6 * arms:,} trials a model, 48 stories" in " ".join(shown.split())


def test_more_trials_than_memory_holds_are_refused_before_they_are_planned(config):
    settings = config.settings | {"repeat": 10_000, "num_scenarios": None}
    arms = settings["arms"] | {"random": {"matched": 10_000, "isotropic": 0}}
    large = dataclasses.replace(config, settings=settings | {"arms": arms})
    with pytest.raises(UserError, match=r"^Prisoners_Dilemma: [\d,]+ trials a model; allowed: "):
        count_games(large)


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


def test_the_forecast_is_of_the_trials_that_are_left(config, monkeypatch):
    series, counts, forecasts = find_series(config, ROOT, is_main=True), count_games(config), []
    open_series(series, {})
    progress = {"done": 30, "total": 40}
    state.record(series.folder, "Prisoners_Dilemma_first", status="pending", progress=progress)
    monkeypatch.setattr(
        "emotion_games.series.preview.forecast", lambda *given: forecasts.append(given[2]) or []
    )
    preview(series)
    begun, untouched = (counts[game] for game in GAMES)
    assert forecasts[0]["org/M"] == [
        (round(begun.total / 4), round(begun.generated / 4)),
        (untouched.total, untouched.generated),
    ]


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


def power_of(config):
    """The lines of the table between the games and the models."""
    lines = preview(find_series(config, ROOT, is_main=True)).splitlines()
    first, last, *_ = (i for i, line in enumerate(lines) if not line and i > 3)
    return [line.strip() for line in lines[first + 1 : last]]


def one_game(tmp_path, monkeypatch, **settings):
    monkeypatch.chdir(tmp_path)
    return check_config(
        {"experiment": {"name": "Try", "games": GAMES[:1], "models": ["m"], **settings}}, ROOT
    )


def test_thoughts_are_counted(tmp_path, monkeypatch):
    config = one_game(tmp_path, monkeypatch, num_scenarios=4, thinking=True, thinking_budget=100)
    lines = preview(find_series(config, ROOT, is_main=True)).splitlines()
    trials = count_games(config)[GAMES[0]].total
    assert lines[2] == (
        f"each trial begins with up to 100 tokens of thoughts, {100 * trials:,} in all"
    )


def test_experiments_of_the_same_power_share_its_lines(config):
    head, claimed, lever, moved, source = power_of(config)
    assert head == (
        "Prisoners_Dilemma_first and 41 more (48 stories, 200 null directions, about 156 "
        "undamaged, 6 emotions):"
    )
    assert claimed.startswith("power to claim 5 / 10 / 20 points: 0.")
    assert lever.startswith("to claim 5 points: ") and moved.startswith(
        "power to find choices moved"
    )
    assert source.endswith("(source: SmolLM2-135M-Instruct in Prisoners_Dilemma and Stag_Hunt)")


def test_what_earlier_results_found_is_shown_for_the_model_and_the_game(config, monkeypatch):
    found = Known(power.Variation(0.2, 0.2, 0.0, 0.05), 0.3, "an earlier folder")
    monkeypatch.setattr(
        "emotion_games.series.preview.known_effects",
        lambda results, exp_id, model_name, plan: found if exp_id.endswith("Dilemma_N3") else None,
    )
    lines = power_of(config)
    assert lines[0].startswith("Prisoners_Dilemma_first and 40 more (")
    assert lines[5] == (
        "Prisoners_Dilemma_N3 (48 stories, 200 null directions, about 140 undamaged, 6 emotions):"
    )
    assert lines[9] == (
        "assumed: sds of 20 points between stories and 5 points between null directions, "
        "30 % of null directions damaged (source: an earlier folder)"
    )


def test_many_powers_are_cut_off(config, monkeypatch):
    monkeypatch.setattr(
        "emotion_games.series.preview.known_effects",
        lambda results, exp_id, *_: Known(power.Variation(0.2, 0.2, 0.0, 0.05), 0.1, exp_id),
    )
    assert power_of(config)[-1] == (
        "and 39 more experiments, of other sizes or with other variation"
    )


def test_claims_that_cannot_be_tested_are_named(tmp_path, monkeypatch):
    arms = {"random": {"matched": 150}}
    config = one_game(tmp_path, monkeypatch, arms=arms)
    _, reason, moved, _ = power_of(config)
    needed = "117 undamaged null directions, 119 are needed for 6 emotions"
    assert reason == f"claims are not testable: {needed}"
    assert moved.startswith("power to find choices moved by 5 / 10 / 20 points: 0.")


def test_too_few_stories_test_nothing(tmp_path, monkeypatch):
    config = one_game(tmp_path, monkeypatch, num_scenarios=4)
    head, reason, moved, _ = power_of(config)
    assert (
        head
        == "Prisoners_Dilemma_m (4 stories, 200 null directions, about 156 undamaged, 6 emotions):"
    )
    assert reason == "claims are not testable: 4 stories, 24 are needed"
    assert moved == "no effect is tested with fewer than 12 stories"


STORY = {
    "description": "Two neighbours share a well.",
    "participants": [{"name": "you"}, {"name": "Ada"}],
    "behavior_choices": {"cooperate": "Draw half", "defect": "Draw all"},
}


@pytest.fixture
def skipping(tmp_path, monkeypatch):
    """A config with files that have an entry to use, faults, labels of others and other games."""
    monkeypatch.chdir(tmp_path)
    labels = {"yes": "Draw half", "grab": "Draw all"}
    entries = [
        STORY,
        *({"description": f"No people in story {n}."} for n in range(5)),
        *(STORY | {"description": f"Well {n}.", "behavior_choices": labels} for n in range(7)),
        *(STORY | {"description": f"Hunt {n}.", "game_name": "Stag Hunt"} for n in range(3)),
    ]
    (tmp_path / "mine.json").write_text(json.dumps(entries))
    (tmp_path / "none.json").write_text(json.dumps([STORY]))
    scenarios = {GAMES[0]: "mine.json", GAMES[1]: "none.json"}
    experiment = {"name": "Try", "games": GAMES, "models": ["m"], "scenarios": scenarios}
    return check_config({"experiment": experiment}, ROOT)


MISSING = "expected two people or more, each with a name"
REASONS = [
    "12 of 16 entries cannot be used:",
    "  7 entries, first mine.json[6]: unknown labels of choices (`choice_labels` can say what they "
    "stand for)",
    f"  5 entries, first mine.json[1]: participants: missing; {MISSING}",
    "  5 entries, first mine.json[1]: behavior_choices: missing; expected {label: text} with "
    "cooperate, defect",
    "3 entries of other games: 3 of Stag Hunt",
]
ADVICE = [
    "To use the entries with unknown labels, complete these lines and add them to the config:",
    "experiment:",
    "  choice_labels:",
    "    Prisoners_Dilemma:  # cooperate, defect",
    '      "yes": ...  # 7 entries',
    "      grab: ...  # 7 entries",
    "    Ultimatum_Game:  # accept, reject, offer_low, offer_medium, offer_high",
    "      cooperate: ...  # 1 entry",
    "      defect: ...  # 1 entry",
]


def test_a_dry_run_shows_what_is_skipped_and_what_to_do(skipping):
    lines = preview(find_series(skipping, ROOT, is_main=True)).splitlines()
    first = next(number for number, line in enumerate(lines) if GAMES[0] in line)
    assert "trials a model" in lines[first]
    assert [line.removeprefix("      ") for line in lines[first + 1 : first + 6]] == REASONS
    assert lines[first + 6].endswith("no scenario of its file can be used: this game will fail")
    assert lines[lines.index(ADVICE[0]) :] == ADVICE


def test_a_run_shows_the_same(skipping):
    lines = skipped_lines(count_games(skipping))
    assert lines[:7] == [
        f"{GAMES[0]}:",
        *(f"  {line}" for line in REASONS),
        f"{GAMES[1]}:",
    ]
    assert lines[7] == "  no scenario of its file can be used: this game will fail"
    assert lines[-len(ADVICE) - 1 :] == [*ADVICE, ""]


def test_nothing_is_said_where_nothing_is_skipped(config):
    counts = count_games(config)
    assert skipped_lines(counts) == []
    assert skipped_record(counts) == {"games": {}, "advice": []}


def test_payoffs_that_a_story_contradicts_leave_it_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    story = {
        "description": "Ann and Bob get 100 euros.",
        "participants": [{"name": "Ann", "role": "proposer"}, {"name": "Bob"}],
        "behavior_choices": {
            "offer_low": "Offer 20%",
            "offer_medium": "Offer 40%",
            "offer_high": "Offer 50%",
        },
    }
    (tmp_path / "mine.json").write_text(json.dumps([story]))
    game = "Ultimatum_Game_Proposer"
    for show_payoffs, total in ((False, 1), (True, 0)):
        experiment = {
            "name": "Try",
            "games": [game],
            "models": ["m"],
            "scenarios": {game: "mine.json"},
            "show_payoffs": show_payoffs,
        }
        assert count_games(check_config({"experiment": experiment}, ROOT))[game].readable == total


def test_a_hub_id_that_may_be_a_mistyped_folder_is_named(config, tmp_path):
    assert list(hub_id_lines(config.models)) == []
    (tmp_path / "org").mkdir()
    (line, *others) = hub_id_lines(config.models)
    assert line == "org/M: there is no such folder here, so it is taken for a hub id"
    assert len(others) == 20
