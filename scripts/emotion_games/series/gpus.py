"""The GPUs of this machine: each job claims those that it needs, so that no two jobs share one.

A claim is a file lock, which the kernel releases when the process ends, even by `kill -9`. CUDA
shows a process only what it has claimed, so that `device_map: auto` and every library stay on it.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from emotion_games import files
from emotion_games.errors import UserError
from emotion_games.signals import Interrupted

# The environment variable with the devices that CUDA shows to a process. It is read once, when
# CUDA is initialised.
VISIBLE = "CUDA_VISIBLE_DEVICES"
# How often a job that waits tries again.
_WAIT_SECONDS = 1.0
# The claims of this process. A lock is released when its object is deleted.
_held: list[BaseFileLock] = []


def claim(
    runtime: Mapping[str, Any],
    log: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Claim the GPUs of a job until its process ends, and wait for them if other jobs use them.

    This must be called before CUDA is initialised. A job on the CPU claims none and sees none.
    Where `nvidia-smi` lists none, nothing is claimed.

    Args:
        runtime: Where to run: `device`, and how many `gpus` (one, if it does not say).
        log: Receives a line if the job must wait, and one with its devices.
        should_stop: Returns True if a job that waits should stop.

    Raises:
        UserError: The job needs more devices than it sees.
        Interrupted: It was stopped while it waited.
    """
    if runtime["device"] == "cpu":
        os.environ[VISIBLE] = ""
        return
    devices, number = visible_devices(), runtime.get("gpus", 1)
    if not devices:
        return
    if number > len(devices):
        raise UserError(
            f"gpus: {number} of the model's entry, and this job sees {len(devices)}; allowed: at "
            f"most {len(devices)}; lower it, or make more visible to the job ({VISIBLE}, or the "
            "scheduler)"
        )
    claimed = _claim_free(devices, number)
    if not claimed:
        log(f"waiting for {number} of {len(devices)} GPUs, which other jobs use")
    while not claimed:
        if should_stop():
            raise Interrupted("stopped while waiting for a GPU; run the same command again")
        time.sleep(_WAIT_SECONDS)
        claimed = _claim_free(devices, number)
    _held.extend(claimed.values())
    os.environ[VISIBLE] = ",".join(claimed)
    log(f"runs on {', '.join(claimed)}")


def _claim_free(devices: Sequence[str], number: int) -> dict[str, BaseFileLock]:
    """Return the locks of as many free devices by UUID, or none if there are too few."""
    folder, claimed = _lock_folder(), dict[str, BaseFileLock]()
    # One job at a time, or two that need several could each hold a part of them.
    with files.lock(folder / "claiming.lock"):
        for device in devices:
            lock = files.lock(folder / f"{device}.lock", wait=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            claimed[device] = lock
            if len(claimed) == number:
                return claimed
        for lock in claimed.values():
            lock.release()
    return {}


def _lock_folder() -> Path:
    # Here all jobs of a user on this machine meet, whatever their series and working directory. It
    # is local, because locks of network file systems are less reliable. Each user has a folder,
    # because one may not open another's files in a shared temporary folder for writing.
    return Path(tempfile.gettempdir()) / f"emotion-games-gpus-{os.getuid()}"


def visible_devices() -> list[str]:
    """Return the UUIDs of the GPUs that a user or a scheduler leaves to this process.

    UUIDs, because two jobs of SLURM may each call their own device 0. Numbers are those of
    `nvidia-smi`.
    """
    present = _present_devices()
    shown = os.environ.get(VISIBLE)
    if shown is None or not present:
        return list(present.values())
    devices: list[str] = []
    for name in map(str.strip, shown.split(",")):
        found = [uuid for index, uuid in present.items() if name and _is_called(name, index, uuid)]
        # The parts of a divided GPU are not in the list, and are called by their UUIDs.
        if name.startswith("MIG-"):
            found = [name]
        # CUDA does the same: the names after one that is unknown count no more.
        if len(found) != 1 or found[0] in devices:
            break
        devices += found
    return devices


def _is_called(name: str, index: str, uuid: str) -> bool:
    # The beginning of a UUID is enough.
    return name == index or (name.startswith("GPU-") and uuid.startswith(name))


def _present_devices() -> dict[str, str]:
    """Return the UUIDs of the GPUs of this machine by number, without loading torch."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return {}
    return dict(re.findall(r"^(\d+), (GPU-\S+)$", listed, re.MULTILINE))
