"""Fail the workflow if the instrument check has failed."""

import sys
from pathlib import Path

from emotion_games.escapes import say
from emotion_games.files import read_json


def confirm_verdict(verdict: Path) -> None:
    """Print the verdict; raise SystemExit if a check failed."""
    from emotion_games.demo.verdict_page import summary  # loads matplotlib

    content = read_json(verdict)
    text = "\n".join([*summary(content), f"See {verdict.with_suffix('.html')}."])
    if not content["passed"]:
        sys.exit(text)
    say(text)


if "snakemake" in globals():
    confirm_verdict(Path(snakemake.input[0]))
    Path(snakemake.output[0]).touch()
