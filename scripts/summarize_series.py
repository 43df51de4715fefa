"""Put the experiments of a series side by side: `python scripts/summarize_series.py <series folder>`, whatever is done so far."""

import sys
from pathlib import Path


def summarize_series(series_dir: Path) -> None:
    """Write the series table, its figures and the page."""
    from emotion_games.page import write_page
    from emotion_games.series_analysis import summarize  # loads pandas and matplotlib

    summarize(series_dir)
    write_page(series_dir)


if "snakemake" in globals():
    summarize_series(Path(snakemake.output[0]).parent)
elif __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/summarize_series.py <series folder>")
    summarize_series(Path(sys.argv[1]))
