"""Draw the figures of one experiment."""

import os
import shutil
import sys
from pathlib import Path


def plot_experiment(stats: Path, output_dir: Path) -> None:
    """Draw into a folder beside `output_dir`, and put it in place when all figures are there."""
    from emotion_games.plots import plot_experiment as draw  # loads matplotlib

    part = output_dir.with_name(f".{output_dir.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        draw(stats, part)
        shutil.rmtree(output_dir, ignore_errors=True)
        os.replace(part, output_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    plot_experiment(Path(snakemake.input[0]), Path(snakemake.output[0]))
