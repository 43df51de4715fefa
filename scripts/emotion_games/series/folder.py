"""The folder of a series: which one a run continues, what is frozen in it, and what is on record about it.

A run continues the newest series of its name whose frozen settings equal the config's; anything else gets a new folder,
so that finished results are never deleted or mixed. Finding a series writes nothing; `open_series` does.
"""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import files, layout
from emotion_games.errors import UserError
from emotion_games.hashing import content_hash
from emotion_games.schemas import read_schema, with_defaults
from emotion_games.series.config import SeriesConfig
from emotion_games.series.grid import (
    Experiment,
    assign_slugs,
    directions_name,
    plan_experiments,
    stimuli_hash,
)
from emotion_games.series.state import read_series

# Says to a job that reads the Snakefile again (on a cluster, for instance) which series its run belongs to.
PINNED = "EMOTION_GAMES_SERIES"
_STAMP, _STAMP_FORMAT = r"\d{8}_\d{6}", "%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Series:
    """A series folder and its grid. `how` tells people why it is this folder."""

    folder: Path
    stamp: str
    how: str
    config: SeriesConfig
    slugs: dict[str, str]
    experiments: dict[str, Experiment]
    hashes: dict[str, str]
    game_hashes: dict[str, dict[str, str]]

    def output_dir(self, exp_id: str) -> Path:
        """Folder of an experiment's results."""
        return layout.output_dir(self.folder, exp_id, self.stamp)

    def directions(self, experiment: Experiment) -> str:
        """Name of the directions file that an experiment reads."""
        return directions_name(experiment.model, experiment.slug, self.config.settings, self.hashes)

    def spec(self, experiment: Experiment) -> dict[str, Any]:
        """All that determines an experiment's results, as plain data."""
        config, game = self.config, experiment.game
        return {
            "exp_id": experiment.exp_id,
            "game": game,
            "model": experiment.model.entry,
            "model_name": experiment.model.name,
            "settings": config.settings
            | {"choice_labels": config.labels[game], "game_settings": config.game_settings[game]},
            "hashes": self.hashes
            | self.game_hashes[game]
            | experiment.model.hashes
            | {"directions": self.directions(experiment)},
        }


def find_series(config: SeriesConfig, root: Path, is_main: bool) -> Series:
    """The series that this config continues or begins; UserError where `series` names one that does not fit."""
    home = config.base_dir / "ExperimentSeries"
    hashes = {
        "stimuli": stimuli_hash(config.stimuli, config.settings["emotions"]),
        "prompts": content_hash(config.prompts),
        "checks": content_hash(config.check_items),
    }
    games = {name: _game_hashes(config, name, root) for name in config.games}
    schema = read_schema("config")
    if not is_main and os.environ.get(PINNED):
        return _series(Path(os.environ[PINNED]), "pinned", config, hashes, games)
    if config.series is not None:
        folder = _named(home, config.series)
        differences = differences_from(folder, config, hashes, games, schema)
        if differences:
            raise UserError(
                f"series {folder.name} was made with other settings ({'; '.join(differences)}); "
                "set them back, or leave `series` out to start a new one"
            )
        return _series(folder, "continued", config, hashes, games)
    why = ""
    for folder in [] if config.new and is_main else _newest_first(home, config.name):
        differences = differences_from(folder, config, hashes, games, schema)
        if not differences:
            return _series(folder, "continued", config, hashes, games)
        why = why or f", since {folder.name} has other settings: {'; '.join(differences)}"
    return _series(_fresh(home, config.name), f"new{why}", config, hashes, games)


def _series(folder: Path, how: str, config: SeriesConfig, hashes: dict, games: dict) -> Series:
    frozen = files.read_json(layout.record_path(folder)) or {}
    taken = {key: model["slug"] for key, model in frozen.get("models", {}).items()}
    slugs = assign_slugs(config.models, taken)
    plan = plan_experiments(config.games, config.models, slugs)
    stamp = frozen.get("stamp") or folder.name[-15:]
    return Series(folder, stamp, how, config, slugs, {e.exp_id: e for e in plan}, hashes, games)


def _fresh(home: Path, name: str) -> Path:
    seconds = time.time()
    while True:
        folder = home / f"{name}_{time.strftime(_STAMP_FORMAT, time.localtime(seconds))}"
        if not folder.exists():
            return folder
        seconds += 1


def _newest_first(home: Path, name: str) -> list[Path]:
    pattern = re.compile(re.escape(name) + "_" + _STAMP)
    found = [path for path in home.glob(f"{name}_*") if pattern.fullmatch(path.name)]
    return sorted((path for path in found if layout.record_path(path).is_file()), reverse=True)


def _named(home: Path, series: str) -> Path:
    folder = home / Path(series).name
    if Path(series).name != series and Path(series).resolve() != folder.resolve():
        raise UserError(
            f"series: {series} is not a folder in {home}; name one of the folders there"
        )
    if not layout.record_path(folder).is_file():
        known = sorted(path.parent.parent.name for path in home.glob("*/.state/series.json"))
        raise UserError(
            f"series: there is no series {folder.name} in {home}; found: {', '.join(known[-10:]) or 'none'}"
        )
    return folder


def _game_hashes(config: SeriesConfig, name: str, root: Path) -> dict[str, str]:
    game = content_hash(root / "config" / "games" / name / "game.yaml")
    return {"game": game, "scenarios": content_hash(config.scenario_files[name])}


def differences_from(
    folder: Path, config: SeriesConfig, hashes: dict, games: dict, schema: dict
) -> list[str]:
    """What a config has otherwise than a series froze it; files count only for pairs with trials on record."""
    frozen = read_series(folder)
    defaults = with_defaults(frozen["settings"], schema["properties"]["experiment"])
    before = {key: defaults[key] for key in config.settings}
    found = list(_changed(before, config.settings, ""))
    recorded = [
        row
        for exp_id, row in frozen["experiments"].items()
        if is_on_record(folder, exp_id, frozen["stamp"])
    ]
    if recorded:
        found += _changed_files(frozen["hashes"], hashes, "")
    for name in sorted({row["game_name"] for row in recorded} & set(games)):
        old = frozen["games"][name]
        found += _changed_files(old["hashes"], games[name], f"{name}: ")
        found += _changed(old["choice_labels"], config.labels[name], f"choice_labels.{name}.")
        found += _changed(
            old["game_settings"], config.game_settings[name], f"game_settings.{name}."
        )
    keys = {row["model"] for row in recorded}
    for model in config.models:
        if model.key in keys:
            found += _changed_files(
                frozen["models"][model.key]["hashes"], model.hashes, f"{model.name}: "
            )
    aliases = {entry["slug"].casefold(): key for key, entry in frozen["models"].items()}
    for model in config.models:
        alias = model.running.get("alias", "")
        if model.key not in frozen["models"] and alias.casefold() in aliases:
            found.append(f"alias {alias} was another model")
    return found


def is_on_record(folder: Path, exp_id: str, stamp: str) -> bool:
    """True where an experiment has trials: a journal or a result file."""
    results = layout.output_dir(folder, exp_id, stamp)
    return layout.journal_path(folder, exp_id).exists() or any(
        (results / name).exists() for name in layout.RESULT_FILES
    )


def _changed(before: Any, now: Any, place: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        missing = "none"
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            for line in _changed(before.get(key, missing), now.get(key, missing), f"{place}{key}.")
        ]
    return [] if before == now else [f"{place.rstrip('.')} {before} there, {now} here"]


def _changed_files(before: dict, now: dict, place: str) -> list[str]:
    return [
        f"{place}the {key} files have changed"
        for key in now
        if key in before and before[key] != now[key]
    ]


def open_series(series: Series, totals: dict[str, int | None]) -> None:
    """Write down what is frozen and the grid; experiments no longer in the config stay if they have said anything.

    `totals` is the number of trials planned for each game.
    """
    path = layout.record_path(series.folder)
    old = files.read_json(path) or {"experiments": {}, "models": {}, "games": {}}
    kept = {
        exp_id: row
        for exp_id, row in old["experiments"].items()
        if exp_id in series.experiments or layout.state_path(series.folder, exp_id).exists()
    }
    rows = {
        exp_id: {
            "game_name": experiment.game,
            "model_name": experiment.model.name,
            "model": experiment.model.key,
            "output_dir": str(series.output_dir(exp_id)),
            "directions": series.directions(experiment),
            "total": totals.get(experiment.game),
        }
        for exp_id, experiment in series.experiments.items()
    }
    config = series.config
    models = {
        m.key: {"slug": series.slugs[m.key], "name": m.name, "entry": m.entry, "hashes": m.hashes}
        for m in config.models
    }
    games = {
        name: {
            "hashes": series.game_hashes[name],
            "choice_labels": config.labels[name],
            "game_settings": config.game_settings[name],
        }
        for name in config.games
    }
    content = {
        "name": config.name,
        "stamp": series.stamp,
        "started": old.get("started", files.now()),
        "settings": config.settings,
        "hashes": series.hashes,
        "games": old["games"] | games,
        "models": old["models"] | models,
        "experiments": rows | {exp_id: row for exp_id, row in kept.items() if exp_id not in rows},
    }
    files.write_json(path, content)
