"""The check of a config: every problem at once, one line each, and every setting in a group."""

import copy
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from emotion_games import schemas
from emotion_games.engine.vector_files import Vectors, write_vectors
from emotion_games.errors import ProblemList
from emotion_games.hashing import content_hash
from emotion_games.series import config as config_module
from emotion_games.series import config_checks
from emotion_games.series.config import check_config
from emotion_games.series.grid import stimuli_hash
from tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]
SCHEMA = schemas.read_schema("config")
# Keys that make the grid, and keys that affect no answer; config.py has the groups of the others.
GRID_KEYS = ("name", "games", "models")
RUNNING_ONLY = ("output", "runtime", "verdict")
SMALL = {"experiment": {"name": "Try", "games": ["Prisoners_Dilemma"], "models": ["org/M"]}}


def changed(**experiment):
    config = copy.deepcopy(SMALL)
    config["experiment"] |= experiment
    return config


def problems_of(config):
    with pytest.raises(ProblemList) as caught:
        check_config(config, ROOT)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def test_every_setting_is_in_exactly_one_group():
    known = set(SCHEMA["properties"]["experiment"]["properties"])
    groups = [
        GRID_KEYS,
        RUNNING_ONLY,
        config_module.PER_GAME,
        config_module.BY_CONTENT,
        config_module.IDENTITY,
    ]
    assert sorted(itertools.chain(*groups)) == sorted(known), (
        "put a new setting into a group here or in config.py: can it change an answer?"
    )


def test_the_readme_names_all_that_may_change_within_a_series():
    text = (ROOT / "config" / "README.md").read_text()
    sentence = text.split("Only these keys may change within a series:")[1].split("Everything")[0]
    # A series of another name is another series.
    for key in {*GRID_KEYS, *RUNNING_ONLY} - {"name"}:
        assert f"`{key}`" in sentence
    (row,) = [line for line in text.splitlines() if line.startswith("| `verdict` |")]
    assert "running only" in row


def test_every_key_of_the_schema_has_a_description_and_no_object_allows_other_keys():
    def walk(schema, place):
        for key, sub in schema.get("properties", {}).items():
            assert "description" in sub or "properties" in sub, f"{place}.{key}: no description"
            walk(sub, f"{place}.{key}")
        if "properties" in schema:
            assert schema["additionalProperties"] is False, place

    walk(SCHEMA["properties"]["experiment"], "experiment")


def test_every_number_list_and_text_of_a_config_is_bounded():
    bounds = {
        "number": {"minimum", "maximum"},
        "integer": {"minimum", "maximum"},
        "array": {"maxItems"},
        "string": {"maxLength", "format", "pattern"},
    }

    def walk(schema, place):
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            found = {key.replace("exclusiveM", "m") for key in schema}
            needed = bounds.get(kind, set())
            is_bounded = needed & found if kind == "string" else needed <= found
            assert is_bounded or not needed, f"{place}: {kind} without {needed}"
        for key, sub in schema.get("properties", {}).items():
            walk(sub, f"{place}.{key}")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                walk(schema[key], f"{place}.{key}")

    walk(SCHEMA, "")


SHIPPED = [
    path.name
    for path in (ROOT / "config").glob("*.yaml")
    if path.read_text().find("\nexperiment:") > 0
]


@pytest.mark.parametrize("name", ["experiment_series_config.yaml", *SHIPPED])
def test_shipped_configs_are_right(name):
    checked = check_config(yaml.safe_load((ROOT / "config" / name).read_text()), ROOT)
    assert checked.models


def test_the_example_in_the_readme_is_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "scenarios.json").write_text("[]")
    (tmp_path / "models").mkdir()
    write_gguf(tmp_path / "models" / "my-model-Q4_K_M.gguf")
    text = (ROOT / "config" / "README.md").read_text()
    checked = check_config(yaml.safe_load(text.split("```yaml")[1].split("```")[0]), ROOT)
    assert list(checked.games) == [
        "Stag_Hunt",
        "Ultimatum_Game_Proposer",
        "Ultimatum_Game_Responder",
    ]
    assert checked.game_settings["Ultimatum_Game_Responder"] == {"endowment": 20}


def test_the_example_expands_the_ultimatum_game_into_its_roles():
    checked = check_config(
        yaml.safe_load((ROOT / "config" / "experiment_series_config.yaml").read_text()), ROOT
    )
    assert list(checked.games)[2:] == ["Ultimatum_Game_Proposer", "Ultimatum_Game_Responder"]
    assert checked.settings["intensity"] == [0.1, 0.2]
    assert checked.settings["intensity_unit"] == "hidden_norm"
    assert checked.settings["num_scenarios"] == 48


def test_the_grid_of_the_paper_is_that_of_the_paper():
    text = (ROOT / "config" / "paper_2604_06562.yaml").read_text()
    checked = check_config(yaml.safe_load(text), ROOT)
    assert len(checked.models) == 13 and len(checked.games) == 9
    assert {model.entry["dtype"] for model in checked.models} == {"bfloat16"}
    assert all(model.is_fetched and model.running == {} for model in checked.models)
    histories = {name: entry["histories"] for name, entry in checked.game_settings.items() if entry}
    assert histories == {
        "Escalation_Game": ["escalations_0"],
        "Trust_Game_Trustee": ["trust_high"],
        "Ultimatum_Game_Responder": ["offer_high"],
    }
    expected = {
        "intensity": [0.8, 1.0, 1.2],
        "intensity_unit": "raw",
        "direction_method": "paired_pca",
        "layers": "middle_third",
        "repeat": 1,
        "num_scenarios": 300,
        "decoding": "free",
    }
    assert {key: checked.settings[key] for key in expected} == expected
    assert checked.settings["generation"]["temperature"] == 0
    assert checked.settings["generation"]["max_new_tokens"] == 500
    assert len(checked.settings["emotions"]) == 6


def test_defaults_fill_every_level_and_numbers_of_one_meaning_look_alike():
    filled = schemas.with_defaults(
        changed(arms={"random": {"matched": 3}}, intensity=[1, 2], headline_intensity=1), SCHEMA
    )
    assert filled["experiment"]["arms"] == {
        "random": {"matched": 3, "isotropic": 0},
        "shuffled": False,
        "prompted": True,
        "combined": False,
    }
    assert repr(filled["experiment"]["intensity"]) == "[1.0, 2.0]"
    assert "arms" not in SMALL["experiment"]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({}, "experiment: missing; expected the settings of the series"),
        (changed(temprature=1), "experiment.temprature: unknown key 'temprature'"),
        (
            changed(generation={"temprature": 1}),
            (
                "experiment.generation.temprature: unknown key 'temprature' "
                "(did you mean 'temperature'?)"
            ),
        ),
        (
            changed(repeat="many"),
            (
                "experiment.repeat: expected a whole number (answers for each prompt and "
                "condition), found 'many'"
            ),
        ),
        (changed(repeat=0), "experiment.repeat: 0 is out of range; allowed: at least 1"),
        (changed(repeat=True), "experiment.repeat: expected a whole number"),
        (
            changed(answer_form="rationales"),
            (
                "experiment.answer_form: 'rationales' is not allowed (did you mean 'rationale'?); "
                "allowed: rationale, decision"
            ),
        ),
        (changed(name=2025), "experiment.name: expected text"),
        (
            changed(name="../x"),
            "experiment.name: '../x' is not allowed; expected at most 50 letters",
        ),
        (changed(models=[None]), "experiment.models[0]: expected text or keys and values"),
        (changed(models=[{"alias": "x"}]), "experiment.models[0].id: missing"),
        (
            changed(models=[{"id": "a/M", "alias": "a/b"}]),
            "experiment.models[0].alias: 'a/b' is not allowed",
        ),
        (changed(models=[]), "experiment.models: is empty"),
        (
            changed(intensity=[0.0, 1.0]),
            (
                "experiment.intensity[0]: 0.0 is not allowed; expected a number from -1000 to "
                "1000, at least 0.001 away from 0"
            ),
        ),
        (changed(emotions=["neutral"]), "experiment.emotions[0]: 'neutral' is not allowed"),
        (changed(emotions=["anger", "anger"]), "experiment.emotions: listed twice: anger"),
        (
            changed(layers="upper_third"),
            "experiment.layers: 'upper_third' is not allowed; expected past_middle, middle_third",
        ),
        (SMALL | {"name": "a/b"}, "name: 'a/b' is not allowed"),
        (SMALL | {"new": "yes"}, "new: 'yes' is not allowed"),
        (
            changed(games=["Prisoners_Dilema"]),
            (
                "experiment.games[0]: unknown game 'Prisoners_Dilema' "
                "(did you mean 'Prisoners_Dilemma'?)"
            ),
        ),
        (
            changed(games=["Ultimatum_Game", "Ultimatum_Game_Proposer"]),
            "experiment.games[1]: listed twice: Ultimatum_Game_Proposer",
        ),
        (
            changed(emotions=["angr"]),
            "experiment.emotions[0]: unknown emotion 'angr' (did you mean 'anger'?)",
        ),
        (
            changed(arms={"combined": True, "prompted": False}),
            "experiment.arms.combined: the event with steering is compared with the event alone; "
            "set prompted: true, or combined: false",
        ),
        (
            changed(instructions={"Stay-calm": "Keep calm."}),
            "experiment.instructions: 'Stay-calm' is not allowed; expected a name of an "
            "instruction, at most 50 lower-case letters, digits and '_', beginning with a letter",
        ),
        (
            changed(instructions={"calm": "  "}),
            "experiment.instructions.calm: ' ' is not allowed; expected the text of an "
            "instruction, at most 2,000 characters in one line",
        ),
        (
            changed(instructions={"calm": "Keep\ncalm."}),
            "experiment.instructions.calm: 'Keep\\ncalm.' has a character that is not visible; "
            "remove it",
        ),
        (
            changed(headline_intensity=0.7),
            (
                "experiment.headline_intensity: 0.7 is not one of the intensities; allowed: 0.1, "
                "0.2; choose one of them, or add it to intensity"
            ),
        ),
        (
            changed(headline_intensity=10**400),
            "experiment.headline_intensity: expected a number from -2^53 to 2^53, found a larger",
        ),
        (changed(intensity=[1.0, float("nan")]), "experiment.intensity[1]: expected a number"),
        (
            changed(generation={"temperature": float("inf")}),
            "experiment.generation.temperature: expected a number",
        ),
        (
            changed(statistics={"confidence": float("nan")}),
            "experiment.statistics.confidence: expected a number",
        ),
        (changed(models=["a/M", "a/M/"]), "experiment.models[1]: a/M is listed twice"),
        (
            changed(scenarios={"Prisoners_Dilemma": "nowhere.json"}),
            "experiment.scenarios.Prisoners_Dilemma: no such file or folder: nowhere.json",
        ),
        (changed(scenarios={"Chess": "x"}), "experiment.scenarios: unknown game 'Chess'"),
        (
            changed(choice_labels={"Prisoners_Dilemma": {"betray": "defct"}}),
            (
                "experiment.choice_labels.Prisoners_Dilemma.betray: unknown choice 'defct' "
                "(did you mean 'defect'?)"
            ),
        ),
        (
            changed(game_settings={"Prisoners_Dilemma": {"endowmnt": 1}}),
            "experiment.game_settings.Prisoners_Dilemma.endowmnt: unknown key 'endowmnt'",
        ),
        (changed(models=["/a/b"]), "experiment.models[0]: /a/b: there is no such folder; name the"),
        (changed(models=["org/M", "./m"]), "experiment.models[1]: ./m: there is no such folder"),
        (changed(stimuli="nowhere"), "experiment.stimuli: no such folder: nowhere"),
        (changed(prompts="nowhere.yaml"), "experiment.prompts: no such file: nowhere.yaml"),
        (
            changed(prompts="x" * 300),
            "experiment.prompts: a name of 300 bytes; allowed: at most 200",
        ),
        (changed(stimuli="x/" * 1001), "experiment.stimuli: a path of "),
        (changed(emotions=["x" * 300]), "experiment.emotions[0]: 'xxx"),
        (changed(prompts=""), "experiment.prompts: is empty; expected a path"),
        (changed(stimuli="~nosuchuser/x"), "experiment.stimuli: ~nosuchuser/x: there is no user '"),
        (
            changed(output={"base_dir": "out/{x}"}),
            "experiment.output.base_dir: out/{x}: Snakemake takes braces for wildcards; rename",
        ),
        (
            changed(models=["~nosuchuser/M"]),
            "experiment.models[0]: ~nosuchuser/M: there is no user",
        ),
        (
            changed(output={"base_dir": "/dev/null/x"}),
            "experiment.output.base_dir: /dev/null is not a folder; choose another one",
        ),
        (
            changed(name="H\n"),
            "experiment.name: 'H\\n' is not allowed; expected at most 50 letters",
        ),
        (changed(name="H" * 51), "experiment.name: 'HHH"),
        (
            changed(models=[{"id": "org/M", "revision": "main\x1b"}]),
            "experiment.models[0].revision: 'main\\x1b' has a character that is not visible",
        ),
        (
            changed(choice_labels={"Stag_Hunt": {"a\nb": "hunt"}}),
            "experiment.choice_labels.Stag_Hunt: 'a\\nb' has a character that is not visible",
        ),
        (changed(base="a\x00b"), "experiment.base: unknown key 'base'"),
        (
            changed(output={"base_dir": "a\x00b"}),
            "experiment.output.base_dir: 'a\\x00b' has a character that is not visible",
        ),
        (changed(repeat=10**9), "experiment.repeat: 1000000000 is out of range; allowed: at most"),
        (
            changed(repeat=10**400),
            "experiment.repeat: expected a number from -2^53 to 2^53, found a larger one",
        ),
        (
            changed(arms={"random": {"matched": 10**8}}),
            "experiment.arms.random.matched: 100000000 is out of range; allowed: at most 10000",
        ),
        (
            changed(scoring={"direct": False}),
            (
                "experiment.statistics.primary: direct is not measured with these settings; set "
                "scoring.direct: true, or choose another measure"
            ),
        ),
        (
            changed(answer_form="decision", statistics={"primary": "written"}),
            (
                "experiment.statistics.primary: written is not measured with these settings; set "
                "answer_form: rationale, or decoding: free, or choose another measure"
            ),
        ),
        (
            changed(answer_form="decision", statistics={"primary": "after_rationale"}),
            (
                "experiment.statistics.primary: after_rationale is not measured with these "
                "settings; set answer_form: rationale, or choose another measure"
            ),
        ),
        (
            changed(
                decoding="free",
                scoring={"after_rationale": False},
                statistics={"primary": "after_rationale"},
            ),
            (
                "experiment.statistics.primary: after_rationale is not measured with these "
                "settings; set scoring.after_rationale: true, or choose another measure"
            ),
        ),
        (
            changed(models=[f"org/M{n}" for n in range(500)], games=["Stag_Hunt"] * 30),
            "experiment.games[1]: listed twice",
        ),
        (changed(check_items="nowhere.yaml"), "experiment.check_items: no such file: nowhere.yaml"),
        (
            changed(verdict=True, models=["demo"], intensity=[-1.0, 1.0], headline_intensity=-1.0),
            (
                "experiment.headline_intensity: -1.0 with verdict: true; only pushes towards an "
                "emotion are judged"
            ),
        ),
    ],
)
def test_a_problem_names_the_place_the_value_and_what_is_allowed(config, line):
    assert [found for found in problems_of(config) if found.startswith(line)], problems_of(config)


def test_all_problems_come_at_once():
    assert len(problems_of(changed(repeat="x", seed=-1, colour="red"))) == 3
    wrong = {"games": ["Chess"], "emotions": ["angr", "hapiness"], "headline_intensity": 9.0}
    assert len(problems_of(changed(**wrong, scenarios={"Go": "x"}, prompts="nowhere.yaml"))) == 6


def test_a_familys_entry_serves_its_roles_and_a_roles_own_wins():
    checked = check_config(
        changed(
            games=["Ultimatum_Game"],
            game_settings={
                "Ultimatum_Game": {"endowment": 20},
                "Ultimatum_Game_Responder": {"endowment": 30},
            },
        ),
        ROOT,
    )
    assert checked.game_settings["Ultimatum_Game_Proposer"] == {"endowment": 20}
    assert checked.game_settings["Ultimatum_Game_Responder"] == {"endowment": 30}


def test_relative_paths_belong_to_the_working_directory_or_else_to_the_workflow(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert check_config(SMALL, ROOT).stimuli == ROOT / "config" / "emotions"
    (tmp_path / "mine.json").write_text("[]")
    checked = check_config(changed(scenarios={"Prisoners_Dilemma": "mine.json"}), ROOT)
    assert checked.scenario_files["Prisoners_Dilemma"] == Path("mine.json")


def test_problems_in_files_of_texts_are_found_before_anything_starts(tmp_path):
    emotions = tmp_path / "emotions"
    emotions.mkdir()
    (emotions / "anger.txt").write_text("Someone took your seat.\n")
    (emotions / "neutral.txt").write_text("".join(f"It is {n} o'clock.\n" for n in range(1, 9)))
    (tmp_path / "prompts.yaml").write_text("system: {named: You are someone.}\n")
    (tmp_path / "checks.yaml").write_text(
        "contexts: [Here.]\ndominance: [{id: coins, question: Which?}]\n"
        "neutral_texts: [Too short.]\n"
    )
    (tmp_path / "broken.yaml").write_text("dominance: [\n")
    config = changed(
        emotions=["anger"],
        stimuli=str(emotions),
        prompts=str(tmp_path / "prompts.yaml"),
        check_items=str(tmp_path / "checks.yaml"),
    )
    found = "\n".join(problems_of(config))
    assert f"{emotions / 'anger.txt'}: 1 stimuli; expected 8 or more" in found
    prompts, checks = tmp_path / "prompts.yaml", tmp_path / "checks.yaml"
    assert f"{prompts}: system.named: the placeholder {{name}} is missing" in found
    assert f"{prompts}: history: missing; expected the templates from" in found
    assert f"{checks}: dominance[0].better: missing; expected the answer that is as good" in found
    assert f"{checks}: neutral_texts[0]: 'Too short.' is too short: the model reads the" in found
    broken = problems_of(changed(check_items=str(tmp_path / "broken.yaml")))
    assert len(broken) == 1 and broken[0].startswith(f"{tmp_path / 'broken.yaml'}: line ")


def test_an_emotion_that_no_label_names_is_refused(tmp_path):
    emotions = tmp_path / "emotions"
    shutil.copytree(ROOT / "config" / "emotions", emotions)
    (emotions / "pride.txt").write_text(
        "".join(f"You have won race {n} of the season.\n" for n in range(1, 9))
    )
    unnamed = {"emotions": ["anger", "pride"], "stimuli": str(emotions)}
    (problem,) = problems_of(changed(**unnamed))
    assert problem.startswith("experiment.emotions[1]: 'pride' has no words under `feelings` in ")
    assert problem.endswith(
        "config/prompts.yaml, so the manipulation check could not find it; add some there, or set "
        "checks.manipulation: false"
    )
    unchecked = check_config(changed(**unnamed, checks={"manipulation": False}), ROOT)
    assert unchecked.settings["emotions"] == ["anger", "pride"]


def test_an_emotion_may_be_a_json_list(tmp_path):
    emotions = tmp_path / "emotions"
    shutil.copytree(ROOT / "config" / "emotions", emotions)
    lines = (emotions / "anger.txt").read_text(encoding="utf-8").splitlines()
    (emotions / "anger.txt").unlink()
    (emotions / "anger.json").write_text(json.dumps(lines))
    config = check_config(changed(emotions=["anger", "fear"], stimuli=str(emotions)), ROOT)
    before = stimuli_hash(config.stimuli, ["anger", "fear"])
    (emotions / "anger.json").write_text(json.dumps(lines[1:]))
    assert stimuli_hash(config.stimuli, ["anger", "fear"]) != before


def test_the_stimuli_of_the_reference_count_whichever_emotions_are_configured(tmp_path):
    emotions = tmp_path / "emotions"
    shutil.copytree(ROOT / "config" / "emotions", emotions)
    before = stimuli_hash(emotions, ["anger"])
    assert stimuli_hash(emotions, ["anger", "fear"]) == before
    (emotions / "pride.txt").write_text("Your book was printed.\n" * 8)
    assert stimuli_hash(emotions, ["anger"]) == before, "no part of the reference"
    with open(emotions / "fear.txt", "a") as file:
        file.write("A door slams behind you at night.\n")
    assert stimuli_hash(emotions, ["anger"]) != before


def concepts(folder, *names):
    folder.mkdir()
    for name in names:
        lines = [f"Event {number} of {name}." for number in range(8)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return {
        "stimuli": str(folder),
        "emotions": list(names[:1]),
        "checks": {"manipulation": False},
        "arms": {"prompted": False},
    }


def test_a_set_of_concepts_needs_neutral_only_where_something_is_compared_with_it(tmp_path):
    own, folder = concepts(tmp_path / "mine", "guilt", "pride"), tmp_path / "mine"
    assert check_config(changed(**own), ROOT).settings["emotions"] == ["guilt"]
    advice = f"and {folder} has no neutral.txt; write 8 or more there"
    assert problems_of(changed(**own | {"arms": {}}, direction_method="mean_difference")) == [
        "experiment.direction_method: mean_difference compares emotions with neutral stimuli, "
        f"{advice}, or use contrast",
        "experiment.arms.prompted: events of an emotion are compared with neutral ones, "
        f"{advice}, or set prompted: false",
    ]


def test_a_single_concept_cannot_be_contrasted(tmp_path):
    own, folder = concepts(tmp_path / "mine", "guilt", "neutral"), tmp_path / "mine"
    assert problems_of(changed(**own)) == [
        f"experiment.direction_method: contrast compares the emotions of {folder} with each "
        "other, and guilt is the only one; add a file for another, or use mean_difference"
    ]
    assert check_config(changed(**own, direction_method="mean_difference"), ROOT)


@pytest.fixture
def given(tmp_path):
    """A config with given vectors of a concept without stimuli, for a local model."""
    (tmp_path / "model").mkdir()
    size = {"model_type": "qwen2", "num_hidden_layers": 4, "hidden_size": 8}
    (tmp_path / "model" / "config.json").write_text(json.dumps(size))
    vectors = {layer: np.full(8, layer, np.float32) for layer in (1, 2, 3)}
    path = tmp_path / "greed.gguf"
    write_vectors(Vectors(vectors, {"model_hint": "qwen2"}), path)
    return {
        "emotions": ["anger", "greed"],
        "directions": {"greed": str(path)},
        "models": [str(tmp_path / "model")],
        "checks": {"manipulation": False},
        "arms": {"prompted": False},
    }


def test_given_vectors_need_no_stimuli_and_count_by_their_content(given, tmp_path):
    config = check_config(changed(**given), ROOT)
    path = tmp_path / "greed.gguf"
    assert config.vectors == {"greed": path}
    assert config.settings["directions"] == {"greed": content_hash(path)}
    path.rename(tmp_path / "moved.gguf")
    moved = given | {"directions": {"greed": str(tmp_path / "moved.gguf")}}
    assert check_config(changed(**moved), ROOT).settings == config.settings
    assert check_config(SMALL, ROOT).settings["directions"] == {}


def test_vectors_that_cannot_be_used_are_refused_before_anything_starts(given, tmp_path):
    path, where = tmp_path / "greed.gguf", "experiment.directions.greed"
    size = {"model_type": "gemma2", "n_layer": 6, "n_embd": 16}
    (tmp_path / "model" / "config.json").write_text(json.dumps(size))
    model = f"model {tmp_path / 'model'}"
    (line,) = problems_of(changed(**given))
    assert line == (
        f"{where}: {path}: vectors of 8 numbers, where the states of {model} have 16; use vectors "
        "that were made for this model"
    )
    size = {"model_type": "gemma3", "text_config": {"num_hidden_layers": 3, "hidden_size": 8}}
    (tmp_path / "model" / "config.json").write_text(json.dumps(size))
    (line,) = problems_of(changed(**given))
    assert line.startswith(
        f"{where}: {path}: a vector for layer 3, where {model} has layers 0 to 2"
    )
    size["text_config"]["num_hidden_layers"] = 4
    (tmp_path / "model" / "config.json").write_text(json.dumps(size))
    (line,) = problems_of(changed(**given))
    assert f"made in a model of the kind 'qwen2', where {model} is 'gemma3'" in line
    (line,) = problems_of(changed(**given | {"models": ["org/M"], "layers": [0, 2]}))
    assert line.startswith(f"{where}: {path}: no vector for the steered layers [0] of model org/M")
    path.write_bytes(b"GGUF")
    (line,) = problems_of(changed(**given))
    assert line == f"{where}: {path}: not a GGUF file, or a damaged one; fetch it again"
    (line,) = problems_of(changed(**given | {"directions": {"greed": str(tmp_path / "x.gguf")}}))
    assert line == f"{where}: {tmp_path / 'x.gguf'}: no such file"


def test_what_given_vectors_lack_is_said_with_what_to_do(given):
    stimuli = str(ROOT / "config" / "emotions")
    missing = {"emotions": ["anger"], "arms": {}, "checks": {}, "stimuli": stimuli}
    assert problems_of(changed(**given | missing)) == [
        f"experiment.arms.prompted: it describes events, and {stimuli} has none of greed; write a "
        "file for each, or set prompted: false",
        "experiment.directions.greed: unknown emotion 'greed'; allowed: anger",
    ]
    (line,) = problems_of(changed(**given | {"checks": {}}))
    assert line.startswith("experiment.emotions[1]: 'greed' has no words under `feelings` in ")


def test_a_role_without_scenarios_of_its_own_has_those_of_its_family(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("demo"))
    games = tmp_path / "config" / "games"
    (games / "Trust_Game").mkdir()
    (games / "Trust_Game_Trustee" / "scenarios.yaml").rename(
        games / "Trust_Game" / "scenarios.yaml"
    )
    files = check_config(changed(games=["Trust_Game"]), tmp_path).scenario_files
    assert files["Trust_Game_Trustee"] == games / "Trust_Game" / "scenarios.yaml"
    assert files["Trust_Game_Trustor"] == games / "Trust_Game_Trustor" / "scenarios.yaml"


def test_a_grid_that_is_too_large_to_plan_is_refused(monkeypatch):
    monkeypatch.setattr(config_checks, "MOST_EXPERIMENTS", 3)
    grid = {"games": ["Stag_Hunt", "Wait_Go"], "models": ["org/M", "org/N"]}
    assert problems_of(changed(**grid)) == [
        "experiment: 4 experiments; allowed: at most 3; divide the models or the games into "
        "several series"
    ]


def test_paired_pca_needs_lists_of_one_length(tmp_path):
    shutil.copytree(ROOT / "config" / "emotions", tmp_path / "mine")
    with open(tmp_path / "mine" / "anger.txt", "a") as file:
        file.write("Someone has taken your chair.\nSomeone has taken your lamp.\n")
    lists = {"stimuli": str(tmp_path / "mine"), "emotions": ["fear", "anger"]}
    assert problems_of(changed(**lists, direction_method="paired_pca")) == [
        "experiment.direction_method: paired_pca pairs the 92 stimuli of anger that make its "
        "direction with 90 neutral ones; give both files the same number of lines, or use "
        "mean_difference"
    ]
    assert check_config(changed(**lists), ROOT)


def test_a_draft_of_a_game_blocks_no_other_config(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("demo"))
    draft = tmp_path / "config" / "games" / "Draft"
    draft.mkdir()
    (draft / "game.yaml").write_text("title: [")
    config = changed(games=["Ultimatum_Game", "Stag_Hunt"], scenarios={"Trust_Game": "x"})
    assert len(check_config(config, tmp_path).games) == 3
    with pytest.raises(ProblemList, match="Draft/game.yaml: line 2, column 1: not valid YAML"):
        check_config(changed(games=["Draft"]), tmp_path)
