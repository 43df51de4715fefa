"""Check a finished series of demo models: `python scripts/write_verdict.py <series folder>`.

The exit status is 1 if a check failed.
"""

import os
import sys
from pathlib import Path

from emotion_games import layout
from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.files import read_json


def main(series_dir: Path, demo_dir: Path) -> int:
    """Write the verdict, print the failed checks, and return the exit status."""
    from emotion_games.demo.verdict_page import summary, write_verdict  # loads matplotlib

    try:
        write_verdict(series_dir, demo_dir)
    except UserError as error:
        say(f"ERROR: {error}")
        return 1
    content = read_json(series_dir / layout.VERDICT)
    say("\n".join(summary(content)), sys.stdout)
    return 0 if content["passed"] else 1


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    from emotion_games.demo.verdict_page import write_verdict

    write_verdict(Path(snakemake.output.page).parent, Path(snakemake.input.truth).parent)
elif __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/write_verdict.py <series folder>")
    sys.exit(main(Path(sys.argv[1]), Path(__file__).resolve().parents[1] / "config" / "demo"))
