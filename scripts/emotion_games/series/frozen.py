"""Whether what a job is about to read is still what its series began with: files, and the weights of a model.

A series runs for days, and people edit files meanwhile. Knows what a series froze and its finished results.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from emotion_games.errors import UserError
from emotion_games.hashing import content_hash
from emotion_games.layout import has_results, output_dir
from emotion_games.series.grid import stimuli_hash
from emotion_games.series.state import read_series


def check_files(
    series_dir: Path, files: Mapping[str, Path], emotions: Iterable[str], game: str | None = None
) -> None:
    """Raise UserError where a file that a job is about to read is not what it was when the series' run began.

    `files` are the job's own among prompts, stimuli, checks and, of a game, game and scenarios.
    """
    frozen = read_series(series_dir)
    before = frozen["hashes"] | (frozen["games"][game]["hashes"] if game else {})
    for name, path in files.items():
        path = path / "game.yaml" if name == "game" else path
        now = stimuli_hash(path, emotions) if name == "stimuli" else content_hash(path)
        if now != before[name]:
            raise UserError(
                f"{path}: has changed since this run of the series began; set it back, or end the run and start it "
                "again"
            )


def check_weights(series_dir: Path, exp_id: str, weights: str) -> None:
    """Raise UserError where finished experiments of the same model were measured with other weights.

    `weights` is the hash of those that `exp_id` is about to be measured with.
    """
    frozen = read_series(series_dir)
    rows = frozen["experiments"]
    for other, row in rows.items():
        folder = output_dir(series_dir, other, frozen["stamp"])
        if row["model"] != rows[exp_id]["model"] or not has_results(folder):
            continue
        told = yaml.safe_load((folder / "exp_config.yaml").read_text(encoding="utf-8"))
        if told["directions"]["weights_hash"] != weights:
            raise UserError(
                f"model {row['model_name']}: its weights are not those that {other} was measured with; put the old "
                "ones back, or begin a new series with `--config new=true`"
            )
