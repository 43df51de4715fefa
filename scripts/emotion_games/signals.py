"""Ctrl+C, SIGTERM and SIGHUP, in jobs and in Snakemake's own process.

The first signal to Snakemake saves the state of the running jobs, the second stops them at once,
and the third kills them. A signal that was ignored when the process began stays ignored: this is
the case for SIGHUP under nohup, and for SIGINT in a background command of a script, whose jobs are
killed by the second signal.

Only the standard library is imported at the top, so that a job can catch signals before it loads
anything else.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from emotion_games.escapes import say

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Exit code of a job that was interrupted and has saved its state.
EXIT_INTERRUPTED = 75
# A terminal signals a job directly, and Snakemake passes the same signal on. Two signals within
# this many seconds count as one.
_SAME_SECONDS = 1.0
# Environment variable with the process id of the Snakemake process that a job belongs to. On a
# cluster, the nested Snakemake process of a job sets its own.
OWNER = "EMOTION_GAMES_OWNER"

_Handler = Callable[[int, FrameType | None], None]


class Interrupted(Exception):
    """The work was stopped by a signal, and its state is saved."""


def _unless_ignored(handler: _Handler) -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def catch_stop() -> Callable[[], bool]:
    """Catch the stop signals in a job that can save its state.

    Returns:
        A function that returns True if the job should stop after the current batch: a signal has
        arrived, or the process that started the job has died. The latter keeps an orphan from
        holding the GPU. A later SIGINT raises KeyboardInterrupt. Other signals only repeat the
        request: SLURM sends SIGTERM twice.
    """
    is_orphan = _watch_owner()
    first: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
        elif number == signal.SIGINT and time.monotonic() - first[0] > _SAME_SECONDS:
            ignore_stop()
            raise KeyboardInterrupt("stopped at once")

    _unless_ignored(note)
    return lambda: bool(first) or is_orphan()


def _watch_owner() -> Callable[[], bool]:
    """Return a function that returns True if the process that started this one has died."""
    parent = os.getppid()
    # The parent may have died before this line; the owner in the environment is still the old one.
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
    """Let the first signal end a job that has no state to save.

    The job also ends if the process that started it dies.
    """
    is_orphan = _watch_owner()

    def end(number: int, frame: FrameType | None) -> None:
        ignore_stop()
        raise KeyboardInterrupt("interrupted")

    def watch() -> None:
        while not is_orphan():
            time.sleep(1)
        os._exit(EXIT_INTERRUPTED)

    _unless_ignored(end)
    threading.Thread(target=watch, daemon=True).start()


def ignore_stop() -> None:
    """Ignore further signals in a job while it records how it ended."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def stop_workflow_on_signal(
    finish_running_jobs: Callable[[], None], jobs_are_local: bool
) -> list[int]:
    """Install the three steps in Snakemake's own process.

    Args:
        finish_running_jobs: Makes Snakemake start no more jobs. It is called from a thread because
            it takes a lock that the main thread, which handles the signals, may be holding.
        jobs_are_local: The jobs are child processes. Other jobs are cancelled by Snakemake.

    Returns:
        The signals received so far; the list grows with each signal.
    """
    # Imported here and not in the handler, where the import would delay the signal to the jobs
    # until it looks like a second one.
    import psutil  # type: ignore[import-untyped]  # its stubs are not among the requirements

    received: list[int] = []

    def signal_children(number: int) -> None:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def steps(number: int) -> list[int]:
        # The jobs ignore SIGINT if it was ignored when Snakemake began.
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            return [number, signal.SIGKILL]
        return [signal.SIGINT, signal.SIGINT, signal.SIGKILL]

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if not jobs_are_local:
            _print("Cancelling the running jobs; their finished trials are kept.")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
        if len(received) == 1:
            _print("Stopping once the running jobs have saved their state (Ctrl+C again: at once).")
        signal_children(steps(number)[: len(received)][-1])
        if len(received) == 2:
            # A job ignores a second signal that follows the first one too soon, so it is sent
            # again.
            again = threading.Timer(_SAME_SECONDS, signal_children, [signal.SIGINT])
            again.daemon = True
            again.start()
        threading.Thread(target=finish_running_jobs, daemon=True).start()

    _unless_ignored(stop)
    return received


def _print(line: str) -> None:
    # After SIGHUP the terminal may be gone.
    with contextlib.suppress(OSError):
        say(f"\n{line}")
