"""Recompute the statistics of a series: `python scripts/recompute_statistics.py <series folder>`.

For use after a change of the statistics. No model is loaded and nothing is measured.
"""

import sys
from pathlib import Path

from filelock import Timeout

from emotion_games import files, layout
from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.series.state import read_series, setup_of


def recompute_statistics(series_dir: Path) -> int:
    """Replace the statistics of every finished experiment, and return how many were refused."""
    # These load pandas.
    from emotion_games.analysis.experiment_statistics import analyse
    from emotion_games.experiment.results import read_outcome, replace_statistics

    series, refused = read_series(series_dir), 0
    for exp_id, row in series["experiments"].items():
        folder = layout.output_dir(series_dir, exp_id, series["stamp"])
        if not layout.has_results(folder):
            say(f"{exp_id}: skipped, it is not finished", sys.stdout)
            continue
        push_checks = layout.push_checks_path(series_dir, setup_of(exp_id, row))
        try:
            found = read_outcome(folder, layout.journal_path(series_dir, exp_id), push_checks)
        except UserError as error:
            say(f"ERROR: {exp_id}: {error}")
            refused += 1
            continue
        settings, about = found.configuration["settings"], found.configuration["directions"]
        evidence = found.trials, found.checks, found.game
        power = found.configuration["plan"].get("power")
        statistics = analyse(*evidence, settings, len(found.trials), about, power)
        replace_statistics(folder, statistics)
        say(f"{exp_id}: recomputed", sys.stdout)
        if statistics["plan"]["hash"] != found.configuration["plan"]["hash"]:
            line = "its analysis plan is not the one that was frozen before the trials"
            say(f"{exp_id}: {line}", sys.stdout)
    return refused


def main(series_dir: Path) -> int:
    """Recompute the statistics of a series that is not running, and return the exit status."""
    try:
        read_series(series_dir)
        with files.lock(layout.run_lock_path(series_dir), wait=0):
            refused = recompute_statistics(series_dir)
    except Timeout:
        say(f"ERROR: {series_dir} is being run; wait for it")
        return 1
    except UserError as error:
        say(f"ERROR: {error}")
        return 1
    say(
        "Now run the snakemake command of the series again: it draws the figures of the changed "
        "experiments and writes the series table and page.",
        sys.stdout,
    )
    return 1 if refused else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/recompute_statistics.py <series folder>")
    sys.exit(main(Path(sys.argv[1])))
