"""Repeating one finished experiment from its exp_config.yaml alone, and saying whether the results agree.

Knows result folders; everything is measured anew in a scratch folder, directions included, and nothing is changed.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from emotion_games import directions, experiment
from emotion_games.errors import UserError

# Numbers are written with five decimals; on a CPU in float32 they agree to the last but one.
NUMBER_TOLERANCE = 2e-5
NUMBERS = (
    "choice_probabilities",
    "branch_probabilities",
    "choice_probabilities_after",
    "valid_mass",
    "valid_mass_after",
)


@dataclass(frozen=True)
class Agreement:
    """How far two result tables agree: shares of trials in [0, 1] and the largest difference of a probability."""

    trials: int
    same_texts: float
    same_choices: float
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Texts and choices identical, numbers to the digits that are written."""
        return self.same_texts == self.same_choices == 1 and self.largest_difference <= NUMBER_TOLERANCE

    def __str__(self) -> str:
        verdict = "agree" if self.holds else "DIFFER"
        return (
            f"the results {verdict}: {self.trials} trials, identical texts {self.same_texts:.1%}, identical choices "
            f"{self.same_choices:.1%}, largest difference of a probability {self.largest_difference:.1g}"
        )


def repeat(folder: Path, scratch: Path, runtime: dict, log: Callable[[str], None] = print) -> Agreement:
    """Measure the experiment of a result folder again in `scratch` and compare. Raises UserError for a bad folder."""
    try:
        told = yaml.safe_load((folder / "exp_config.yaml").read_text(encoding="utf-8"))
        spec = {key: told[key] for key in ("exp_id", "game", "model", "model_name", "settings", "hashes")}
        # Where the model entry names no number format, the device of then chose it.
        spec["model"] = {"dtype": told["directions"].get("dtype")} | spec["model"]
        files = {name: Path(path) for name, path in told["files"].items()}
        before = _table(folder)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: not the folder of a finished experiment ({error})") from error
    vectors = scratch / "directions.safetensors"
    directions.extract(
        spec["model"], told["model_path"], spec["settings"], files["stimuli"], files["prompts"], vectors, runtime, log
    )
    if directions.load(vectors).content_hash != told["directions"]["content_hash"]:
        log("the directions differ: model, stimuli, code or machine are not what they were")
    never = lambda: False  # noqa: E731
    silent = lambda *_: None  # noqa: E731
    experiment.run(
        spec, files, told["model_path"], vectors, scratch / "trials.jsonl", scratch / "out", runtime, never, silent, log
    )
    return compare(before, _table(scratch / "out"))


def _table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "exp_results.csv", keep_default_na=False, dtype=str).set_index("trial_id")


def compare(one: pd.DataFrame, other: pd.DataFrame) -> Agreement:
    """Compare two result tables (text columns, indexed by trial_id); a trial missing in one counts as different."""
    ids = one.index.union(other.index)
    both = one.index.intersection(other.index)
    first, second = one.loc[both], other.loc[both]
    return Agreement(
        trials=len(ids),
        same_texts=float((first["output"] == second["output"]).sum() / len(ids)),
        same_choices=float((first["choice"] == second["choice"]).sum() / len(ids)),
        largest_difference=max(
            (_difference(a, b) for name in NUMBERS for a, b in zip(first[name], second[name], strict=True)),
            default=math.inf,
        ),
    )


def _difference(one: str, other: str) -> float:
    """Largest difference between two cells that hold nothing, a number, or probabilities as JSON."""
    if not one or not other:
        return 0.0 if one == other else math.inf
    a, b = json.loads(one), json.loads(other)
    if isinstance(a, dict):
        return max((abs(a[key] - b[key]) for key in a), default=0.0) if a.keys() == b.keys() else math.inf
    return abs(a - b)
