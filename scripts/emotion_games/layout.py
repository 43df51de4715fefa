"""Every path inside a series folder, in one place."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIGURATION = "exp_config.yaml"
STATISTICS = "stats_analysis.json"
RESULT_FILES = (CONFIGURATION, "exp_results.csv", "exp_results.json", STATISTICS)
# What was decided about an experiment, in its folder before its first trial.
PLAN = "plan.yaml"
# The figures of an experiment in its folder, and those of the series in the series folder.
PLOTS = "plots"
SWEEP = "sweep"
REPORT = "experiment_report.json"
PAGE = "series_report.html"
PAGE_TRIALS = "series_report_trials"
SERIES_TABLE = "series_results.csv"
SERIES_STATISTICS = "series_results.json"
CONTRASTS = "contrasts.csv"
CODEBOOK = "CODEBOOK.md"
VERDICT = "verdict.json"
VERDICT_PAGE = "verdict.html"
VERDICT_FIGURES = "verdict_figures"
SOURCE = "source.json"


def series_home(base_dir: Path) -> Path:
    """Return the folder that holds all series folders of an output folder."""
    return base_dir / "ExperimentSeries"


def state_dir(series_dir: Path) -> Path:
    """Return the folder with the journals, logs, states and locks of a series."""
    return series_dir / ".state"


def series_of_log(log: Path) -> Path:
    """Return the series folder to which a job's log belongs."""
    return log.parent.parent


def record_path(series_dir: Path) -> Path:
    """Return the file with the frozen settings, models and experiments of a series."""
    return state_dir(series_dir) / "series.json"


def state_path(series_dir: Path, exp_id: str) -> Path:
    """Return the file with the last recorded state of an experiment."""
    return state_dir(series_dir) / f"{exp_id}.json"


def lock_path(series_dir: Path, exp_id: str) -> Path:
    """Return the lock that the process of an experiment holds.

    The modification time of this file is the heartbeat of that process.
    """
    return state_dir(series_dir) / f"{exp_id}.lock"


def skipped_path(series_dir: Path) -> Path:
    """Return the file with what was skipped of the scenario files of each game."""
    return state_dir(series_dir) / "skipped_scenarios.json"


def run_lock_path(series_dir: Path) -> Path:
    """Return the lock that the Snakemake process running the series holds."""
    return state_dir(series_dir) / "run.lock"


def report_lock_path(series_dir: Path) -> Path:
    """Return the lock that a process holds while it writes the report."""
    return state_dir(series_dir) / "report.lock"


def log_path(series_dir: Path, name: str) -> Path:
    """Return the log of an experiment's jobs, or of another job of the series by its name."""
    return state_dir(series_dir) / f"{name}.log"


def reserve_path(series_dir: Path, name: str) -> Path:
    """Return the file that reserves disk space for a job, or for Snakemake itself (`run`)."""
    return state_dir(series_dir) / f"{name}.reserve"


def journal_path(series_dir: Path, exp_id: str) -> Path:
    """Return the journal of an experiment's trials."""
    return state_dir(series_dir) / f"{exp_id}.trials.jsonl"


def push_checks_journal(series_dir: Path, setup: str) -> Path:
    """Return the journal of the checks of a model's pushes; for `setup` see `grid.Experiment`."""
    return state_dir(series_dir) / f"push_checks.{setup}.jsonl"


def source_path(series_dir: Path, slug: str) -> Path:
    """Return the file that says where a fetched model is loaded from, and at which commit."""
    return series_dir / "models" / slug / SOURCE


def push_checks_path(series_dir: Path, setup: str) -> Path:
    """Return the table of the checks of a model's pushes; for `setup` see `grid.Experiment`."""
    return series_dir / "models" / setup / "push_checks.csv"


def sweep_path(series_dir: Path, slug: str) -> Path:
    """Return the table of a model's settings in a sweep; the heat map stands beside it."""
    return series_dir / SWEEP / f"{slug}.csv"


def chosen_path(series_dir: Path, slug: str) -> Path:
    """Return the file with the setting that a sweep has chosen for a model."""
    return series_dir / f"settings_{slug}.yaml"


def page_cache_dir(series_dir: Path) -> Path:
    """Return the folder with the finished parts of the series page."""
    return state_dir(series_dir) / "page"


def page_trials_path(series_dir: Path, exp_id: str) -> Path:
    """Return the file beside the page with all trials of an experiment, which the page loads."""
    return series_dir / PAGE_TRIALS / f"{exp_id}.js"


def model_figure(plots: Path, name: str, slug: str) -> Path:
    """Return a figure in the series' folder of figures that all experiments of a model share."""
    return plots / f"{name}.{slug}.svg"


def verdict_passed_path(series_dir: Path) -> Path:
    """Return the file that exists once the instrument check has passed."""
    return state_dir(series_dir) / "verdict_passed"


def output_dir(series_dir: Path, exp_id: str, stamp: str) -> Path:
    """Return the folder with the results of an experiment."""
    return series_dir / f"{exp_id}_{stamp}"


def results_folder(series_dir: Path, row: Mapping[str, Any]) -> Path:
    """Return the folder with the results of a row of the report, also if the series was moved."""
    # The recorded folder is relative to the working directory of the run.
    recorded = Path(row["output_dir"])
    return recorded if recorded.is_dir() else series_dir / recorded.name


def has_results(output_dir: Path | str) -> bool:
    """Return True if all four result files exist; each of them is written atomically."""
    return all(os.path.isfile(os.path.join(output_dir, name)) for name in RESULT_FILES)
