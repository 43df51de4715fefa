"""Write the setting that a sweep has chosen for a model; fail in one line if none fits."""

import sys
from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.series.frozen import check_files
from emotion_games.series.state import read_series


def choose_setting(rule: Any) -> None:
    """Write the file, and print the setting.

    Args:
        rule: Snakemake's object of the job.
    """
    log, slug = Path(rule.log[0]), rule.wildcards.slug
    series_dir = layout.series_of_log(log)
    files = {name: Path(rule.config["files"][name]) for name in ("stimuli", "checks")}
    from emotion_games.series import sweep  # loads pandas and matplotlib

    try:
        check_files(series_dir, files, read_series(series_dir)["settings"]["emotions"])
        line = sweep.summary(sweep.choose_setting(series_dir, slug, files))
    except UserError as error:
        log.write_text(f"{error}\n")
        sys.exit(f"ERROR: {error}")
    log.write_text(f"{line}\n")
    say(line)


if "snakemake" in globals():
    choose_setting(snakemake)
