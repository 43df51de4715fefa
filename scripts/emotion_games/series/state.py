"""What is recorded about a series and its experiments, and which experiments are alive.

Each experiment has a small JSON file that its job replaces as a whole, and a lock that its process
holds. `completeness` derives the report from them.
"""

import socket
import time
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

from emotion_games import files, layout
from emotion_games.errors import UserError

# A process on another machine, whose lock cannot be seen, counts as alive for this many seconds
# after its last heartbeat.
HEARTBEAT_SECONDS = 30
SILENCE_SECONDS = 300

Status = Literal["completed", "running", "pending", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


class GameRecord(TypedDict):
    """What is frozen of a game: the hashes of its files, and its own settings."""

    hashes: dict[str, str]
    choice_labels: dict[str, str]
    game_settings: dict[str, Any]


class ModelRecord(TypedDict):
    """What is frozen of a model. `entry` is its identity in the config."""

    slug: str
    name: str
    entry: dict[str, Any]
    hashes: dict[str, str]


class ExperimentRecord(TypedDict):
    """One experiment of the grid.

    `model` is a key of SeriesRecord.models, `directions` the stem of the file name of its
    directions, and `total` the number of trials, None if no scenario can be used.
    """

    game_name: str
    model_name: str
    model: str
    output_dir: str
    directions: str
    total: int | None


class SeriesRecord(TypedDict):
    """The content of `.state/series.json`. `hashes` are those of the files that games share."""

    name: str
    stamp: str
    started: str
    settings: dict[str, Any]
    hashes: dict[str, str]
    games: dict[str, GameRecord]
    models: dict[str, ModelRecord]
    experiments: dict[str, ExperimentRecord]


class Progress(TypedDict):
    """Trials of an experiment; `total` is None if it is not known."""

    done: int
    total: int | None


class State(TypedDict, total=False):
    """The last recorded state of an experiment: times in ISO 8601, rate in trials a second."""

    status: Status
    start_time: str | None
    end_time: str | None
    error: str | None
    progress: Progress
    rate: float | None
    host: str
    pid: int


class ReportRow(TypedDict):
    """One experiment in experiment_report.json."""

    game_name: str
    model_name: str
    status: Status
    start_time: str | None
    end_time: str | None
    error: str | None
    output_dir: str
    exp_id: str
    progress: Progress


def read_series(series_dir: Path) -> SeriesRecord:
    """Return the record of a series.

    Raises:
        UserError: The folder holds no series.
    """
    path = layout.record_path(series_dir)
    series = files.read_json(path)
    if series is None:
        raise UserError(
            f"{series_dir}: {path.relative_to(series_dir)} is missing or damaged; name a folder "
            f"under {layout.series_home(Path()).name}, or move this one away"
        )
    return series


def read_state(series_dir: Path, exp_id: str) -> State:
    """Return the last recorded state of an experiment, empty before the first one."""
    return files.read_json(layout.state_path(series_dir, exp_id)) or State()


def record(series_dir: Path, exp_id: str, **changes: Unpack[State]) -> None:
    """Change some fields of an experiment's state."""
    state = read_state(series_dir, exp_id) | changes
    files.write_json(layout.state_path(series_dir, exp_id), state)


def is_alive(series_dir: Path, exp_id: str, state: State) -> bool:
    """Return True if the process of an experiment is alive.

    It is if its lock is held or, on another machine, if its last heartbeat is recent.
    """
    path = layout.lock_path(series_dir, exp_id)
    if files.is_locked(path):
        return True
    if state.get("host") in (None, socket.gethostname()):
        return False
    # The clocks of two machines may differ in either direction.
    try:
        return abs(time.time() - path.stat().st_mtime) < SILENCE_SECONDS
    except FileNotFoundError:
        return False
