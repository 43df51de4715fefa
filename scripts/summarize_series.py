"""Compare the experiments of a series: `python scripts/summarize_series.py <series folder>`."""

import os
import sys
from pathlib import Path

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.files import new_folder
from emotion_games.series.state import read_series


def summarize_series(series_dir: Path) -> None:
    """Write the table, the figures and the page of a series, from its finished experiments."""
    # These load pandas and matplotlib.
    from emotion_games.analysis.series_statistics import summarize
    from emotion_games.reporting.codebook import write_codebook
    from emotion_games.reporting.figure_files import plot_series
    from emotion_games.reporting.page import write_page

    summarize(series_dir)
    write_codebook(series_dir)
    with new_folder(series_dir / layout.PLOTS) as folder:
        plot_series(series_dir, folder)
    write_page(series_dir)


def main(series_dir: Path) -> int:
    """Summarize a series, print an error as one line, and return the exit status."""
    try:
        read_series(series_dir)
        summarize_series(series_dir)
    except UserError as error:
        say(f"ERROR: {error}")
        return 1
    return 0


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    summarize_series(Path(snakemake.output[0]).parent)
elif __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/summarize_series.py <series folder>")
    sys.exit(main(Path(sys.argv[1])))
