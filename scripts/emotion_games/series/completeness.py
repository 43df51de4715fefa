"""The completeness report of a series: for each experiment what the evidence on disk says about it.

Knows result files, states and locks. A status follows evidence, not memory: four result files mean completed, a word
without a living process behind it is not believed. The report can be rebuilt at any time from what lies beside it.
"""

import json
import sys
import threading
from pathlib import Path

from emotion_games import files, layout
from emotion_games.errors import UserError
from emotion_games.series import state

STATUSES = ("completed", "running", "pending", "failed")
PAGE_SECONDS = 5
SILENT_END = "ended without a word (killed, or out of memory?)"


def update(series_dir: Path, exp_id: str) -> None:
    """Bring one experiment's row up to date; the evidence for the other rows is not looked at."""
    with files.lock(layout.report_lock_path(series_dir)):
        series, old = state.read_series(series_dir), files.read_json(series_dir / layout.REPORT)
        if old is None or set(old["experiments"]) != set(series["experiments"]):
            rows = _all_rows(series_dir, series)
        else:
            rows = old["experiments"] | {exp_id: _row(series_dir, exp_id, series)}
        _write(series_dir, rows)
    refresh_page(series_dir)


def rebuild(series_dir: Path, wait_for_page: bool = False) -> dict[str, dict]:
    """Make the whole report anew from the evidence and return its rows by exp_id."""
    with files.lock(layout.report_lock_path(series_dir)):
        rows = _all_rows(series_dir, state.read_series(series_dir))
        _write(series_dir, rows)
    refresh_page(series_dir, wait_for_page)
    return rows


def _all_rows(series_dir: Path, series: dict) -> dict[str, dict]:
    return {exp_id: _row(series_dir, exp_id, series) for exp_id in series["experiments"]}


def _row(series_dir: Path, exp_id: str, series: dict) -> dict:
    known = series["experiments"][exp_id]
    said = state.read_state(series_dir, exp_id)
    status, error = status_of(series_dir, exp_id, series["stamp"], said)
    progress = said.get("progress") or {"done": 0, "total": known["total"]}
    if status == "completed":
        progress = {**progress, "done": progress["total"]}
    return {
        "game_name": known["game_name"],
        "model_name": known["model_name"],
        "status": status,
        "start_time": said.get("start_time"),
        "end_time": None if status == "running" else said.get("end_time"),
        "error": error,
        "output_dir": known["output_dir"],
        "exp_id": exp_id,
        "progress": progress,
    }


def status_of(series_dir: Path, exp_id: str, stamp: str, said: dict) -> tuple[str, str | None]:
    """Status and error of an experiment, from the evidence and from what it last said."""
    status, error = said.get("status", "pending"), said.get("error")
    if layout.has_results(layout.output_dir(series_dir, exp_id, stamp)):
        return "completed", None
    if status == "completed":
        return (
            "pending",
            f"result files are missing (of {', '.join(layout.RESULT_FILES)}); run the series again",
        )
    if status == "running" and not state.is_alive(series_dir, exp_id, said):
        return "failed", f"{SILENT_END} (log: {layout.log_path(series_dir, exp_id)})"
    return status, error


def _write(series_dir: Path, rows: dict[str, dict]) -> None:
    # A line for each experiment, which is also several times as fast to write as an indented tree.
    lines = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in rows.items()
    )
    text = (
        f'{{\n "last_updated": {json.dumps(files.now())},\n "experiments": {{\n{lines}\n }}\n}}\n'
    )
    files.replace_text(series_dir / layout.REPORT, text, durable=False)


def counts(rows: dict[str, dict]) -> dict[str, int]:
    """How many experiments have each status."""
    return {status: sum(row["status"] == status for row in rows.values()) for status in STATUSES}


_page_thread: threading.Thread | None = None


def refresh_page(series_dir: Path, wait: bool = False) -> None:
    """Have the live page brought up to date now and then, or, if `wait`, at once and before returning.

    In a thread of its own: writing it delays no trial, and whatever goes wrong there is printed and fails no job.
    """
    global _page_thread
    if _page_thread is not None and _page_thread.is_alive():
        if not wait:
            return
        _page_thread.join()
    _page_thread = threading.Thread(
        target=_write_page, args=(series_dir, 0 if wait else PAGE_SECONDS), daemon=True
    )
    _page_thread.start()
    if wait:
        _page_thread.join()


def _write_page(series_dir: Path, least_seconds: float) -> None:
    from emotion_games.reporting.page import refresh  # loads the templates' engine

    refresh(series_dir, least_seconds)


def table(series_dir: Path, rows: dict[str, dict]) -> str:
    """The report as a table for people, with rates and the time left."""
    width = max((len(exp_id) for exp_id in rows), default=10)
    lines = [
        f"{'experiment':<{width}}  {'status':<9}  {'trials':>15}  {'a second':>8}  {'left':>8}  error"
    ]
    running = [exp_id for exp_id, row in rows.items() if row["status"] == "running"]
    rates = {exp_id: state.read_state(series_dir, exp_id).get("rate") for exp_id in running}
    for exp_id, row in rows.items():
        done, total = row["progress"]["done"], row["progress"]["total"]
        rate = rates.get(exp_id)
        trials = f"{done or 0:,}/{'?' if total is None else f'{total:,}'}"
        left = duration((total - done) / rate) if rate and total is not None else ""
        shown = f"{rate:.1f}" if rate else ""
        line = f"{exp_id:<{width}}  {row['status']:<9}  {trials:>15}  {shown:>8}  {left:>8}  {row['error'] or ''}"
        lines.append(line.rstrip())
    told = ", ".join(f"{number} {status}" for status, number in counts(rows).items() if number)
    return "\n".join(
        [*lines, "", f"{series_dir}: {told or 'no experiments'}{_series_left(rows, rates)}"]
    )


def _series_left(rows: dict[str, dict], rates: dict[str, float | None]) -> str:
    now_rate = sum(rate or 0 for rate in rates.values())
    open_rows = [
        row["progress"] for row in rows.values() if row["status"] in ("running", "pending")
    ]
    if not now_rate or any(p["total"] is None for p in open_rows):
        return ""
    return f"; about {duration(sum(p['total'] - p['done'] for p in open_rows) / now_rate)} left at the present rate"


def duration(seconds: float) -> str:
    """A span of time in the two largest units that matter: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    return (
        f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
    )


def main(arguments: list[str]) -> None:
    """Rebuild the report of the series folder that is named, and print it as a table."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: python scripts/report_completeness.py <series folder>")
    try:
        series_dir = Path(arguments[0])
        print(table(series_dir, rebuild(series_dir)))
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{arguments[0]}: the report could not be written: {error}")
