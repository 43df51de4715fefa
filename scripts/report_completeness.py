"""Update the report of a series and print it: `python scripts/report_completeness.py <folder>`."""

import sys
from pathlib import Path

from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.series.completeness import rebuild
from emotion_games.series.state import read_series
from emotion_games.series.status_table import status_table


def main(series_dir: Path) -> int:
    """Rebuild the report, print it as a table, and return the exit status."""
    try:
        # Before `rebuild` creates its lock, which would leave a folder behind for a wrong name.
        read_series(series_dir)
        say(status_table(series_dir, rebuild(series_dir)), sys.stdout)
    except UserError as error:
        say(f"ERROR: {error}")
        return 1
    except OSError as error:
        say(f"ERROR: {series_dir}: the report could not be written: {error}")
        return 1
    return 0


if "snakemake" in globals():
    rebuild(Path(snakemake.output[0]).parent)
elif __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python scripts/report_completeness.py <series folder>")
    sys.exit(main(Path(sys.argv[1])))
