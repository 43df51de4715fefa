"""Repeat one finished experiment from its exp_config.yaml alone, and compare the results.

Everything is measured again in a scratch folder, directions included.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from emotion_games.engine.extraction import extract
from emotion_games.errors import UserError
from emotion_games.escapes import cell_text, say
from emotion_games.experiment.conditions import direction_settings
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.results import TRIALS, publish, read_configuration
from emotion_games.experiment.run import run
from emotion_games.experiment.spec import Spec
from emotion_games.experiment.trial_table import PROBABILITIES

# Numbers are written with five decimals; on a CPU in float32, all but the last one agree.
NUMBER_TOLERANCE = 2e-5
# The beginnings of the names of columns with measured numbers.
NUMBERS = (*PROBABILITIES.values(), "valid_mass")
# The beginnings of the keys of exp_config.yaml that describe what can change an answer. The
# fingerprint covers the texts, too.
INPUTS = ("machine.", "runtime.", "code.", "scenarios.", "fingerprint", "prompts_hash")
HASHES = ("directions.weights_hash", "directions.stimuli_hash", "directions.content_hash")


@dataclass(frozen=True)
class Agreement:
    """How far two tables of trials agree.

    Attributes:
        trials: The number of trials in either table.
        same_texts: The share of trials with the same text.
        same_choices: The share of trials with the same choice.
        largest_difference: The largest difference of a probability.
    """

    trials: int
    same_texts: float
    same_choices: float
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Return True if texts and choices are identical, and numbers to the written digits."""
        identical = self.same_texts == self.same_choices == 1
        return identical and self.largest_difference <= NUMBER_TOLERANCE

    def __str__(self) -> str:
        verdict = "agree" if self.holds else "DIFFER"
        return (
            f"the results {verdict}: {self.trials} trials, identical texts {self.same_texts:.1%}, "
            f"identical choices {self.same_choices:.1%}, largest difference of a probability "
            f"{self.largest_difference:.1g}"
        )


def repeat(
    folder: Path,
    scratch: Path,
    device: str | None,
    claim: Callable[[dict[str, Any], Callable[[str], None]], None] = lambda *_: None,
    log: Callable[[str], None] = say,
) -> Agreement:
    """Measure a finished experiment again and compare the results.

    Args:
        folder: The folder with its result files.
        scratch: An empty folder for everything that is measured.
        device: The device to run on; None is the one that the experiment ran on.
        claim: Claims the GPUs for how the experiment runs, before anything uses them.
        log: Called with one line per input that has changed, among others.

    Raises:
        UserError: The folder does not hold a finished experiment.
    """
    vectors = scratch / "directions.safetensors"
    try:
        configuration = read_configuration(folder)
        inputs = Inputs(
            spec=cast(Spec, {key: dict(configuration)[key] for key in Spec.__annotations__}),
            files={name: Path(path) for name, path in configuration["files"].items()},
            model_path=configuration["model_path"],
            directions=vectors,
            journal=scratch / "trials.jsonl",
            runtime=configuration["runtime"] | ({"device": device} if device else {}),
        )
        # If the model entry names no number format, the device chose it.
        entry = {"dtype": configuration["directions"].get("dtype")} | configuration["model"]
        before = _table(folder)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: not the folder of a finished experiment ({error})") from error
    settings = direction_settings(configuration["settings"])
    path, runtime = inputs.model_path, inputs.runtime
    # The modules above load torch, which initialises CUDA only when a GPU is first used.
    claim(runtime, log)
    extract(entry, path, settings, inputs.files, vectors, runtime, log=log)
    outcome = run(inputs, Control(log=log))
    publish(scratch / "out", outcome, statistics={})
    for line in changes(configuration, read_configuration(scratch / "out")):
        log(f"not as it was: {line}")
    return compare(before, _table(scratch / "out"))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one line per input that differs between the contents of two exp_config.yaml."""
    old, new = (pd.json_normalize(dict(each)).iloc[0].to_dict() for each in (before, now))
    lines = []
    for name in sorted(map(str, old | new)):
        if name.startswith(INPUTS + HASHES) and old.get(name) != new.get(name):
            lines.append(f"{name}: {old.get(name)} -> {new.get(name)}")
    return lines


def _table(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / TRIALS, keep_default_na=False, dtype=str).map(cell_text)
    return table.set_index("trial_id")


def compare(one: pd.DataFrame, other: pd.DataFrame) -> Agreement:
    """Compare two tables of trials; a trial that is missing in one of them counts as different.

    Args:
        one: Text columns, indexed by trial_id.
        other: The same.
    """
    ids = one.index.union(other.index)
    both = one.index.intersection(other.index)
    first, second = one.loc[both], other.loc[both]
    # Tables of earlier versions have no thoughts.
    texts = [name for name in ("thoughts", "output") if name in first and name in second]
    differences: list[float] = []
    for name in map(str, first.columns):
        if name.startswith(NUMBERS):
            differences += map(_difference, first[name], second[name])
    return Agreement(
        trials=len(ids),
        same_texts=float((first[texts] == second[texts]).all(axis=1).sum() / len(ids)),
        same_choices=float((first["choice"] == second["choice"]).sum() / len(ids)),
        largest_difference=max(differences, default=math.inf),
    )


def _difference(one: str, other: str) -> float:
    """Return the difference of two cells, which are numbers or empty."""
    # A number that only one of the tables has is the largest possible difference.
    if not one or not other:
        return 0.0 if one == other else math.inf
    return abs(float(one) - float(other))
