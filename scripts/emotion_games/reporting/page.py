"""The page of a series: one HTML file that needs no network and no other file.

Until every planned experiment is complete, the page is interim, and the file contains no p-values
and no claims. Standard library and jinja2 only, because every job writes the page.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from emotion_games.errors import UserError
from emotion_games.escapes import say
from emotion_games.files import now, read_json, replace_text
from emotion_games.layout import (
    PAGE,
    PLOTS,
    REPORT,
    SERIES_STATISTICS,
    SWEEP,
    model_figure,
    record_path,
    results_folder,
    skipped_path,
)
from emotion_games.progress import series_time_left, summed, time_left
from emotion_games.reporting.headline import detectable, findings, headline
from emotion_games.reporting.page_data import Part, Shown, packed_figure, part_of

# With room for the template and the grid, the page stays under 5 MB and can be mailed.
MOST_BYTES = 4_800_000
LONGEST_ERROR = 400
# The keys of effects and contrasts that an interim page must not contain.
VERDICTS = ("p", "p_corrected", "moved", "claim", "checklist", "undone")
SERIES_FIGURES = {"effect_by_model_size": "Effect of each emotion by the size of the model"}
# The figures that all experiments of a model share; files are named `<figure>.<slug>.svg`.
MODEL_FIGURES = {
    "emotions_landed": "Did the emotion land? What each push raises",
    "direction_quality": "Stability and accuracy of the directions by layer",
}

_last_cost = 0.0


def refresh(series_dir: Path, least_seconds: float = 5) -> None:
    """Write the page unless it is younger than `least_seconds`, and print errors to stderr.

    If writing takes long, the page is written less often.
    """
    global _last_cost
    try:
        age = time.time() - (series_dir / PAGE).stat().st_mtime
    except OSError:
        age = float("inf")
    # At the default, a page that takes one second is written every 20 seconds, so no job loses
    # more than a twentieth of its time. A fixed time would be too long for a short series or too
    # short for a large one on a slow disk.
    if 0 <= age < least_seconds * max(1.0, 4 * _last_cost):
        return
    started = time.monotonic()
    try:
        write_page(series_dir)
    except (OSError, ValueError, KeyError, TypeError, jinja2.TemplateError) as error:
        message = f"{series_dir / PAGE}: not written ({type(error).__name__}: {error})"
        say(message)
    _last_cost = time.monotonic() - started


def write_page(series_dir: Path) -> None:
    """Write the page atomically into the series folder, from all results that exist."""
    report = read_json(series_dir / REPORT) or {}
    rows = report.get("experiments") or {}
    parts, cells = {}, {}
    for exp_id, row in rows.items():
        cells[exp_id] = cell = _cell(row)
        if row["status"] == "completed":
            try:
                parts[exp_id] = part_of(series_dir, exp_id, results_folder(series_dir, row))
            except UserError as error:
                cell["error"] = _short(str(error))
    whole = [part for part in parts.values() if not part["interim"]]
    final = bool(rows) and len(whole) == len(rows)
    for exp_id, part in parts.items():
        cells[exp_id] |= _results(part, final)
    data = {"final": final, "cells": cells, **_series_results(series_dir, cells, parts, final)}
    omitted = _add_samples(cells, parts, MOST_BYTES - _size(data))
    text = _template().render(
        name=series_dir.name,
        updated=report.get("last_updated") or "not yet",
        left=series_time_left(
            report.get("seconds_left"), report.get("experiments_of_unknown_time") or 0
        ),
        written=now(),
        final=final,
        counts=sorted(Counter(row["status"] for row in rows.values()).items()),
        games=list(dict.fromkeys(row["game_name"] for row in rows.values())),
        models=list(dict.fromkeys(row["model_name"] for row in rows.values())),
        cells={(cell["game"], cell["model"]): (exp_id, cell) for exp_id, cell in cells.items()},
        expected=sum(part["false_claims"] for part in whole),
        n_experiments=len(rows),
        verdict=_verdict(series_dir, rows, parts, final),
        omitted=omitted,
        skipped=read_json(skipped_path(series_dir)) or {"games": {}, "advice": []},
        data=Markup(_json(data)),
    )
    # JSON can hold half a surrogate pair and UTF-8 cannot; it becomes a question mark.
    replace_text(series_dir / PAGE, text.encode("utf-8", "replace").decode("utf-8"), durable=False)


def _cell(row: Mapping[str, Any]) -> Shown:
    """Return what the page shows of an experiment without results."""
    counts = {"trials": row.get("progress"), "checks": row.get("checks")}
    counted = {noun: (c["done"] or 0, c["total"]) for noun, c in counts.items() if c and c["total"]}
    done, total = summed(counted)
    percent = int(100 * done / total) if total else 0
    return {
        "game": row["game_name"],
        "model": row["model_name"],
        "status": row["status"],
        "percent": 100 if row["status"] == "completed" else percent,
        "progress": ", ".join(
            f"{n:,} of {planned:,} {noun}" for noun, (n, planned) in counted.items()
        ),
        "left": time_left(row.get("seconds_left")),
        "started": row.get("start_time") or "",
        "ended": row.get("end_time") or "",
        "headroom": row.get("headroom") or "",
        "error": _short(row.get("error") or ""),
        "folder": Path(row["output_dir"]).name,
        "facts": [],
        "meaning": "",
        "text": "",
        "contrasts": [],
        "instructions": [],
        "combined": [],
        "format": [],
        "free_answers": [],
        "figures": [],
        "transcripts": [],
        "n_contrasts": 0,
        "n_transcripts": 0,
    }


def _short(error: str) -> str:
    return error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]} …"


def _results(part: Part, final: bool) -> Shown:
    """Return what a finished experiment adds to its cell, without figures and transcripts."""
    contrasts = []
    for contrast in part["contrasts"]:
        # Rows without keys are a third of the size.
        contrasts.append([v for key, v in contrast.items() if final or key not in VERDICTS])
    return {
        "facts": part["facts"],
        "meaning": part["meaning"],
        "text": part["text"] if final else "",
        "contrasts": contrasts,
        "instructions": [_visible(row, final) for row in part["instructions"]],
        "combined": [_visible(row, final) for row in part["combined"]],
        "format": part["format"],
        "free_answers": part["free_answers"],
        "n_contrasts": part["n_contrasts"],
        "n_transcripts": part["n_transcripts"],
    }


def _visible(row: Shown, final: bool) -> Shown:
    """Return what a page may show of a row: no verdicts before all experiments are complete."""
    return {key: value for key, value in row.items() if final or key not in VERDICTS}


def _verdict(
    series_dir: Path, rows: Mapping[str, Mapping[str, Any]], parts: Mapping[str, Part], final: bool
) -> Shown:
    """Return what the page says first: the result, the limits and the plan of the series."""
    effects = []
    for exp_id, part in parts.items():
        where = {key: rows[exp_id][key] for key in ("game_name", "model_name")}
        for effect in part["effects"]:
            effects.append({**effect, **where, "estimate": (effect["effect"] or [None])[0]})
    complete = sum(not part["interim"] for part in parts.values())
    record = read_json(record_path(series_dir)) or {"models": {}, "started": ""}
    interim = f"{complete} of {len(rows)} experiments are complete, so nothing is claimed yet."
    return {
        "headline": headline(effects) if final else interim,
        "findings": findings(effects) if final else [],
        "detectable": detectable(effects),
        "needed": _needed(parts),
        "hashes": {exp_id: part["hash"] for exp_id, part in parts.items() if part["hash"]},
        "begun": record["started"].replace("T", " "),
        "demo": sorted(
            model["name"] for model in record["models"].values() if model["entry"]["id"] == "demo"
        ),
    }


def _needed(parts: Mapping[str, Part]) -> list[str]:
    """Return what experiments lack to claim any effect, and which they are if it is not all."""
    lacking: dict[str, list[str]] = {}
    complete = {exp_id: part for exp_id, part in parts.items() if not part["interim"]}
    for exp_id, part in complete.items():
        if part["needed"]:
            lacking.setdefault(part["needed"], []).append(exp_id)
    return [
        text if len(exp_ids) == len(complete) else f"{', '.join(exp_ids)}: {text}"
        for text, exp_ids in lacking.items()
    ]


def _series_results(
    series_dir: Path, cells: Mapping[str, Shown], parts: Mapping[str, Part], final: bool
) -> Shown:
    """Return the effects of all experiments, and the figures and numbers of models."""
    summary = read_json(series_dir / SERIES_STATISTICS) or {"rows": [], "missing": []}
    effects = []
    for exp_id, part in parts.items():
        effects += [{"exp_id": exp_id, **_visible(effect, final)} for effect in part["effects"]]
    # The same holds for the marks in the figure.
    is_marked = not summary["missing"] and not any(row["interim"] for row in summary["rows"])
    figures = series_dir / PLOTS
    paths = {figures / f"{name}.svg": title for name, title in SERIES_FIGURES.items()}
    shown_figures = [
        packed_figure(path, title)
        for path, title in paths.items()
        if path.is_file() and (final or not is_marked)
    ]
    for path in sorted((series_dir / SWEEP).glob("*.svg")):
        title = f"Layers, positions and doses compared: {path.stem}"
        shown_figures.append(packed_figure(path, title))
    slugs = {
        cell["model"]: exp_id.removeprefix(f"{cell['game']}_") for exp_id, cell in cells.items()
    }
    return {
        "effects": effects,
        "figures": shown_figures,
        "parameters": {row["model_name"]: row.get("n_parameters") for row in summary["rows"]},
        "model_figures": {model: _model_figures(figures, slug) for model, slug in slugs.items()},
    }


def _model_figures(folder: Path, slug: str) -> list[Shown]:
    found = {model_figure(folder, name, slug): title for name, title in MODEL_FIGURES.items()}
    return [packed_figure(path, title) for path, title in found.items() if path.is_file()]


def _add_samples(cells: Mapping[str, Shown], parts: Mapping[str, Part], room: int) -> int:
    """Add figures and transcripts to the cells of finished experiments.

    The tables of all experiments are already there; each experiment gets an equal share of the
    `room` bytes that they leave. Its first transcript comes first, then its figures, then further
    transcripts.

    Returns:
        The number of figures and transcripts for which there was no room.
    """
    omitted = 0
    for exp_id, part in parts.items():
        left = room // len(parts)
        transcripts = [("transcripts", transcript) for transcript in part["transcripts"]]
        figures = [("figures", figure) for figure in part["figures"]]
        for kind, item in [*transcripts[:1], *figures, *transcripts[1:]]:
            size = _size(item) + 1
            if size > left:
                omitted += 1
                continue
            left -= size
            cells[exp_id][kind].append(item)
    return omitted


def _json(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Without "<" no text of a model can end the script element or begin another one.
    return text.replace("<", "\\u003c")


def _size(content: Any) -> int:
    return len(_json(content).encode("utf-8", "replace"))


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals["words"] = lambda name: name.replace("_", " ")
    return environment.get_template("series_report.html.j2")
