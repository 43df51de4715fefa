"""The config of a series: its form, its defaults, and the files that it names.

A problem is one line with the place, what was found and what is allowed. The checks load no model
and write nothing.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, UserError, unknown
from emotion_games.experiment.spec import Settings
from emotion_games.games.catalog import (
    apply_settings,
    expand_game,
    families,
    game_names,
    load_game,
)
from emotion_games.games.records import Game, moves_of_others
from emotion_games.games.scenarios import scenario_bank
from emotion_games.prompts.check_items import load_check_items
from emotion_games.prompts.stimuli import NEUTRAL, load_stimuli
from emotion_games.prompts.templates import load_templates
from emotion_games.series.grid import Model, plan_models

# Every key under `experiment` that can change a result, besides games and models, belongs to
# exactly one of these groups. A key that is missing here could change within a series unnoticed.
PER_GAME = ("scenarios", "choice_labels", "game_settings")
BY_CONTENT = ("stimuli", "prompts", "check_items")
IDENTITY = tuple(key for key in Settings.__annotations__ if key not in PER_GAME)


@dataclass(frozen=True)
class SeriesConfig:
    """A checked config.

    `settings` holds the keys of IDENTITY. `game_settings`, `labels` and `scenario_files` have one
    entry for each game.
    """

    name: str
    games: dict[str, Game]
    models: tuple[Model, ...]
    settings: dict[str, Any]
    game_settings: dict[str, dict[str, Any]]
    labels: dict[str, dict[str, str]]
    scenario_files: dict[str, Path]
    stimuli: Path
    prompts: Path
    check_items: Path
    base_dir: Path
    runtime: dict[str, Any]
    verdict: bool
    new: bool
    series: str | None


def check_config(config: Mapping[str, Any], root: Path) -> SeriesConfig:
    """Return a config with its defaults, after a check of it and of the files that it names.

    Args:
        config: The content of the config file, with the keys of `--config` on the command line.
        root: The folder of the workflow.

    Raises:
        ProblemList: Everything that is wrong, one line each. The files and the relations between
            keys are checked once the form of the config is right.
    """
    schema = schemas.read_schema("config")
    problems = schemas.problems(config, schema)
    if problems:
        raise ProblemList(problems)
    experiment = schemas.with_defaults(config, schema)["experiment"]
    # Two orders of the same layers are the same setting.
    if experiment["layers"] != "middle_third":
        experiment["layers"] = sorted(experiment["layers"])
    if experiment["headline_intensity"] not in experiment["intensity"]:
        problems.append(
            f"experiment.headline_intensity: {experiment['headline_intensity']} is not one of the "
            f"intensities; allowed: {', '.join(map(str, experiment['intensity']))}; choose one of "
            "them, or add it to intensity"
        )
    games = _games(experiment, root, problems)
    settings: dict[str, dict[str, Any]] = {}
    labels: dict[str, dict[str, str]] = {}
    scenario_files: dict[str, Path] = {}
    for name, game in games.items():
        settings[name] = _of_game(experiment["game_settings"], game)
        # The labels of a family serve both roles, and those of one role come on top.
        labels[name] = {}
        for key in (game.family, name):
            labels[name] |= experiment["choice_labels"].get(key, {})
        given = _of_game(experiment["scenarios"], game)
        path = scenario_files[name] = find_file(given, root) if given else scenario_bank(game)
        if not os.path.exists(path):
            problems.append(f"experiment.scenarios.{name}: no such file or folder: {given or path}")
        problems += _game_problems(game, settings[name], labels[name])
    # After a problem the checks go on with what there is, to find all other problems.
    models: tuple[Model, ...] = ()
    with _collected(problems):
        models = plan_models(experiment["models"], root)
    files = {key: find_file(experiment[key], root) for key in BY_CONTENT}
    problems += _text_problems(experiment, **files)
    if experiment["verdict"]:
        problems += _verdict_problems(experiment, games, models, root)
    if problems:
        raise ProblemList(problems)
    return SeriesConfig(
        name=config.get("name", experiment["name"]),
        games=games,
        models=models,
        settings={key: experiment[key] for key in IDENTITY},
        game_settings=settings,
        labels=labels,
        scenario_files=scenario_files,
        **files,
        base_dir=Path(os.path.expanduser(experiment["output"]["base_dir"])),
        runtime=experiment["runtime"],
        verdict=experiment["verdict"],
        new=str(config.get("new", False)).lower() == "true",
        series=config.get("series"),
    )


def find_file(path: str, root: Path) -> Path:
    """Return a path that is relative to the working directory or, if not there, to the workflow."""
    # Functions of os.path return False for a name that is too long; those of Path raise an error.
    here = Path(os.path.expanduser(path))
    return here if here.is_absolute() or os.path.exists(here) else root / here


@contextmanager
def _collected(problems: list[str], start: str = "") -> Iterator[None]:
    """Add the lines of an error to the problems instead of raising it."""
    try:
        yield
    except UserError as error:
        problems += [f"{start}{line}" for line in str(error).splitlines()]


def _games(experiment: Mapping[str, Any], root: Path, problems: list[str]) -> dict[str, Game]:
    """Return the games by name, with the roles of a family as games of their own."""
    folder = root / "config" / "games"
    games: dict[str, Game] = {}
    for place, name in enumerate(experiment["games"]):
        roles: list[str] = []
        with _collected(problems, f"experiment.games[{place}]: "):
            roles = expand_game(name, folder)
        twice = [role for role in roles if role in games]
        if twice:
            problems.append(
                f"experiment.games[{place}]: listed twice: {', '.join(twice)}; list each once"
            )
        for role in roles:
            with _collected(problems):
                games[role] = load_game(folder / role)
    # A family's entry serves all its roles, so families are allowed here. Finding them loads all
    # games, which is skipped if no key names a game.
    named = [(key, name) for key in PER_GAME for name in experiment[key]]
    with _collected(problems):
        known = [*game_names(folder), *families(folder)] if named else []
        problems += [
            f"experiment.{key}: {unknown('game', name, known)}"
            for key, name in named
            if name not in known
        ]
    return games


def _of_game(entries: Mapping[str, Any], game: Game) -> Any:
    """Return the entry of a game, or else that of its family."""
    return entries.get(game.name, entries.get(game.family or game.name, {}))


def _game_problems(game: Game, settings: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the entries of a game in `game_settings` and `choice_labels`."""
    problems: list[str] = []
    allowed = [*game.labels, *moves_of_others(game)]
    for foreign, label in labels.items():
        if label not in allowed:
            place = f"experiment.choice_labels.{game.name}.{foreign}"
            problems.append(f"{place}: {unknown('choice', label, allowed)}")
    with _collected(problems, "experiment."):
        apply_settings(game, settings)
    return problems


def _text_problems(
    experiment: Mapping[str, Any], stimuli: Path, prompts: Path, check_items: Path
) -> list[str]:
    """Return what is wrong with the texts that all games share, or missing for the emotions."""
    problems: list[str] = []
    emotions = experiment["emotions"]
    if os.path.isdir(stimuli):
        problems += _unknown_emotions(emotions, stimuli)
        with _collected(problems):
            load_stimuli(stimuli, emotions)
    else:
        problems.append(f"experiment.stimuli: no such folder: {experiment['stimuli']}")
    for key, path in (("prompts", prompts), ("check_items", check_items)):
        if not os.path.isfile(path):
            problems.append(f"experiment.{key}: no such file: {experiment[key]}")
    if os.path.isfile(prompts):
        with _collected(problems):
            labels = load_templates(prompts).labels
            if experiment["checks"]["manipulation"]:
                problems += _unnamed_emotions(emotions, labels, stimuli, prompts)
    if os.path.isfile(check_items):
        with _collected(problems):
            load_check_items(check_items)
    return problems


def _unknown_emotions(emotions: Sequence[str], folder: Path) -> Iterator[str]:
    known = sorted(path.stem for path in folder.glob("*.txt") if path.stem != NEUTRAL)
    for place, emotion in enumerate(emotions):
        if emotion not in known:
            found = unknown("emotion", emotion, known)
            yield f"experiment.emotions[{place}]: {found}; each is a file {folder}/<emotion>.txt"


def _unnamed_emotions(
    emotions: Sequence[str], labels: Sequence[str], folder: Path, prompts: Path
) -> Iterator[str]:
    """Yield a line for each emotion with stimuli that the manipulation check could not find."""
    # An emotion without stimuli is already reported.
    for place, emotion in enumerate(emotions):
        if emotion not in labels and os.path.isfile(folder / f"{emotion}.txt"):
            yield (
                f"experiment.emotions[{place}]: {emotion!r} is not one of the `labels` of "
                f"{prompts}, so the manipulation check could not find it; add it there, or set "
                "checks.manipulation: false"
            )


def _verdict_problems(
    experiment: Mapping[str, Any], games: Mapping[str, Game], models: Sequence[Model], root: Path
) -> Iterator[str]:
    """Yield what the verdict cannot judge: it compares effects with those that were planted."""
    if experiment["headline_intensity"] <= 0:
        yield (
            f"experiment.headline_intensity: {experiment['headline_intensity']} with verdict: "
            "true; only pushes towards an emotion are judged: choose one above 0, or remove "
            "`verdict`"
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
