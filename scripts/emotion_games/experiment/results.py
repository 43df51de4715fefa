"""The result files of an experiment: its trials as CSV and JSON, its configuration, its statistics.

All four files appear together, by rename, when an experiment is complete.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emotion_games.experiment.spec import Configuration, Settings
from emotion_games.files import replace_text
from emotion_games.games.records import Game
from emotion_games.layout import RESULT_FILES

CONFIGURATION, TRIALS, TRIALS_JSON, STATISTICS = RESULT_FILES
# The extraction method of a trial without an answer.
NOT_GENERATED = "not generated"
# The columns of the table of trials that are not text.
_TYPES = {
    "intensity": float,
    "repeat_num": int,
    "category": "Int64",
    "valid_mass": float,
    "seed": int,
    "wording": int,
    "generated": bool,
    "valid_mass_after": float,
    "push_ratio": float,
}


@dataclass(frozen=True)
class Outcome:
    """What was measured in a finished experiment.

    Attributes:
        trials: One row per trial.
        checks: One row per answer to a check.
        game: The game, with its settings.
        settings: The settings of the experiment.
        n_planned: The planned number of trials.
        configuration: The content of exp_config.yaml.
    """

    trials: pd.DataFrame
    checks: pd.DataFrame
    game: Game
    settings: Settings
    n_planned: int
    configuration: Configuration


def publish(
    output_dir: Path,
    table: pd.DataFrame,
    configuration: Configuration,
    statistics: Mapping[str, Any],
) -> None:
    """Write the four result files under temporary names, then rename all of them."""
    output_dir.mkdir(parents=True, exist_ok=True)
    parts = {name: output_dir / f".{name}.{os.getpid()}.part" for name in RESULT_FILES}
    try:
        # All text in quotes: an answer may contain a lone carriage return, which ends an unquoted row.
        table.to_csv(parts[TRIALS], index=False, quoting=csv.QUOTE_NONNUMERIC)
        table.to_json(parts[TRIALS_JSON], orient="records", indent=1, force_ascii=False)
        parts[STATISTICS].write_text(_statistics_text(statistics), encoding="utf-8")
        parts[CONFIGURATION].write_text(
            yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=120),
            encoding="utf-8",
        )
        for part in parts.values():
            with open(part, "rb") as written:
                os.fsync(written.fileno())
        for name, part in parts.items():
            os.replace(part, output_dir / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def replace_statistics(output_dir: Path, statistics: Mapping[str, Any]) -> None:
    """Replace the statistics of a finished experiment, atomically."""
    replace_text(output_dir / STATISTICS, _statistics_text(statistics))


def _statistics_text(statistics: Mapping[str, Any]) -> str:
    return json.dumps(statistics, indent=2, allow_nan=False, ensure_ascii=False)


def read_configuration(output_dir: Path) -> Configuration:
    """Return the content of exp_config.yaml."""
    return yaml.safe_load((output_dir / CONFIGURATION).read_text(encoding="utf-8"))


def read_trials(output_dir: Path) -> pd.DataFrame:
    """Return the table of trials with the types that it was written with."""
    # An empty cell is an empty text, or a missing number; `NA` may be the text of an answer.
    missing = {column: [""] for column, kind in _TYPES.items() if kind in (float, "Int64")}
    return pd.read_csv(
        output_dir / TRIALS,
        dtype=defaultdict(lambda: str, _TYPES),
        keep_default_na=False,
        na_values=missing,
    )
