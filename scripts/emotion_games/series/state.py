"""What is recorded about a series and its experiments, and which experiments are alive.

Each experiment has a small JSON file that its job replaces as a whole, and a lock that its process
holds. `completeness` derives the report from them.
"""

import re
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypedDict, Unpack, get_args, get_origin, is_typeddict

from emotion_games import files, layout
from emotion_games.errors import UserError

# A process on another machine, whose lock cannot be seen, counts as alive for this many seconds
# after its last heartbeat.
HEARTBEAT_SECONDS = 30
SILENCE_SECONDS = 300
# The time at the end of the name of a series folder.
STAMP_FORMAT = "%Y%m%d_%H%M%S"

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

    `model_name` also names the site of the pushes, if there are several. `model` is a key of
    SeriesRecord.models, `directions` the stem of the file name of its directions, and `total` the
    number of trials, None if no scenario can be used.
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
    """Trials or checks of an experiment; `total` is None if it is not known."""

    done: int
    total: int | None


class State(TypedDict, total=False):
    """The last recorded state of an experiment, with times in ISO 8601.

    The other fields are those of `ReportRow`.
    """

    status: Status
    start_time: str | None
    end_time: str | None
    error: str | None
    progress: Progress
    checks: Progress | None
    headroom: str | None
    seconds_left: float | None
    seconds_per_trial: float | None
    host: str
    pid: int


class ReportRow(TypedDict):
    """One experiment in experiment_report.json.

    `progress` counts its trials, and `checks` the requests of its own checks, None before it has
    begun. `headroom` counts the stories whose neutral outcome leaves no room for an effect, once
    the neutral trials are done. `seconds_left` is how long a running one still needs for both.
    `seconds_per_trial` is the time of the whole experiment, per trial. All three are None if they
    are not known.
    """

    game_name: str
    model_name: str
    status: Status
    start_time: str | None
    end_time: str | None
    error: str | None
    output_dir: str
    exp_id: str
    progress: Progress
    checks: Progress | None
    headroom: str | None
    seconds_left: float | None
    seconds_per_trial: float | None


def read_series(series_dir: Path) -> SeriesRecord:
    """Return the record of a series.

    Raises:
        UserError: The folder holds no series.
    """
    path = layout.record_path(series_dir)
    series = files.read_json(path)
    if not (_fits(SeriesRecord)(series) and _is_consistent(series)):
        raise UserError(
            f"{series_dir}: {path.relative_to(series_dir)} is missing or damaged; name a folder "
            f"under {layout.series_home(Path()).name}, or move this one away"
        )
    return series


def setup_of(exp_id: str, row: ExperimentRecord) -> str:
    """Return the name of what an experiment steers; see `grid.Experiment.setup`."""
    return exp_id.removeprefix(f"{row['game_name']}_")


def read_rows(series_dir: Path) -> dict[str, ReportRow] | None:
    """Return the rows of the completeness report, or None if it is missing or damaged."""
    report = files.read_json(series_dir / layout.REPORT)
    rows = report.get("experiments") if report else None
    return rows if isinstance(rows, dict) else None


def read_state(series_dir: Path, exp_id: str) -> State:
    """Return the last recorded state of an experiment; empty if there is none, or a damaged one."""
    state = files.read_json(layout.state_path(series_dir, exp_id))
    return state if _fits(State)(state) else State()


@cache
def _fits(kind: Any) -> Callable[[Any], bool]:
    """Return a function that tells whether plain data are of a type.

    Types are TypedDict, dict, Literal, unions and classes. The files are written as a whole, but a
    person can edit them.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: True
    if origin is Literal:
        return lambda value: value in parts
    if origin is UnionType:
        return lambda value: any(_fits(part)(value) for part in parts)
    if origin is dict:
        fits = _fits(parts[1])
        return lambda value: isinstance(value, dict) and all(map(fits, value.values()))
    if is_typeddict(kind):
        fields = {key: _fits(part) for key, part in kind.__annotations__.items()}
        return lambda value: (
            isinstance(value, dict)
            and kind.__required_keys__ <= value.keys()
            and all(fields[key](item) for key, item in value.items() if key in fields)
        )
    classes = (int, float) if kind is float else kind
    return lambda value: isinstance(value, classes)


def _is_consistent(series: SeriesRecord) -> bool:
    """Return True if the parts of a record belong together, and its names lead nowhere else."""
    try:
        time.strptime(series["stamp"], STAMP_FORMAT)
    except ValueError:
        return False
    rows, games, models = series["experiments"], series["games"], series["models"]
    names = [*rows, *games, *(model["slug"] for model in models.values())]
    return all(re.fullmatch(r"[\w.-]+", name) for name in names) and all(
        row["game_name"] in games and row["model"] in models for row in rows.values()
    )


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
