"""What docs/models_side_by_side.md shows works: thirteen models, from their results to the page."""

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.experiment.trial_table import write_trials
from emotion_games.series.config import check_config
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks
from test_docs import ROOT, blocks_of

BLOCKS = {block.language: block for block in blocks_of(ROOT / "docs" / "models_side_by_side.md")}
MODELS = 13
EMOTIONS = ("anger", "happiness")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A finished series in which anger lowers cooperation by 10 points per tenfold size."""
    series = tmp_path_factory.mktemp("sizes")
    game = a_game()
    arms = SETTINGS["arms"] | {"random": {"matched": 8, "isotropic": 0}}
    settings = SETTINGS | {"emotions": list(EMOTIONS), "intensity": [1.0], "arms": arms}
    made = {"n_scenarios": 12, "emotions": EMOTIONS, "intensities": (1.0,), "n_random": 8}
    trials = simulate(game, effects={"anger": -0.1}, **made)
    checks = simulate_checks(EMOTIONS, (1.0,), n_random=8)
    stats = analyse(trials.assign(free_output=""), checks, game, settings)
    experiments = {}
    for number in range(MODELS):
        model = f"model-{number}"
        folder = series / f"Prisoners_Dilemma_{model}_20260101_000000"
        folder.mkdir()
        files = (folder / f"exp_results.{ending}" for ending in ("csv", "json"))
        write_trials(trials.head(40), *files)
        stats["meta"]["model"] = model
        size = 10 ** (8 + number / 4)
        (folder / "exp_config.yaml").write_text(yaml.safe_dump({"n_parameters": round(size)}))
        for contrast in stats["contrasts"]:
            if (contrast["contrast"], contrast["emotion"]) == ("emotion_minus_neutral", "anger"):
                contrast["estimate"] = -0.1 - 0.1 * number / 4
        (folder / "stats_analysis.json").write_text(json.dumps(stats))
        experiments[f"Prisoners_Dilemma_{model}"] = {
            "game_name": "Prisoners_Dilemma",
            "model_name": model,
            "exp_id": f"Prisoners_Dilemma_{model}",
            "status": "completed",
            "start_time": None,
            "end_time": None,
            "error": None,
            "output_dir": str(folder),
            "progress": {"done": 40, "total": 40},
        }
    report = {"last_updated": "2026-01-01T00:00:00", "experiments": experiments}
    (series / "experiment_report.json").write_text(json.dumps(report))
    (series / ".state").mkdir()
    return series


def test_the_config_is_a_grid_of_games_and_models():
    config = check_config(yaml.safe_load(BLOCKS["yaml"].body), ROOT)
    assert len(config.models) == 3 and len(config.games) == 2


def test_thirteen_models_have_figures_a_page_and_a_table(series):
    code = (
        "import sys; from pathlib import Path; from summarize_series import summarize_series; "
        "summarize_series(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, series], cwd=ROOT / "scripts", check=True)
    names = {path.name for path in (series / "plots").iterdir()}
    figures = ("forest_plot", "effect_by_model_size", "emotions_landed.model-12")
    assert {f"{name}.{ending}" for name in figures for ending in ("png", "svg")} <= names
    table = pd.read_csv(series / "series_results.csv")
    assert table["n_parameters"].nunique() == MODELS
    page = (series / "series_report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    assert len(data["figures"]) == 1 and len(data["parameters"]) == MODELS
    command = [sys.executable, "-c", BLOCKS["python"].body]
    shown = subprocess.run(
        command, cwd=series, env=os.environ, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "Prisoners_Dilemma: -10.0 points per tenfold size, 13 models\n"
