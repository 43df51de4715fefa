"""The config of a series: its form, its defaults, and the files that it names.

A problem is one line with the place, what was found and what is allowed. The checks load no model
and write nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import layout, schemas
from emotion_games.errors import ProblemList, unknown
from emotion_games.experiment.spec import Settings
from emotion_games.games.catalog import (
    apply_settings,
    expand_game,
    family_names,
    game_names,
    load_game,
)
from emotion_games.games.records import Game, moves_of_others
from emotion_games.games.scenarios import scenario_bank
from emotion_games.hashing import content_hash
from emotion_games.series import chosen
from emotion_games.series.config_checks import (
    collected,
    invisible_characters,
    missing_models,
    relation_problems,
    text_problems,
    verdict_problems,
)
from emotion_games.series.given_vectors import vector_problems
from emotion_games.series.models import Model, plan_models
from emotion_games.series.paths import check_output_folder, check_path, find_file
from emotion_games.series.sites import normalise, plan_sites

# Every key under `experiment` that can change a result, besides games and models, belongs to
# exactly one of these groups. A key that is missing here could change within a series unnoticed.
PER_GAME = ("scenarios", "choice_labels", "game_settings")
BY_CONTENT = ("stimuli", "prompts", "check_items")
IDENTITY = (
    *(key for key in Settings.__annotations__ if key not in (*PER_GAME, "layer_set")),
    "layer_sets",
)


@dataclass(frozen=True)
class SeriesConfig:
    """A checked config.

    `settings` holds the keys of IDENTITY, with the hash of each file of `directions`, and `vectors`
    these files. `game_settings`, `labels` and `scenario_files` have one entry for each game.
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
    vectors: dict[str, Path]
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
    problems = schemas.problems(config, schema, formats={"path": check_path})
    problems = problems or list(invisible_characters(config))
    if problems:
        raise ProblemList(problems)
    experiment = schemas.with_defaults(config, schema)["experiment"]
    choice = _take_chosen(config["experiment"], experiment, root, problems)
    normalise(experiment)
    if experiment["layer_sets"] and "layers" in config["experiment"]:
        problems.append(
            "experiment.layers: beside layer_sets, which name the layers; remove one of them"
        )
    games = _games(experiment, root, problems)
    sites = len(plan_sites(experiment))
    problems += relation_problems(experiment, len(games) * len(experiment["models"]) * sites)
    settings = {name: _of_game(experiment["game_settings"], game) for name, game in games.items()}
    labels = {name: _labels(experiment, game) for name, game in games.items()}
    scenario_files: dict[str, Path] = {}
    for name, game in games.items():
        given = _of_game(experiment["scenarios"], game)
        path = scenario_files[name] = find_file(given, root) if given else scenario_bank(game)
        if not os.path.exists(path):
            problems.append(f"experiment.scenarios.{name}: no such file or folder: {given or path}")
        problems += _game_problems(game, settings[name], labels[name])
    # After a problem the checks go on with what there is, to find all other problems.
    models: tuple[Model, ...] = ()
    problems += missing_models(experiment["models"])
    with collected(problems):
        models = plan_models(experiment["models"], root)
    files = {key: find_file(experiment[key], root) for key in BY_CONTENT}
    problems += text_problems(experiment, **files)
    base_dir = Path(os.path.expanduser(experiment["output"]["base_dir"]))
    vectors = {e: find_file(path, root) for e, path in experiment["directions"].items()}
    problems += vector_problems(experiment, vectors, models, base_dir / "models")
    if not problems and (choice or experiment["sweep"]):
        with collected(problems):
            texts = files["stimuli"], files["check_items"]
            problems += chosen.item_problems(experiment, *texts, choice)
    if experiment["sweep"]:
        problems += chosen.sweep_problems(experiment)
    if choice and not problems:
        problems += chosen.model_problems(choice, models)
        problems += chosen.story_problems(experiment, games, settings, labels, scenario_files)
    if experiment["verdict"]:
        problems += verdict_problems(experiment, games, models, root)
    with collected(problems, "experiment.output.base_dir: "):
        check_output_folder(layout.series_home(base_dir))
    if problems:
        raise ProblemList(problems)
    # The content of a file counts, and not its place.
    experiment["directions"] = {e: content_hash(path) for e, path in vectors.items()}
    return SeriesConfig(
        name=config.get("name", experiment["name"]),
        games=games,
        models=models,
        settings={key: experiment[key] for key in IDENTITY},
        game_settings=settings,
        labels=labels,
        scenario_files=scenario_files,
        **files,
        vectors=vectors,
        base_dir=base_dir,
        runtime=experiment["runtime"],
        verdict=experiment["verdict"],
        new=str(config.get("new", False)).lower() == "true",
        series=config.get("series"),
    )


def _take_chosen(
    given: Mapping[str, Any], experiment: dict[str, Any], root: Path, problems: list[str]
) -> dict[str, Any] | None:
    """Take the setting of a sweep over from the file of `settings_from`; return its content."""
    if not experiment["settings_from"]:
        return None
    problems += chosen.key_problems(given)
    path, choice = find_file(experiment["settings_from"], root), None
    if not os.path.isfile(path):
        problems.append(f"experiment.settings_from: no such file: {experiment['settings_from']}")
        return None
    with collected(problems, "experiment.settings_from: "):
        choice = chosen.read_chosen(path)
        experiment |= chosen.taken(choice, path)
    return choice


def _games(experiment: Mapping[str, Any], root: Path, problems: list[str]) -> dict[str, Game]:
    """Return the games by name, with the roles of a family as games of their own."""
    folder = root / "config" / "games"
    games: dict[str, Game] = {}
    for place, name in enumerate(experiment["games"]):
        roles: list[str] = []
        with collected(problems, f"experiment.games[{place}]: "):
            roles = expand_game(name, folder)
        twice = [role for role in roles if role in games]
        if twice:
            problems.append(
                f"experiment.games[{place}]: listed twice: {', '.join(twice)}; list each once"
            )
        for role in roles:
            with collected(problems):
                games[role] = load_game(folder / role)
    # A family's entry serves all its roles, so families are allowed here.
    known = game_names(folder)
    named = [(key, name) for key in PER_GAME for name in experiment[key] if name not in known]
    known += family_names(folder) if named else []
    problems += [
        f"experiment.{key}: {unknown('game', name, known)}"
        for key, name in named
        if name not in known
    ]
    return games


def _of_game(entries: Mapping[str, Any], game: Game) -> Any:
    """Return the entry of a game, or else that of its family."""
    return entries.get(game.name, entries.get(game.family or game.name, {}))


def _labels(experiment: Mapping[str, Any], game: Game) -> dict[str, str]:
    """Return the entries of `choice_labels` for a game: those of its family, then its own."""
    given = experiment["choice_labels"]
    return given.get(game.family, {}) | given.get(game.name, {})


def _game_problems(game: Game, settings: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the entries of a game in `game_settings` and `choice_labels`."""
    problems: list[str] = []
    allowed = [*game.labels, *moves_of_others(game)]
    for foreign, label in labels.items():
        if label not in allowed:
            place = f"experiment.choice_labels.{game.name}.{foreign}"
            problems.append(f"{place}: {unknown('choice', label, allowed)}")
    with collected(problems, "experiment."):
        apply_settings(game, settings)
    return problems
