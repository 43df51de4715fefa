"""The parts of the series page: statistics, figures and sampled transcripts of each experiment.

A part is kept in the state folder, so that a page is written without reading the trials again.
Standard library only, because the page is also written while a series starts.
"""

import base64
import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from emotion_games.analysis.check_results import FormatCheck
from emotion_games.analysis.limits import needed
from emotion_games.analysis.statistics_parts import Estimate, failed, first
from emotion_games.analysis.statistics_records import Contrast, Statistics
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL
from emotion_games.experiment.conditions import Arm, Position
from emotion_games.experiment.spec import Plan
from emotion_games.files import read_json, replace_text
from emotion_games.layout import page_cache_dir
from emotion_games.prompts.stimuli import NEUTRAL
from emotion_games.reporting.transcripts import (
    LONGEST_ANSWER,
    Shown,
    number,
    shortened,
    transcripts_of,
)

# Increase when the form of a part changes: kept parts of an earlier form are then made again.
FORM = 5
LONGEST_TEXT = 12000  # characters
MOST_FREE_ANSWERS = 6
# The files of plot_experiment with their captions, in the order of the page.
FIGURES = {
    "choice_rates": "Choice rates by condition and history, with intervals",
    "dose_response": "Dose-response curves, with the range of random directions",
    "manipulation_checks": "Which emotions the push of each emotion raises",
    "choice_shares": "Share of each option by condition and history",
    "direction_quality": "Stability and accuracy of the directions by layer",
}


class Part(TypedDict):
    """What the page can show of a finished experiment.

    Attributes:
        interim: Some planned trials are missing.
        facts: Labels and values that describe the experiment.
        text: Its text_description, possibly cut.
        needed: What it lacks for a claim.
        false_claims: The chance of a claim if no emotion moves anything.
        effects: One row per emotion, at the headline intensity.
        contrasts: The planned contrasts, and the first of the claim at all intensities.
        n_contrasts: The number of all contrasts.
        format: One row per condition of the format check.
        free_answers: Some of its answers, conditions in turn.
        figures: Packed figures in the order of the page.
        transcripts: Decisions that were sampled without regard to the answers.
        n_transcripts: The number of all decisions.
        sources: The files from which the part was made, see `_sources`.
    """

    interim: bool
    facts: list[tuple[str, str]]
    text: str
    needed: str
    false_claims: float
    effects: list[Shown]
    contrasts: list[Shown]
    n_contrasts: int
    format: list[Shown]
    free_answers: list[Shown]
    figures: list[Shown]
    transcripts: list[Shown]
    n_transcripts: int
    sources: list[list[Any]]


def part_of(series_dir: Path, exp_id: str, folder: Path) -> Part:
    """Return the part of a finished experiment, from the state folder if it is up to date.

    Args:
        series_dir: The series folder.
        exp_id: The experiment.
        folder: The folder with its results.

    Raises:
        UserError: The results cannot be read.
    """
    kept = page_cache_dir(series_dir) / f"{exp_id}.json"
    sources = _sources(folder)
    part = read_json(kept)
    if part and part.get("sources") == sources:
        return part
    try:
        part = _make(folder, sources)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        message = f"its results cannot be read ({type(error).__name__}: {error})"
        raise UserError(message) from error
    # Not durable, because it can be made again.
    replace_text(kept, json.dumps(part), durable=False)
    return part


def packed_figure(path: Path, title: str) -> Shown:
    """Return an SVG file as gzip in base64, which is an eighth of its size."""
    content = base64.b64encode(gzip.compress(path.read_bytes(), 9, mtime=0)).decode("ascii")
    return {"title": title, "svg": content}


def _sources(folder: Path) -> list[list[Any]]:
    """Return names, sizes and times of what a part is made from; the figures change together."""
    paths = [folder / name for name in ("stats_analysis.json", "exp_results.csv", "plots")]
    stats = [(path.name, path.stat()) for path in paths if path.exists()]
    return [["form", FORM, 0], *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _make(folder: Path, sources: list[list[Any]]) -> Part:
    stats: Statistics = json.loads((folder / "stats_analysis.json").read_text(encoding="utf-8"))
    plan = stats["plan"]
    transcripts, n_transcripts = transcripts_of(folder / "exp_results.csv", plan)
    figures = [(folder / "plots" / f"{name}.svg", title) for name, title in FIGURES.items()]
    return {
        "interim": stats["meta"]["interim"],
        "facts": _facts(stats),
        "text": shortened(stats["text_description"], LONGEST_TEXT),
        "needed": needed(stats),
        # Where no claim is testable, none can be false.
        "false_claims": 0.0 if needed(stats) else round(1 - plan["confidence"], 6),
        "effects": list(_effects(stats)),
        "contrasts": [_contrast(c, stats) for c in stats["contrasts"] if _is_shown(c, plan)],
        "n_contrasts": len(stats["contrasts"]),
        "format": [_format(record) for record in stats["format_check"]],
        "free_answers": _free_answers(stats["format_check"]),
        "figures": [packed_figure(path, title) for path, title in figures if path.is_file()],
        "transcripts": transcripts,
        "n_transcripts": n_transcripts,
        "sources": sources,
    }


_PUSHED = {
    Position.ALL: "",
    Position.PROMPT: "those of the prompt",
    Position.ANSWER: "those after the prompt",
}


def _facts(stats: Statistics) -> list[tuple[str, str]]:
    meta, plan = stats["meta"], stats["plan"]
    layers = plan["layers"]
    if not isinstance(layers, str):
        layers = ", ".join(map(str, layers))
    planned = meta["n_trials_planned"] or meta["n_trials"]
    intervals = f"intervals at {100 * meta['confidence']:g} %"
    return [
        ("measured", f"{meta['outcome']}, in percentage points; {intervals}"),
        ("trials", f"{meta['n_trials']:,} of {planned:,} planned"),
        ("scenarios", f"{meta['n_scenarios']}, the unit of inference"),
        ("without room for some effects, in neutral", _headroom(stats)),
        _answers(stats),
        ("probability of all options together", _masses(stats)),
        ("headline intensity", f"{plan['headline_intensity']:g}"),
        ("layers", ": ".join(filter(None, [plan.get("layer_set"), layers.replace("_", " ")]))),
        ("tokens that are pushed", _PUSHED[plan.get("position", Position.ALL)]),
        ("plan, frozen before the first trial", plan["hash"]),
    ]


def _headroom(stats: Statistics) -> str:
    """Return how many scenarios are at floor or ceiling, at the mean over histories."""
    if not stats["headroom"]:
        return ""
    room = stats["headroom"][0]
    return f"{room['at_floor']} scenarios at floor, {room['at_ceiling']} at ceiling"


def _answers(stats: Statistics) -> tuple[str, str]:
    parsed, generated = stats["meta"]["n_parsed"], stats["meta"]["n_generated"]
    if stats["plan"]["decoding"] == "guided":
        return "answers", f"{generated:,}, all guided: the option was drawn"
    return "answers read", f"{parsed:,} of {generated:,}"


def _masses(stats: Statistics) -> str:
    """Return the range over conditions and histories, where the choices come from."""
    masses = []
    for row in stats["validity"]:
        is_guided = stats["plan"]["decoding"] == "guided"
        mass = (is_guided and row["valid_mass_after"]) or row["valid_mass"]
        if mass and mass["estimate"] is not None:
            masses.append(mass["estimate"])
    if not masses:
        return ""
    return f"{100 * min(masses):.1f} to {100 * max(masses):.1f} %, by condition"


def _format(record: FormatCheck) -> Shown:
    """Return one row of the table of the format check."""
    return {
        "emotion": record["emotion"],
        "intensity": record["intensity"],
        "answers": record["n_answers"],
        "readable": _effect(record["readable"]),
        "as_guided": _effect(record["as_guided"]),
        "difference": _effect(record["free_minus_guided"]),
        "mass": number(record["valid_mass"]),
    }


def _free_answers(records: list[FormatCheck]) -> list[Shown]:
    """Return the first free answers, conditions in turn."""
    in_turn = [
        {"emotion": record["emotion"], "intensity": record["intensity"]}
        | record["answers"][place]
        | {"text": shortened(record["answers"][place]["text"], LONGEST_ANSWER)}
        for place in range(max((r["n_answers"] for r in records), default=0))
        for record in records
        if place < record["n_answers"]
    ]
    return in_turn[:MOST_FREE_ANSWERS]


def _effects(stats: Statistics) -> Iterator[Shown]:
    rates = {}
    for r in stats["rates"]:
        place = (r["arm"], r["emotion"], r["intensity"], r["history"], r["measure"])
        rates[place] = r["estimate"]
    for record in stats["emotion_analysis"].values():
        emotion, intensity = record["emotion"], record["intensity"]
        history, measure = record["history"], record["measure"]
        yield {
            "emotion": emotion,
            "history": history,
            "intensity": intensity,
            "measure": measure,
            "n_scenarios": record["versus_neutral"]["n_scenarios"],
            "neutral": number(rates.get((Arm.NEUTRAL, NEUTRAL, 0.0, history, measure))),
            "rate": number(rates.get((Arm.STEERED, emotion, intensity, history, measure))),
            "effect": _effect(record["versus_neutral"]),
            "random": _effect(record["versus_random"]),
            "prompted": _effect(record["prompted"]),
            "moved": record["moved"],
            "claim": record["claim"],
            "damaged": bool(record["damaged"]),
            "failed_check": record["failed_check"] or "",
            "p": number(record["p_claim_corrected"]),
        }


def _is_shown(contrast: Contrast, plan: Plan) -> bool:
    main = EMOTION_MINUS_NEUTRAL, plan["claim"]["measure"]
    is_main = (contrast["contrast"], contrast["measure"]) == main
    return is_main or contrast["role"] != "exploratory"


def _contrast(record: Contrast, stats: Statistics) -> Shown:
    """Return one row of the table of contrasts, its values in the order of the page's columns."""
    dosed = {key: record[key] for key in ("emotion", "intensity")}
    induced = first(stats["induced"], **dosed) if record["arm"] == Arm.STEERED else None
    notes = [record["reason"]]
    if induced and induced["came_through"] is False:
        notes.append(failed(induced["reason"]))
    return {
        "contrast": record["contrast"],
        "emotion": record["emotion"],
        "intensity": record["intensity"],
        "history": record["history"],
        "measure": record["measure"],
        "role": record["role"],
        "n_scenarios": record["n_scenarios"],
        "n_trials": record["n_trials"],
        "effect": _effect(record),
        "damaged": bool(record["damaged"]),
        "note": "; ".join(note for note in notes if note),
        "p": number(record["p"]),
        "p_corrected": number(record["p_corrected"]),
    }


def _effect(record: Estimate | None) -> list[float | None] | None:
    """Return estimate, low and high."""
    if record is None or record["estimate"] is None:
        return None
    return [number(record["estimate"]), *map(number, record["interval"] or (None, None))]
