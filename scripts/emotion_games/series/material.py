"""Whether the texts that all games of a series share can be used: stimuli, prompts, and the items of the checks.

Knows what a config's emotions need of them; what stands in each file is the business of its loader.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from emotion_games.errors import ProblemList, UserError, unknown
from emotion_games.prompts.check_items import load_check_items
from emotion_games.prompts.stimuli import NEUTRAL, load_stimuli
from emotion_games.prompts.templates import load_templates

Loaded = TypeVar("Loaded")


def material_problems(
    experiment: dict, stimuli: Path, prompts: Path, check_items: Path
) -> list[str]:
    """One line for all that is wrong in these files, and for all that the config's emotions lack in them."""
    problems: list[str] = []
    if stimuli.is_dir():
        problems += _strangers(experiment["emotions"], stimuli)
        _loaded(partial(load_stimuli, emotions=experiment["emotions"]), stimuli, problems)
    else:
        problems.append(f"experiment.stimuli: no such folder: {experiment['stimuli']}")
    missing = {
        key: file
        for key, file in (("prompts", prompts), ("check_items", check_items))
        if not file.is_file()
    }
    problems += [f"experiment.{key}: no such file: {experiment[key]}" for key in missing]
    templates = None if "prompts" in missing else _loaded(load_templates, prompts, problems)
    if templates and experiment["checks"]["manipulation"]:
        problems += _unlabelled(experiment["emotions"], templates.labels, stimuli, prompts)
    if "check_items" not in missing:
        _loaded(load_check_items, check_items, problems)
    return problems


def _loaded(load: Callable[[Path], Loaded], path: Path, problems: list[str]) -> Loaded | None:
    try:
        return load(path)
    except UserError as error:
        problems += error.problems if isinstance(error, ProblemList) else [str(error)]
        return None


def _strangers(emotions: Sequence[str], folder: Path) -> Iterator[str]:
    known = sorted(path.stem for path in folder.glob("*.txt"))
    for place, emotion in enumerate(emotions):
        if emotion not in known:
            told = unknown("emotion", emotion, [name for name in known if name != NEUTRAL])
            yield f"experiment.emotions[{place}]: {told}; each is a file {folder}/<emotion>.txt"


def _unlabelled(
    emotions: Sequence[str], labels: Sequence[str], folder: Path, prompts: Path
) -> Iterator[str]:
    """An emotion that no answer can name would have no manipulation check; one without stimuli is told already."""
    for place, emotion in enumerate(emotions):
        if emotion not in labels and (folder / f"{emotion}.txt").is_file():
            yield (
                f"experiment.emotions[{place}]: {emotion!r} is not one of the `labels` of {prompts}, so that no check "
                "could find it; add it there, or set checks.manipulation: false"
            )
