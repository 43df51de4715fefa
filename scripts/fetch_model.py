"""Fetch a model that is not on this machine; a failure is recorded for all its experiments."""

from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.files import write_json
from emotion_games.series.job import Job
from emotion_games.series.state import read_series
from emotion_games.signals import stop_at_once


def fetch_model(rule: Any) -> None:
    """Fetch or convert a model, and write where its jobs find it.

    Args:
        rule: Snakemake's object of the job.
    """
    log, params = Path(rule.log[0]), rule.params
    series_dir = layout.series_of_log(log)
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if row["model"] == params.key]
    with Job(series_dir, waiting, log) as job:
        from emotion_games.engine.fetching import fetch  # loads torch, after the log is open

        content = params.hashes.get("gguf")
        source = fetch(params.model, content, Path(params.folder), job.terminal)
        write_json(Path(rule.output[0]), source)


if "snakemake" in globals():
    stop_at_once()
    fetch_model(snakemake)
