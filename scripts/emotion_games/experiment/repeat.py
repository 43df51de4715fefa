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

from emotion_games.engine import directions
from emotion_games.errors import UserError
from emotion_games.experiment.results import publish
from emotion_games.experiment.run import run

# Numbers are written with five decimals; on a CPU in float32 they agree to the last but one.
NUMBER_TOLERANCE = 2e-5
NUMBERS = (
    "choice_probabilities",
    "branch_probabilities",
    "choice_probabilities_after",
    "valid_mass",
    "valid_mass_after",
)
# Where exp_config.yaml tells of what can change an answer; the fingerprint stands for texts, too.
INPUTS = (
    "machine.",
    "runtime.",
    "code.",
    "scenarios.",
    "directions.weights_hash",
    "directions.stimuli_hash",
    "directions.content_hash",
    "fingerprint",
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
        return (
            self.same_texts == self.same_choices == 1
            and self.largest_difference <= NUMBER_TOLERANCE
        )

    def __str__(self) -> str:
        verdict = "agree" if self.holds else "DIFFER"
        return (
            f"the results {verdict}: {self.trials} trials, identical texts {self.same_texts:.1%}, identical choices "
            f"{self.same_choices:.1%}, largest difference of a probability {self.largest_difference:.1g}"
        )


def repeat(
    folder: Path, scratch: Path, device: str | None, log: Callable[[str], None] = print
) -> Agreement:
    """Measure the experiment of a result folder again in `scratch` and compare; `log` hears what else has changed.

    Runs as it ran then, on `device` if one is given. Raises UserError for a bad folder.
    """
    try:
        told = _configuration(folder)
        runtime = told["runtime"] | ({"device": device} if device else {})
        spec = {
            key: told[key]
            for key in ("exp_id", "game", "model", "model_name", "settings", "hashes")
        }
        # Where the model entry names no number format, the device of then chose it.
        entry = {"dtype": told["directions"].get("dtype")} | spec["model"]
        files = {name: Path(path) for name, path in told["files"].items()}
        before = _table(folder)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: not the folder of a finished experiment ({error})") from error
    vectors = scratch / "directions.safetensors"
    directions.extract(
        entry,
        told["model_path"],
        spec["settings"],
        files["stimuli"],
        files["prompts"],
        vectors,
        runtime,
        log,
    )
    never = lambda: False  # noqa: E731
    silent = lambda *_: None  # noqa: E731
    journal = scratch / "trials.jsonl"
    found = run(spec, files, told["model_path"], vectors, journal, runtime, never, silent, log)
    publish(scratch / "out", found.trials, found.configuration, statistics={})
    for line in changes(told, _configuration(scratch / "out")):
        log(f"not as it was: {line}")
    return compare(before, _table(scratch / "out"))


def changes(before: dict, now: dict) -> list[str]:
    """A line for each input that differs between the contents of two exp_config.yaml."""
    old, new = (pd.json_normalize(told).iloc[0].to_dict() for told in (before, now))
    names = [
        name
        for name in sorted(old | new)
        if name.startswith(INPUTS) and old.get(name) != new.get(name)
    ]
    return [f"{name}: {old.get(name)} -> {new.get(name)}" for name in names]


def _configuration(folder: Path) -> dict:
    return yaml.safe_load((folder / "exp_config.yaml").read_text(encoding="utf-8"))


def _table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "exp_results.csv", keep_default_na=False, dtype=str).set_index(
        "trial_id"
    )


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
            (
                _difference(a, b)
                for name in NUMBERS
                for a, b in zip(first[name], second[name], strict=True)
            ),
            default=math.inf,
        ),
    )


def _difference(one: str, other: str) -> float:
    """Largest difference between two cells that hold nothing, a number, or probabilities as JSON."""
    if not one or not other:
        return 0.0 if one == other else math.inf
    a, b = json.loads(one), json.loads(other)
    if isinstance(a, dict):
        return (
            max((abs(a[key] - b[key]) for key in a), default=0.0)
            if a.keys() == b.keys()
            else math.inf
        )
    return abs(a - b)
