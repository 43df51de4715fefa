"""The frame around a job: its log, its lock, its heartbeat and the record of how it ended.

An error in the job is recorded for its experiments and raised again.
"""

import math
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from filelock import Timeout

from emotion_games import files, layout, signals
from emotion_games.errors import ProblemList, UserError
from emotion_games.escapes import say
from emotion_games.progress import Counts, series_time_left, summed, time_left
from emotion_games.series import completeness, state
from emotion_games.series.state import Progress, State, Status
from emotion_games.series.terminal import Terminal
from emotion_games.series.time_left import series_left

# How often trials update the report.
REPORT_SECONDS = 1.0
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

    def __enter__(self) -> Self:
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal = Terminal(self.label, os.fdopen(os.dup(2), "w"))
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
        self._terminal.line(line)

    def progress(self, counts: Counts, seconds_left: float | None) -> None:
        """Show what is done and planned, and how long the rest takes if that is known."""
        self._terminal.progress(counts, _rest(counts, seconds_left))

    def hold(self, path: Path) -> None:
        """Hold a lock until this process ends; raise SystemExit if another process keeps it."""
        # An attribute, because the lock is released when its object is deleted.
        self._lock = files.lock(path, wait=LOCK_SECONDS)
        try:
            self._lock.acquire()
        except Timeout:
            self.terminal("another process is still running this job; try again later")
            raise SystemExit(1) from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._terminal.close()
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

    def _record_end(
        self, status: Status, error: str | None = None, pace: float | None = None
    ) -> None:
        self.terminal(f"{status}: {error}" if error else status)
        stamp = state.read_series(self.series_dir)["stamp"]

        def write() -> None:
            end = State(status=status, end_time=files.now(), error=error)
            if pace is not None:
                end["seconds_per_trial"] = pace
            for exp_id in self.exp_ids:
                folder = layout.output_dir(self.series_dir, exp_id, stamp)
                # A model that fails now leaves the results of its finished experiments valid.
                if status == "completed" or not layout.has_results(folder):
                    state.record(self.series_dir, exp_id, **end)
            completeness.rebuild(self.series_dir)

        files.write_final(self._reserve, write)


class ModelJob(Job):
    """A job of a model with a journal, whose lock it holds."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.hold(layout.lock_path(self.series_dir, self.label))
        return self


class ExperimentJob(Job):
    """The job of one experiment, which also holds its lock and reports its progress."""

    def __init__(self, series_dir: Path, exp_id: str, log: Path) -> None:
        super().__init__(series_dir, [exp_id], log)
        self.exp_id = exp_id
        self._shown = 0.0
        self._counts: Counts = {}
        # When this run began, and how much was done then.
        self._began, self._before = 0.0, math.inf

    def __enter__(self) -> Self:
        super().__enter__()
        path = layout.lock_path(self.series_dir, self.exp_id)
        self.hold(path)
        self._began = time.monotonic()
        # The first heartbeat; the file may be left from an earlier run.
        os.utime(path)
        start = State(status="running", end_time=None, error=None, checks=None, seconds_left=None)
        start["headroom"] = None
        resumed = layout.journal_path(self.series_dir, self.exp_id).exists()
        before = state.read_state(self.series_dir, self.exp_id) if resumed else State()
        start["start_time"] = before.get("start_time") or files.now()
        start |= {"host": socket.gethostname(), "pid": os.getpid()}
        state.record(self.series_dir, self.exp_id, **start)
        threading.Thread(target=_beat, args=(path,), daemon=True).start()
        completeness.rebuild(self.series_dir)
        return self

    def headroom(self, line: str) -> None:
        """Show what the neutral trials leave room for in the report, the page and the terminal."""
        self.terminal(line)
        state.record(self.series_dir, self.exp_id, headroom=line)
        completeness.update(self.series_dir, self.exp_id)

    def progress(self, counts: Counts, seconds_left: float | None) -> None:
        """Show progress and time left in the report and the terminal.

        Args:
            counts: How many `trials`, and perhaps `checks`, are done and planned.
            seconds_left: Until all of them are done, None if that is not known.
        """
        now, (done, total) = time.monotonic(), summed(counts)
        is_early = now - self._shown < REPORT_SECONDS and done < total
        if counts == self._counts or is_early:
            return
        self._shown, self._counts = now, counts
        # A journal that cannot be used any more begins again.
        self._before = min(self._before, done)
        # How long the results take to write is not known.
        left = seconds_left if done < total else None
        state.record(self.series_dir, self.exp_id, **self._state(counts, left))
        rows = completeness.update(self.series_dir, self.exp_id)
        series = series_time_left(*series_left(rows))
        self._terminal.progress(counts, _rest(counts, left), series)

    def _state(self, counts: Counts, left: float | None) -> State:
        progress = {noun: Progress(done=n, total=planned) for noun, (n, planned) in counts.items()}
        found = State(progress=progress["trials"], checks=progress.get("checks"))
        found["seconds_left"] = None if left is None else round(left, 1)
        if left is not None and (pace := self._pace(left)):
            found["seconds_per_trial"] = pace
        return found

    def _pace(self, left: float) -> float | None:
        """Return the time of the experiment per trial, None if an earlier run did most of it."""
        share = 1 - self._before / summed(self._counts)[1] if self._counts else 0.0
        if share < 0.5:
            return None
        seconds = time.monotonic() - self._began + left
        return round(seconds / (share * self._counts["trials"][1]), 4)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            super().__exit__(kind, error, trace)
            return
        self._terminal.close()
        signals.ignore_stop()
        self._record_end("completed", pace=self._pace(0.0))


def _rest(counts: Counts, seconds_left: float | None) -> str:
    done, total = summed(counts)
    return time_left(seconds_left) if done < total else "writing the results"


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
