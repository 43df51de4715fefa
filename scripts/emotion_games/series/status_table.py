"""The completeness report as a table for the terminal."""

from collections.abc import Mapping
from pathlib import Path

from emotion_games.files import read_json
from emotion_games.layout import PAGE, SERIES_STATISTICS
from emotion_games.progress import series_time_left, time_left
from emotion_games.reporting.headline import headline
from emotion_games.series.state import STATUSES, Progress, ReportRow
from emotion_games.series.time_left import series_left


def status_table(series_dir: Path, rows: Mapping[str, ReportRow]) -> str:
    """Return the report as a table, with the time left."""
    width = max((len(exp_id) for exp_id in rows), default=10)
    heads = f"{'status':<9}  {'trials':>15}  {'checks':>11}  left, or error"
    lines = [f"{'experiment':<{width}}  {heads}"]
    lines += [f"{exp_id:<{width}}  {_line(row)}".rstrip() for exp_id, row in rows.items()]
    left = series_time_left(*series_left(rows))
    return "\n".join([*lines, "", f"{series_dir}: {summary(rows)}{left and f'; {left}'}"])


def _line(row: ReportRow) -> str:
    counts = f"{_counted(row['progress']):>15}  {_counted(row['checks']):>11}"
    return f"{row['status']:<9}  {counts}  {row['error'] or time_left(row['seconds_left'])}"


def _counted(progress: Progress | None) -> str:
    if progress is None:
        return ""
    total = "?" if progress["total"] is None else f"{progress['total']:,}"
    return f"{progress['done']:,}/{total}"


def summary(rows: Mapping[str, ReportRow]) -> str:
    """Return how many experiments have each status: `2 completed, 1 failed`."""
    found = [row["status"] for row in rows.values()]
    counts = [f"{found.count(status)} {status}" for status in STATUSES if status in found]
    return ", ".join(counts) or "no experiments"


def findings(series_dir: Path) -> list[str]:
    """Return what was found, and the path of the page, as far as both are there."""
    content = read_json(series_dir / SERIES_STATISTICS) or {}
    rows, missing = content.get("rows", []), content.get("missing", [])
    lines = []
    if rows and not missing and not any(row["interim"] for row in rows):
        lines.append(headline(rows))
    page = series_dir / PAGE
    return [*lines, f"Page: {page}"] if page.is_file() else lines


def failed_checks(series_dir: Path) -> list[str]:
    """Return a line for each emotion of a model that failed its manipulation check."""
    rows = (read_json(series_dir / SERIES_STATISTICS) or {}).get("rows", [])
    lines = [
        f"{row['model_name']}: {row['emotion']} at intensity {row['intensity']:g} failed its "
        f"manipulation check: {row['failed_check']}"
        for row in rows
        if row.get("failed_check")
    ]
    # Each game has rows of the same model.
    return list(dict.fromkeys(lines))
