"""The page of a series: one HTML file that is true at any moment and needs nothing but itself.

Knows the completeness report and the parts of finished experiments; knows nothing of how they are measured. Until
every planned experiment is complete the page is interim, and what could be read as a verdict (p-values, claims) is not
even in the file. Standard library and jinja2 only.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from emotion_games.files import now, read_json, replace_text
from emotion_games.layout import PAGE, results_folder
from emotion_games.reporting.page_data import Part, packed_figure, part_of

# Under the 5 MB that a mail takes, with room for the template and the grid.
MOST_BYTES = 4_600_000
LONGEST_ERROR = 400
# In the order in which room is given away; transcripts beyond the first come last.
TURNS = (
    "choice_rates",
    "dose_response",
    "manipulation_effect",
    "choice_shares",
    "direction_separation",
)
VERDICTS = ("p", "p_holm", "claim", "q", "supported")
SERIES_FIGURE = "How each emotion moves the outcome, games and models side by side"


_last_cost = 0.0


def refresh(series_dir: Path, least_seconds: float = 5) -> None:
    """Write the page unless it is younger than `least_seconds` (more where writing takes long).

    What goes wrong is told on stderr and fails no job.
    """
    global _last_cost
    try:
        age = time.time() - (series_dir / PAGE).stat().st_mtime
    except OSError:
        age = float("inf")
    # A page that takes a second is written every twenty, so that no job loses more than a twentieth of its time to it.
    if 0 <= age < least_seconds * max(1.0, 4 * _last_cost):
        return
    started = time.monotonic()
    try:
        write_page(series_dir)
    except (OSError, ValueError, KeyError, TypeError, jinja2.TemplateError) as error:
        print(
            f"{series_dir / PAGE}: not written ({type(error).__name__}: {error})", file=sys.stderr
        )
    _last_cost = time.monotonic() - started


def write_page(series_dir: Path) -> None:
    """Write series_report.html into the series folder, whole or not at all, from whatever is there."""
    report = read_json(series_dir / "experiment_report.json") or {}
    rows = report.get("experiments") or {}
    parts = {
        exp_id: part_of(series_dir, exp_id, results_folder(series_dir, row))
        for exp_id, row in rows.items()
        if row["status"] == "completed"
    }
    whole = [part for part in parts.values() if "meta" in part and not part["meta"]["interim"]]
    final = bool(rows) and len(whole) == len(rows)
    cells = {exp_id: _cell(row, parts.get(exp_id, {})) for exp_id, row in rows.items()}
    summary = read_json(series_dir / "series_results.json") or {}
    verdicts = (
        _verdicts(summary) if final and set(summary.get("plan_hashes", ())) >= set(rows) else {}
    )
    data = {
        "final": final,
        "cells": cells,
        "effects": [
            e for exp_id, part in parts.items() for e in _effects(exp_id, part, verdicts, final)
        ],
        # A figure drawn when fewer experiments were planned may carry marks that no longer hold.
        "figures": _series_figures(series_dir) if final or not _is_final(summary) else [],
    }
    omitted = _fill(cells, parts, final, MOST_BYTES - _size(data))
    text = _template().render(
        name=series_dir.name,
        updated=report.get("last_updated") or "not yet",
        written=now(),
        final=final,
        counts=_counts(rows),
        games=list(dict.fromkeys(row["game_name"] for row in rows.values())),
        models=list(dict.fromkeys(row["model_name"] for row in rows.values())),
        cells={(cell["game"], cell["model"]): (exp_id, cell) for exp_id, cell in cells.items()},
        omitted=omitted,
        data=Markup(_json(data)),
    )
    # Half a surrogate pair, which JSON may hold and UTF-8 may not, becomes a question mark.
    replace_text(series_dir / PAGE, text.encode("utf-8", "replace").decode("utf-8"), durable=False)


def _cell(row: Mapping[str, Any], part: Part) -> Part:
    progress = row.get("progress") or {}
    done, total = progress.get("done") or 0, progress.get("total") or 0
    error = row.get("error") or part.get("problem") or ""
    return {
        "game": row["game_name"],
        "model": row["model_name"],
        "status": row["status"],
        "percent": 100 if row["status"] == "completed" else int(100 * done / total) if total else 0,
        "progress": f"{done:,} of {total:,} trials" if total else "",
        "started": row.get("start_time") or "",
        "ended": row.get("end_time") or "",
        "error": error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]} …",
        "folder": Path(row["output_dir"]).name,
        "facts": _facts(part) if "meta" in part else [],
        "figures": [],
        "transcripts": [],
        "contrasts": [],
        "text": "",
        "n_contrasts": part.get("n_contrasts", 0),
        "n_transcripts": part.get("n_transcripts", 0),
    }


def _facts(part: Part) -> list[list[str]]:
    meta, plan = part["meta"], part["plan"]
    layers = (
        plan["layers"] if isinstance(plan["layers"], str) else ", ".join(map(str, plan["layers"]))
    )
    return [
        [
            "measured",
            f"{meta['outcome']}, in percentage points; intervals at {100 * meta['confidence']:g} %",
        ],
        [
            "trials",
            f"{meta['n_trials']:,} of {meta['n_trials_planned'] or meta['n_trials']:,} planned",
        ],
        ["scenarios", f"{meta['n_scenarios']}, the unit of inference"],
        ["answers read", f"{meta['n_parsed']:,} of {meta['n_generated']:,}"],
        ["headline intensity", f"{plan['headline_intensity']:g}"],
        ["layers", layers.replace("_", " ")],
        ["plan, frozen before the first trial", plan["hash"]],
    ]


def _effects(
    exp_id: str, part: Part, verdicts: Mapping[tuple, Part], final: bool
) -> Iterator[Part]:
    for effect in part.get("effects", ()):
        row = {"exp_id": exp_id} | effect
        if final:
            row |= verdicts.get(
                (exp_id, row["emotion"], row["history"]), {"q": None, "supported": None}
            )
            yield row
        else:
            yield {key: value for key, value in row.items() if key not in VERDICTS}


def _verdicts(summary: Mapping[str, Any]) -> dict[tuple, Part]:
    """The series table's false-discovery control, by experiment, emotion and history."""
    return {
        (row["exp_id"], row["emotion"], row["history"]): {
            "q": row["q"],
            "supported": bool(row["series_claim"]),
        }
        for row in summary["rows"]
    }


def _is_final(summary: Mapping[str, Any]) -> bool:
    return not summary.get("missing") and not any(row["interim"] for row in summary.get("rows", ()))


def _series_figures(series_dir: Path) -> list[Part]:
    path = series_dir / "plots" / "contrast_heat_map.svg"
    return [packed_figure(path, SERIES_FIGURE)] if path.is_file() else []


def _fill(cells: dict[str, Part], parts: Mapping[str, Part], final: bool, room: int) -> int:
    """Put into the cells what fits into `room` bytes, every cell's first needs before any cell's further ones.

    Returns the number of figures and transcripts that did not fit.
    """
    wanted = [
        item
        for exp_id, part in parts.items()
        if "meta" in part
        for item in _wanted(exp_id, part, final)
    ]
    omitted = 0
    for _, exp_id, place, value in sorted(wanted, key=lambda item: item[0]):
        size = _size(value) + 1
        if size > room:
            omitted += place in ("figures", "transcripts")
            continue
        room -= size
        if isinstance(value, dict):
            cells[exp_id][place].append(value)
        else:
            cells[exp_id][place] = value
    return omitted


def _wanted(exp_id: str, part: Part, final: bool) -> Iterator[tuple[int, str, str, Any]]:
    contrasts = part["contrasts"]
    if final:
        yield 0, exp_id, "text", part["text"]
    else:
        contrasts = [
            {key: value for key, value in c.items() if key not in VERDICTS} for c in contrasts
        ]
    # As a table rather than as records, which would say every key in every row.
    yield 0, exp_id, "contrasts", [list(c.values()) for c in contrasts]
    for number, transcript in enumerate(part["transcripts"]):
        yield (1 if number == 0 else 10 + number), exp_id, "transcripts", transcript
    for figure in part["figures"]:
        yield 2 + TURNS.index(figure["name"]), exp_id, "figures", figure


def _counts(rows: Mapping[str, Any]) -> list[tuple[str, int]]:
    statuses = [row["status"] for row in rows.values()]
    known = ("completed", "running", "pending", "failed", *statuses)
    return [(status, statuses.count(status)) for status in dict.fromkeys(known)]


def _json(content: Any) -> str:
    # Without "<" no text of a model can end the script element or begin another.
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )


def _size(content: Any) -> int:
    return len(_json(content).encode("utf-8", "replace"))


@cache
def _template() -> jinja2.Template:
    folder = Path(__file__).parent / "templates"
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals["words"] = lambda name: name.replace("_", " ")
    return environment.get_template("series_report.html.j2")
