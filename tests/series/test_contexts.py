"""A dry run names the models whose context is certainly too short, and no other model."""

import json
import re
import socket
import subprocess
from pathlib import Path

import pytest

from emotion_games.engine.backend import ModelError
from emotion_games.experiment.context import check_context
from emotion_games.experiment.requests import load_questions
from emotion_games.games.scenarios import load_scenarios
from emotion_games.series import contexts
from emotion_games.series.config import check_config
from emotion_games.series.folder import PINNED, find_series
from emotion_games.series.models import plan_models
from emotion_games.series.preview import preview
from tiny import byte_tokenizer, tiny_model
from tiny_experiment import FILES, SETTINGS, spec_of
from tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]
GAMES = ("Prisoners_Dilemma", "Stag_Hunt")


def model_folder(folder, config, tokenizer=True):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer:
        byte_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def lines(*models, **settings):
        experiment = {"name": "Try", "games": list(GAMES), "models": list(models)} | settings
        config = check_config({"experiment": experiment}, ROOT)
        played = {
            name: (game, load_scenarios(config.scenario_files[name], game, {})[0])
            for name, game in config.games.items()
        }
        return contexts.short_contexts(config, played)

    return lines


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": 512},
        {"n_positions": 512},
        {"text_config": {"max_position_embeddings": 512}, "vision_config": {"n_positions": 77}},
    ],
)
def test_a_context_that_is_too_short_is_named_with_game_and_scenario(lines, tmp_path, config):
    short = model_folder(tmp_path / "short", config)
    long = model_folder(tmp_path / "long", {"max_position_embeddings": 8192})
    (line,) = lines(short, long, generation={"max_new_tokens": 256})
    assert line.startswith(f"model {short}: its context of 512 tokens is too short for 2 of 2")
    assert re.search(r": (pd|sh)_\w+ of \w+ needs at least 1,\d{3}, of", line)
    assert "of which an answer may be 256; choose a model with a longer context" in line


def test_the_line_stands_in_the_dry_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PINNED, raising=False)
    folder = model_folder(tmp_path / "model", {"n_positions": 64})
    config = check_config(
        {"experiment": {"name": "Try", "games": ["Wait_Go"], "models": [folder]}}, ROOT
    )
    shown = preview(find_series(config, ROOT, is_main=True)).splitlines()
    (line,) = [line for line in shown if line.startswith("model ")]
    assert "its context of 64 tokens is too short for 1 of 1 games: " in line


def least_tokens(lines, folder):
    (line,) = lines(folder, generation={"max_new_tokens": 256})
    return int(line.split("needs at least ")[1].split(", of")[0].replace(",", ""))


def with_length(folder, **config):
    (Path(folder) / "config.json").write_text(json.dumps(config))
    return folder


def test_a_context_that_may_be_long_enough_is_not_named(lines, tmp_path):
    folder = model_folder(tmp_path / "model", {"max_position_embeddings": 512})
    least = least_tokens(lines, folder)
    generation = {"max_new_tokens": 256}
    assert lines(with_length(folder, n_positions=least - 1), generation=generation)
    assert not lines(with_length(folder, n_positions=least), generation=generation)
    # Which of two lengths the architecture means is not known here.
    both = with_length(folder, n_positions=64, max_position_embeddings=4096)
    assert not lines(both, generation=generation)


def test_what_is_said_of_a_model_is_less_than_the_exact_count_of_its_jobs(lines, tmp_path):
    folder = model_folder(tmp_path / "model", {"n_positions": 64})
    model = tiny_model("llama")
    model.positions = 64
    settings = SETTINGS | {
        "num_scenarios": None,
        "arms": SETTINGS["arms"] | {"prompted": False},
        "checks": {"manipulation": False, "damage": False, "format": False},
        "generation": SETTINGS["generation"] | {"max_new_tokens": 256},
    }
    exact = []
    for game in GAMES:
        folder_of_game = ROOT / "config" / "games" / game
        files = FILES | {
            "game": folder_of_game,
            "scenarios": folder_of_game / "scenarios.yaml",
            "prompts": ROOT / "config" / "prompts.yaml",
        }
        with pytest.raises(ModelError) as caught:
            check_context(load_questions(spec_of(settings), files), model)
        exact.append(int(str(caught.value).split(" needs ")[1].split(", of")[0].replace(",", "")))
    assert 0.8 * max(exact) < least_tokens(lines, folder) < max(exact)


@pytest.mark.parametrize("damage", ["{", "[]", '{"max_position_embeddings": "many"}', "{}"])
def test_a_config_that_says_nothing_is_left_to_the_job(lines, tmp_path, damage):
    folder = model_folder(tmp_path / "model", {})
    (Path(folder) / "config.json").write_text(damage)
    assert lines(folder) == []


def test_a_damaged_or_missing_tokenizer_is_left_to_the_job(lines, tmp_path):
    folder = model_folder(tmp_path / "model", {"n_positions": 64}, tokenizer=False)
    assert lines(folder) == []
    (Path(folder) / "tokenizer.json").write_text("{}")
    assert lines(folder) == []


def test_a_model_of_the_hub_counts_if_it_is_in_the_cache(lines, tmp_path, monkeypatch):
    folder = model_folder(tmp_path / "model", {"n_positions": 64})
    asked = []

    def cached(repository, name, revision=None):
        asked.append((repository, revision))
        return f"{folder}/{name}" if repository == "org/M" else None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cached)
    (line,) = lines({"id": "org/M", "revision": "v1"}, "org/N")
    assert line.startswith("model org/M@v1: its context of 64 tokens")
    assert set(asked) == {("org/M", "v1"), ("org/N", None)}


def test_a_converted_model_counts_and_one_that_is_not_converted_yet_does_not(lines, tmp_path):
    file = write_gguf(tmp_path / "M.gguf")
    assert lines("smollm2", str(file)) == []
    for model in plan_models(["smollm2", str(file)], ROOT):
        folder = tmp_path / "results" / "models" / model.made_folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        model_folder(folder, {"n_positions": 64})
    found = lines("smollm2", str(file))
    assert [line.split(": its context")[0] for line in found] == [
        "model SmolLM2-135M-Instruct (Q4_1)",
        f"model {file} (Q8_0)",
    ]


def test_a_dry_run_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PINNED, raising=False)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process"))
    file = write_gguf(tmp_path / "M.gguf")
    models = ["org/M", {"id": "org/M", "gguf_file": "M.gguf"}, "smollm2", str(file)]
    config = check_config(
        {"experiment": {"name": "Try", "games": ["Wait_Go"], "models": models}}, ROOT
    )
    assert "1 game x 4 models" in preview(find_series(config, ROOT, is_main=True))


def test_no_tokenizer_is_read_for_a_long_context(lines, tmp_path, monkeypatch):
    folder = model_folder(tmp_path / "model", {"n_positions": 32_768})
    monkeypatch.setattr(contexts, "_least_tokens", lambda *_: pytest.fail("not needed"))
    assert lines(folder, "not/on-the-hub", "demo") == []
