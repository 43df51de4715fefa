"""The whole instrument on a real language model: SmolLM2-135M-Instruct on a CPU."""

import csv
import datetime
import json
import os
import random
import shutil
import signal
from collections import defaultdict
from pathlib import Path

import pytest
import torch
import yaml

from emotion_games import layout
from emotion_games.engine import extraction
from emotion_games.engine.batches import Instrument, measure
from emotion_games.engine.directions import load
from emotion_games.engine.models import load_model
from emotion_games.engine.self_check import check_steering
from emotion_games.experiment.check_records import SEPARATOR, Check
from emotion_games.experiment.conditions import direction_settings, plan_conditions
from emotion_games.experiment.push_check_requests import Material, push_check_requests
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import load_questions, trial_requests
from emotion_games.prompts.check_items import CheckItems, load_check_items
from emotion_games.prompts.stimuli import split_stimuli, stimulus_files
from emotion_games.prompts.templates import load_templates
from smollm2 import smollm2_folder, use_smollm2
from tiny_experiment import SETTINGS, spec_of
from tiny_series import TinySeries

pytestmark = pytest.mark.slow
torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
ENTRY = {"id": "smollm2"}
EMOTIONS = ["anger", "happiness", "sadness", "fear", "disgust", "surprise"]
# Stimuli of each emotion. With all of them the directions would take two minutes.
STIMULI = 40
TOKENS = 16
REAL = SETTINGS | {
    "emotions": EMOTIONS,
    "intensity": [0.2],
    "headline_intensity": 0.2,
    "repeat": 1,
    "generation": {"temperature": 0.7, "top_p": 0.95, "max_new_tokens": TOKENS},
    "arms": {"random": {"matched": 1, "isotropic": 0}, "shuffled": False, "prompted": False},
}


@pytest.fixture(scope="module")
def folder(request):
    return smollm2_folder(request.config)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    stimuli = tmp_path_factory.mktemp("stimuli")
    for emotion, path in stimulus_files(ROOT / "config" / "emotions").items():
        lines = path.read_text().splitlines()[:STIMULI]
        (stimuli / f"{emotion}.txt").write_text("\n".join(lines))
    game = ROOT / "config" / "games" / "Prisoners_Dilemma"
    return {
        "game": game,
        "scenarios": game / "scenarios.yaml",
        "stimuli": stimuli,
        "prompts": ROOT / "config" / "prompts.yaml",
        "checks": ROOT / "config" / "checks.yaml",
    }


@pytest.fixture(scope="module")
def directions(folder, files, tmp_path_factory):
    path = tmp_path_factory.mktemp("directions") / "smollm2.safetensors"
    extraction.extract(ENTRY, str(folder), direction_settings(REAL), files, path, {}, log=print)
    return load(path)


def instrument(folder, directions, dtype):
    pushes = condition_pushes(directions, plan_conditions(REAL), "hidden_norm")
    model = load_model(ENTRY | {"dtype": dtype}, str(folder), {"device": "cpu"})
    return Instrument(model, directions.layers, pushes, temperature=0.7, top_p=0.95)


@pytest.fixture(scope="module")
def real(folder, directions):
    return instrument(folder, directions, "float32")


def requests(real, files):
    """The requests of a few trials in two scenarios."""
    questions = load_questions(spec_of(REAL), files)
    found = trial_requests(questions, real.model)
    wanted = (None, "steered-anger-0.2", "random-0-0.2")
    return [request for request in found if request.push in wanted]


# Both orders of a story, which share what they begin with. On a CPU, bfloat16 is too slow for them.
@pytest.mark.parametrize(("dtype", "number"), [("float32", 4), ("bfloat16", 2)])
def test_the_self_check_passes(folder, directions, files, dtype, number):
    measured_with = instrument(folder, directions, dtype)
    asked = [r for r in requests(measured_with, files) if r.push != "random-0-0.2"][:number]
    assert len({request.prompt for request in asked}) == number // 2
    said = []
    checked = check_steering(measured_with, asked, said.append)
    assert checked.share and said == []


def test_every_guided_answer_has_a_choice(real, files):
    # Null directions are only scored.
    asked = [request for request in requests(real, files) if request.uniforms]
    assert {request.push for request in asked} == {None, "steered-anger-0.2"}
    for request, found in zip(asked, measure(real, asked), strict=True):
        assert len(found.answers) == 1 and found.ends[0] in ("quote", "end token", "budget")
        answer = json.loads(found.answers[0] + next(iter(request.options.values())) + '"}')
        assert list(answer) == ["rationale", "decision"]
        assert abs(sum(found.after[0].probabilities.values()) - 1) < 1e-4


def test_the_six_directions_are_distinct(directions):
    about, last = directions.about, directions.layers[-1]
    assert directions.layers == list(range(18, 28))
    # Ten held-out stimuli an emotion; one in six would be right by chance.
    assert about["accuracy"][last] > 0.6
    # Directions that are nearly one direction have cosines near 1.
    others = [about["cosines"][a][b] for a in EMOTIONS for b in EMOTIONS if a != b]
    assert max(others) < 0.5
    assert min(about["split_half"][emotion][last] for emotion in EMOTIONS) > 0.2


def test_each_push_raises_the_name_of_its_own_emotion(real, files):
    contexts = load_check_items(files["checks"]).contexts[:6]
    material = Material(
        settings=REAL | {"checks": {"manipulation": True, "damage": False, "format": False}},
        date=datetime.date(2026, 1, 31),
        templates=load_templates(files["prompts"]),
        items=CheckItems(contexts, (), ()),
        held_out={e: split_stimuli(["One two."] * 8)[1] for e in EMOTIONS},
    )
    asked = [r for r in push_check_requests(material, real.model) if Check.NAMED_EMOTION in r.key]
    found = defaultdict(list)
    for request, measured in zip(asked, measure(real, asked), strict=True):
        found[request.key.split(SEPARATOR)[1]].append(measured.scores.probabilities)

    def mean(condition, emotion):
        shares = [row[emotion] for row in found[condition]]
        return sum(shares) / len(shares)

    raised = [e for e in EMOTIONS if mean(f"steered-{e}-0.2", e) > mean("neutral", e)]
    assert raised == EMOTIONS


@pytest.fixture
def series(folder, files, tmp_path):
    """A function that returns a working directory with a small series of the real model."""

    def begin(name):
        place = TinySeries(ROOT, tmp_path / name)
        use_smollm2(folder, place.folder / "results")
        items = {"contexts": ["You sort the post.", "You wait for the bus."], "dominance": []}
        items["neutral_texts"] = ["The river runs past seven old mills to the sea."]
        (place.folder / "checks.yaml").write_text(yaml.safe_dump(items))
        experiment = {
            "name": "Real",
            "games": ["Prisoners_Dilemma"],
            "models": ["smollm2"],
            "emotions": ["anger"],
            "intensity": [0.2],
            "num_scenarios": 2,
            "generation": {"max_new_tokens": TOKENS},
            "arms": {"random": {"matched": 1, "isotropic": 0}, "prompted": False},
            # The tests above make the checks of this model.
            "checks": {"manipulation": False, "damage": False},
            "stimuli": str(short),
            "check_items": "checks.yaml",
            "runtime": {"device": "cpu", "threads": 1, "batch_tokens": 1000},
        }
        (place.folder / "config.yaml").write_text(yaml.safe_dump({"experiment": experiment}))
        return place

    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    short = tmp_path / "stimuli"
    short.mkdir()
    for path in files["stimuli"].iterdir():
        lines = path.read_text().splitlines()
        (short / path.name).write_text("\n".join(random.Random(0).sample(lines, 8)))
    return begin


def test_a_series_survives_a_kill_with_identical_results(series):
    undisturbed = series("undisturbed")
    code, output = undisturbed.run("--until", "run_experiment")
    assert code == 0, output
    killed = series("killed")
    # Found as those of an earlier series are.
    shutil.copytree(undisturbed.folder / "results/directions", killed.folder / "results/directions")
    process = killed.start()
    journals = f"*/.state/Prisoners_Dilemma_SmolLM2*{layout.journal_path(Path(), '').name}"
    home = layout.series_home(killed.folder / "results")

    def is_begun():
        return any(b"steered" in path.read_bytes() for path in home.glob(journals))

    try:
        killed.wait(is_begun, "trials in the journal")
        os.killpg(process.pid, signal.SIGKILL)
        killed.wait(lambda: not killed.processes(), "the end of all processes")
        assert set(killed.statuses().values()) != {"completed"}
        code, output = killed.run()
    finally:
        killed.end_all()
    assert code == 0, output
    assert set(killed.statuses().values()) == {"completed"}
    assert killed.results() == undisturbed.results()
    (table,) = killed.results().values()
    rows = list(csv.DictReader(table.splitlines()))
    # Two scenarios in two orders: neutral and anger write answers, the null direction does not.
    assert len(rows) == 12
    guided = [row for row in rows if row["generated"] == "True"]
    assert len(guided) == 8 and all(row["choice"] in ("cooperate", "defect") for row in guided)
    assert all(0 < float(row["valid_mass"]) < 1 for row in rows)
