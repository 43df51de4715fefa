"""How long a series will take, from the times of finished experiments with the same model."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from emotion_games import layout
from emotion_games.experiment.trials import longest_thoughts
from emotion_games.progress import duration

# Parts of an experiment's `seconds` that do not grow with its trials.
_ONCE = ("import", "read", "load", "self_check", "write")
_WRITING = "decode"
# Reading the configuration of an experiment takes a tenth of a second.
_MOST_READ = 50


@dataclass(frozen=True)
class Pace:
    """The times of an experiment, in seconds.

    Attributes:
        once: For loading the model, checking it, and writing the results.
        a_trial: For reading the prompt of a trial and scoring its options, and for its thoughts.
            The experiment's checks are included.
        an_answer: For writing an answer.
        source: The folder of the experiment.
    """

    once: float
    a_trial: float
    an_answer: float
    source: Path

    def seconds(self, trials: int, answers: int) -> float:
        """Return the time of an experiment with so many trials and written answers."""
        return self.once + trials * self.a_trial + answers * self.an_answer


def forecast(
    base_dir: Path,
    device: str,
    waiting: Mapping[str, Collection[tuple[int, int]]],
    thoughts: int = 0,
) -> Iterator[str]:
    """Yield a line for each model with a finished experiment, and one for all other models.

    Args:
        base_dir: The folder of all results.
        device: The setting `runtime.device`. Times on other devices say nothing.
        waiting: By the name of a model, the numbers of trials and of written answers of each
            experiment that is not finished.
        thoughts: The largest number of tokens that the models think before each answer. Times with
            another number say nothing.
    """
    paces = _paces(base_dir, device, waiting, thoughts)
    for name, pace in paces.items():
        total = sum(pace.seconds(*numbers) for numbers in waiting[name])
        yield f"  time with {name}: about {duration(total)}, at the pace of {pace.source}"
    if unknown := [name for name in waiting if name not in paces]:
        yield (
            f"  time with {', '.join(unknown)}: unknown before an experiment with it is finished; "
            "a run shows it after the first batches"
        )


def _paces(base_dir: Path, device: str, models: Collection[str], thoughts: int) -> dict[str, Pace]:
    """Return the pace of each model in its newest finished experiment, by its name."""
    files = list(layout.series_home(base_dir).glob(f"*/*/{layout.CONFIGURATION}"))
    newest = sorted(files, key=os.path.getmtime, reverse=True)[:_MOST_READ]
    found: dict[str, Pace] = {}
    for folder in [file.parent for file in newest if layout.has_results(file.parent)]:
        if len(found) == len(models):
            break
        # Damaged results of any series are no reason to stop this one.
        with suppress(yaml.YAMLError, ValueError, LookupError, TypeError):
            name, pace = _pace(folder, device, thoughts)
            if pace and name in models:
                found.setdefault(name, pace)
    return found


def _pace(folder: Path, device: str, thoughts: int) -> tuple[str, Pace | None]:
    """Return the model of a finished experiment and its pace; None if it was timed otherwise."""
    configuration = yaml.safe_load((folder / layout.CONFIGURATION).read_text(encoding="utf-8"))
    name, seconds = configuration["model_name"], configuration["seconds"]
    # Of an interrupted experiment only the last run was timed.
    is_alike = longest_thoughts(configuration["settings"]) == thoughts
    if configuration["runtime"]["device"] != device or configuration["resumed"] or not is_alike:
        return name, None
    statistics = json.loads((folder / layout.STATISTICS).read_text(encoding="utf-8"))
    trials, answers = (statistics["meta"][key] for key in ("n_trials", "n_generated"))
    once = sum(seconds.get(part, 0.0) for part in _ONCE)
    # Every trial thinks, whether it then writes an answer or not.
    writing = 0.0 if thoughts else seconds.get(_WRITING, 0.0)
    reading = sum(seconds.values()) - once - writing
    return name, Pace(once, reading / trials, writing / max(1, answers), folder)
