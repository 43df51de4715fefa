"""The examples of the documentation run as they are, and its tables are complete."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from emotion_games.games.catalog import expand_game, load_game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.prompts.messages import render
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import load_templates
from emotion_games.schemas import read_schema
from emotion_games.series.config import SeriesConfig, check_config
from emotion_games.series.folder import find_series
from emotion_games.series.preview import preview

ROOT = Path(__file__).parents[1]
ADDING = ROOT / "docs" / "adding.md"
CONFIG_README = (ROOT / "config" / "README.md").read_text()
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>file|patch|message)(?:: (?P<path>\S+))? -->\n)?"
    r"^```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of the text; `mark` and `path` come from the comment before it."""

    mark: str | None
    path: str | None
    language: str
    body: str


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a text in their order."""
    return [Block(**found.groupdict()) for found in _BLOCK.finditer(path.read_text())]


BLOCKS = blocks_of(ADDING)
CONFIGS = [b.path for b in BLOCKS if b.path and re.fullmatch(r"config/\w+\.yaml", b.path)]
COMMANDS = [b.body for b in BLOCKS if b.language == "bash"]


def the_block(**wanted) -> Block:
    """The one block that fits."""
    (found,) = [b for b in BLOCKS if all(getattr(b, key) == value for key, value in wanted.items())]
    return found


def copy_project(folder: Path) -> Path:
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def add(block: Block, copy: Path) -> None:
    """Write the file of a block, or apply its patch, in a copy of the project."""
    if block.mark == "file":
        path = copy / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{block.path}: the example would overwrite a file of the project"
        path.write_text(block.body)
    elif block.mark == "patch":
        applied = subprocess.run(
            ["git", "apply"], cwd=copy, input=block.body, text=True, capture_output=True
        )
        assert applied.returncode == 0, f"{applied.stderr}\n{block.body}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with all examples of docs/adding.md added."""
    copy = copy_project(tmp_path_factory.mktemp("documented"))
    for block in BLOCKS:
        add(block, copy)
    return copy


@pytest.fixture
def inside(project, monkeypatch):
    """The same, with the working directory in it."""
    monkeypatch.chdir(project)
    return project


@pytest.fixture(scope="module")
def models(project):
    """Folders of tiny models under the names that the examples use."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import AutoConfig

    from tiny import tiny_model

    made = tiny_model("qwen2")
    made.model.config.max_position_embeddings = 4096
    for name in ("models/my-model", "Qwen/Qwen2.5-0.5B-Instruct"):
        made.model.save_pretrained(project / name)
        made.tokenizer.save_pretrained(project / name)
    size = {"d_model": 32, "n_heads": 4, "n_layers": 4, "vocab_size": len(made.tokenizer)}
    mpt = AutoModelForCausalLM.from_config(AutoConfig.for_model("mpt", **size))
    mpt.save_pretrained(project / "models" / "my-mpt")
    made.tokenizer.save_pretrained(project / "models" / "my-mpt")
    return project / "models"


def run(command: str, folder: Path) -> str:
    """What a shell command prints, run as a user would in the project's folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 900}
    found = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, **options)
    assert found.returncode == 0, f"{command}\n{found.stdout}{found.stderr}"
    return found.stdout + found.stderr


def config_of(path: str, root: Path) -> SeriesConfig:
    return check_config(yaml.safe_load((root / path).read_text()), root)


def test_the_text_has_an_example_of_each_kind():
    assert len(CONFIGS) == 6 and len(COMMANDS) == 4
    assert [b.mark for b in BLOCKS].count("patch") == 3
    assert all(b.mark or b.language in ("bash", "python") for b in BLOCKS)


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        # scenarios x histories x option orders x conditions
        ("config/public_goods.yaml", {"Public_Goods": 2 * 1 * 2 * (1 + 2 + 2 + 3)}),
        ("config/pride.yaml", {"Gift_Exchange": 1 * 2 * 2 * (1 + 4 + 200 + 4 + 3)}),
        (
            "config/my_scenarios.yaml",
            {
                "Stag_Hunt": 2 * 1 * 2 * (1 + 12 + 200 + 12 + 7),
                "Ultimatum_Game_Proposer": 1 * 1 * 6 * (1 + 12 + 200 + 12 + 7),
                "Ultimatum_Game_Responder": 1 * 3 * 2 * (1 + 12 + 200 + 12 + 7),
            },
        ),
        (
            "config/several.yaml",
            {
                "Beauty_Contest": 1 * 1 * 4 * (1 + 2 + 200 + 2 + 2),
                "Sealed_Auction": 1 * 1 * 6 * (1 + 2 + 200 + 2 + 2),
            },
        ),
    ],
)
def test_the_preview_of_each_config_lists_its_games_with_their_trials(path, rows, inside):
    assert set(CONFIGS) >= {path}
    shown = preview(find_series(config_of(path, inside), inside, is_main=True))
    found = re.findall(r"^ +\d+  (\w+) +([\d,]+) trials a model", shown, re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in found} == rows


def test_the_public_good_is_a_dilemma_with_two_stories(inside):
    game = load_game(inside / "config" / "games" / "Public_Goods")
    assert [game.payoffs[own, "contribute"] for own in game.labels] == [(16, 16), (18, 8)]
    assert [game.payoffs[own, "keep"] for own in game.labels] == [(8, 18), (10, 10)]
    scenarios, problems = load_scenarios(game.folder / "scenarios.yaml", game)
    assert not problems and [s.other.name for s in scenarios] == ["Leonor", "Marek"]


def test_the_game_in_turn_is_told_as_the_text_shows(inside):
    (command,) = [c for c in COMMANDS if "render(" in c]
    shown = run(command, inside)
    assert (
        "Ioanna promised you 17 percent of what" in shown
        and "Ioanna promised you 50 percent of what" in shown
    )
    assert shown.count('Option 1. "Comb every tree to the top until it is dark"') == 2
    assert shown.count("Now it is your turn.") == 2 and "{" not in shown.replace('{"rationale"', "")


def test_every_own_scenario_is_read(inside):
    config = config_of("config/my_scenarios.yaml", inside)
    model_is = {}
    for name, game in config.games.items():
        scenarios, problems = load_scenarios(config.scenario_files[name], game, config.labels[name])
        assert not problems
        assert all(set(scenario.options) == set(game.labels) for scenario in scenarios)
        model_is[name] = [scenario.you.name for scenario in scenarios]
    assert model_is == {
        "Stag_Hunt": ["you", "you"],
        "Ultimatum_Game_Proposer": ["Mbali"],
        "Ultimatum_Game_Responder": ["Jonas"],
    }


def test_all_counterparts_are_named_to_the_model(inside):
    config = config_of("config/several.yaml", inside)
    templates = load_templates(inside / "config" / "prompts.yaml")
    told = []
    for name, game in config.games.items():
        (scenario,), problems = load_scenarios(config.scenario_files[name], game)
        assert not problems
        situation = Situation(game, scenario, game.histories[0], game.labels)
        lines = render(templates, situation, wording=0)[1]["content"].splitlines()
        assert [line for line in lines if line.startswith("About")] == [
            f"About you: {scenario.you.profile}."
        ]
        told += [line.split(" decide")[0] for line in lines if "at the same time" in line]
    counterparts = ", ".join(f"Other drama teacher counterpart {number}" for number in (1, 2, 3))
    assert told == [
        "You and 10 Other lock keeper counterparts",
        f"You and each of the others ({counterparts})",
    ]


def test_the_emotion_is_found_and_can_be_named(inside):
    stimuli = load_stimuli(inside / "config" / "emotions")
    assert len(stimuli["pride"]) == 12
    used, held_out = split_stimuli(stimuli["pride"])
    assert len(used) == 9 and len(held_out) == 3
    assert set(load_templates(inside / "config" / "prompts.yaml").labels) == set(stimuli)
    assert config_of("config/pride.yaml", inside).settings["emotions"] == ["pride", "anger"]


def test_models_load_as_the_text_says(inside, models):
    from emotion_games.engine.models import ModelError, load_model

    config = config_of("config/models.yaml", inside)
    entries = {model.entry["id"]: model.entry for model in config.models}
    assert len(entries) == 4
    shutil.rmtree(models / "my-model")
    exec(the_block(language="python").body, {})
    loaded = load_model(entries["models/my-model"], "models/my-model", {"device": "cpu"})
    assert len(loaded.layers) == 4
    mpt = entries["models/my-mpt"]
    assert load_model(mpt, mpt["id"], {"device": "cpu"}).layers[0].__class__.__name__ == "MptBlock"
    with pytest.raises(ModelError) as refused:
        load_model({"id": mpt["id"]}, mpt["id"], {"device": "cpu"})
    assert str(refused.value) == the_block(mark="message").body.strip()


def test_the_arm_is_planned_told_and_compared(inside):
    asked = """
import json
from pathlib import Path
from emotion_games.data_files import read_data
from emotion_games.experiment import conditions
from emotion_games.experiment import analysis_plan, requests
from emotion_games.series import config
checked = config.check_config(read_data(Path("config/prompted_shuffled.yaml")), Path("."))
settings = checked.settings
planned = {c.name: c for c in conditions.plan_conditions(settings)}
trial = type("Trial", (), {"condition": planned["prompted_shuffled-pride-0.2"], "stimulus": 4})
contrasts = analysis_plan.the_plan(settings, checked.games["Public_Goods"])["contrasts"]
print(json.dumps([list(planned), trial.condition.is_pushed, contrasts]))
print(requests.event_of(trial, {"pride": ["zero", "one", "two"]}))
"""
    path = {"PYTHONPATH": str(inside / "scripts")}
    command = [sys.executable, "-c", asked]
    found = subprocess.run(
        command, env=os.environ | path, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stderr
    planned, context = found.stdout.splitlines()
    names, is_pushed, contrasts = json.loads(planned)
    assert names[-1] == "prompted_shuffled-pride-0.2" and is_pushed
    assert contrasts[-1] == "prompted_shuffled_minus_prompted_neutral"
    assert context == "one"


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS)
def test_a_dry_run_accepts_each_config(path, inside):
    given = [c for c in COMMANDS if path in c]
    command = given[0] if given else f"snakemake --cores 1 --configfile {path} --dry-run"
    shown = run(command, inside)
    for name in yaml.safe_load((inside / path).read_text())["experiment"]["games"]:
        for game in expand_game(name, inside / "config" / "games"):
            assert re.search(rf"^ +\d+  {game} ", shown, re.MULTILINE)


@pytest.mark.slow
def test_a_tiny_model_plays_the_new_game_with_the_new_emotion_under_the_new_arm(project, models):
    (command,) = [c for c in COMMANDS if "prompted_shuffled.yaml" in c]
    run(command.replace(" --dry-run", ""), project)
    (folder,) = (project / "results" / "ExperimentSeries").glob(
        "Prompted_Shuffled_*/Public_Goods_my-model_*"
    )
    report = json.loads((folder.parent / "experiment_report.json").read_text())["experiments"]
    assert {row["status"] for row in report.values()} == {"completed"}
    trials = pd.read_csv(folder / "exp_results.csv", keep_default_na=False)
    # Two stories in two orders under every condition.
    assert trials.groupby("arm").size().to_dict() == {
        "neutral": 4, "steered": 4, "random": 8,
        "prompted": 4, "prompted_neutral": 4, "prompted_shuffled": 4,
    }  # fmt: skip
    by_arm = {arm: rows.reset_index(drop=True) for arm, rows in trials.groupby("arm")}
    assert (by_arm["prompted_shuffled"]["input"] == by_arm["prompted"]["input"]).all()
    assert (by_arm["prompted_shuffled"]["push_ratio"] > 0).all()
    assert (by_arm["prompted"]["push_ratio"] == 0).all()
    # The prompt is that of the prompted arm, and the push changes the probabilities.
    assert (by_arm["prompted_shuffled"]["input"] != by_arm["steered"]["input"]).all()
    assert (by_arm["prompted_shuffled"]["p_contribute"] != by_arm["prompted"]["p_contribute"]).any()
    contrasts = json.loads((folder / "stats_analysis.json").read_text())["contrasts"]
    assert "prompted_shuffled_minus_prompted_neutral" in {
        record["contrast"] for record in contrasts
    }
    assert "write" in yaml.safe_load((folder / "exp_config.yaml").read_text())["seconds"]


def table(heading: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of the first table with this heading, by the names in their first cell."""
    lines = CONFIG_README.split(f"\n| {heading} |", 1)[1].splitlines()[2:]
    rows = {}
    for line in lines[
        : next(place for place, line in enumerate(lines) if not line.startswith("|"))
    ]:
        names, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows |= {name: tuple(cells) for name in re.findall(r"`([^`]+)`", names)}
    return rows


def keys_of(schema: dict, prefix: str = "") -> dict[str, str]:
    """The default of every key that a config may have, as the documentation writes it."""
    found = {}
    for key, sub in schema["properties"].items():
        if sub.get("type") == "object" and "properties" in sub:
            found |= keys_of(sub, f"{prefix}{key}.")
            continue
        default = json.dumps(sub["default"]).replace('"', "") if "default" in sub else ""
        found[f"{prefix}{key}"] = (
            f"`{default}`" if default else "required" if key in schema.get("required", []) else ""
        )
        if "properties" in sub.get("items", {}):
            found |= keys_of(sub["items"], f"{prefix}{key}[].")
    return found


def test_every_key_of_a_config_is_described_with_its_default():
    rows = table("key | default")
    expected = keys_of(read_schema("config")["properties"]["experiment"])
    assert {key: cells[0] for key, cells in rows.items()} == expected
    assert all(cells[1] for cells in rows.values())


def test_every_key_of_a_game_file_is_described():
    files = (ROOT / "config" / "games").glob("*/game.yaml")
    used = {key for file in files for key in yaml.safe_load(file.read_text())}
    assert set(table("key of `game.yaml`")) == used


def test_every_config_file_is_described():
    files = {path.name for path in (ROOT / "config").glob("*.yaml")} - {
        "schemas/config.yaml",
        "prompts.yaml",
        "checks.yaml",
    }
    assert set(table("file")) == files
