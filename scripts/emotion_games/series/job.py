"""The frame around a job: its log, its lock, its heartbeat and the record of how it ended.

An error in the job is recorded for its experiments and raised again.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import Timeout

from emotion_games import files, layout, signals
from emotion_games.errors import ProblemList, UserError
from emotion_games.escapes import say
from emotion_games.series import completeness, state
from emotion_games.series.state import State, Status
from emotion_games.series.status_table import duration

# How often trials update the report, and how often a line of progress is printed.
REPORT_SECONDS = 1.0
PRINT_SECONDS = 15.0
# Characters of an error in the report; the log has the whole text.
LONGEST_ERROR = 300
# A run that starts while a job of a killed run is still ending waits this long for its lock.
LOCK_SECONDS = 60.0


class Job:
    """Context manager that sends output to a log and records how the work ended.

    Args:
        series_dir: The series folder.
        exp_ids: The experiments that fail if this job fails.
        log: The log file.
    """

    def __init__(self, series_dir: Path, exp_ids: Sequence[str], log: Path) -> None:
        self.series_dir, self.exp_ids, self.log = series_dir, exp_ids, log
        self.label = log.stem
        self._reserve = layout.reserve_path(series_dir, self.label)
        self._began: tuple[float, int] | None = None
        self._first: int | None = None
        self._printed = 0.0

    def __enter__(self) -> Self:
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal = os.fdopen(os.dup(2), "w")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # File descriptors, so that the output of libraries in C goes to the log too.
        with open(self.log, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper
        line = f"--- {files.now()} {self.label} on {socket.gethostname()}, process {os.getpid()}"
        say(line, sys.stdout)
        try:
            files.keep_reserve(self._reserve)
        except OSError as error:
            self._record_failure(error)
            raise
        return self

    def terminal(self, line: str) -> None:
        """Print a line both to the log and to the terminal of Snakemake."""
        # The disk may be full and the terminal closed. Neither may prevent the record of how the
        # job ended.
        for text, stream in ((line, sys.stdout), (f"{self.label}: {line}", self._terminal)):
            with suppress(OSError):
                say(text, stream)

    def hold(self, path: Path) -> None:
        """Hold a lock until this process ends; raise SystemExit if another process keeps it."""
        # An attribute, because the lock is released when its object is deleted.
        self._lock = files.lock(path, wait=LOCK_SECONDS)
        try:
            self._lock.acquire()
        except Timeout:
            self.terminal("another process is still running this job; try again later")
            raise SystemExit(1) from None

    def rate(self, done: int) -> float | None:
        """Return how much is done a second since the first call, or None if that is not known."""
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        # From the first new trial on: what comes before is no part of the rate.
        if done > self._first and self._began is None:
            self._began = (now, done)
        since, before = self._began or (now, done)
        return (done - before) / (now - since) if now > since and done > before else None

    def print_progress(self, done: int, total: int, noun: str, rate: float | None) -> None:
        """Print a line to the terminal if the last one is old enough, or everything is done."""
        now = time.monotonic()
        if now - self._printed >= PRINT_SECONDS or done == total:
            left = f", {duration((total - done) / rate)} left" if rate else ""
            pace = f", {rate:.1f} a second" if rate else ""
            self.terminal(f"{done:,} of {total:,} {noun}{pace}{left}")
            self._printed = now

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._reserve.unlink(missing_ok=True)
            return
        signals.ignore_stop()
        if isinstance(error, (signals.Interrupted, KeyboardInterrupt)):
            self._record_end("pending", str(error) or "interrupted")
            raise SystemExit(signals.EXIT_INTERRUPTED)
        self._record_failure(error)

    def _record_failure(self, error: BaseException) -> None:
        self._record_end("failed", f"{one_line(error)} (log: {self.log})")

    def _record_end(self, status: Status, error: str | None = None) -> None:
        self.terminal(f"{status}: {error}" if error else status)
        stamp = state.read_series(self.series_dir)["stamp"]

        def write() -> None:
            end = State(status=status, end_time=files.now(), error=error)
            for exp_id in self.exp_ids:
                folder = layout.output_dir(self.series_dir, exp_id, stamp)
                # A model that fails now leaves the results of its finished experiments valid.
                if status == "completed" or not layout.has_results(folder):
                    state.record(self.series_dir, exp_id, **end)
            completeness.rebuild(self.series_dir)

        files.write_final(self._reserve, write)


class ModelJob(Job):
    """A job of a model with a journal: it holds a lock, and prints its progress."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.hold(layout.lock_path(self.series_dir, self.label))
        return self

    def progress(self, done: int, total: int) -> None:
        """Show in the terminal, now and then, how many check items are finished."""
        self.print_progress(done, total, "check items", self.rate(done))


class ExperimentJob(Job):
    """The job of one experiment, which also holds its lock and reports its progress."""

    def __init__(self, series_dir: Path, exp_id: str, log: Path) -> None:
        super().__init__(series_dir, [exp_id], log)
        self.exp_id = exp_id
        self._shown = 0.0
        self._done: int | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        path = layout.lock_path(self.series_dir, self.exp_id)
        self.hold(path)
        # The first heartbeat; the file may be left from an earlier run.
        os.utime(path)
        start = State(status="running", end_time=None, error=None, rate=None)
        resumed = layout.journal_path(self.series_dir, self.exp_id).exists()
        before = state.read_state(self.series_dir, self.exp_id) if resumed else State()
        start["start_time"] = before.get("start_time") or files.now()
        start |= {"host": socket.gethostname(), "pid": os.getpid()}
        state.record(self.series_dir, self.exp_id, **start)
        threading.Thread(target=_beat, args=(path,), daemon=True).start()
        completeness.rebuild(self.series_dir)
        return self

    def progress(self, done: int, total: int) -> None:
        """Show the number of finished trials in the report and, less often, in the terminal."""
        now = time.monotonic()
        if done == self._done or (now - self._shown < REPORT_SECONDS and done < total):
            return
        rate = self.rate(done)
        progress = state.Progress(done=done, total=total)
        state.record(self.series_dir, self.exp_id, progress=progress, rate=rate)
        completeness.update(self.series_dir, self.exp_id)
        self._shown, self._done = now, done
        self.print_progress(done, total, "trials", rate)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            signals.ignore_stop()
            self._record_end("completed")
        else:
            super().__exit__(kind, error, trace)


def _beat(path: Path) -> None:
    while True:
        time.sleep(state.HEARTBEAT_SECONDS)
        os.utime(path)


def one_line(error: BaseException) -> str:
    """Return an error as one short line, with its type unless it is a UserError."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    text = "; ".join(lines) if isinstance(error, ProblemList) else lines[0]
    text = text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def record_silent_end(
    series_dir: Path,
    exp_ids: Sequence[str],
    log: Sequence[str],
    before: Mapping[str, State],
    stopped: bool,
) -> None:
    """Record the end of a failed job for its experiments, if the job could not do so itself.

    Args:
        series_dir: The series folder.
        exp_ids: The experiments that need the job.
        log: The logs of the job.
        before: The states when the run began. States are compared and not times, because a clock
            may be set back during a run.
        stopped: The run received a signal.
    """
    for exp_id in exp_ids:
        last = state.read_state(series_dir, exp_id)
        has_reported = last.get("status") in ("failed", "pending") and last != before.get(exp_id)
        is_open = last.get("status") != "completed" and not state.is_alive(series_dir, exp_id, last)
        if is_open and not has_reported:
            end = State(status="failed", end_time=files.now())
            end["error"] = f"{completeness.SILENT_END} (log: {', '.join(log)})"
            if stopped:
                end |= {"status": "pending", "error": "stopped"}
            state.record(series_dir, exp_id, **end)
