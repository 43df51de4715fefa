"""The folder of a series: which one a run continues, and the record of what is frozen in it.

A run continues the newest series of its name whose frozen settings equal the config's. Otherwise it
begins a new folder, so that finished results are never deleted or mixed. Finding a series writes
nothing; `open_series` does.
"""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from emotion_games import files, layout
from emotion_games.errors import UserError
from emotion_games.experiment.spec import Settings, Spec
from emotion_games.hashing import content_hash
from emotion_games.series import grid
from emotion_games.series.config import SeriesConfig
from emotion_games.series.differences import Content, differences
from emotion_games.series.sites import plan_sites
from emotion_games.series.state import (
    STAMP_FORMAT,
    ExperimentRecord,
    GameRecord,
    SeriesRecord,
    read_series,
)

# Environment variable with the series of a run, for jobs that read the Snakefile again, for
# instance on a cluster.
PINNED = "EMOTION_GAMES_SERIES"
_STAMP = r"\d{8}_\d{6}"


@dataclass(frozen=True)
class Series:
    """A series folder and its grid. `how` describes why it is this folder."""

    folder: Path
    stamp: str
    how: str
    content: Content
    slugs: dict[str, str]
    experiments: dict[str, grid.Experiment]

    @property
    def config(self) -> SeriesConfig:
        """The config of the series."""
        return self.content.config

    def output_dir(self, exp_id: str) -> Path:
        """Return the folder with the results of an experiment."""
        return layout.output_dir(self.folder, exp_id, self.stamp)

    def directions(self, experiment: grid.Experiment) -> str:
        """Return the name of the directions file that an experiment reads."""
        model, hashes = experiment.model, self.content.hashes
        if not model.is_fixed:
            # What it names may have changed since an earlier series.
            hashes = hashes | {"series": self.stamp}
        return grid.directions_name(model, experiment.slug, self.settings(experiment), hashes)

    def settings(self, experiment: grid.Experiment) -> Settings:
        """Return the settings of an experiment: those of the series, its own game and site.

        A change for another game restarts nothing.
        """
        game, of_series = self.content.games[experiment.game], dict(self.config.settings)
        del of_series["layer_sets"]
        own = {"choice_labels": game["choice_labels"], "game_settings": game["game_settings"]}
        return cast(Settings, of_series | experiment.site.settings | own)

    def spec(self, experiment: grid.Experiment) -> Spec:
        """Return everything that determines the results of an experiment, as plain data."""
        model, game = experiment.model, self.content.games[experiment.game]
        hashes = self.content.hashes | game["hashes"] | model.hashes
        return {
            "exp_id": experiment.exp_id,
            "date": time.strftime("%Y-%m-%d", time.strptime(self.stamp, STAMP_FORMAT)),
            "game": experiment.game,
            "model": model.entry,
            "model_name": experiment.label,
            "settings": self.settings(experiment),
            "hashes": hashes | {"directions": self.directions(experiment)},
        }


def find_series(config: SeriesConfig, root: Path, is_main: bool) -> Series:
    """Return the series that a config continues or begins.

    Args:
        config: The checked config.
        root: The folder of the workflow.
        is_main: This is the Snakemake process that the user started, and not one of a job. The
            process of a job returns the series of its run.

    Raises:
        UserError: The config names a series (`series`) that does not exist or has other settings.
    """
    home = layout.series_home(config.base_dir)
    content = _content(config, root)
    if not is_main and os.environ.get(PINNED):
        return _series(Path(os.environ[PINNED]), "pinned", content)
    if config.series is not None:
        folder = _named(home, config.series)
        found = differences(folder, content)
        if found:
            raise UserError(
                f"series {folder.name} was made with other settings ({'; '.join(found)}); "
                "restore them, or leave `series` out to start a new one"
            )
        return _series(folder, "continued", content)
    # The differences from the newest series explain why a new one begins.
    why = ""
    for folder in [] if config.new and is_main else _newest_first(home, config.name):
        found = differences(folder, content)
        if not found:
            return _series(folder, "continued", content)
        why = why or f", since {folder.name} has other settings: {'; '.join(found)}"
    return _series(_fresh(home, config.name), f"new{why}", content)


def _content(config: SeriesConfig, root: Path) -> Content:
    games: dict[str, GameRecord] = {}
    for name in config.games:
        game_file = root / "config" / "games" / name / "game.yaml"
        hashes = {
            "game": content_hash(game_file),
            "scenarios": content_hash(config.scenario_files[name]),
        }
        games[name] = GameRecord(
            hashes=hashes,
            choice_labels=config.labels[name],
            game_settings=config.game_settings[name],
        )
    shared = {
        "stimuli": grid.stimuli_hash(config.stimuli, config.settings["emotions"]),
        "prompts": content_hash(config.prompts),
        "checks": content_hash(config.check_items),
    }
    return Content(config, shared, games)


def _series(folder: Path, how: str, content: Content) -> Series:
    recorded = _recorded(folder)
    # A name that a model has in a series stays, so that its results are found again.
    taken = {key: model["slug"] for key, model in recorded["models"].items()} if recorded else {}
    slugs = grid.assign_slugs(content.config.models, taken)
    config, sites = content.config, plan_sites(content.config.settings)
    experiments = grid.plan_experiments(config.games, config.models, slugs, sites)
    stamp = recorded["stamp"] if recorded else folder.name[-15:]
    return Series(folder, stamp, how, content, slugs, experiments)


def _recorded(folder: Path) -> SeriesRecord | None:
    """Return the record of a series, or None if the folder is not made yet."""
    return read_series(folder) if layout.record_path(folder).exists() else None


def _fresh(home: Path, name: str) -> Path:
    """Return a folder that does not exist, named by the current time or the next free second."""
    seconds = time.time()
    while True:
        folder = home / f"{name}_{time.strftime(STAMP_FORMAT, time.localtime(seconds))}"
        if not folder.exists():
            return folder
        seconds += 1


def _newest_first(home: Path, name: str) -> list[Path]:
    # A name may be the beginning of another one; the stamps sort by time.
    pattern = re.compile(re.escape(name) + "_" + _STAMP)
    return [path for path in reversed(_all_series(home)) if pattern.fullmatch(path.name)]


def _all_series(home: Path) -> list[Path]:
    # A pattern that includes the record skips folders that only other users can read.
    pattern = str(layout.record_path(Path("*")))
    return sorted(layout.series_of_log(path) for path in home.glob(pattern))


def _named(home: Path, series: str) -> Path:
    folder = home / Path(series).name
    if Path(series).name != series and os.path.realpath(series) != os.path.realpath(folder):
        raise UserError(
            f"series: {series} is not a folder in {home}; name one of the folders there"
        )
    if not layout.record_path(folder).is_file():
        known = ", ".join(path.name for path in _all_series(home)[-10:])
        raise UserError(
            f"series: there is no series {folder.name} in {home}; found: {known or 'none'}"
        )
    return folder


def open_series(series: Series, totals: Mapping[str, int | None]) -> None:
    """Record what is frozen and the grid.

    Experiments that the config no longer has are kept if they have a recorded state.

    Args:
        series: The series.
        totals: The number of trials planned for each game; None if no scenario can be used.
    """
    path, content, config = layout.record_path(series.folder), series.content, series.config
    empty = {"started": files.now(), "games": {}, "models": {}, "experiments": {}}
    old: Mapping[str, Any] = _recorded(series.folder) or empty
    # The config's experiments come first, in the order of running.
    experiments = {}
    for exp_id, experiment in series.experiments.items():
        experiments[exp_id] = ExperimentRecord(
            game_name=experiment.game,
            model_name=experiment.label,
            model=experiment.model.key,
            output_dir=str(series.output_dir(exp_id)),
            directions=series.directions(experiment),
            total=totals.get(experiment.game),
        )
    for exp_id, row in old["experiments"].items():
        if exp_id not in experiments and layout.state_path(series.folder, exp_id).exists():
            experiments[exp_id] = row
    models = {
        m.key: {"slug": series.slugs[m.key], "name": m.name, "entry": m.entry, "hashes": m.hashes}
        for m in config.models
    }
    record = SeriesRecord(
        name=config.name,
        stamp=series.stamp,
        started=old["started"],
        settings=config.settings,
        hashes=content.hashes,
        # Games and models that the config no longer has are still needed by their experiments.
        games=old["games"] | content.games,
        models=old["models"] | models,
        experiments=experiments,
    )
    files.write_json(path, record)
