"""The instrument check: a correct instrument passes, and each kind of fault fails its checks."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

import write_verdict
from emotion_games import files
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.demo import verdict_page
from emotion_games.demo.measured import Cell, measured_model, planted_shifts, read_measured
from emotion_games.demo.trainer.truth import WHOLE_INTENSITY, load_truth, planted_shift
from emotion_games.demo.verdict import CHANCE, dose_curves, verdict
from emotion_games.errors import ProblemList, UserError
from emotion_games.games.catalog import load_game
from emotion_games.series.config import check_config
from series_records import write_series
from simulated_trials import SETTINGS, simulate, simulate_checks

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config" / "demo"
TRUTH = load_truth(DEMO)
EMOTIONS = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")
DOSES = (0.1, 0.2, 0.3)
NOISE = {"scored": 0.02, "chosen": 0.12}


def no_change(shift, **_):
    return shift


def tables(
    variant="planted",
    seed=0,
    change=no_change,
    position=0.0,
    parsed=0.97,
    directions=20,
    failing=(),
):
    """Return statistics of a model's six experiments, as far as the check reads them.

    `change(shift, emotion, dose, measure)` returns a wrong steered shift.
    """
    rng = np.random.default_rng([seed, len(variant)])
    pushes = rng.normal(0, 0.07, directions)
    return [
        _analysis(game, variant, rng, change, position, pushes, parsed, failing) for game in TRUTH
    ]


def _analysis(game, variant, rng, change, position, pushes, parsed, failing):
    row, histories = TRUTH[game], list(load_game(ROOT / "config" / "games" / game).histories)
    contrasts, claims = [], {emotion: [] for emotion in EMOTIONS}

    def planted(emotion, history, dose=WHOLE_INTENSITY):
        return planted_shift(row, emotion, history, dose) if variant == "planted" else 0.0

    def add(contrast, emotion, dose, history, measure, estimate, p=0.5):
        names = {
            "contrast": contrast,
            "emotion": emotion,
            "intensity": dose,
            "history": history,
            "measure": measure,
        }
        contrasts.append(names | {"estimate": estimate, "p": p})

    for history in (h.name for h in histories):
        for emotion in EMOTIONS:
            for dose in DOSES:
                for measure, noise in NOISE.items():
                    shift = planted(emotion, history, dose)
                    shift = change(shift, emotion=emotion, dose=dose, measure=measure)
                    shift += rng.normal(0, noise)
                    add("emotion_minus_neutral", emotion, dose, history, measure, shift)
            whole = planted(emotion, history)
            prompted = whole + rng.normal(0, 0.02)
            add("prompted_minus_prompted_neutral", emotion, 1.0, history, "scored", prompted)
            add(
                "emotion_minus_random",
                emotion,
                WHOLE_INTENSITY,
                history,
                "scored",
                whole,
                rng.uniform(),
            )
            sign = math.copysign(1, whole) if abs(whole) > 0.2 else 0
            claims[emotion].append(
                {"history": history, "claim": sign != 0, "versus_neutral": {"estimate": whole}}
            )
        for number, push in enumerate(pushes):
            shift, name = push + rng.normal(0, 0.01), f"random_{number}"
            add("random_minus_neutral", name, WHOLE_INTENSITY, history, "scored", shift)
    names = [h.name for h in histories]
    biases = [
        {"arm": "neutral", "measure": "scored", "history": h, "estimate": position} for h in names
    ]
    readable = {"n_answers": 100, "readable": {"estimate": parsed}}
    arms = {"neutral": 0.0, "steered": WHOLE_INTENSITY}
    plan = {
        "emotions": list(EMOTIONS),
        "intensities": list(DOSES),
        "headline_intensity": WHOLE_INTENSITY,
    }
    return {
        "meta": {"game": game, "histories": names},
        "plan": plan,
        "contrasts": contrasts,
        "position_bias": biases,
        "format_check": [{"arm": arm, "intensity": dose} | readable for arm, dose in arms.items()],
        "induced": [
            {"emotion": emotion, "intensity": dose, "came_through": emotion not in failing}
            for emotion in EMOTIONS
            for dose in DOSES
        ],
        "emotion_analysis": claims,
    }


def models(planted=None, flat=None):
    """Two planted and two flat models, as the shipped config has them."""
    made = [
        (f"demo-planted-{seed}", "planted", tables("planted", seed, **(planted or {})))
        for seed in (0, 1)
    ]
    made += [(f"demo-flat-{seed}", "flat", tables("flat", seed, **(flat or {}))) for seed in (0, 1)]
    return [measured_model(name, variant, analyses, TRUTH) for name, variant, analyses in made]


def failed(lines):
    return {line.check for line in lines if not line.passed}


def test_a_correct_instrument_passes_every_check():
    lines = verdict(models())
    assert failed(lines) == set()
    # 8 checks per planted model, 2 per flat model, 4 of form per model; then the pooled checks.
    assert len(lines) == 2 * (8 + 4) + 2 * (2 + 4) + 2 + 4
    found = {(line.check, line.model): line.measured for line in lines}
    assert found["steering_correlation", "demo-planted-0"] == pytest.approx(0.997, abs=0.003)
    assert found["steering_slope", "demo-planted-0"] == pytest.approx(1, abs=0.04)
    assert found["written_correlation", "demo-planted-0"] == pytest.approx(0.9, abs=0.06)


def turned(name):
    return lambda shift, emotion, **_: -shift if emotion == name else shift


def at_dose(factor):
    return lambda shift, measure, **_: factor * shift if measure == "scored" else shift


def weak_in_writing(shift, measure, **_):
    return shift / 5 if measure == "chosen" else shift


FALLING = {0.1: 1.5, 0.2: 1.0, 0.3: 0.5}


@pytest.mark.parametrize(
    ("planted", "flat", "lines"),
    [
        (
            {"change": turned("anger")},
            {},
            {
                "steering_correlation",
                "steering_slope",
                "above_random",
                "written_correlation",
                "written_slope",
                "dose_order",
            },
        ),
        ({"change": turned("sadness")}, {}, {"steering_correlation", "dose_order"}),
        ({"change": at_dose(0.5)}, {}, {"steering_slope"}),
        ({"change": at_dose(1.5)}, {}, {"steering_slope"}),
        ({"change": weak_in_writing}, {}, {"written_correlation", "written_slope"}),
        ({"change": lambda shift, dose, measure, **_: FALLING[dose] * shift}, {}, {"dose_order"}),
        ({"position": 0.3}, {}, {"position_bias"}),
        ({}, {"position": -0.3}, {"position_bias"}),
        ({"parsed": 0.7}, {}, {"neutral_readable", "steered_readable"}),
        ({"parsed": 0.85}, {}, {"neutral_readable"}),
        ({"directions": 5}, {}, {"above_random"}),
        ({"failing": ("fear", "disgust", "anger")}, {}, {"induced"}),
        ({"failing": ("fear", "disgust")}, {}, set()),
    ],
)
def test_a_fault_fails_the_checks_of_its_kind(planted, flat, lines):
    assert failed(verdict(models(planted, flat))) == lines


def test_a_planted_pattern_in_a_flat_model_is_found():
    leak = {
        "change": lambda shift, emotion, **_: (
            0.12 if emotion == "happiness" else -0.12 * (emotion == "anger")
        )
    }
    found = {line.check: line for line in verdict(models(flat=leak))}
    assert not found["flat_steering"].passed and not found["flat_pattern"].passed
    assert found["flat_pattern"].measured < CHANCE


def test_a_contrast_that_finds_too_many_effects_is_found(monkeypatch):
    def pooled(effect, others):
        # Wrong: uses the error of the mean in place of the error of one more draw.
        error = np.std(others, ddof=1) / np.sqrt(len(others))
        return {"p": 2 * stats.norm.sf(abs(effect - np.mean(others)) / error)}

    monkeypatch.setattr("emotion_games.demo.verdict.against_random", pooled)
    lines = [line for line in verdict(models()) if not line.passed]
    assert [line.check for line in lines] == ["random_contrast"] * 2
    assert all(line.measured > 0.4 for line in lines)


def test_false_effects_in_flat_models_are_found():
    falsified = models()
    for model in falsified[2:]:
        model.random_p[:3] = 0.001
        model.claims[0] = 1
    assert failed(verdict(falsified)) == {"flat_contrast", "flat_claims"}


def test_claims_must_exist_and_have_the_planted_sign():
    def claims(first, second):
        found = models()
        found[0].claims[...] *= first
        found[1].claims[...] *= second
        return next(line for line in verdict(found) if line.check == "claims")

    assert claims(1, 0).passed and claims(1, 0).measured == 1
    assert claims(1, -1).measured == 0.5 and not claims(1, -1).passed
    assert claims(0, 0).measured == 0 and not claims(0, 0).passed


def test_a_check_without_a_number_fails():
    first, *others = models()
    first.prompted[2, 3] = np.nan
    lines = [line for line in verdict([first, *others]) if not line.passed]
    assert [(line.check, line.model) for line in lines] == [
        ("prompted_correlation", "demo-planted-0"),
        ("prompted_slope", "demo-planted-0"),
    ]
    assert all(np.isnan(line.measured) for line in lines)


@pytest.mark.parametrize("heavy_tails", [False, True])
def test_checks_that_depend_on_chance_rarely_fail_for_correct_flat_models(heavy_tails):
    misses, model = 0, models()[2]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        draw = rng.standard_t(5, (20, 1)) if heavy_tails else rng.normal(size=(20, 1))
        model.random[...] = 0.07 * draw + rng.normal(0, 0.03, model.random.shape)
        # An emotion's direction has a common effect in all games, as a random one does.
        model.steered["scored"][model.headline] = 0.05 * rng.normal(size=(6, 1)) + rng.normal(
            0, 0.03, (6, 10)
        )
        misses += len(failed(verdict([model])) & {"random_contrast", "flat_pattern"})
    assert misses <= 3, "two checks, each fails once in a hundred runs, 20 runs"


def test_planted_shifts_and_dose_curves_are_those_of_the_table():
    cells = [Cell("Prisoners_Dilemma", "none"), Cell("Escalation_Game", "escalations_1")]
    shifts = planted_shifts(TRUTH, ["anger", "fear"], cells, WHOLE_INTENSITY)
    assert shifts == pytest.approx(np.array([[-0.3, -0.4], [-0.1, 0.35]]))
    model = models()[0]
    curves = dose_curves(model, model.planted)
    # No shift over a tenth is planted for surprise.
    assert list(curves) == [emotion for emotion in EMOTIONS if emotion != "surprise"]
    assert all(np.all(np.diff(curve) > 0.04) for curve in curves.values())


def test_real_statistics_have_every_record_that_the_check_reads():
    game = load_game(ROOT / "config" / "games" / "Prisoners_Dilemma")
    settings = SETTINGS | {"emotions": ["anger", "happiness"]}
    shape = {
        "emotions": ("anger", "happiness"),
        "effects": {"anger": -0.3, "happiness": 0.3},
        "repeats": 3,
    }
    trials = simulate(game, texts=False, random_sd=0.03, **shape)
    # Free answers to the first prompt of each story, of which those that defect cannot be read.
    orders = trials["option_order"] == trials["option_order"].iloc[0]
    asked = orders & (trials["repeat_num"] == 0) & trials["generated"]
    method = np.where(trials["choice"] == "cooperate", "strict", "unparsed: no json")
    trials["free_method"] = np.where(asked, method, "")
    trials["free_choice"] = np.where(trials["free_method"] == "strict", "cooperate", "")
    trials["free_output"] = "text"
    statistics = analyse(trials, simulate_checks(settings["emotions"]), game, settings)
    model = measured_model("demo", "planted", [json.loads(json.dumps(statistics))], TRUTH)
    assert model.cells == (Cell("Prisoners_Dilemma", "start"),)
    assert model.doses == (0.5, 1.0, 1.5) and model.headline == 1
    assert model.shifts("scored")[:, 0] == pytest.approx([-0.3, 0.3], abs=0.04)
    assert model.shifts("chosen")[:, 0] == pytest.approx([-0.3, 0.3], abs=0.12)
    assert model.prompted[:, 0] == pytest.approx([-0.45, 0.45], abs=0.05)
    assert model.random.shape == (20, 1) and np.isfinite(model.random).all()
    assert (model.random_p < 0.01).all()
    assert model.claims[:, 0].tolist() == [-1, 1]
    assert model.asked == {"neutral": 24, "steered": 48}
    readable = trials[trials["free_method"] == "strict"]
    readable = readable[readable["intensity"].isin([0.0, 1.0])]["arm"].value_counts()
    assert model.readable == {arm: readable[arm] for arm in ("neutral", "steered")}
    assert model.induced == {"anger": True, "happiness": True}
    assert abs(model.position[0]) < 0.02


@pytest.fixture
def series(tmp_path):
    """A finished series folder with the files that the check reads."""
    place = tmp_path / "Validation_20250210_163355"
    entries, experiments = {}, {}
    for variant, seed in (("planted", 0), ("flat", 1)):
        key = f"{variant}{seed}"
        entries[key] = {
            "name": f"demo-{key}",
            "entry": {"id": "demo", "variant": variant, "seed": seed},
        }
        for analysis in tables(variant, seed):
            exp_id = f"{analysis['meta']['game']}_{key}"
            experiments[exp_id] = {"model": key, "output_dir": str(place / exp_id)}
            files.write_json(place / exp_id / "stats_analysis.json", analysis)
    return write_series(place, experiments, entries)


def test_the_page_shows_the_verdict_and_needs_no_other_file(series, capsys):
    assert write_verdict.main(series, DEMO) == 0
    assert "passed: 24 of 24 checks passed" in capsys.readouterr().out
    page = (series / "verdict.html").read_text()
    assert "<strong>Passed.</strong>" in page and "FAILED" not in page
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    content = json.loads((series / "verdict.json").read_text())
    assert content["passed"] and len(content["shifts"]) == 2 * 6 * 10
    assert {path.name for path in (series / "verdict_figures").iterdir()} == {
        "shifts.png", "shifts.svg", "doses.png", "doses.svg",
    }  # fmt: skip


def test_a_failed_verdict_prints_the_failed_checks_and_their_meaning(series, capsys):
    for path in series.glob("*_planted0/stats_analysis.json"):
        analysis = json.loads(path.read_text())
        for record in analysis["position_bias"]:
            record["estimate"] = 0.3
        path.write_text(json.dumps(analysis))
    assert write_verdict.main(series, DEMO) == 1
    output = capsys.readouterr().out
    title = "The order of options has no effect: preference for the first"
    assert f"FAILED demo-planted0: {title} 0.3" in output
    assert "The choice depends on the position of an option, not on its content." in output
    page = (series / "verdict.html").read_text()
    assert "<strong>Failed.</strong> 1 of 24 checks failed" in page


def test_an_unfinished_series_and_other_models_are_refused(series, capsys):
    next(series.glob("Stag_Hunt_flat1/stats_analysis.json")).unlink()
    assert write_verdict.main(series, DEMO) == 1
    assert capsys.readouterr().err.startswith("ERROR: ")
    with pytest.raises(UserError, match="no results yet of Stag_Hunt_flat1"):
        read_measured(series, TRUTH)
    content = json.loads((series / ".state" / "series.json").read_text())
    content["experiments"].pop("Stag_Hunt_flat1")
    content["models"]["flat1"] |= {"name": "org/M1", "entry": {"id": "org/M1"}}
    files.write_json(series / ".state" / "series.json", content)
    with pytest.raises(UserError, match="no effects are planted in org/M1"):
        read_measured(series, TRUTH)


def shipped(**changes):
    config = yaml.safe_load((ROOT / "config" / "validation.yaml").read_text())
    config["experiment"] |= changes
    return config


def test_the_shipped_config_has_everything_that_the_verdict_needs():
    checked = check_config(shipped(), ROOT)
    assert checked.verdict and set(checked.games) == set(TRUTH)
    variants = [model.entry["variant"] for model in checked.models]
    assert min(variants.count("planted"), variants.count("flat")) >= 2
    assert (
        checked.settings["arms"]["random"]["scored"] >= 20 and checked.settings["arms"]["prompted"]
    )
    assert not check_config(
        yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()), ROOT
    ).verdict


def test_a_verdict_needs_demo_models_and_planted_games_and_emotions(tmp_path):
    for changes, line in (
        ({"models": ["demo", "org/M1"]}, "experiment.models: org/M1 with verdict: true"),
        ({"games": ["Stag_Hunt", "Wait_Go"]}, "experiment.games: Wait_Go with verdict: true"),
    ):
        with pytest.raises(ProblemList) as caught:
            check_config(shipped(**changes), ROOT)
        assert [found for found in caught.value.problems if found.startswith(line)], (
            caught.value.problems
        )
    stimuli = tmp_path / "emotions"
    shutil.copytree(ROOT / "config" / "demo" / "emotions", stimuli)
    shutil.copy(stimuli / "anger.txt", stimuli / "boredom.txt")
    with pytest.raises(ProblemList, match="experiment.emotions: boredom with verdict: true"):
        check_config(shipped(emotions=["anger", "boredom"], stimuli=str(stimuli)), ROOT)


def test_every_check_has_texts():
    texts = verdict_page.check_texts()
    assert {line.check for line in verdict(models())} == set(texts)
    assert all(set(each) == {"title", "passed", "failed"} for each in texts.values())


@pytest.mark.slow
def test_the_whole_check_runs_and_fails_for_untrained_models(tmp_path):
    """Training takes a few steps only, and every model passes the gates: only the verdict fails."""
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    build = tmp_path / "scripts" / "emotion_games" / "demo" / "trainer" / "build.py"
    build.write_text(build.read_text() + "\n\nRecipe.__init__.__defaults__ = (20, 28, 16)\n")
    gate = tmp_path / "scripts" / "emotion_games" / "demo" / "trainer" / "acceptance.py"
    gate.write_text(
        gate.read_text()
        + "\n\ndef gate_figures(*_):\n    return {}\n\n\ndef missed_gates(*_):\n    return []\n"
    )
    config = shipped(
        games=["Escalation_Game"],
        models=["demo", {"id": "demo", "variant": "flat"}],
        arms={"random": {"scored": 6, "generated": 0}},
        checks={"manipulation": False, "damage": False},
        emotions=["anger", "happiness", "fear"],
        intensity=[0.1, 0.2],
        generation={"max_new_tokens": 8},
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    shown = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    output = shown.stdout + shown.stderr
    assert shown.returncode != 0, output
    assert "The instrument check FAILED" in output
    folder = next((tmp_path / "results" / "ExperimentSeries").iterdir())
    assert f"See {folder.relative_to(tmp_path)}/verdict.html" in output
    content = json.loads((folder / "verdict.json").read_text())
    # The pushes are not checked in this series.
    missing = {line["check"] for line in content["lines"] if line["measured"] is None}
    assert missing == {"induced"}
    failed = {line["check"] for line in content["lines"] if not line["passed"]}
    assert {"steering_slope", "neutral_readable"} <= failed
    rows = json.loads((folder / "experiment_report.json").read_text())["experiments"]
    assert {row["status"] for row in rows.values()} == {"completed"}
