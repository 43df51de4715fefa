"""Train the demo model; a failure is written down for each experiment that needs it."""

from pathlib import Path

from emotion_games.job import Job
from emotion_games.report import read_series
from emotion_games.signals import stop_at_once


def build_demo_model(series_dir: Path, log: Path, demo_dir: Path, output_dir: Path, variant: str, seed: int) -> None:
    """Train one variant of the demo model into `output_dir`."""
    series = read_series(series_dir)
    keys = [key for key, m in series["models"].items() if (m["entry"].get("variant"), m["entry"].get("seed")) == (variant, seed)]
    exp_ids = [exp_id for exp_id, row in series["experiments"].items() if row["model"] in keys]
    with Job(series_dir, exp_ids, log) as job:
        from emotion_games.demo.build import build  # loads torch, after the log is open

        build(demo_dir, output_dir, variant, seed, job.terminal)


if "snakemake" in globals():
    stop_at_once()
    entry, log = snakemake.params.entry, Path(snakemake.log[0])
    build_demo_model(
        log.parent.parent, log, Path(snakemake.input[0]).parent, Path(snakemake.output[0]).parent, entry["variant"], entry["seed"]
    )
