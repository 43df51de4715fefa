# The series with its grid, and the functions that give a job its inputs. No rules.
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from emotion_games import layout
from emotion_games.experiment.conditions import direction_settings
from emotion_games.prompts.stimuli import stimulus_files, used_stimuli
from emotion_games.series.workflow import Run, job_settings, load_series

SERIES = load_series(config, workflow)
CONFIG = SERIES.config
config.update(job_settings(CONFIG, ROOT))
RUN = Run(SERIES, workflow)

FOLDER = SERIES.folder
DIRECTIONS = f"{CONFIG.base_dir}/directions"
MODELS = f"{CONFIG.base_dir}/models"
MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]

OUTPUT_DIRS = [SERIES.output_dir(exp_id) for exp_id in SERIES.experiments]
RESULTS = [folder / name for folder in OUTPUT_DIRS for name in layout.RESULT_FILES]
STATISTICS = [folder / layout.STATISTICS for folder in OUTPUT_DIRS]
PLOTS = [folder / layout.PLOTS for folder in OUTPUT_DIRS]
STIMULI = [
    stimulus_files(CONFIG.stimuli)[name]
    for name in used_stimuli(CONFIG.stimuli, CONFIG.settings["emotions"])
]
VERDICT = []
if CONFIG.verdict:
    VERDICT = [FOLDER / layout.VERDICT_PAGE, layout.verdict_passed_path(FOLDER)]

DEMO_MODELS = {model.made_folder: model for model in CONFIG.models if model.is_demo}
BY_DIRECTIONS, BY_SLUG, BY_SETUP = {}, {}, {}
for experiment in SERIES.experiments.values():
    BY_DIRECTIONS.setdefault(SERIES.directions(experiment), []).append(experiment)
    BY_SLUG.setdefault(experiment.slug, []).append(experiment)
    BY_SETUP.setdefault(experiment.setup, []).append(experiment)
PUSH_CHECKS = [layout.push_checks_path(FOLDER, setup) for setup in BY_SETUP]
CHOSEN = []
if CONFIG.settings["sweep"]:
    CHOSEN = [layout.chosen_path(FOLDER, slug) for slug in BY_SLUG]


def experiment_of(wildcards):
    """Return the experiment of a job, or the first one that needs what a job of a model writes."""
    if "exp_id" in wildcards.keys():
        return SERIES.experiments[wildcards.exp_id]
    if "slug" in wildcards.keys():
        return BY_SLUG[wildcards.slug][0]
    if "setup" in wildcards.keys():
        return BY_SETUP[wildcards.setup][0]
    return BY_DIRECTIONS[wildcards.directions][0]


def model_of(wildcards):
    """Return the model of a job."""
    if "demo" in wildcards.keys():
        return DEMO_MODELS[wildcards.demo]
    return experiment_of(wildcards).model


def model_path(wildcards):
    """Return where the model of a job is loaded from: its folder, or the file that names it."""
    model = model_of(wildcards)
    if model.is_fetched:
        return str(layout.source_path(FOLDER, SERIES.slugs[model.key]))
    return f"{MODELS}/{model.made_folder}" if model.is_demo else model.path


def model_files(wildcards):
    """Return the files of a model that the workflow makes, and none of a folder of the user."""
    model, path = model_of(wildcards), model_path(wildcards)
    if model.is_demo:
        return ancient([f"{path}/{name}" for name in MODEL_FILES])
    return ancient([path] if model.is_fetched else [])


def unmeasured_model_files(wildcards):
    """Return the files of a model whose directions are not there yet.

    Every series fetches its models. Directions that another series has measured must not be
    measured again for it.
    """
    there = Path(f"{DIRECTIONS}/{wildcards.directions}.safetensors").exists()
    return [] if there else model_files(wildcards)


def directions_file(wildcards):
    """Return the directions of the model of a job."""
    return ancient(f"{DIRECTIONS}/{SERIES.directions(experiment_of(wildcards))}.safetensors")


def push_checks_file(wildcards):
    """Return the checks of the pushes of the model of a job."""
    return ancient(str(layout.push_checks_path(FOLDER, experiment_of(wildcards).setup)))


def results_of_model(wildcards):
    """Return the result files of all experiments of a model."""
    folders = [SERIES.output_dir(experiment.exp_id) for experiment in BY_SLUG[wildcards.slug]]
    return [folder / name for folder in folders for name in layout.RESULT_FILES]


def experiment_spec(wildcards):
    """Return everything that determines the results of an experiment, or of a model's checks."""
    return SERIES.spec(experiment_of(wildcards))


def waiting_specs(wildcards):
    """Return the specifications of the experiments that read the directions of a job.

    Those at other positions have the same games.
    """
    by_game = {experiment.game: experiment for experiment in BY_DIRECTIONS[wildcards.directions]}
    return [SERIES.spec(experiment) for experiment in by_game.values()]


def measured_settings(wildcards):
    """Return the settings that the directions of a job depend on."""
    return direction_settings(SERIES.settings(experiment_of(wildcards)))


def model_entry(wildcards):
    """Return the identity of the model of a job."""
    return model_of(wildcards).entry


def model_hashes(wildcards):
    """Return the hashes of the files that the model of a job is made of."""
    return model_of(wildcards).hashes


def model_key(wildcards):
    """Return the key of the model in the config's `runtime`."""
    return model_of(wildcards).key


def running_order(wildcards):
    """Return the priority of a job: model by model; directions, push checks, then experiments.

    All priorities are negative, so that figures, whose priority is 0, are drawn as early as
    possible.
    """
    if "demo" in wildcards.keys():
        model = model_of(wildcards)
        return -4 * min(e.rank for e in SERIES.experiments.values() if e.model == model) - 1
    (wildcard,) = wildcards.keys()
    step = {"directions": 2, "setup": 3, "exp_id": 4}[wildcard]
    return -4 * experiment_of(wildcards).rank - step


def gpus(wildcards):
    """Return how many GPUs a job of a model claims."""
    return 0 if CONFIG.runtime["device"] == "cpu" else model_of(wildcards).gpus


def memory_mb(wildcards, attempt):
    """Return the main memory of a job, which grows with every retry."""
    return (2_000 if model_of(wildcards).is_demo else 32_000) * attempt


def runtime_minutes(wildcards, attempt):
    """Return the time limit of a job; a retry has more time and continues from the journal."""
    return (60 if model_of(wildcards).is_demo else 720) * attempt
