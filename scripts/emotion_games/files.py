"""Write files so that a crash never leaves half of one, and lock them between processes.

A reader sees the old content or the new one. A lock is released by the kernel when its holder dies.
"""

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock

from emotion_games.escapes import json_text

# Disk space that a run and each of its jobs reserve, to record their end on a full disk.
RESERVE_BYTES = 1_000_000
# The largest file that is read as a whole: one with hundreds of thousands of stories.
LARGEST_BYTES = 256 * 2**20

T = TypeVar("T")


def now() -> str:
    """Return the local time to the second, in ISO 8601."""
    return datetime.now().isoformat(timespec="seconds")


def read_bytes(path: Path, most: int = LARGEST_BYTES) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: It cannot be read, is a folder, a pipe or a device, or has more than `most` bytes.
    """
    # Opening a pipe would wait for its writer, and a device can be endless.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most / 2**20:g} MiB")
    return content


def read_json(path: Path) -> Any:
    """Return the object in a JSON file, or None if the file is missing, damaged or holds no object.

    Raises:
        OSError: The file cannot be read.
    """
    if not os.path.isfile(path):
        return None
    try:
        content = json.loads(read_bytes(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Replace the content of a file atomically.

    Args:
        path: The file. Its folder is created if it does not exist.
        text: The new content.
        durable: Wait until the content is on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, "tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Give a file a name that ends in `.aside` and that no other file has, and return it."""
    aside = path.with_name(f"{path.stem}.{time.strftime('%Y%m%d_%H%M%S')}-{os.getpid()}.aside")
    path.rename(aside)
    return aside


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file atomically and durably."""
    replace_text(path, json_text(json.dumps(content, indent=1, ensure_ascii=False)))


def records_text(content: Mapping[str, Any]) -> str:
    """Return a JSON document in which every record of every part is one line.

    Raises:
        ValueError: A number is not finite.
    """
    parts = ",\n".join(f" {_compact(key)}: {_lines(value)}" for key, value in content.items())
    return json_text(f"{{\n{parts}\n}}\n")


def _lines(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_compact, value)) + "\n ]"
    if isinstance(value, dict) and value:
        items = (f"{_compact(key)}: {_compact(item)}" for key, item in value.items())
        return "{\n  " + ",\n  ".join(items) + "\n }"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the body ends without an error."""
    part = _temporary(path, "part")
    # A killed process with the same number may have left one.
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def safe_name(text: str) -> str:
    """Return a text as a name of a file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100] or "model"


def _temporary(path: Path, ending: str) -> Path:
    """Return a name beside `path` that no other process, on this machine or another, uses."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{ending}")


def lock(path: Path, wait: float = -1) -> BaseFileLock:
    """Return a file lock to hold in a `with` statement.

    Entering the lock creates its folder if it does not exist, and raises filelock.Timeout after
    `wait` seconds, or another OSError if the file system has no locks.

    Args:
        path: The lock file.
        wait: Seconds to wait for another holder; a negative number waits without a limit.
    """
    # The soft lock of the library is a marker file, which a killed process would leave behind.
    return FileLock(path, timeout=wait, fallback_to_soft=False)


def is_locked(path: Path) -> bool:
    """Return True if a living process holds the lock, as far as this machine can see."""
    # A shared lock, because taking the lock itself could make its owner fail, and would change the
    # modification time, which is the owner's heartbeat.
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


def keep_reserve(path: Path) -> None:
    """Reserve disk space, to be given up by `write_final`."""
    # Random bytes, so that no file system stores the file as a hole or compressed.
    path.write_bytes(os.urandom(RESERVE_BYTES))


def write_final(reserve: Path, write: Callable[[], T]) -> T:
    """Call `write`, which records how a process ended, and remove the reserve.

    If the disk is full, the reserve is removed first and `write` is called again.
    """
    try:
        return write()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        reserve.unlink(missing_ok=True)
        return write()
    finally:
        reserve.unlink(missing_ok=True)
