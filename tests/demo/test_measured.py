"""The instrument check: a correct instrument passes, and each kind of fault fails its checks."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import write_verdict
from confirm_verdict import confirm_verdict
from emotion_games import files
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.demo import verdict_page
from emotion_games.demo.measured import Cell, measured_model, planted_shifts, read_measured
from emotion_games.demo.trainer.acceptance import missed_gates
from emotion_games.demo.trainer.truth import WHOLE_INTENSITY, load_truth, planted_shift
from emotion_games.demo.verdict import CHANCE, verdict
from emotion_games.errors import ProblemList, UserError
from emotion_games.experiment.analysis_plan import CLAIM_SCENARIOS, nulls_needed
from emotion_games.games.catalog import load_game
from emotion_games.series.config import check_config
from series_records import write_series
from simulated_trials import SETTINGS, simulate, simulate_checks

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config" / "demo"
GAMES = ROOT / "config" / "games"
TRUTH = load_truth(DEMO)
EMOTIONS = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")
NOISE = {"scored": 0.02, "chosen": 0.12}


def no_change(shift, **_):
    return shift


def tables(
    variant="planted",
    seed=0,
    change=no_change,
    position=0.0,
    parsed=0.97,
    directions=150,
    failing=(),
):
    """Return statistics of a model's six experiments, as far as the check reads them.

    `change(shift, emotion, measure)` returns a wrong steered shift.
    """
    rng = np.random.default_rng([seed, len(variant)])
    pushes = rng.normal(0, 0.02, directions)
    return [
        _analysis(game, variant, rng, change, position, pushes, parsed, failing) for game in TRUTH
    ]


def _analysis(game, variant, rng, change, position, pushes, parsed, failing):
    row, histories = TRUTH[game], [h.name for h in load_game(GAMES / game).histories]
    contrasts, nulls = [], []

    def planted(emotion, history):
        return planted_shift(row, emotion, history) if variant == "planted" else 0.0

    def add(contrast, emotion, dose, history, measure, estimate):
        contrasts.append(
            {
                "contrast": contrast,
                "emotion": emotion,
                "intensity": dose,
                "history": history,
                "measure": measure,
                "estimate": estimate,
            }
        )

    for history in histories:
        for emotion in EMOTIONS:
            for measure, noise in NOISE.items():
                shift = change(planted(emotion, history), emotion=emotion, measure=measure)
                shift += rng.normal(0, noise)
                add("emotion_minus_neutral", emotion, WHOLE_INTENSITY, history, measure, shift)
            prompted = planted(emotion, history) + rng.normal(0, 0.02)
            add("prompted_minus_prompted_neutral", emotion, 1.0, history, "scored", prompted)
        effects = {f"random_{n}": push + rng.normal(0, 0.01) for n, push in enumerate(pushes)}
        nulls.append({"arm": "random", "measure": "scored", "history": history, "effects": effects})
    emotion_analysis = {}
    for emotion in EMOTIONS:
        effect = np.mean([planted(emotion, history) for history in histories])
        emotion_analysis[emotion] = {
            "versus_neutral": {"estimate": effect},
            "claim": bool(abs(effect) > 0.12),
            "p_rank": rng.uniform(),
        }
    biases = [
        {"arm": "neutral", "measure": "scored", "history": h, "estimate": position}
        for h in histories
    ]
    readable = {"n_answers": 100, "readable": {"estimate": parsed}}
    arms = {"neutral": 0.0, "steered": WHOLE_INTENSITY}
    return {
        "meta": {"game": game, "histories": histories},
        "plan": {
            "emotions": list(EMOTIONS),
            "headline_intensity": WHOLE_INTENSITY,
            "confidence": 0.95,
        },
        "contrasts": contrasts,
        "null_directions": nulls,
        "position_bias": biases,
        "format_check": [{"arm": arm, "intensity": dose} | readable for arm, dose in arms.items()],
        "induced": [
            {"emotion": e, "intensity": WHOLE_INTENSITY, "came_through": e not in failing}
            for e in EMOTIONS
        ],
        "emotion_analysis": emotion_analysis,
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
    # 7 checks per planted model, 3 per flat model, 4 of form per model; then the pooled checks.
    assert len(lines) == 2 * (7 + 4) + 2 * (3 + 4) + 2 + 2
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
            },
        ),
        (
            {"change": turned("sadness")},
            {},
            {"steering_correlation", "steering_slope", "written_correlation"},
        ),
        ({"change": at_dose(0.5)}, {}, {"steering_slope"}),
        ({"change": at_dose(1.5)}, {}, {"steering_slope"}),
        ({"change": weak_in_writing}, {}, {"written_correlation", "written_slope"}),
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
    leaked = {"anger": -0.12, "happiness": 0.12, "sadness": 0.04, "disgust": -0.08}
    leak = {"change": lambda shift, emotion, **_: leaked.get(emotion, 0.0)}
    found = {line.check: line for line in verdict(models(flat=leak))}
    assert not found["flat_steering"].passed and not found["flat_pattern"].passed
    assert found["flat_pattern"].measured < CHANCE


@pytest.mark.parametrize(
    ("models_of", "experiments", "allowed"),
    # The 99 % quantile of a binomial distribution with p = .05: of 12, more than 3 have p = .0022.
    [(slice(2, 4), 12, 3), (slice(2, 3), 6, 2)],
)
def test_false_claims_of_any_size_must_not_exceed_chance(models_of, experiments, allowed):
    flat = models()[models_of]

    def line():
        return next(line for line in verdict(flat) if line.check == "flat_claims")

    assert line().measured == 0 and line().most == pytest.approx(allowed / experiments)
    assert line().detail.startswith(f"0 of {6 * experiments} effects, in 0 of {experiments} exp")
    # Two emotions of one experiment count once, as they are corrected together.
    flat[0].claimed[:2, 0] = True
    flat[0].claimed[0, 1:allowed] = True
    flat[0].effects[...] = 0.001
    assert line().passed and line().measured == pytest.approx(allowed / experiments)
    flat[-1].claimed[3, 5] = True
    assert not line().passed
    assert line().detail.startswith(f"{allowed + 2} of {6 * experiments} effects, in {allowed + 1}")


def test_a_single_experiment_without_effects_must_have_no_claim():
    flat = models()[2]
    flat = replace(flat, claimed=flat.claimed[:, :1], effects=flat.effects[:, :1])
    assert "flat_claims" not in failed(verdict([flat]))
    flat.claimed[0, 0] = True
    assert "flat_claims" in failed(verdict([flat]))


def test_no_effect_in_a_flat_model_may_have_the_size_of_a_planted_one():
    flat = models()[2]
    flat.effects[2, 3] = -0.09
    assert "flat_size" not in failed(verdict([flat]))
    flat.effects[2, 3] = -0.11
    assert failed(verdict([flat])) == {"flat_size"}


def test_large_planted_effects_must_be_claimed():
    def power(missed):
        found = models()
        large = np.argwhere(np.abs(found[0].planted_effects) > 0.149)
        assert len(large) == 25
        for emotion, game in large[:missed]:
            found[0].claimed[emotion, game] = False
        return next(line for line in verdict(found) if line.check == "power")

    assert power(0).measured == 1 and power(0).detail.startswith("50 of 50 planted effects")
    # Of 50 in two models, 39 are less than .8.
    assert power(10).passed and not power(11).passed


def test_effects_are_means_over_the_histories_of_a_game():
    model, place = models()[0], EMOTIONS.index("anger")
    assert model.planted.shape == (6, 10) and model.planted_effects.shape == (6, 6)
    responder = TRUTH["Ultimatum_Game_Responder"]
    shifts = [planted_shift(responder, "anger", f"offer_{x}") for x in ("low", "medium", "high")]
    column = model.games.index("Ultimatum_Game_Responder")
    assert model.planted_effects[place, column] == pytest.approx(np.mean(shifts))


def test_a_claim_with_the_wrong_sign_is_found_and_one_of_a_small_effect_is_not_judged():
    def wrong(emotion):
        found = models()
        place = EMOTIONS.index(emotion), found[1].games.index("Stag_Hunt")
        found[1].claimed[place], found[1].effects[place] = True, 0.2
        return next(line for line in verdict(found) if line.check == "wrong_sign")

    assert wrong("happiness").measured == 0
    assert wrong("anger").detail.startswith("1 of ") and not wrong("anger").passed
    flipped = models()
    place = EMOTIONS.index("surprise"), flipped[0].games.index("Ultimatum_Game_Proposer")
    flipped[0].claimed[place], flipped[0].effects[place] = True, 0.2
    assert "wrong_sign" not in failed(verdict(flipped)), "-.05 is planted"


def test_a_check_without_a_number_fails():
    first, *others = models()
    first.prompted[2, 3] = np.nan
    lines = [line for line in verdict([first, *others]) if not line.passed]
    assert [(line.check, line.model) for line in lines] == [
        ("prompted_correlation", "demo-planted-0"),
        ("prompted_slope", "demo-planted-0"),
    ]
    assert all(np.isnan(line.measured) for line in lines)


def test_a_check_of_chance_rarely_fails_for_correct_flat_models():
    misses, model = 0, models()[2]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        # An emotion's direction has a common effect in all games.
        model.steered["scored"][...] = 0.05 * rng.normal(size=(6, 1)) + rng.normal(0, 0.03, (6, 10))
        misses += "flat_pattern" in failed(verdict([model]))
    assert misses <= 2, "it fails once in a hundred runs"


def test_planted_shifts_are_those_of_the_table():
    cells = [Cell("Prisoners_Dilemma", "none"), Cell("Escalation_Game", "escalations_1")]
    shifts = planted_shifts(TRUTH, ["anger", "fear"], cells, WHOLE_INTENSITY)
    assert shifts == pytest.approx(np.array([[-0.3, -0.4], [-0.1, 0.35]]))


def test_real_statistics_have_every_record_that_the_check_reads():
    game = load_game(ROOT / "config" / "games" / "Prisoners_Dilemma")
    settings = SETTINGS | {"emotions": ["anger", "happiness"]}
    shape = {
        "emotions": ("anger", "happiness"),
        "effects": {"anger": -0.3, "happiness": 0.3},
        "repeats": 3,
    }
    trials = simulate(game, texts=False, random_sd=0.03, n_random=70, **shape)
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
    assert model.steered["scored"][:, 0] == pytest.approx([-0.3, 0.3], abs=0.04)
    assert model.steered["chosen"][:, 0] == pytest.approx([-0.3, 0.3], abs=0.12)
    assert model.prompted[:, 0] == pytest.approx([-0.45, 0.45], abs=0.08)
    assert model.random.shape == (70, 1) and np.isfinite(model.random).all()
    assert np.array_equal(model.effects, model.steered["scored"])
    assert model.claimed.tolist() == [[True], [True]]
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
    assert "passed: 22 of 22 checks passed" in capsys.readouterr().out
    confirm_verdict(series / "verdict.json")
    assert f"See {series / 'verdict.html'}." in capsys.readouterr().err
    page = (series / "verdict.html").read_text()
    assert "<strong>Passed.</strong>" in page and "FAILED" not in page
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    content = json.loads((series / "verdict.json").read_text())
    assert content["passed"] and len(content["shifts"]) == 2 * 6 * 10
    assert sum(effect["claimed"] for effect in content["effects"]) == 26
    assert "25 of 25 planted effects of 0.15 or more" in page and "0 of 36 effects" in page
    assert {path.name for path in (series / "verdict_figures").iterdir()} == {
        "shifts.png", "shifts.svg", "claims.png", "claims.svg",
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
    with pytest.raises(SystemExit, match="The instrument check FAILED: 21 of 22 checks passed"):
        confirm_verdict(series / "verdict.json")
    page = (series / "verdict.html").read_text()
    assert "<strong>Failed.</strong> 1 of 22 checks failed" in page


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
    settings = checked.settings
    assert settings["num_scenarios"] >= CLAIM_SCENARIOS and settings["arms"]["prompted"]
    assert settings["arms"]["random"]["matched"] >= nulls_needed(len(settings["emotions"]))
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
def test_the_whole_check_runs_on_one_planted_and_one_flat_model(tmp_path):
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    models = ["demo", {"id": "demo", "variant": "flat"}]
    config = shipped(games=["Prisoners_Dilemma"], models=models)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "config.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    output = shown.stdout + shown.stderr
    (folder,) = (tmp_path / "results" / "ExperimentSeries").iterdir()
    assert f"See {folder.relative_to(tmp_path)}/verdict.html" in output, output
    content = json.loads((folder / "verdict.json").read_text())
    failed = {check["check"] for check in content["lines"] if not check["passed"]}
    assert failed == set(), output
    assert content["passed"] and shown.returncode == 0
    claimed = [effect for effect in content["effects"] if effect["claimed"]]
    assert {effect["model"] for effect in claimed} == {"demo"}
    reports = [files.read_json(path) for path in tmp_path.glob("results/models/*/demo_report.json")]
    assert sorted(report["variant"] for report in reports) == ["flat", "planted"]
    for report in reports:
        assert missed_gates(report, report["variant"]) == []
