"""The boundary of a job: its log, its lock, its heartbeat and its last word in the report.

Knows states, the report and signals; knows nothing of what the job does. A failure is recorded here and passes on.
"""

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import Timeout

from emotion_games import files, layout, signals
from emotion_games.errors import ProblemList, UserError
from emotion_games.series import completeness, state

# How often the report is brought up to date while trials run, and how often a line of progress is printed.
REPORT_SECONDS = 1.0
PRINT_SECONDS = 15.0
# The report keeps this much of an error's text; the log has all of it.
LONGEST_ERROR = 300
# A run that is started beside the last gasps of a killed one waits this long for it.
LOCK_SECONDS = 60.0


class Job:
    """`with Job(...) as job:` sends what is printed to the log, and records for its experiments how the work ended.

    `job.terminal` writes a line to the log and to where Snakemake runs.
    """

    def __init__(self, series_dir: Path, exp_ids: list[str], log: Path) -> None:
        self.series_dir, self.exp_ids, self.log = series_dir, exp_ids, log
        self.label = log.stem

    def __enter__(self) -> "Job":
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal = os.fdopen(os.dup(2), "w")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout.reconfigure(line_buffering=True)
        print(f"--- {files.now()} {self.label} on {socket.gethostname()}, process {os.getpid()}")
        self._reserve = layout.reserve_path(self.series_dir, self.label)
        try:
            files.keep_reserve(self._reserve)
        except OSError as error:
            self._record_end("failed", f"{one_line(error)} (log: {self.log})")
            raise
        return self

    def terminal(self, line: str) -> None:
        """Print a line both to the log and to where Snakemake runs."""
        # The disk may be full, and the terminal gone: neither may keep the job from its last words.
        for text, stream in ((line, sys.stdout), (f"{self.label}: {line}", self._terminal)):
            with suppress(OSError):
                print(text, file=stream, flush=True)

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._reserve.unlink(missing_ok=True)
            return
        signals.ignore_stop()
        if isinstance(error, (signals.Interrupted, KeyboardInterrupt)):
            self._record_end("pending", str(error) or "interrupted")
            raise SystemExit(signals.EXIT_INTERRUPTED)
        self._record_end("failed", f"{one_line(error)} (log: {self.log})")

    def _record_end(self, status: str, message: str) -> None:
        self.terminal(f"{status}: {message}")
        stamp = state.read_series(self.series_dir)["stamp"]
        open_ids = [
            e
            for e in self.exp_ids
            if not layout.has_results(layout.output_dir(self.series_dir, e, stamp))
        ]

        def say() -> None:
            for exp_id in open_ids:
                state.record(
                    self.series_dir, exp_id, status=status, end_time=files.now(), error=message
                )
            completeness.rebuild(self.series_dir)

        files.write_final(self._reserve, say)


class ExperimentJob(Job):
    """The job of one experiment: it also holds the experiment's lock, and shows its progress."""

    def __init__(self, series_dir: Path, exp_id: str, log: Path) -> None:
        super().__init__(series_dir, [exp_id], log)
        self.exp_id = exp_id
        self._shown = self._printed = 0.0
        self._began: tuple[float, int] | None = None
        self._done: int | None = None

    def __enter__(self) -> "ExperimentJob":
        super().__enter__()
        path = layout.lock_path(self.series_dir, self.exp_id)
        self._lock = files.lock(path, wait=LOCK_SECONDS)
        try:
            self._lock.__enter__()
        except Timeout:
            self.terminal("another process still runs this experiment; try again when it has ended")
            raise SystemExit(1) from None
        # The first heartbeat: the file may be an old one.
        os.utime(path)
        before = state.read_state(self.series_dir, self.exp_id) if self._has_trials() else {}
        began = before.get("start_time")
        words = {
            "status": "running",
            "start_time": began or files.now(),
            "end_time": None,
            "error": None,
            "rate": None,
        }
        state.record(
            self.series_dir, self.exp_id, **words, host=socket.gethostname(), pid=os.getpid()
        )
        threading.Thread(target=_beat, args=(path,), daemon=True).start()
        completeness.rebuild(self.series_dir)
        return self

    def _has_trials(self) -> bool:
        return layout.journal_path(self.series_dir, self.exp_id).exists()

    def progress(self, done: int, total: int) -> None:
        """Show how far the trials are: in the report at most once a second, in print now and then."""
        now = time.monotonic()
        if done == self._done or (now - self._shown < REPORT_SECONDS and done < total):
            return
        self._began = self._began or (now, done)
        since, before = self._began
        rate = (done - before) / (now - since) if now > since and done > before else None
        told = {"progress": {"done": done, "total": total}, "rate": rate}
        state.record(self.series_dir, self.exp_id, **told)
        completeness.update(self.series_dir, self.exp_id)
        self._shown, self._done = now, done
        if now - self._printed >= PRINT_SECONDS or done == total:
            pace = (
                f", {rate:.1f} a second, {completeness.duration((total - done) / rate)} left"
                if rate
                else ""
            )
            self.terminal(f"{done:,} of {total:,} trials{pace}")
            self._printed = now

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            signals.ignore_stop()
            self.terminal("completed")
            files.write_final(self._reserve, self._record_completed)
        else:
            super().__exit__(kind, error, trace)

    def _record_completed(self) -> None:
        told = {"status": "completed", "end_time": files.now(), "error": None}
        state.record(self.series_dir, self.exp_id, **told)
        completeness.rebuild(self.series_dir)


def _beat(path: Path) -> None:
    while True:
        time.sleep(state.HEARTBEAT_SECONDS)
        os.utime(path)


def one_line(error: BaseException) -> str:
    """An error in one short line; what a user can mend speaks for itself, anything else has its type before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    text = "; ".join(lines) if isinstance(error, ProblemList) else lines[0]
    text = text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def record_silent_end(
    series_dir: Path, exp_ids: list[str], log: list[str], before: dict[str, dict], stopped: bool
) -> None:
    """Write down for a failed job's experiments what the job itself could not say.

    `before` was on record when the run began. Records are compared, not times: a clock may be set back meanwhile.
    """
    for exp_id in exp_ids:
        last = state.read_state(series_dir, exp_id)
        has_spoken = last.get("status") in ("failed", "pending") and last != before.get(exp_id)
        is_open = last.get("status") != "completed" and not state.is_alive(series_dir, exp_id, last)
        if is_open and not has_spoken:
            status, error = (
                ("pending", "stopped")
                if stopped
                else ("failed", f"{completeness.SILENT_END} (log: {', '.join(log)})")
            )
            state.record(series_dir, exp_id, status=status, end_time=files.now(), error=error)
