"""Measure the emotion directions of a model; a failure is recorded for all its experiments."""

from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.series.frozen import check_files
from emotion_games.series.job import Job
from emotion_games.series.state import read_series
from emotion_games.signals import stop_at_once


def extract_directions(rule: Any) -> None:
    """Write the directions of one model.

    Args:
        rule: Snakemake's object of the job.
    """
    log, output = Path(rule.log[0]), Path(rule.output[0])
    series_dir, params = layout.series_of_log(log), rule.params
    stimuli, prompts = Path(rule.input.stimuli[0]).parent, Path(rule.input.prompts)
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if row["directions"] == output.stem]
    with Job(series_dir, waiting, log) as job:
        files = {"stimuli": stimuli, "prompts": prompts}
        check_files(series_dir, files, params.settings["emotions"])
        from emotion_games.engine.directions import extract  # loads torch, after the log is open

        runtime = rule.config["runtime"][params.key]
        extract(
            params.model,
            params.path,
            params.settings,
            stimuli,
            prompts,
            output,
            runtime,
            job.terminal,
        )


if "snakemake" in globals():
    stop_at_once()
    extract_directions(snakemake)
