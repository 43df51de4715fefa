"""The completeness report of a series: the status of each experiment, from the evidence on disk.

An experiment is completed if its four result files exist, and it is running only if its process is
alive. One that is recorded as running without a process has failed, and one that is recorded as
completed without its files is pending. Otherwise the last recorded state counts. The report can be
rebuilt from these at any time.
"""

import json
import threading
from pathlib import Path

from emotion_games import files, layout
from emotion_games.series import state
from emotion_games.series.state import Progress, ReportRow, SeriesRecord, State, Status
from emotion_games.series.time_left import series_left

PAGE_SECONDS = 5
SILENT_END = "the process ended without reporting an error (killed, or out of memory?)"


def update(series_dir: Path, exp_id: str) -> dict[str, ReportRow]:
    """Update the row of one experiment, without reading the evidence for the others.

    Returns:
        The rows of the report by exp_id.
    """
    with files.lock(layout.report_lock_path(series_dir)):
        series, old = state.read_series(series_dir), state.read_rows(series_dir)
        if old is None or old.keys() != series["experiments"].keys():
            rows = _all_rows(series_dir, series)
        else:
            # Every batch updates the report, and reading the evidence of 1,400 rows takes seconds.
            rows = old | {exp_id: _row(series_dir, exp_id, series)}
        _write(series_dir, rows)
    refresh_page(series_dir)
    return rows


def rebuild(series_dir: Path, wait_for_page: bool = False) -> dict[str, ReportRow]:
    """Rebuild the whole report from the evidence.

    Args:
        series_dir: The series folder.
        wait_for_page: Return only after the page was updated too.

    Returns:
        The rows of the report by exp_id.

    Raises:
        UserError: The folder holds no series.
    """
    with files.lock(layout.report_lock_path(series_dir)):
        rows = _all_rows(series_dir, state.read_series(series_dir))
        _write(series_dir, rows)
    refresh_page(series_dir, wait_for_page)
    return rows


def _all_rows(series_dir: Path, series: SeriesRecord) -> dict[str, ReportRow]:
    return {exp_id: _row(series_dir, exp_id, series) for exp_id in series["experiments"]}


def _row(series_dir: Path, exp_id: str, series: SeriesRecord) -> ReportRow:
    planned = series["experiments"][exp_id]
    last = state.read_state(series_dir, exp_id)
    status, error = status_of(series_dir, exp_id, series["stamp"], last)
    progress = last.get("progress") or Progress(done=0, total=planned["total"])
    checks = last.get("checks")
    if status == "completed":
        # The last recorded progress may be older than the results.
        for counted in (progress, checks):
            if counted:
                counted["done"] = counted["total"] or 0
    return {
        "game_name": planned["game_name"],
        "model_name": planned["model_name"],
        "status": status,
        "start_time": last.get("start_time"),
        "end_time": None if status == "running" else last.get("end_time"),
        "error": error,
        "output_dir": planned["output_dir"],
        "exp_id": exp_id,
        "progress": progress,
        "checks": checks,
        "headroom": last.get("headroom"),
        "seconds_left": last.get("seconds_left") if status == "running" else None,
        "seconds_per_trial": last.get("seconds_per_trial"),
    }


def status_of(series_dir: Path, exp_id: str, stamp: str, last: State) -> tuple[Status, str | None]:
    """Return the status and the error of an experiment.

    Args:
        series_dir: The series folder.
        exp_id: The experiment.
        stamp: The stamp of the series.
        last: The last recorded state of the experiment.
    """
    status = last.get("status", "pending")
    # The result files appear last, so nothing recorded can contradict them.
    if layout.has_results(layout.output_dir(series_dir, exp_id, stamp)):
        return "completed", None
    # Somebody has deleted result files.
    if status == "completed":
        names = ", ".join(layout.RESULT_FILES)
        return "pending", f"result files are missing (of {names}); run the series again"
    if status == "running" and not state.is_alive(series_dir, exp_id, last):
        return "failed", f"{SILENT_END} (log: {layout.log_path(series_dir, exp_id)})"
    return status, last.get("error")


def _write(series_dir: Path, rows: dict[str, ReportRow]) -> None:
    # One line for each experiment, which is written several times as fast as an indented tree.
    encode = json.JSONEncoder(ensure_ascii=False).encode
    lines = [f"  {encode(key)}: {encode(row)}" for key, row in rows.items()]
    experiments = ",\n".join(lines)
    seconds, unknown = series_left(rows)
    head = {
        "last_updated": files.now(),
        "seconds_left": seconds and round(seconds, 1),
        "experiments_of_unknown_time": unknown,
    }
    shown = "".join(f" {encode(key)}: {encode(value)},\n" for key, value in head.items())
    text = f'{{\n{shown} "experiments": {{\n{experiments}\n }}\n}}\n'
    files.replace_text(series_dir / layout.REPORT, text, durable=False)


_page_thread: threading.Thread | None = None


def refresh_page(series_dir: Path, wait: bool = False) -> None:
    """Update the live page if it is older than some seconds or, if `wait` is true, at once.

    It is written in a thread, so that it does not delay trials. An error there is printed and does
    not fail the job.
    """
    global _page_thread
    if _page_thread is not None and _page_thread.is_alive():
        if not wait:
            return
        _page_thread.join()
    seconds = 0 if wait else PAGE_SECONDS
    _page_thread = threading.Thread(target=_write_page, args=(series_dir, seconds), daemon=True)
    _page_thread.start()
    if wait:
        _page_thread.join()


def _write_page(series_dir: Path, least_seconds: float) -> None:
    # The Snakefile and every job import this module, and the page with its templates loads slowly.
    from emotion_games.reporting.page import refresh

    refresh(series_dir, least_seconds)
