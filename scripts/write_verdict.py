"""Judge a finished series of demo models: `python scripts/write_verdict.py <series folder>`, exit 1 if it fails."""

import json
import os
import sys
from pathlib import Path

from emotion_games.errors import UserError


def write_verdict(series_dir: Path, config_dir: Path) -> None:
    """Write the verdict's page, table and figures into the series folder."""
    from emotion_games.demo.verdict_page import write_verdict as write  # loads matplotlib

    write(series_dir, config_dir)


def main(series_dir: Path) -> int:
    """Write the verdict, print what failed, and return the exit status."""
    from emotion_games.demo.verdict_page import summary  # loads matplotlib

    try:
        write_verdict(series_dir, Path(__file__).resolve().parents[1] / "config")
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    content = json.loads((series_dir / "verdict.json").read_text(encoding="utf-8"))
    print("\n".join(summary(content)))
    return 0 if content["passed"] else 1


if "snakemake" in globals():
    with open(snakemake.log[0], "w") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    write_verdict(Path(snakemake.output.page).parent, Path(snakemake.input.truth).parents[1])
elif __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/write_verdict.py <series folder>")
    sys.exit(main(Path(sys.argv[1])))
