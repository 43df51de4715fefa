"""The completeness report as a table for the terminal."""

from collections.abc import Mapping
from pathlib import Path

from emotion_games.files import read_json
from emotion_games.layout import SERIES_STATISTICS
from emotion_games.series.state import STATUSES, ReportRow, read_state


def status_table(series_dir: Path, rows: Mapping[str, ReportRow]) -> str:
    """Return the report as a table, with rates in trials a second and the time left."""
    width = max((len(exp_id) for exp_id in rows), default=10)
    heads = f"{'status':<9}  {'trials':>15}  {'a second':>8}  {'left':>8}  error"
    lines = [f"{'experiment':<{width}}  {heads}"]
    # Rates are recorded in the states only; the report has none.
    rates = {}
    for exp_id, row in rows.items():
        rate = read_state(series_dir, exp_id).get("rate") if row["status"] == "running" else None
        rates[exp_id] = rate or 0.0
        lines.append(f"{exp_id:<{width}}  {_line(row, rates[exp_id])}".rstrip())
    left = _series_left(rows, sum(rates.values()))
    return "\n".join([*lines, "", f"{series_dir}: {summary(rows)}{left}"])


def _line(row: ReportRow, rate: float) -> str:
    done, total = row["progress"]["done"], row["progress"]["total"]
    trials = f"{done:,}/{'?' if total is None else f'{total:,}'}"
    left = duration((total - done) / rate) if rate and total is not None else ""
    pace = f"{rate:.1f}" if rate else ""
    return f"{row['status']:<9}  {trials:>15}  {pace:>8}  {left:>8}  {row['error'] or ''}"


def _series_left(rows: Mapping[str, ReportRow], rate: float) -> str:
    left = 0
    for row in rows.values():
        if row["status"] in ("running", "pending"):
            total = row["progress"]["total"]
            # An experiment with an unknown number of trials takes an unknown time.
            if total is None:
                return ""
            left += total - row["progress"]["done"]
    return f"; about {duration(left / rate)} left at the current rate" if rate else ""


def summary(rows: Mapping[str, ReportRow]) -> str:
    """Return how many experiments have each status: `2 completed, 1 failed`."""
    found = [row["status"] for row in rows.values()]
    counts = [f"{found.count(status)} {status}" for status in STATUSES if status in found]
    return ", ".join(counts) or "no experiments"


def failed_checks(series_dir: Path) -> list[str]:
    """Return a line for each emotion of a model that failed its manipulation check."""
    rows = (read_json(series_dir / SERIES_STATISTICS) or {}).get("rows", [])
    lines = [
        f"{row['model']}: {row['emotion']} at intensity {row['intensity']:g} failed its "
        f"manipulation check: {row['failed_check']}"
        for row in rows
        if row.get("failed_check")
    ]
    # Each game has rows of the same model.
    return list(dict.fromkeys(lines))


def duration(seconds: float) -> str:
    """Return a time in its two largest units: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
