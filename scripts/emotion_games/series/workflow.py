"""Control of a run: finding its series, its start and its end.

The Snakefile itself holds the rules, and `rules/common.smk` the functions that give them inputs.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from filelock import Timeout

from emotion_games import files, layout
from emotion_games.data_files import read_data
from emotion_games.engine.vector_files import file_key
from emotion_games.errors import ProblemList, UserError
from emotion_games.escapes import printable, say
from emotion_games.prompts.stimuli import load_stimuli
from emotion_games.series import state
from emotion_games.series.completeness import rebuild
from emotion_games.series.config import SeriesConfig, check_config
from emotion_games.series.folder import PINNED, Series, find_series, open_series
from emotion_games.series.job import record_silent_end
from emotion_games.series.models import Model
from emotion_games.series.paths import check_path
from emotion_games.series.preview import count_games, preview, skipped_lines, skipped_record
from emotion_games.series.state import ReportRow, State
from emotion_games.series.status_table import failed_checks, findings, summary
from emotion_games.series.terminal import ALONE
from emotion_games.signals import OWNER, stop_workflow_on_signal

# Lines for the problems of a config; a long list of one mistake hides the others.
_SHOWN_PROBLEMS = 50


def load_series(config: dict[str, Any], workflow: Any) -> Series:
    """Check the config and find the series that it continues or begins.

    A dry run prints the grid. Exits with one line for each problem of the config, without a
    traceback.

    Args:
        config: Snakemake's config.
        workflow: Snakemake's workflow object.
    """
    root, is_main = Path(workflow.basedir), workflow.is_main_process
    paths = workflow.overwrite_configfiles or [root / "config" / "demo.yaml"]
    try:
        check_path(str(root))
        # Snakemake has dropped what is there twice.
        for path in paths if is_main else ():
            read_data(path)
        series = find_series(check_config(config, root), root, is_main)
        if is_main:
            # For the lines about repeated stimuli, which a log of a job alone would hide.
            load_stimuli(series.config.stimuli, series.config.settings["emotions"], say)
        table = preview(series) if is_main and workflow.output_settings.dryrun else ""
    except (UserError, OSError) as error:
        lines = error.problems if isinstance(error, ProblemList) else [str(error)]
        if len(lines) > _SHOWN_PROBLEMS:
            lines[_SHOWN_PROBLEMS:] = [f"and {len(lines) - _SHOWN_PROBLEMS:,} more"]
        head = f"ERROR: the config ({', '.join(map(str, paths))}) cannot be used:"
        sys.exit(printable("\n".join([head, *(f"  {line}" for line in lines)])))
    # Jobs that read the Snakefile again find the series of their own run, even if the command
    # line has `new=true`.
    os.environ[PINNED] = str(series.folder)
    os.environ[OWNER] = str(os.getpid())
    if is_main:
        os.environ[ALONE] = str(int(workflow.resource_settings.cores == 1))
    if table:
        # Below what Snakemake prints about its jobs.
        atexit.register(say, table)
    return series


def job_settings(config: SeriesConfig, root: Path) -> dict[str, Any]:
    """Return settings that do not affect answers, which jobs read from Snakemake's config.

    These are how to run each model, and the paths of files whose contents the hash of an experiment
    covers. They are not params or inputs, of which Snakemake records the values.
    """
    return {
        "files": {
            "game": {game: str(root / "config" / "games" / game) for game in config.games},
            "scenarios": {game: str(path) for game, path in config.scenario_files.items()},
            "stimuli": str(config.stimuli),
            "prompts": str(config.prompts),
            "checks": str(config.check_items),
            **{file_key(emotion): str(path) for emotion, path in config.vectors.items()},
        },
        "runtime": {
            model.key: config.runtime | {"gpus": model.gpus, "device_map": _device_map(model)}
            for model in config.models
        },
    }


def _device_map(model: Model) -> Any:
    """Return how a model is spread over its GPUs; one with several uses all of them."""
    return model.running.get("device_map", "auto" if model.gpus > 1 else None)


class Run:
    """One run of Snakemake over a series: the locks it holds and the signals it received."""

    def __init__(self, series: Series, workflow: Any) -> None:
        self.series, self.workflow = series, workflow
        self._reserve = layout.reserve_path(series.folder, "run")
        self._locks = contextlib.ExitStack()
        self._before: dict[str, State] = {}
        self._signals: list[int] | None = None

    def begin(self) -> None:
        """Lock the series, record the grid, and listen for signals, before the first job."""
        # `snakemake --touch` runs no job.
        if self.workflow.touch:
            return
        series, folder = self.series, self.series.folder
        self._before = {e: state.read_state(folder, e) for e in series.experiments}
        try:
            counts = count_games(series.config)
            self._lock()
            open_series(series, {name: count.total for name, count in counts.items()})
            files.write_json(layout.skipped_path(folder), skipped_record(counts))
            files.keep_reserve(self._reserve)
            rebuild(folder)
        except Timeout:
            sys.exit(
                f"ERROR: {folder} is being run by another Snakemake process; wait for it, or use "
                "another name."
            )
        except UserError as error:
            sys.exit(f"ERROR: {error}")
        except OSError as error:
            sys.exit(
                f"ERROR: {folder} cannot be written: {error}; free space or set output.base_dir."
            )
        self._signals = stop_workflow_on_signal(
            self.workflow.scheduler.exit_gracefully, self.workflow.local_exec
        )
        say("\n".join([f"Series ({series.how}): {folder}", *skipped_lines(counts)]))

    def _lock(self) -> None:
        """Hold the locks of the series until this process ends."""
        config = self.series.config
        if self.series.how.startswith("new"):
            # Two runs that start at the same moment find no series yet, and would begin one each.
            self._locks.enter_context(files.lock(config.base_dir / f".{config.name}.lock", wait=0))
        self._locks.enter_context(files.lock(layout.run_lock_path(self.series.folder), wait=0))

    def end(self) -> None:
        """Record the jobs that were killed, and print a summary, after the last job."""
        # The run never began, or did not get its locks.
        if self._signals is None:
            return
        folder = self.series.folder
        try:
            rows = files.write_final(self._reserve, self._final_rows)
        except OSError as error:
            say(f"{folder}: the report could not be written ({error}); run the same command again.")
            return
        statuses = {row["status"] for row in rows.values()}
        if {"completed", "failed"} <= statuses:
            # Snakemake does not run its summary after a failure.
            script = Path(self.workflow.basedir) / "scripts" / "summarize_series.py"
            subprocess.run([sys.executable, str(script), str(folder)], check=False)
        lines = [*failed_checks(folder), f"{folder}: {self._summary(rows)}"]
        # The last lines of all, below what Snakemake prints about its log.
        atexit.register(say, "\n".join([*lines, *findings(folder)]))

    def _final_rows(self) -> dict[str, ReportRow]:
        """Return the rows of the report, with the jobs that were killed recorded as failed."""
        stopped = bool(self._signals)
        for job in self.workflow.scheduler.failed:
            exp_ids = self._experiments_of(job)
            record_silent_end(self.series.folder, exp_ids, job.log, self._before, stopped)
        return rebuild(self.series.folder, wait_for_page=True)

    def _summary(self, rows: dict[str, ReportRow]) -> str:
        text = summary(rows)
        # The failure of an experiment is counted already, that of a figure is not.
        for job in self.workflow.scheduler.failed:
            if not self._experiments_of(job):
                text += f"; {job.rule.name} failed (log: {', '.join(job.log)})"
        if text == f"{len(rows)} completed":
            return f"{text}."
        return f"{text}. Run the same command again to continue."

    def _experiments_of(self, job: Any) -> list[str]:
        """Return the experiments that need the output of a job."""
        experiments, wildcards = self.series.experiments.values(), job.wildcards
        if job.rule.name == "run_experiment":
            return [wildcards.exp_id]
        if job.rule.name == "extract_directions":
            name = wildcards.directions
            return [e.exp_id for e in experiments if self.series.directions(e) == name]
        if job.rule.name == "fetch_model":
            return [e.exp_id for e in experiments if e.slug == wildcards.slug]
        if job.rule.name == "check_pushes":
            return [e.exp_id for e in experiments if e.setup == wildcards.setup]
        if job.rule.name == "build_demo_model":
            return [e.exp_id for e in experiments if e.model.made_folder == wildcards.demo]
        return []
