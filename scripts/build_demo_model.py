"""Train the demo model; a failure is written down for each experiment that needs it."""

from pathlib import Path

from emotion_games import layout
from emotion_games.series.job import Job
from emotion_games.series.state import read_series
from emotion_games.signals import stop_at_once


def build_demo_model(
    series_dir: Path, log: Path, demo_dir: Path, output_dir: Path, entry: dict, key: str
) -> None:
    """Train one variant of the demo model into `output_dir`; `key` names it in the series."""
    experiments = read_series(series_dir)["experiments"]
    with Job(
        series_dir, [exp_id for exp_id, row in experiments.items() if row["model"] == key], log
    ) as job:
        from emotion_games.demo.trainer.build import build  # loads torch, after the log is open

        build(demo_dir, output_dir, entry["variant"], entry["seed"], job.terminal)


if "snakemake" in globals():
    stop_at_once()
    log = Path(snakemake.log[0])
    build_demo_model(
        layout.series_of_log(log),
        log,
        Path(snakemake.input[0]).parent,
        Path(snakemake.output[0]).parent,
        snakemake.params.model,
        snakemake.params.key,
    )
