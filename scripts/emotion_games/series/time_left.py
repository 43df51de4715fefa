"""How long a series still takes, from the pace of its own experiments."""

from collections.abc import Mapping
from statistics import fmean

from emotion_games.series.state import ReportRow


def series_left(rows: Mapping[str, ReportRow]) -> tuple[float | None, int]:
    """Return how many seconds the experiments that are not finished still take.

    A running experiment has a forecast of its own. The others take as long per trial as those with
    the same model. Experiments are assumed to go on as many at a time as now. Failed ones are left
    out, because the run does not repeat them.

    Returns:
        The seconds, None if they are known of no experiment, and the number of experiments of
        which they are not known.
    """
    paces: dict[str, list[float]] = {}
    for row in rows.values():
        if row["seconds_per_trial"] is not None:
            paces.setdefault(row["model_name"], []).append(row["seconds_per_trial"])
    unfinished = [row for row in rows.values() if row["status"] in ("running", "pending")]
    times = [_left(row, paces.get(row["model_name"], [])) for row in unfinished]
    known = [seconds for seconds in times if seconds is not None]
    if not known:
        return None, len(times)
    at_once = max(1, sum(row["status"] == "running" for row in unfinished))
    return max(*known, sum(known) / at_once), len(times) - len(known)


def _left(row: ReportRow, paces: list[float]) -> float | None:
    if row["seconds_left"] is not None:
        return row["seconds_left"]
    done, total = row["progress"]["done"], row["progress"]["total"]
    return (total - done) * fmean(paces) if paces and total is not None else None
