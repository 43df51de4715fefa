"""What is on record about a series and its experiments, and which experiments are alive.

Each experiment has a small JSON file that its job replaces as a whole, and a lock that its process
holds. `completeness` derives the report from them.
"""

import socket
import time
from pathlib import Path
from typing import Any

from emotion_games import files, layout
from emotion_games.errors import UserError

# A process on another machine, whose lock cannot be seen, counts as alive for this many seconds
# after its last heartbeat.
HEARTBEAT_SECONDS = 30
SILENCE_SECONDS = 300


def read_series(series_dir: Path) -> dict:
    """Return the record of a series: its settings, models and experiments.

    Raises:
        UserError: The folder holds no series.
    """
    series = files.read_json(layout.record_path(series_dir))
    if series is None:
        raise UserError(
            f"{series_dir}: .state/series.json is missing or damaged; name a folder under "
            "ExperimentSeries, or move this one away"
        )
    return series


def read_state(series_dir: Path, exp_id: str) -> dict:
    """Return the last recorded state of an experiment, or an empty dict before its first one."""
    return files.read_json(layout.state_path(series_dir, exp_id)) or {}


def record(series_dir: Path, exp_id: str, **changes: Any) -> None:
    """Change some fields of an experiment's state."""
    state = read_state(series_dir, exp_id) | changes
    files.write_json(layout.state_path(series_dir, exp_id), state)


def is_alive(series_dir: Path, exp_id: str, state: dict) -> bool:
    """Return True if the process of an experiment is alive.

    It is if its lock is held or, on another machine, if its last heartbeat is recent.
    """
    path = layout.lock_path(series_dir, exp_id)
    if files.is_locked(path):
        return True
    if state.get("host") in (None, socket.gethostname()):
        return False
    try:
        return abs(time.time() - path.stat().st_mtime) < SILENCE_SECONDS
    except FileNotFoundError:
        return False
