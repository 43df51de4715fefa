# What the rules share: the checked config, the series and its grid, and functions that give a job its inputs. No rules.
import contextlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from emotion_games.series import state
from emotion_games.series.config import check_config
from emotion_games.errors import ProblemList, UserError
from emotion_games.series.grid import direction_settings
from emotion_games.series.job import record_silent_end
from emotion_games.reporting.page import PAGE
from emotion_games.series.preview import preview, trial_counts
from emotion_games.series.completeness import REPORT, counts, rebuild
from emotion_games.series.folder import PINNED, find_series, open_series
from emotion_games.signals import OWNER, stop_workflow_on_signal


def refuse(error):
    """End before anything starts: the lines that a user can mend, and no traceback."""
    files = ", ".join(map(str, workflow.overwrite_configfiles or ["config/demo.yaml"]))
    lines = error.problems if isinstance(error, ProblemList) else [str(error)]
    sys.exit("\n".join([f"ERROR: the config ({files}) cannot be used:", *(f"  {line}" for line in lines)]))


try:
    CONFIG = check_config(config, ROOT)
    SERIES = find_series(CONFIG, ROOT, is_main=workflow.is_main_process)
except UserError as error:
    refuse(error)

# What never changes an answer reaches the jobs through the config, not as params or inputs, of which Snakemake keeps
# account: how to run, and where the files lie whose contents the experiments' hashes pin down.
config["files"] = {
    "game": {game: str(ROOT / "config" / "games" / game) for game in CONFIG.games},
    "scenarios": {game: str(path) for game, path in CONFIG.scenario_files.items()},
    "stimuli": str(CONFIG.stimuli),
    "prompts": str(CONFIG.prompts),
    "checks": str(CONFIG.check_items),
}
config["runtime"] = {
    model.key: CONFIG.runtime | {"device_map": model.running.get("device_map")} for model in CONFIG.models
}

# Jobs that read this file again find their own run's series, even where `new=true` stands on the command line.
os.environ[PINNED] = str(SERIES.folder)
os.environ[OWNER] = str(os.getpid())
if workflow.is_main_process and workflow.output_settings.dryrun:
    print(preview(SERIES), file=sys.stderr)

STATE = f"{SERIES.folder}/.state"
DIRECTIONS = f"{CONFIG.base_dir}/directions"
MODELS = f"{CONFIG.base_dir}/models"
if workflow.is_main_process and not workflow.output_settings.dryrun:
    state.leave_no_future([SERIES.folder, Path(DIRECTIONS), Path(MODELS)])
MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
RESULTS = [f"{SERIES.output_dir(exp_id)}/{name}" for exp_id in SERIES.experiments for name in state.RESULT_FILES]
STIMULI = [str(CONFIG.stimuli / f"{emotion}.txt") for emotion in [*CONFIG.settings["emotions"], "neutral"]]
STATISTICS = [f"{SERIES.output_dir(exp_id)}/stats_analysis.json" for exp_id in SERIES.experiments]
PLOTS = [f"{SERIES.output_dir(exp_id)}/plots" for exp_id in SERIES.experiments]
VERDICT = [f"{SERIES.folder}/verdict.html", f"{STATE}/verdict_passed"] if CONFIG.verdict else []
RESERVE = state.reserve_path(SERIES.folder, "run")
RUN = {}


def demo_folder(model):
    """Name of the folder of a demo model; it says what the model is made of."""
    return f"{model.name}-{model.hashes['demo'][:10]}"


DEMO_MODELS = {demo_folder(model): model for model in CONFIG.models if model.is_demo}
BY_DIRECTIONS = {}
for experiment in SERIES.experiments.values():
    BY_DIRECTIONS.setdefault(SERIES.directions(experiment), experiment)
GPUS = 0 if CONFIG.runtime["device"] == "cpu" else 1


def experiment_of(wildcards):
    """The experiment that a job belongs to; for directions, the first one that reads them."""
    return SERIES.experiments[wildcards.exp_id] if "exp_id" in wildcards.keys() else BY_DIRECTIONS[wildcards.directions]


def model_of(wildcards):
    """The model that a job trains, measures or lets play."""
    return DEMO_MODELS[wildcards.demo] if "demo" in wildcards.keys() else experiment_of(wildcards).model


def model_path(wildcards):
    """Where the job's model is loaded from: a folder on this machine, or a hub id."""
    model = model_of(wildcards)
    return f"{MODELS}/{demo_folder(model)}" if model.is_demo else model.entry["id"]


def model_files(wildcards):
    """Files of a model that the workflow makes itself; any other is found when it is loaded."""
    if not model_of(wildcards).is_demo:
        return []
    return ancient([f"{model_path(wildcards)}/{name}" for name in MODEL_FILES])


def directions_file(wildcards):
    """The directions of the job's model."""
    return ancient(f"{DIRECTIONS}/{SERIES.directions(experiment_of(wildcards))}.safetensors")


def experiment_spec(wildcards):
    """All that determines the results of the job's experiment."""
    return SERIES.spec(experiment_of(wildcards))


def model_entry(wildcards):
    """The identity of the job's model."""
    return model_of(wildcards).entry


def model_key(wildcards):
    """Names the job's model in the config's `runtime`."""
    return model_of(wildcards).key


def running_order(wildcards):
    """Model by model, each one's directions before its experiments; figures (priority 0) as soon as they can be drawn."""
    if "demo" in wildcards.keys():
        return -3 * min(e.rank for e in SERIES.experiments.values() if e.model == model_of(wildcards)) - 1
    return -3 * experiment_of(wildcards).rank - (3 if "exp_id" in wildcards.keys() else 2)


def is_small(wildcards):
    """True for a job of a demo model, which needs next to nothing."""
    return model_of(wildcards).is_demo


def memory_mb(wildcards, attempt):
    """Main memory that a job asks for; more with every retry."""
    return (2_000 if is_small(wildcards) else 32_000) * attempt


def runtime_minutes(wildcards, attempt):
    """Time that a job asks for; more with every retry, which goes on from the journal."""
    return (60 if is_small(wildcards) else 720) * attempt


def begin_run():
    """Before the first job: claim the series, write down the grid, listen for signals."""
    if workflow.touch:
        return
    RUN["before"] = {exp_id: state.read_state(SERIES.folder, exp_id) for exp_id in SERIES.experiments}
    totals = {game: count["total"] if count else None for game, count in trial_counts(CONFIG).items()}
    try:
        RUN["locks"] = claim_series()
        open_series(SERIES, totals)
        state.keep_reserve(RESERVE)
        rebuild(SERIES.folder)
    except BlockingIOError:
        sys.exit(f"ERROR: {SERIES.folder} is being run by another Snakemake process; wait for it, or use another name.")
    except OSError as error:
        sys.exit(f"ERROR: {SERIES.folder} cannot be written: {error}; make room or set output.base_dir.")
    RUN["signals"] = stop_workflow_on_signal(workflow.scheduler.exit_gracefully, workflow.local_exec)
    print(f"Series ({SERIES.how}): {SERIES.folder}", file=sys.stderr)


def claim_series():
    """Locks that are held as long as this process lives; BlockingIOError where another one runs the series."""
    locks = contextlib.ExitStack()
    if SERIES.how.startswith("new"):
        # Two runs that are started at the same moment find no series yet, and would begin one each.
        locks.enter_context(state.lock(CONFIG.base_dir / f".{CONFIG.name}.lock", wait=0))
    locks.enter_context(state.lock(SERIES.folder / ".state" / "run.lock", wait=0))
    return locks


def end_run():
    """After the last job: write down what ended without a word, and say where things stand."""
    if workflow.touch or "signals" not in RUN:
        return
    try:
        rows = state.say_last_words(RESERVE, final_rows)
    except OSError as error:
        print(
            f"{SERIES.folder}: the report could not be written ({error}); run the same command again.", file=sys.stderr
        )
        return
    # Snakemake does not run its summary after a failure; what is finished is worth a look all the same.
    if "completed" in (statuses := {row["status"] for row in rows.values()}) and "failed" in statuses:
        subprocess.run([sys.executable, str(ROOT / "scripts" / "summarize_series.py"), str(SERIES.folder)], check=False)
    told = ", ".join(f"{number} {status}" for status, number in counts(rows).items() if number)
    others = [job for job in workflow.scheduler.failed if not experiments_of_job(job)]
    told += "".join(f"; {job.rule.name} failed (log: {', '.join(job.log)})" for job in others)
    again = "" if told == f"{len(rows)} completed" else " Run the same command again to go on."
    print(f"{SERIES.folder}: {told}.{again}", file=sys.stderr)


def final_rows():
    """The report's rows, with what jobs that were killed could not say themselves."""
    for job in workflow.scheduler.failed:
        record_silent_end(SERIES.folder, experiments_of_job(job), job.log, RUN["before"], bool(RUN["signals"]))
    return rebuild(SERIES.folder, wait_for_page=True)


def experiments_of_job(job):
    """The experiments that cannot be had without a job."""
    if job.rule.name == "run_experiment":
        return [job.wildcards.exp_id]
    if job.rule.name == "extract_directions":
        return [e.exp_id for e in SERIES.experiments.values() if SERIES.directions(e) == job.wildcards.directions]
    if job.rule.name == "build_demo_model":
        return [e.exp_id for e in SERIES.experiments.values() if e.model == model_of(job.wildcards)]
    return []
