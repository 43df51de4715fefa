"""Train the demo model; a failure is recorded for each experiment that needs it."""

from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.series.job import Job
from emotion_games.series.state import read_series
from emotion_games.signals import stop_at_once


def build_demo_model(rule: Any) -> None:
    """Train one variant of the demo model.

    Args:
        rule: Snakemake's object of the job.
    """
    log, model = Path(rule.log[0]), rule.params.model
    demo_dir, output_dir = Path(rule.input[0]).parent, Path(rule.output[0]).parent
    series_dir = layout.series_of_log(log)
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if row["model"] == rule.params.key]
    with Job(series_dir, waiting, log) as job:
        from emotion_games.demo.trainer.build import build  # loads torch, after the log is open

        build(demo_dir, output_dir, model["variant"], model["seed"], job.terminal)


if "snakemake" in globals():
    stop_at_once()
    build_demo_model(snakemake)
