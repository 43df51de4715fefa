"""Check that what a job is about to read is still what its series began with.

A series runs for days, and its files and model weights may be changed meanwhile.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from emotion_games import layout
from emotion_games.engine.vector_files import file_key
from emotion_games.errors import UserError
from emotion_games.files import read_json
from emotion_games.hashing import content_hash
from emotion_games.series.grid import stimuli_hash
from emotion_games.series.state import read_series


def game_files(files: Mapping[str, Any], game: str) -> dict[str, Path]:
    """Return the files of one game among those of all games, which Snakemake's config holds."""
    return {
        name: Path(path[game] if isinstance(path, dict) else path) for name, path in files.items()
    }


def check_files(
    series_dir: Path, files: Mapping[str, Path], emotions: Iterable[str], game: str | None = None
) -> None:
    """Check that the files of a job have not changed since this run of the series began.

    Args:
        series_dir: The series folder.
        files: The files by name: `prompts`, `stimuli`, `checks`, those of given vectors, and of a
            game `game` and `scenarios`.
        emotions: The emotions whose stimuli count.
        game: The game of the job, if it has one.

    Raises:
        UserError: A file has changed.
    """
    frozen = read_series(series_dir)
    before = frozen["hashes"] | (frozen["games"][game]["hashes"] if game else {})
    given = frozen["settings"].get("directions", {})
    before |= {file_key(emotion): sha256 for emotion, sha256 in given.items()}
    for name, path in files.items():
        # The folder of a game also has its scenarios, which have a hash of their own.
        path = path / "game.yaml" if name == "game" else path
        now = stimuli_hash(path, emotions) if name == "stimuli" else content_hash(path)
        if now != before[name]:
            raise UserError(
                f"{path}: has changed since this run of the series began; restore it, or end the "
                "run and start it again"
            )


def loaded_from(entry: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return the entry and the path with which a job loads its model.

    Args:
        entry: The model's entry of the config.
        path: Its folder or, for a model that was fetched, the file that the fetch wrote.

    Raises:
        UserError: That file is damaged, or what it names is no longer there.
    """
    if Path(path).name != layout.SOURCE:
        return entry, path
    source = read_json(Path(path))
    if not (source and isinstance(source.get("entry"), dict) and "path" in source):
        raise UserError(f"{path}: is damaged; delete it and run again")
    entry, found = source["entry"], source["path"]
    if found != entry["id"] and not os.path.isdir(found):
        raise UserError(f"{found}: this converted model is gone; delete {path} and run again")
    return entry, found


def check_weights(series_dir: Path, exp_id: str, weights: str) -> None:
    """Check that finished experiments of the same model were measured with the same weights.

    So must be the sweep that the settings of the series come from, if there is one.

    Args:
        series_dir: The series folder.
        exp_id: The experiment that is about to be measured.
        weights: The hash of the weights that it will be measured with.

    Raises:
        UserError: Another experiment, or the sweep, was measured with other weights.
    """
    # Experiments without results are measured again if the weights have changed, so only finished
    # ones count.
    frozen = read_series(series_dir)
    rows = frozen["experiments"]
    source = frozen["settings"].get("settings_from")
    if source and source["weights_hash"] != weights:
        raise UserError(
            f"model {rows[exp_id]['model_name']}: its weights are not those that the sweep "
            f"{source['sweep']} was measured with; restore them, or sweep again"
        )
    for other, row in rows.items():
        folder = layout.output_dir(series_dir, other, frozen["stamp"])
        if row["model"] != rows[exp_id]["model"] or not layout.has_results(folder):
            continue
        configuration = yaml.safe_load((folder / layout.CONFIGURATION).read_text(encoding="utf-8"))
        if configuration["directions"]["weights_hash"] != weights:
            raise UserError(
                f"model {row['model_name']}: its weights are not those that {other} was measured "
                "with; restore the old weights, or begin a new series with `--config new=true`"
            )
