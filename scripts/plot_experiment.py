"""The job that draws the figures of one experiment."""

import os
import sys
from pathlib import Path

from emotion_games.files import new_folder


def plot_experiment(stats: Path, output_dir: Path) -> None:
    """Draw the figures of one experiment into `output_dir`."""
    from emotion_games.reporting.figure_files import plot_experiment as draw  # loads matplotlib

    with new_folder(output_dir) as folder:
        draw(stats, folder)


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    plot_experiment(Path(snakemake.input[0]), Path(snakemake.output[0]))
