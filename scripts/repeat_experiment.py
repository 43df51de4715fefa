"""Repeat one finished experiment from its exp_config.yaml, and compare the results.

The exit status is 1 if they do not agree.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.series.gpus import claim


def repeat_experiment(folder: Path, device: str | None) -> int:
    """Measure an experiment again in a temporary folder and print how far the results agree."""
    from emotion_games.experiment.repeat import repeat  # loads torch

    with tempfile.TemporaryDirectory() as scratch:
        try:
            agreement = repeat(folder, Path(scratch), device, claim)
        except UserError as error:
            say(f"ERROR: {error}")
            return 1
    say(f"{folder}: {agreement}", sys.stdout)
    return 0 if agreement.holds else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="an experiment's folder, with its exp_config.yaml"
    )
    parser.add_argument("--device", help="cpu or cuda (default: as it ran then)")
    arguments = parser.parse_args()
    sys.exit(repeat_experiment(arguments.folder, arguments.device))
