"""A tiny model, its directions, and a finished experiment with it."""

from dataclasses import replace

import pytest
import yaml

from emotion_games.engine.extraction import extract
from emotion_games.experiment.conditions import direction_settings
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.push_checks import check_pushes
from emotion_games.hashing import content_hash
from tiny import tiny_model
from tiny_experiment import ENTRY, FILES, ROOT, SETTINGS, finish, spec_of


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    loaded = tiny_model("qwen2")
    loaded.model.save_pretrained(path)
    loaded.tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    items = tmp_path_factory.mktemp("items") / "checks.yaml"
    shipped = yaml.safe_load((ROOT / "config" / "checks.yaml").read_text())
    short = {
        "contexts": ["You are at the bakery.", "You sort the post."],
        "dominance": shipped["dominance"][:1],
        "neutral_texts": ["The river runs past seven old mills to the sea."],
    }
    items.write_text(yaml.safe_dump(short))
    return FILES | {"checks": items}


@pytest.fixture(scope="session")
def directions_file(model, files, tmp_path_factory):
    path = tmp_path_factory.mktemp("directions") / "tiny.safetensors"
    settings = direction_settings(SETTINGS)
    extract(ENTRY, str(model), settings, files, path, {}, log=lambda _: None)
    return path


@pytest.fixture(scope="session")
def reference(model, files, directions_file, tmp_path_factory):
    """The folder with the results of an uninterrupted run.

    Its journal and the checks of the pushes are beside it.
    """
    folder = tmp_path_factory.mktemp("reference")
    hashes = {"game": content_hash(files["game"] / "game.yaml")}
    inputs = Inputs(
        spec=spec_of(SETTINGS, hashes),
        files=files,
        model_path=str(model),
        directions=directions_file,
        journal=folder / "x.trials.jsonl",
        runtime={"device": "cpu"},
        push_checks=folder / "push_checks.csv",
    )
    quiet = Control(log=lambda _: None)
    check_pushes(replace(inputs, journal=folder / "checks.jsonl"), inputs.push_checks, quiet)
    finish(inputs, folder / "out", quiet)
    return folder / "out"
