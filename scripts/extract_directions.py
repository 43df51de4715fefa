"""Measure a model's emotion directions; a failure is written down for each experiment that needs them."""

from pathlib import Path

from emotion_games import layout
from emotion_games.series.frozen import check_files
from emotion_games.series.job import Job
from emotion_games.series.state import read_series
from emotion_games.signals import stop_at_once


def extract_directions(
    series_dir: Path,
    log: Path,
    entry: dict,
    path: str,
    settings: dict,
    stimuli: Path,
    prompts: Path,
    output: Path,
    runtime: dict,
) -> None:
    """Write the directions of one model to `output`."""
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if row["directions"] == output.stem]
    with Job(series_dir, waiting, log) as job:
        check_files(series_dir, {"stimuli": stimuli, "prompts": prompts}, settings["emotions"])
        from emotion_games.engine.directions import extract  # loads torch, after the log is open

        extract(entry, path, settings, stimuli, prompts, output, runtime, job.terminal)


if "snakemake" in globals():
    stop_at_once()
    log = Path(snakemake.log[0])
    extract_directions(
        layout.series_of_log(log),
        log,
        snakemake.params.model,
        snakemake.params.path,
        snakemake.params.settings,
        Path(snakemake.input.stimuli[0]).parent,
        Path(snakemake.input.prompts),
        Path(snakemake.output[0]),
        snakemake.config["runtime"][snakemake.params.key],
    )
