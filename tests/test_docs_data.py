"""The example of docs/data.md answers its three questions."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from emotion_games.analysis.cells import tidy
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.series_statistics import summarize
from emotion_games.experiment.trial_table import outcome_values, write_trials
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_ten_lines_of_pandas_answer_three_questions(tmp_path, monkeypatch, capsys):
    series = tmp_path / "results" / "ExperimentSeries" / "Quickstart_20260101_000000"
    game, name = a_game(), "Prisoners_Dilemma_demo"
    table = tidy(simulate(game, effects={"anger": -0.5}, unparsed=0.1, n_scenarios=12))
    table["outcome_value"] = outcome_values(table, game, "scored")
    (series / name).mkdir(parents=True)
    write_trials(table, series / name / "exp_results.csv", series / name / "exp_results.json")
    statistics = analyse(table, simulate_checks(), game, SETTINGS)
    (series / name / "stats_analysis.json").write_text(json.dumps(statistics))
    row = {"game_name": game.name, "model_name": "demo", "output_dir": name}
    (series / "experiment_report.json").write_text(json.dumps({"experiments": {name: row}}))
    summarize(series)

    code = [
        line for line in EXAMPLE.splitlines() if line and not line.startswith(("#", "from", "imp"))
    ]
    assert len(code) <= 10
    monkeypatch.chdir(tmp_path)
    answers: dict = {}
    exec(EXAMPLE, answers)  # noqa: S102
    shown = capsys.readouterr().out
    means = table.groupby("condition")["outcome_value"].mean().round(3)
    for condition, mean in means.items():
        assert re.search(rf"^{condition} +{mean:g}0*$", shown, re.MULTILINE), condition
    decided = answers["decided"].set_index("emotion")
    assert decided.loc["anger", "level"] == "moved" and len(decided) == 3
    own = statistics["emotion_analysis"]["anger"]["versus_neutral"]
    assert decided.loc["anger", "estimate"] == pytest.approx(own["estimate"])
    # By hand: the share of the choices that were read and are the likelier of both.
    read = table[table["choice"] != ""]
    likely = [
        max(chances := json.loads(text), key=chances.__getitem__)
        for text in read["choice_probabilities"]
    ]
    share = (read["choice"] == pd.Series(likely, index=read.index)).mean()
    assert float(shown.splitlines()[-1]) == pytest.approx(share)
