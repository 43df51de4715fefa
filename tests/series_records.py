"""Records of series that have only the fields that a test is about."""

from pathlib import Path
from typing import Any

from emotion_games import files, layout

STAMP = "20260102_030405"


def write_series(
    folder: Path, experiments: dict[str, Any], models: dict[str, Any] | None = None, stamp=STAMP
) -> Path:
    """Write the record of a series, with the fields of its experiments and models that are given.

    All other fields have values of the right type. Returns the folder.
    """
    rows = {
        exp_id: {
            "game_name": "Game",
            "model_name": "org/M",
            "model": "key",
            "output_dir": str(layout.output_dir(folder, exp_id, stamp)),
            "directions": "M-1",
            "total": None,
        }
        | row
        for exp_id, row in experiments.items()
    }
    model = {"slug": "M", "name": "org/M", "entry": {"id": "org/M"}, "hashes": {}}
    game = {"hashes": {}, "choice_labels": {}, "game_settings": {}}
    record = {
        "name": "Try",
        "stamp": stamp,
        "started": "2026-01-02T03:04:05",
        "settings": {},
        "hashes": {},
        "games": {row["game_name"]: game for row in rows.values()},
        "models": {key: model | part for key, part in (models or {"key": {}}).items()},
        "experiments": rows,
    }
    files.write_json(layout.record_path(folder), record)
    return folder
