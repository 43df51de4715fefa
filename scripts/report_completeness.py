"""Bring the report of a series up to date and print it: `python scripts/report_completeness.py <series folder>`."""

import sys
from pathlib import Path

from emotion_games.series.completeness import main, rebuild

if "snakemake" in globals():
    rebuild(Path(snakemake.output[0]).parent)
elif __name__ == "__main__":
    main(sys.argv[1:])
