"""What cannot be measured fails before any work for it, and the rest of its series goes on."""

import pytest

from tiny import ARCHITECTURES, tiny_model
from tiny_series import TinySeries, copy_workflow


@pytest.mark.slow
def test_a_short_context_and_a_game_without_scenarios_fail_alone(tmp_path, monkeypatch):
    workflow = tmp_path / "workflow"
    workflow.mkdir()
    copy_workflow(workflow)
    monkeypatch.setitem(
        ARCHITECTURES, "llama", ARCHITECTURES["llama"] | {"max_position_embeddings": 128}
    )
    short = tiny_model("llama")
    short.model.save_pretrained(workflow / "short")
    short.tokenizer.save_pretrained(workflow / "short")
    (tmp_path / "run").mkdir()
    place = TinySeries(workflow, tmp_path / "run")
    (place.folder / "bad.json").write_text('[{"description": "too little"}]')
    shipped = "config/demo/games/Prisoners_Dilemma/scenarios.yaml"
    place.configure(
        games=["Prisoners_Dilemma", "Stag_Hunt"],
        models=[str(workflow / "tiny"), str(workflow / "short")],
        scenarios={"Prisoners_Dilemma": shipped, "Stag_Hunt": "bad.json"},
    )
    place.control(seconds=0)
    code, output = place.run("--dry-run")
    assert code == 0 and "short: its context of 128 tokens is too short for 1 of 2 games" in output
    code, output = place.run()
    assert code == 1 and "Traceback" not in output, output
    errors = {exp_id: row["error"] for exp_id, row in place.rows().items()}
    assert place.statuses() == {
        "Prisoners_Dilemma_tiny": "completed",
        "Stag_Hunt_tiny": "failed",
        "Prisoners_Dilemma_short": "failed",
        "Stag_Hunt_short": "failed",
    }
    assert "no valid scenario for Stag_Hunt" in errors["Stag_Hunt_tiny"]
    line = errors["Prisoners_Dilemma_short"]
    assert "short: its context of 128 tokens is too short for Prisoners_Dilemma: " in line
    assert "prisoners_dilemma_" in line and " needs " in line
    measured = [path.name for path in (place.folder / "results" / "directions").iterdir()]
    assert len(measured) == 1 and measured[0].startswith("tiny-")
    assert len(list(place.series.glob("*_short_*"))) == 0
