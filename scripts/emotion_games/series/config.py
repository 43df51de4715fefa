"""The config of a series: its shape, its defaults, and whether the files that it names exist and agree.

Knows the schema, games and stimulus files; knows nothing of series folders, models' weights or Snakemake. A problem is
one line: where, what was found, what is allowed. No model is loaded and nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, UserError, unknown
from emotion_games.games.catalog import apply_settings, expand_game, families, game_names, load_game
from emotion_games.games.records import Game
from emotion_games.games.scenarios import scenario_bank
from emotion_games.series.grid import Model, plan_models
from emotion_games.series.material import material_problems

# Every key under `experiment` that can change an answer, besides games and models, belongs to exactly one of these.
PER_GAME = ("scenarios", "choice_labels", "game_settings")
BY_CONTENT = ("stimuli", "prompts", "check_items")
IDENTITY = (
    "emotions", "intensity", "headline_intensity", "repeat", "num_scenarios", "seed", "layers", "direction_method",
    "answer_form", "generation", "scoring", "arms", "checks", "show_payoffs", "statistics",
)  # fmt: skip


@dataclass(frozen=True)
class SeriesConfig:
    """A checked config. `settings` holds the identity settings, `labels` and `scenario_files` are by role game."""

    name: str
    games: dict[str, Game]
    models: tuple[Model, ...]
    settings: dict[str, Any]
    game_settings: dict[str, dict]
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


def check_config(config: dict, root: Path) -> SeriesConfig:
    """Complete a config with its defaults, check it and the files that it names; ProblemList with all that is wrong."""
    schema = schemas.read_schema("config")
    problems = schemas.problems(config, schema)
    if problems:
        raise ProblemList(problems)
    experiment = schemas.with_defaults(config, schema)["experiment"]
    if experiment["layers"] != "middle_third":
        experiment["layers"] = sorted(experiment["layers"])
    problems += _disagreements(experiment)
    games = _games(experiment, root, problems)
    labels, scenario_files = _game_files(experiment, games, root, problems)
    models = _models(experiment["models"], root, problems)
    stimuli, prompts, check_items = (find_file(experiment[key], root) for key in BY_CONTENT)
    problems += material_problems(experiment, stimuli, prompts, check_items)
    problems += _verdict_problems(experiment, games, models, root) if experiment["verdict"] else ()
    if problems:
        raise ProblemList(problems)
    return SeriesConfig(
        name=config.get("name", experiment["name"]),
        games=games,
        models=models,
        settings={key: experiment[key] for key in IDENTITY},
        game_settings={
            name: _of_game(experiment["game_settings"], name, game) for name, game in games.items()
        },
        labels=labels,
        scenario_files=scenario_files,
        stimuli=stimuli,
        prompts=prompts,
        check_items=check_items,
        base_dir=Path(experiment["output"]["base_dir"]).expanduser(),
        runtime=experiment["runtime"],
        verdict=experiment["verdict"],
        new=str(config.get("new", False)).lower() == "true",
        series=config.get("series"),
    )


def find_file(path: str, root: Path) -> Path:
    """A relative path is looked for in the working directory first, then in the workflow's own folder."""
    here = Path(path).expanduser()
    return here if here.is_absolute() or here.exists() else root / here


def _disagreements(experiment: dict) -> Iterator[str]:
    if experiment["headline_intensity"] not in experiment["intensity"]:
        yield (
            f"experiment.headline_intensity: {experiment['headline_intensity']} is not one of the intensities "
            f"{experiment['intensity']}; add it there or choose one of them"
        )


def _games(experiment: dict, root: Path, problems: list[str]) -> dict[str, Game]:
    folder = root / "config" / "games"
    games: dict[str, Game] = {}
    for place, name in enumerate(experiment["games"]):
        try:
            roles = expand_game(name, folder)
            twice = [role for role in roles if role in games]
            if twice:
                problems.append(
                    f"experiment.games[{place}]: listed twice: {', '.join(twice)}; list each once"
                )
            games |= {role: load_game(folder / role) for role in roles if role not in games}
        except UserError as error:
            lines = (
                error.problems
                if isinstance(error, ProblemList)
                else [f"experiment.games[{place}]: {error}"]
            )
            problems += lines
    known = (
        [*game_names(folder), *families(folder)] if any(experiment[key] for key in PER_GAME) else []
    )
    for key in PER_GAME:
        strangers = [name for name in experiment[key] if name not in known]
        problems += [f"experiment.{key}: {unknown('game', name, known)}" for name in strangers]
    return games


def _of_game(entries: dict, name: str, game: Game) -> Any:
    """A game's entry of a per-game key: its own, or its family's."""
    return entries.get(name, entries.get(game.family or name, {}))


def _game_files(
    experiment: dict, games: dict[str, Game], root: Path, problems: list[str]
) -> tuple[dict, dict]:
    labels, files = {}, {}
    for name, game in games.items():
        own = _of_game(experiment["scenarios"], name, game)
        files[name] = find_file(own, root) if own else scenario_bank(game)
        if not files[name].exists():
            problems.append(
                f"experiment.scenarios.{name}: no such file or folder: {own or files[name]}"
            )
        labels[name] = _of_game(experiment["choice_labels"], name, game)
        known = [choice.label for choice in game.choices]
        problems += [
            f"experiment.choice_labels.{name}.{foreign}: {unknown('choice', label, known)}"
            for foreign, label in labels[name].items()
            if label not in known
        ]
        try:
            apply_settings(game, _of_game(experiment["game_settings"], name, game))
        except ProblemList as error:
            problems += [f"experiment.{line}" for line in error.problems]
    return labels, files


def _models(entries: list, root: Path, problems: list[str]) -> tuple[Model, ...]:
    try:
        return plan_models(entries, root)
    except ProblemList as error:
        problems += error.problems
        return ()


def _verdict_problems(
    experiment: dict, games: dict, models: tuple[Model, ...], root: Path
) -> Iterator[str]:
    if experiment["headline_intensity"] <= 0:
        told = "with verdict: true; only pushes towards an emotion are judged: choose one above 0 or remove `verdict`"
        yield f"experiment.headline_intensity: {experiment['headline_intensity']} {told}"
    path = root / "config" / "demo" / "truth.yaml"
    planted = read_data(path)["games"]
    emotions = {emotion for row in planted.values() for emotion in row["prosocial"]}
    known = {
        "models": [m.name for m in models if m.is_demo],
        "games": planted,
        "emotions": emotions,
    }
    for key, names in {
        "models": [m.name for m in models],
        "games": games,
        "emotions": experiment["emotions"],
    }.items():
        strangers = [name for name in names if name not in known[key]]
        if strangers:
            told = f"the verdict knows only demo models and what {path} plants in them; remove it or `verdict`"
            yield f"experiment.{key}: {', '.join(strangers)} with verdict: true; {told}"
