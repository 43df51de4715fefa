"""What each experiment last said about itself: small JSON files, replaced whole, and locks that die with their holder.

Knows the `.state` folder of a series; knows nothing of the report that is made from it. Standard library only.
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

RESULT_FILES = ("exp_config.yaml", "exp_results.csv", "exp_results.json", "stats_analysis.json")
# A job on another machine whose lock cannot be seen counts as alive for this many seconds after its last heartbeat.
HEARTBEAT_SECONDS = 30
SILENCE_SECONDS = 300
# Disk space that a run and each of its jobs keep back for their last words on a full disk.
RESERVE_BYTES = 1_000_000

T = TypeVar("T")


def now() -> str:
    """Local time to the second, ISO 8601."""
    return datetime.now().isoformat(timespec="seconds")


def state_path(series_dir: Path, exp_id: str) -> Path:
    """What an experiment last said about itself."""
    return series_dir / ".state" / f"{exp_id}.json"


def lock_path(series_dir: Path, exp_id: str) -> Path:
    """Held by the process that runs the experiment; its modification time is that process's heartbeat."""
    return series_dir / ".state" / f"{exp_id}.lock"


def log_path(series_dir: Path, exp_id: str) -> Path:
    """Everything that an experiment's job printed."""
    return series_dir / ".state" / f"{exp_id}.log"


def reserve_path(series_dir: Path, name: str) -> Path:
    """Space for the last words of a job or, named `run`, of Snakemake's own process."""
    return series_dir / ".state" / f"{name}.reserve"


def journal_path(series_dir: Path, exp_id: str) -> Path:
    """The experiment's trials, safe on disk batch by batch."""
    return series_dir / ".state" / f"{exp_id}.trials.jsonl"


def leave_no_future(folders: Iterable[Path]) -> None:
    """Give files dated in the future the present time.

    A clock that was set back leaves such files; Snakemake takes what is made of them for older than its inputs.
    """
    present = time.time()
    for folder in folders:
        for path in folder.rglob("*"):
            # A file may go meanwhile, or belong to somebody else.
            with suppress(OSError):
                if path.stat().st_mtime > present:
                    os.utime(path, (present, present))


def read_json(path: Path) -> Any:
    """Content of a JSON file; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def keep_reserve(path: Path) -> None:
    """Keep some disk space back for the last words."""
    # Random, so that no file system stores it as a hole or compressed.
    path.write_bytes(os.urandom(RESERVE_BYTES))


def say_last_words(reserve: Path, say: Callable[[], T]) -> T:
    """Call `say`, which writes how something ended; on a full disk give up the reserve and call it once more."""
    try:
        return say()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        reserve.unlink(missing_ok=True)
        return say()
    finally:
        reserve.unlink(missing_ok=True)


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Write a file so that a reader sees the old or the new text whole; `durable` waits until the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file, durably."""
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to be filled in the body, which takes the place of `path` when the body has ended well."""
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    # A killed process of the same number may have left one.
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_state(series_dir: Path, exp_id: str) -> dict:
    """What the experiment last said; empty before its first word."""
    return read_json(state_path(series_dir, exp_id)) or {}


def record(series_dir: Path, exp_id: str, **changes: Any) -> None:
    """Change some fields of an experiment's state."""
    path = state_path(series_dir, exp_id)
    write_json(path, {**(read_json(path) or {}), **changes})


def has_results(output_dir: Path | str) -> bool:
    """True when all four result files exist; each was published whole, by renaming."""
    return all(os.path.isfile(os.path.join(output_dir, name)) for name in RESULT_FILES)


@contextmanager
def lock(path: Path, wait: float | None = None) -> Iterator[None]:
    """Hold a file lock, which the kernel drops when the process dies, however it dies.

    Waits for ever, or raises BlockingIOError after `wait` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = None if wait is None else time.monotonic() + wait
    with open(path, "a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if deadline is None else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)
        yield


def is_locked(path: Path) -> bool:
    """True while a living process holds the lock, as far as this machine can see."""
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


def is_alive(series_dir: Path, exp_id: str, state: dict) -> bool:
    """True while the experiment's process lives: its lock is held, or, on another machine, its heart still beats."""
    path = lock_path(series_dir, exp_id)
    if is_locked(path):
        return True
    if state.get("host") in (None, socket.gethostname()):
        return False
    try:
        return abs(time.time() - path.stat().st_mtime) < SILENCE_SECONDS
    except FileNotFoundError:
        return False
