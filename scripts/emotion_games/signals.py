"""Ctrl+C, SIGTERM and SIGHUP: the first saves the place, the second stops at once, the third kills.

Knows processes and signals; knows nothing of experiments. A signal that was ignored when the process began stays
ignored: so it is under nohup, and for a command that a script put into the background. Jobs need the standard library
only.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Exit code of a job that was asked to stop and has saved its place.
EXIT_INTERRUPTED = 75
# A terminal signals the job itself as well as Snakemake, which passes it on: two within this time are one.
_SAME_SECONDS = 1.0
# Tells a job which Snakemake process it belongs to; a nested one (on a cluster) puts its own number there.
OWNER = "EMOTION_GAMES_OWNER"


class Interrupted(Exception):
    """The work stopped because it was asked to; its place is saved."""


def _unless_ignored(handler: Callable) -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def catch_stop() -> Callable[[], bool]:
    """In a job: return a function that says whether to stop after the batch in hand; a second signal stops at once.

    It also says so when the process that started this one has died, so that nothing holds the GPU without an owner.
    """
    is_orphan = _watch_owner()
    first: list[float] = []

    def note(number: int, frame: object) -> None:
        if not first:
            first.append(time.monotonic())
        elif time.monotonic() - first[0] > _SAME_SECONDS:
            ignore_stop()
            raise KeyboardInterrupt("stopped at once")

    _unless_ignored(note)
    return lambda: bool(first) or is_orphan()


def _watch_owner() -> Callable[[], bool]:
    """A function that says whether the process that started this one has died, even before this one could look."""
    parent = os.getppid()
    owner = int(os.environ.get(OWNER, parent))
    return lambda: os.getppid() != parent or not _exists(owner)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop_at_once() -> None:
    """In a job that has no place to save: the first signal ends it, and so does the death of whoever started it."""
    is_orphan = _watch_owner()

    def end(number: int, frame: object) -> None:
        ignore_stop()
        raise KeyboardInterrupt("interrupted")

    def watch() -> None:
        while not is_orphan():
            time.sleep(1)
        os._exit(EXIT_INTERRUPTED)

    _unless_ignored(end)
    threading.Thread(target=watch, daemon=True).start()


def ignore_stop() -> None:
    """In a job: let nothing disturb the last words."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_workflow_on_signal(
    finish_running_jobs: Callable[[], None], jobs_are_local: bool
) -> list[int]:
    """In Snakemake's own process: install the three steps, and return the list of the signals so far.

    `finish_running_jobs` lets Snakemake start no more jobs. It is called from a thread, because it takes a lock that
    the main thread, in which signals are handled, may be holding. Jobs that run elsewhere are cancelled in Snakemake's
    own way.
    """
    # Now, not in the handler: there the import would delay the signal to the jobs until it looks like a second one.
    import psutil

    received: list[int] = []

    def signal_children(number: int) -> None:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def stop(number: int, frame: object) -> None:
        received.append(number)
        if not jobs_are_local:
            _say("Cancelling the jobs that are running; the trials that they have done are kept.")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
        if len(received) == 1:
            _say(
                "Stopping as soon as the running jobs have saved their place (Ctrl+C again: at once)."
            )
        signal_children(signal.SIGINT if len(received) < 3 else signal.SIGKILL)
        if len(received) == 2:
            # To a job, a second signal that follows the first too soon looks like the first one passed on.
            again = threading.Timer(_SAME_SECONDS, signal_children, [signal.SIGINT])
            again.daemon = True
            again.start()
        threading.Thread(target=finish_running_jobs, daemon=True).start()

    _unless_ignored(stop)
    return received


def _say(line: str) -> None:
    # The terminal may be gone: that is what SIGHUP says.
    with contextlib.suppress(OSError):
        print(f"\n{line}", file=sys.stderr, flush=True)
