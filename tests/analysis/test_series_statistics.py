"""One table over a series: complete, partial, moved, and with false discoveries under control."""

import csv
import json
from dataclasses import replace

import pytest

import summarize_series
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.series_statistics import COLUMNS, control_false_discovery, summarize
from emotion_games.games.records import Reference
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

PAYOFFS = {(a, b): (1.0, 1.0) for a in ("cooperate", "defect") for b in ("cooperate", "defect")}
GAMES = [
    replace(a_game(), payoffs=PAYOFFS),
    replace(
        a_game(("accept", "reject"), histories=("low", "high")),
        name="Ultimatum_Game_Responder",
        outcome="acceptance",
        references=(Reference("reject", 0.16, "rejected offers", "Oosterbeek et al. 2004"),),
    ),
]


@pytest.fixture(scope="module")
def analyses():
    found = {}
    for number, (game, model) in enumerate((g, m) for g in GAMES for m in ("one", "two")):
        size = {
            "prompted": False,
            "intensities": (1.0,),
            "random_sd": 0.03,
        }
        trials = simulate(game, seed=number, effects={"anger": -0.4}, n_scenarios=40, **size)
        settings = SETTINGS | {"show_payoffs": number == 0}
        checks = simulate_checks(intensities=(1.0,), broken=("sadness",) if number == 0 else ())
        found[f"{game.name}_{model}"] = (game.name, model, analyse(trials, checks, game, settings))
    return found


def write_series(folder, analyses, output_dir, missing=()):
    rows = {}
    for exp_id, (game, model, analysis) in analyses.items():
        status = "failed" if exp_id in missing else "completed"
        rows[exp_id] = {
            "game_name": game,
            "model_name": model,
            "status": status,
            "error": None,
            "exp_id": exp_id,
        }
        rows[exp_id]["output_dir"] = str(output_dir / exp_id)
        if exp_id not in missing:
            (folder / exp_id).mkdir(parents=True)
            (folder / exp_id / "stats_analysis.json").write_text(json.dumps(analysis))
    (folder / "experiment_report.json").write_text(json.dumps({"experiments": rows}))


def read(folder):
    content = json.loads((folder / "series_results.json").read_text())
    with open(folder / "series_results.csv", newline="") as file:
        return content, list(csv.DictReader(file))


def test_one_row_for_each_emotion_history_and_experiment(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert len(rows) == len(content["rows"]) == 2 * 3 + 2 * 2 * 3
    assert tuple(rows[0]) == COLUMNS
    assert content["n_analysed"] == content["n_experiments"] == 4 and content["missing"] == []
    first = content["rows"][0]
    full = analyses["Prisoners_Dilemma_one"][2]["emotion_analysis"]["anger"][0]
    assert [first["low"], first["high"]] == full["versus_neutral"]["interval"]
    assert first["p_claim"] == full["p_claim"] and first["claim"] == full["claim"]
    assert first["se"] == pytest.approx(
        (first["high"] - first["low"]) / 2 / 2.0227, rel=1e-4
    )  # t(39)
    assert first["emotion_rate"] - first["neutral_rate"] == pytest.approx(first["estimate"])
    assert content["rationality"] and {row["exp_id"] for row in content["rationality"]} == {
        "Prisoners_Dilemma_one"
    }
    assert {record["over"] for record in content["heterogeneity"]} == {"models", "games"}


def test_a_partial_series_names_what_is_missing(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path, missing=("Prisoners_Dilemma_two",))
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert [entry["exp_id"] for entry in content["missing"]] == ["Prisoners_Dilemma_two"]
    assert "Prisoners_Dilemma_two" not in {row["exp_id"] for row in rows}


def test_a_series_without_any_result_gives_valid_empty_files(tmp_path):
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert content["rows"] == rows == [] and content["heterogeneity"] == []


def test_a_folder_without_a_series_is_refused_and_left_alone(tmp_path, capsys):
    typo = tmp_path / "Typo_20250210_163355"
    assert summarize_series.main(typo) == 1
    message = capsys.readouterr().err
    assert (
        message.startswith(f"ERROR: {typo}: .state/series.json is missing")
        and len(message.splitlines()) == 1
    )
    assert not typo.exists()


def test_a_moved_series_is_read_beside_its_report(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path / "where" / "it" / "was")
    summarize(tmp_path)
    assert read(tmp_path)[0]["n_analysed"] == 4


def test_damaged_rows_take_no_part_in_false_discovery_control(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    rows = read(tmp_path)[0]["rows"]
    damaged = [row for row in rows if row["damaged"]]
    assert [(row["exp_id"], row["emotion"]) for row in damaged] == [
        ("Prisoners_Dilemma_one", "sadness")
    ]
    assert damaged[0]["q"] is None and damaged[0]["series_claim"] is False
    assert all(row["q"] >= row["p_claim"] for row in rows if not row["damaged"])
    assert {row["emotion"] for row in rows if row["series_claim"]} == {"anger"}


def test_human_reference_points_stand_beside_the_rows(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    row = next(
        r
        for r in read(tmp_path)[0]["rows"]
        if r["game"] == "Ultimatum_Game_Responder" and r["emotion"] == "anger"
    )
    assert (row["human"], row["human_of"]) == (0.16, "reject")
    assert row["emotion_distance"] == pytest.approx((1 - row["emotion_rate"]) - 0.16, abs=1e-6)


def test_benjamini_hochberg_by_hand():
    p_values = [0.01, 0.02, 0.04, 0.3]
    rows = [
        {
            "p_claim": p,
            "damaged": False,
            "interim": False,
            "q": None,
            "claim": True,
            "confidence": 0.95,
        }
        for p in p_values
    ]
    control_false_discovery(rows)
    assert [row["q"] for row in rows] == pytest.approx([0.04, 0.04, 0.16 / 3, 0.3])
    assert [row["series_claim"] for row in rows] == [True, True, False, False]
