"""One table over a series: complete, partial, and moved; indices over games and models."""

import csv
import json
from dataclasses import replace

import pytest

import summarize_series
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.series_statistics import COLUMNS, summarize
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
NULLS = 92
ARMS = SETTINGS["arms"] | {"random": {"matched": NULLS, "isotropic": 0}, "prompted": False}
CLAIMING = SETTINGS | {"intensity": [1.0], "arms": ARMS}


@pytest.fixture(scope="module")
def analyses():
    found = {}
    for number, (game, model) in enumerate((g, m) for g in GAMES for m in ("one", "two")):
        size = {"n_random": NULLS, "arms": (), "texts": False, "random_sd": 0.03}
        trials = simulate(
            game, seed=number, effects={"anger": -0.4}, intensities=(1.0,), n_scenarios=24, **size
        )
        settings = CLAIMING | {"show_payoffs": number == 0}
        broken = ("sadness",) if number == 0 else ()
        checks = simulate_checks(intensities=(1.0,), broken=broken, n_random=NULLS)
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


def test_one_row_for_each_emotion_and_experiment(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert len(rows) == len(content["rows"]) == 4 * 3
    assert tuple(rows[0]) == COLUMNS
    assert content["n_analysed"] == content["n_experiments"] == 4 and content["missing"] == []
    first = content["rows"][0]
    full = analyses["Prisoners_Dilemma_one"][2]["emotion_analysis"]["anger"]
    assert [first["low"], first["high"]] == full["versus_neutral"]["interval"]
    corrected = full["versus_neutral"]["interval_corrected"]
    assert [first["low_corrected"], first["high_corrected"]] == corrected
    for key in ("p_moved", "p_rank", "p_claim", "p_claim_corrected", "p_claim_holm", "claim"):
        assert first[key] == full[key], key
    assert first["se"] == pytest.approx(
        (first["high"] - first["low"]) / 2 / 2.0687, rel=1e-4
    )  # t(23)
    assert first["emotion_rate"] - first["neutral_rate"] == pytest.approx(first["estimate"])
    assert {row["history"] for row in content["rows"]} == {"none", "mean"}
    assert content["rationality"] and {row["exp_id"] for row in content["rationality"]} == {
        "Prisoners_Dilemma_one"
    }


def test_a_tidy_table_has_all_contrasts_and_what_was_decided(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    with open(tmp_path / "contrasts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(analysis["contrasts"]) for _, _, analysis in analyses.values())
    for exp_id, (_, _, analysis) in analyses.items():
        decided = {r["emotion"]: r for r in rows if r["exp_id"] == exp_id and r["level"]}
        assert set(decided) == set(analysis["emotion_analysis"])
        for emotion, effect in analysis["emotion_analysis"].items():
            row, own = decided[emotion], effect["versus_neutral"]
            found = [float(row[key]) for key in ("estimate", "low", "high", "p_corrected")]
            assert found == [own["estimate"], *own["interval"], effect["p_moved_corrected"]]
            level = "claimed" if effect["claim"] else "moved" if effect["moved"] else "neither"
            assert row["level"] == level and row["role"] == "planned"
    assert {row["level"] for row in rows} >= {"", "claimed", "neither"}


def test_the_false_claims_to_expect_are_one_in_twenty_experiments(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    assert read(tmp_path)[0]["false_claims_expected"] == pytest.approx(4 * 0.05)


def test_models_are_compared_within_a_game_and_games_make_an_index_of_a_model(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    content = read(tmp_path)[0]
    models = {(r["game_name"], r["emotion"]): r for r in content["models"]}
    # Sadness damages the first model in the first game.
    assert len(models) == 5 and ("Prisoners_Dilemma", "sadness") not in models
    anger = models["Prisoners_Dilemma", "anger"]
    assert anger["members"] == ["one", "two"] and anger["n_scenarios"] == 24
    assert anger["estimate"] == pytest.approx(-0.4, abs=0.03)
    assert anger["interval"][0] < anger["estimate"] < anger["interval"][1]
    games = {(r["model_name"], r["emotion"]): r for r in content["games"]}
    assert len(games) == 5 and ("one", "sadness") not in games
    for model in ("one", "two"):
        index = games[model, "anger"]
        assert index["members"] == [game.name for game in GAMES]
        assert index["estimate"] == pytest.approx(-0.4, abs=0.03) and index["claim"] is True
        assert index["n_directions"] == NULLS
        assert index["p_rank"] == pytest.approx(1 / (NULLS + 1))
    assert not games["two", "sadness"]["claim"]


def test_a_partial_series_names_what_is_missing(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path, missing=("Prisoners_Dilemma_two",))
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert [entry["exp_id"] for entry in content["missing"]] == ["Prisoners_Dilemma_two"]
    assert "Prisoners_Dilemma_two" not in {row["exp_id"] for row in rows}


def test_a_series_without_any_result_gives_valid_empty_files(tmp_path):
    summarize(tmp_path)
    content, rows = read(tmp_path)
    assert content["rows"] == rows == [] and content["models"] == content["games"] == []
    assert content["false_claims_expected"] == 0


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


def test_damaged_rows_are_marked_and_claim_nothing(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    rows = read(tmp_path)[0]["rows"]
    damaged = [row for row in rows if row["damaged"]]
    assert [(row["exp_id"], row["emotion"]) for row in damaged] == [
        ("Prisoners_Dilemma_one", "sadness")
    ]
    assert damaged[0]["claim"] is False and "damages the model" in damaged[0]["claim_reasons"]
    assert {row["emotion"] for row in rows if row["claim"]} == {"anger"}


def test_human_reference_points_stand_beside_the_rows(tmp_path, analyses):
    write_series(tmp_path, analyses, tmp_path)
    summarize(tmp_path)
    row = next(
        r
        for r in read(tmp_path)[0]["rows"]
        if r["game_name"] == "Ultimatum_Game_Responder" and r["emotion"] == "anger"
    )
    assert (row["human"], row["human_of"]) == (0.16, "reject")
    # The rate is that of the primary measure; people are compared with the written choices.
    rates = analyses["Ultimatum_Game_Responder_one"][2]["rates"]
    written = next(
        rate["estimate"]
        for rate in rates
        if (rate["condition"], rate["measure"]) == ("steered-anger-1", "chosen")
    )
    assert row["emotion_distance"] == pytest.approx((1 - written) - 0.16, abs=1e-6)
