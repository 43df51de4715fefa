# What the rules share: the series with its grid, and the functions that give a job its inputs. No rules.
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from emotion_games import layout
from emotion_games.series.grid import direction_settings
from emotion_games.series.workflow import Run, job_settings, load_series

SERIES = load_series(config, workflow)
CONFIG = SERIES.config
config.update(job_settings(CONFIG, ROOT))
RUN = Run(SERIES, workflow)

STATE = layout.state_dir(SERIES.folder)
DIRECTIONS = f"{CONFIG.base_dir}/directions"
MODELS = f"{CONFIG.base_dir}/models"
MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
GPUS = 0 if CONFIG.runtime["device"] == "cpu" else 1

OUTPUT_DIRS = [SERIES.output_dir(exp_id) for exp_id in SERIES.experiments]
RESULTS = [f"{folder}/{name}" for folder in OUTPUT_DIRS for name in layout.RESULT_FILES]
STATISTICS = [f"{folder}/stats_analysis.json" for folder in OUTPUT_DIRS]
PLOTS = [f"{folder}/plots" for folder in OUTPUT_DIRS]
STIMULI = [
    str(CONFIG.stimuli / f"{emotion}.txt") for emotion in [*CONFIG.settings["emotions"], "neutral"]
]
VERDICT = [f"{SERIES.folder}/verdict.html", f"{STATE}/verdict_passed"] if CONFIG.verdict else []

DEMO_MODELS = {model.demo_folder: model for model in CONFIG.models if model.is_demo}
BY_DIRECTIONS = {}
for experiment in SERIES.experiments.values():
    BY_DIRECTIONS.setdefault(SERIES.directions(experiment), experiment)


def experiment_of(wildcards):
    """The experiment of a job; for directions, the first experiment that reads them."""
    return (
        SERIES.experiments[wildcards.exp_id]
        if "exp_id" in wildcards.keys()
        else BY_DIRECTIONS[wildcards.directions]
    )


def model_of(wildcards):
    """The model of a job."""
    return (
        DEMO_MODELS[wildcards.demo]
        if "demo" in wildcards.keys()
        else experiment_of(wildcards).model
    )


def model_path(wildcards):
    """Where the model of a job is loaded from: a local folder or a hub id."""
    model = model_of(wildcards)
    return f"{MODELS}/{model.demo_folder}" if model.is_demo else model.entry["id"]


def model_files(wildcards):
    """The files of a model that the workflow makes itself; any other is found when it is loaded."""
    if not model_of(wildcards).is_demo:
        return []
    return ancient([f"{model_path(wildcards)}/{name}" for name in MODEL_FILES])


def directions_file(wildcards):
    """The directions of the model of a job."""
    return ancient(f"{DIRECTIONS}/{SERIES.directions(experiment_of(wildcards))}.safetensors")


def experiment_spec(wildcards):
    """Everything that determines the results of an experiment."""
    return SERIES.spec(experiment_of(wildcards))


def model_entry(wildcards):
    """The identity of the model of a job."""
    return model_of(wildcards).entry


def model_key(wildcards):
    """The key of the model in the config's `runtime`."""
    return model_of(wildcards).key


def running_order(wildcards):
    """Model by model, each one's directions before its experiments; figures (priority 0) as soon as possible."""
    if "demo" in wildcards.keys():
        return (
            -3 * min(e.rank for e in SERIES.experiments.values() if e.model == model_of(wildcards))
            - 1
        )
    return -3 * experiment_of(wildcards).rank - (3 if "exp_id" in wildcards.keys() else 2)


def memory_mb(wildcards, attempt):
    """Main memory of a job; more with every retry. A demo model needs little."""
    return (2_000 if model_of(wildcards).is_demo else 32_000) * attempt


def runtime_minutes(wildcards, attempt):
    """Time limit of a job; more with every retry, which continues from the journal."""
    return (60 if model_of(wildcards).is_demo else 720) * attempt
