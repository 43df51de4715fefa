"""The job that compares the settings of a model in a sweep."""

import os
import sys
from pathlib import Path

from emotion_games import layout


def write_sweep(log: Path, slug: str) -> None:
    """Write the table and the heat map of a model; `log` is that of the job."""
    from emotion_games.series.sweep import write_sweep as write  # loads pandas and matplotlib

    write(layout.series_of_log(log), slug)


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    write_sweep(Path(snakemake.log[0]), snakemake.wildcards.slug)
