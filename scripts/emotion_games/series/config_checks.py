"""What is wrong with the files that a config names, or does not fit between its settings."""

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotion_games import data_files
from emotion_games.data_files import read_data
from emotion_games.engine.gguf_files import SUFFIX
from emotion_games.errors import UserError, shown, unknown
from emotion_games.escapes import printable
from emotion_games.experiment.conditions import Position
from emotion_games.games.records import Game
from emotion_games.prompts.check_items import load_check_items
from emotion_games.prompts.stimuli import (
    LEAST_REFERENCE,
    LEAST_STIMULI,
    NEUTRAL,
    load_stimuli,
    reference_emotions,
    split_stimuli,
    stimulus_files,
)
from emotion_games.prompts.templates import load_templates
from emotion_games.series.models import Model
from emotion_games.series.sites import plan_sites

# A grid of so many experiments is planned in minutes.
MOST_EXPERIMENTS = 10_000


@contextmanager
def collected(problems: list[str], start: str = "") -> Iterator[None]:
    """Add the lines of an error to the problems instead of raising it."""
    try:
        yield
    except UserError as error:
        problems += [f"{start}{line}" for line in str(error).splitlines()]


def invisible_characters(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each text with a character that no name, path or label shows."""
    for path, value in data_files.values(config, data_files.MOST_VALUES):
        for text in value if isinstance(value, Mapping) else [value]:
            if isinstance(text, str) and (printable(text) != text or {"\n", "\t"} & set(text)):
                start = f"{data_files.place(path)}: " if path else ""
                yield f"{start}{shown(text)} has a character that is not visible; remove it"


def relation_problems(experiment: Mapping[str, Any], experiments: int) -> Iterator[str]:
    """Yield a line for settings of which each is right, but not together.

    Args:
        experiment: The settings.
        experiments: The number of experiments that they make.
    """
    headline, intensities = experiment["headline_intensity"], experiment["intensity"]
    if headline not in intensities:
        yield (
            f"experiment.headline_intensity: {headline} is not one of the intensities; allowed: "
            f"{', '.join(map(str, intensities))}; choose one of them, or add it to intensity"
        )
    yield from _unmeasured(experiment)
    if experiment["arms"]["combined"] and not experiment["arms"]["prompted"]:
        yield (
            "experiment.arms.combined: the event with steering is compared with the event alone; "
            "set prompted: true, or combined: false"
        )
    positions = dict.fromkeys(site.position for site in plan_sites(experiment))
    unthought = [p for p in positions if p in (Position.THOUGHTS, Position.RESPONSE)]
    if unthought and not experiment["thinking"]:
        yield (
            f"experiment.position: {' and '.join(unthought)} with thinking: off; without thoughts "
            "allowed: all, prompt, answer; choose one of them, or set thinking: on"
        )
    if experiments > MOST_EXPERIMENTS:
        yield (
            f"experiment: {experiments:,} experiments; allowed: at most {MOST_EXPERIMENTS:,}; "
            "divide the models or the games into several series"
        )


def missing_models(entries: Iterable[str | Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each model folder that is not there.

    A path is not a hub id if it has more than two parts. With two parts it may be one; see
    `preview.hub_id_lines`.
    """
    for number, entry in enumerate(entries):
        path = os.path.expanduser(entry if isinstance(entry, str) else entry["id"])
        first, _, rest = path.rstrip("/").partition("/")
        is_path = first in ("", ".", "..") or "/" in rest
        if is_path and not os.path.exists(path) and not path.endswith(SUFFIX):
            yield (
                f"experiment.models[{number}]: {path}: there is no such folder; name the folder "
                f"of a model, a {SUFFIX} file, or a hub id"
            )


def _unmeasured(experiment: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line if the other settings leave the measure of the claims out."""
    primary, scoring = experiment["statistics"]["primary"], experiment["scoring"]
    guided, decides = experiment["decoding"] == "guided", experiment["answer_form"] == "decision"
    needed = {
        "scoring.direct: true": primary == "direct" and not scoring["direct"],
        "answer_form: rationale": primary == "after_rationale" and decides,
        "scoring.after_rationale: true": primary == "after_rationale"
        and not (guided or scoring["after_rationale"]),
        # A guided decision without a rationale is drawn from the choice probabilities.
        "answer_form: rationale, or decoding: free": primary == "written" and guided and decides,
    }
    missing = next((setting for setting, is_needed in needed.items() if is_needed), None)
    if missing:
        yield (
            f"experiment.statistics.primary: {primary} is not measured with these settings; set "
            f"{missing}, or choose another measure"
        )


def text_problems(
    experiment: Mapping[str, Any], stimuli: Path, prompts: Path, check_items: Path
) -> list[str]:
    """Return what is wrong with the texts that all games share, or missing for the emotions."""
    problems: list[str] = []
    emotions, given = experiment["emotions"], experiment["directions"]
    if os.path.isdir(stimuli):
        problems += _unknown_emotions(emotions, given, stimuli)
        with collected(problems):
            texts = load_stimuli(stimuli, emotions)
            problems += _missing_stimuli(experiment, stimuli)
            if experiment["direction_method"] == "paired_pca" and NEUTRAL in texts:
                problems += _unequal_lists(texts)
    else:
        problems.append(f"experiment.stimuli: no such folder: {experiment['stimuli']}")
    for key, path in (("prompts", prompts), ("check_items", check_items)):
        if not os.path.isfile(path):
            problems.append(f"experiment.{key}: no such file: {experiment[key]}")
    if os.path.isfile(prompts):
        with collected(problems):
            labels = load_templates(prompts).labels
            if experiment["checks"]["manipulation"]:
                known = {*given, *stimulus_files(stimuli)}
                problems += _unnamed_emotions(emotions, known, labels, prompts)
    if os.path.isfile(check_items):
        with collected(problems):
            load_check_items(check_items)
    return problems


def _unknown_emotions(
    emotions: Sequence[str], given: Container[str], folder: Path
) -> Iterator[str]:
    known = sorted(set(stimulus_files(folder)) - {NEUTRAL})
    for place, emotion in enumerate(emotions):
        if emotion not in known and emotion not in given:
            found = unknown("emotion", emotion, known)
            yield f"experiment.emotions[{place}]: {found}; each is a file {folder}/<emotion>.txt"


def _unnamed_emotions(
    emotions: Sequence[str], known: Container[str], labels: Sequence[str], prompts: Path
) -> Iterator[str]:
    """Yield a line for each known emotion that the manipulation check could not find."""
    # One without stimuli or vectors is already reported.
    for place, emotion in enumerate(emotions):
        if emotion not in labels and emotion in known:
            yield (
                f"experiment.emotions[{place}]: {emotion!r} has no words under `feelings` in "
                f"{prompts}, so the manipulation check could not find it; add some there, or set "
                "checks.manipulation: false"
            )


def _missing_stimuli(experiment: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield a line for each setting that needs stimuli which the folder does not have."""
    method, reference = experiment["direction_method"], reference_emotions(folder)
    if method == "contrast" and len(reference) < LEAST_REFERENCE:
        yield (
            f"experiment.direction_method: contrast compares the emotions of {folder} with each "
            f"other, and {', '.join(reference)} is the only one; add a file for another, or use "
            "mean_difference"
        )
    files = stimulus_files(folder)
    silent = [emotion for emotion in experiment["directions"] if emotion not in files]
    if silent and experiment["arms"]["prompted"]:
        yield (
            f"experiment.arms.prompted: it describes events, and {folder} has none of "
            f"{', '.join(silent)}; write a file for each, or set prompted: false"
        )
    if NEUTRAL in files:
        return
    advice = f"and {folder} has no {NEUTRAL}.txt; write {LEAST_STIMULI} or more there"
    if method != "contrast":
        yield (
            f"experiment.direction_method: {method} compares emotions with neutral stimuli, "
            f"{advice}, or use contrast"
        )
    if experiment["arms"]["prompted"]:
        yield (
            "experiment.arms.prompted: events of an emotion are compared with neutral ones, "
            f"{advice}, or set prompted: false"
        )


def _unequal_lists(stimuli: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a line for each emotion whose stimuli do not pair with the neutral ones."""
    used = {name: len(split_stimuli(texts)[0]) for name, texts in stimuli.items()}
    for emotion, number in used.items():
        if number != used[NEUTRAL]:
            yield (
                f"experiment.direction_method: paired_pca pairs the {number} stimuli of {emotion} "
                f"that make its direction with {used[NEUTRAL]} neutral ones; give both files the "
                "same number of lines, or use mean_difference"
            )


def verdict_problems(
    experiment: Mapping[str, Any], games: Mapping[str, Game], models: Sequence[Model], root: Path
) -> Iterator[str]:
    """Yield what the verdict cannot judge: it compares effects with those that were planted."""
    if experiment["headline_intensity"] <= 0:
        yield (
            f"experiment.headline_intensity: {experiment['headline_intensity']} with verdict: "
            "true; only pushes towards an emotion are judged: choose one above 0, or remove "
            "`verdict`"
        )
    if experiment["intensity_unit"] != "hidden_norm":
        yield (
            f"experiment.intensity_unit: {experiment['intensity_unit']} with verdict: true; "
            "effects are planted at intensities in hidden_norm: use it, or remove `verdict`"
        )
    if experiment["position"] != Position.ALL:
        yield (
            "experiment.position: with verdict: true pushes must act at all tokens, as those that "
            "effects are planted for; set `all`, or remove `verdict`"
        )
    if len(experiment["layer_sets"]) > 1:
        yield (
            "experiment.layer_sets: with verdict: true there may be one, since each demo model is "
            "judged once; remove the others, or remove `verdict`"
        )
    path = root / "config" / "demo" / "truth.yaml"
    planted = read_data(path)["games"]
    emotions = {emotion for row in planted.values() for emotion in row["prosocial"]}
    others = {
        "models": [model.name for model in models if not model.is_demo],
        "games": [name for name in games if name not in planted],
        "emotions": [emotion for emotion in experiment["emotions"] if emotion not in emotions],
    }
    for key, names in others.items():
        if names:
            yield (
                f"experiment.{key}: {', '.join(names)} with verdict: true; allowed: demo models "
                f"and what {path} plants in them; remove it, or remove `verdict`"
            )
