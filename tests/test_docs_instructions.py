"""What docs/instructions.md shows works: instructions, and an event in words beside the push."""

import json

import pandas as pd
import pytest
import torch

from emotion_games import layout
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.games.scenarios import load_scenarios
from emotion_games.prompts.messages import render
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import load_templates
from test_docs import ROOT, add, blocks_of, config_of, copy_project, run
from tiny import tiny_model

BLOCKS = blocks_of(ROOT / "docs" / "instructions.md")
(EXAMPLE,) = (block for block in BLOCKS if block.mark == "file")
(COMMAND,) = (block.body for block in BLOCKS if block.language == "bash")
(MESSAGE,) = (block.body.strip() for block in BLOCKS if block.mark == "message")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the example added."""
    copy = copy_project(tmp_path_factory.mktemp("instructions"))
    add(EXAMPLE, copy)
    return copy


def test_the_config_plans_the_arms_of_the_text(project):
    config = config_of("config/regulation.yaml", project)
    assert [c.name for c in plan_conditions(config.settings)] == [
        "neutral",
        "steered-anger-0.2",
        "prompted_neutral",
        "prompted-anger",
        "combined-anger-0.2",
        "instructed_neutral-reappraise",
        "instructed-reappraise-anger-0.2",
        "instructed_neutral-suppress",
        "instructed-suppress-anger-0.2",
    ]


def test_the_model_is_instructed_as_the_text_shows(project):
    config = config_of("config/regulation.yaml", project)
    ((name, game),) = config.games.items()
    scenarios, _ = load_scenarios(config.scenario_files[name], game)
    templates = load_templates(project / "config" / "prompts.yaml")
    situation = Situation(game, scenarios[0], game.histories[0], game.labels)
    told = config.settings["instructions"]["reappraise"]
    plain, instructed = (render(templates, situation, 0, instruction=t) for t in ("", told))
    assert instructed[0] == {"role": "system", "content": MESSAGE}
    assert instructed[0]["content"] == f"{plain[0]['content']} {told}"
    assert instructed[1:] == plain[1:]


@pytest.mark.slow
def test_a_series_runs_with_instructions_and_words_beside_the_push(project):
    made = tiny_model("qwen2")
    made.model.save_pretrained(project / "models" / "my-model")
    made.tokenizer.save_pretrained(project / "models" / "my-model")
    path = project / "config" / "regulation.yaml"
    small = EXAMPLE.body.replace("smollm2", "models/my-model").replace("s: 12", "s: 2")
    path.write_text(small)
    run(COMMAND, project)
    (folder,) = (project / "results" / "ExperimentSeries").glob(
        "Regulation_*/Prisoners_*my-model_*"
    )
    trials = pd.read_csv(folder / "exp_results.csv", keep_default_na=False)
    sizes = trials.groupby(["arm", "instruction"]).size().to_dict()
    assert len(set(sizes.values())) == 1 and set(sizes) == {
        *((arm, "") for arm in ("neutral", "steered", "prompted_neutral", "prompted", "combined")),
        *((arm, name) for arm in ("instructed_neutral", "instructed")
          for name in ("reappraise", "suppress")),
    }  # fmt: skip
    at = {who: rows.reset_index(drop=True) for who, rows in trials.groupby(["arm", "instruction"])}
    # The same prompt with and without the push, and the push of the steered arm.
    for pushed, plain in (
        (("instructed", "suppress"), ("instructed_neutral", "suppress")),
        (("combined", ""), ("prompted", "")),
    ):
        assert (at[pushed]["input"] == at[plain]["input"]).all()
        assert (at[pushed]["push_ratio"] == at["steered", ""]["push_ratio"]).all()
        chances = (at[who]["p_cooperate"] for who in (pushed, plain))
        assert any(a != b for a, b in zip(*chances, strict=True))
    assert at["instructed", "suppress"]["input"].str.contains("do not let it show").all()
    found = json.loads((folder / layout.STATISTICS).read_text())
    assert [r["instruction"] for r in found["instructions"]] == ["reappraise", "suppress"]
    for record in found["instructions"]:
        change = record["under"]["estimate"] - record["without"]["estimate"]
        assert record["change"]["estimate"] == pytest.approx(change, abs=1e-6)
        assert record["change"]["p"] is None and record["undone"] is None
    assert [r["emotion"] for r in found["combined"]] == ["anger"]
    assert "exploratory" in found["text_description"]
    page = (folder.parent / layout.PAGE).read_text()
    assert '"instruction":"suppress"' in page and '"both_minus_words":' in page
