"""The job that compares the settings of a model in a sweep."""

import os
import sys
from pathlib import Path

from emotion_games import layout


def write_sweep(log: Path, slug: str) -> None:
    """Write the table and the heat map of a model, and the page; `log` is that of the job."""
    from emotion_games.reporting.page import refresh
    from emotion_games.series.sweep import write_sweep as write  # loads pandas and matplotlib

    series_dir = layout.series_of_log(log)
    write(series_dir, slug)
    # Another job may be replacing the figures of the series; it writes the page after that.
    refresh(series_dir, least_seconds=0)


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    write_sweep(Path(snakemake.log[0]), snakemake.wildcards.slug)
