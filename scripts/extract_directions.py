"""Measure the emotion directions of a model; a failure is recorded for all its experiments."""

from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.engine.vector_files import file_key
from emotion_games.series.frozen import check_files, game_files, loaded_from
from emotion_games.series.gpus import claim
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
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if row["directions"] == output.stem]
    with Job(series_dir, waiting, log) as job:
        names = ["stimuli", "prompts", *map(file_key, params.settings["directions"])]
        shared = {name: Path(rule.config["files"][name]) for name in names}
        check_files(series_dir, shared, params.settings["emotions"])
        runtime = rule.config["runtime"][params.key]
        claim(runtime, job.terminal)
        # These load torch, after the log is open and the GPUs are claimed.
        from emotion_games.engine.extraction import extract
        from emotion_games.experiment.context import series_check

        entry, path = loaded_from(params.model, params.path)
        # Before the model is loaded, this finds that no game has a usable scenario.
        files = [game_files(rule.config["files"], spec["game"]) for spec in params.specs]
        check = series_check(params.specs, files)
        watch = {"log": job.terminal, "progress": job.progress}
        extract(entry, path, params.settings, shared, output, runtime, check, **watch)


if "snakemake" in globals():
    stop_at_once()
    extract_directions(snakemake)
