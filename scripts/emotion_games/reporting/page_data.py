"""The parts of the series page: statistics, figures and sampled transcripts of each experiment.

A part is kept in the state folder, so that a page is written without reading the trials again.
Standard library only, because the page is also written while a series starts.
"""

import base64
import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

from emotion_games.analysis.check_results import FormatCheck
from emotion_games.analysis.limits import needed
from emotion_games.analysis.statistics_parts import Estimate, failed, first
from emotion_games.analysis.statistics_records import Contrast, Statistics
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL
from emotion_games.experiment.conditions import Arm, Position
from emotion_games.experiment.spec import Plan
from emotion_games.files import read_json, replace_text
from emotion_games.layout import page_cache_dir, page_trials_path
from emotion_games.reporting.effects import effects_of, estimate_of
from emotion_games.reporting.outcomes import human_lines, meaning_of
from emotion_games.reporting.transcripts import (
    LONGEST_ANSWER,
    Shown,
    number,
    shortened,
    transcripts_of,
)
from emotion_games.reporting.trials_file import Written, write_trials

# Increase when the form of a part changes: kept parts of an earlier form are then made again.
FORM = 8
LONGEST_TEXT = 12000  # characters
MOST_FREE_ANSWERS = 6
# The files of plot_experiment with their captions, in the order of the page.
FIGURES = {
    "choice_rates": "What the model chose under each condition",
    "dose_response": "Effect by intensity, with the range of the null directions",
    "story_spread": "The effect in each story",
    "written_against_scored": "Effects on written choices against effects on choice probabilities",
    "choice_shares": "How often each option was chosen",
}


class Part(TypedDict):
    """What the page can show of a finished experiment.

    Attributes:
        interim: Some planned trials are missing.
        facts: Labels and values that describe the experiment.
        hash: The hash of its plan.
        meaning: What its outcome counts.
        text: Its text_description, possibly cut.
        needed: What it lacks for a claim.
        false_claims: The chance of a claim if no emotion moves anything.
        effects: One row per emotion, at the headline intensity.
        contrasts: The planned contrasts, and the first of the claim at all intensities.
        n_contrasts: The number of all contrasts.
        instructions: One row per instruction and emotion.
        combined: One row per emotion in vector and words.
        format: One row per condition of the format check.
        free_answers: Some of its answers, conditions in turn.
        figures: Packed figures in the order of the page.
        transcripts: Decisions that were sampled without regard to the answers.
        n_transcripts: The number of all decisions.
        sources: The files from which the part was made, see `_sources`.
    """

    interim: bool
    facts: list[tuple[str, str]]
    hash: str
    meaning: str
    text: str
    needed: str
    false_claims: float
    effects: list[Shown]
    contrasts: list[Shown]
    n_contrasts: int
    instructions: list[Shown]
    combined: list[Shown]
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
    trials = page_trials_path(series_dir, exp_id)
    if part and part.get("sources") == sources and trials.is_file():
        return part
    try:
        written = write_trials(folder / "exp_results.csv", exp_id, trials)
        part = _make(folder, sources, written)
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


def _make(folder: Path, sources: list[list[Any]], written: Written) -> Part:
    stats: Statistics = json.loads((folder / "stats_analysis.json").read_text(encoding="utf-8"))
    plan = stats["plan"]
    transcripts, n_transcripts = transcripts_of(folder / "exp_results.csv", plan)
    figures = [(folder / "plots" / f"{name}.svg", title) for name, title in FIGURES.items()]
    return {
        "interim": stats["meta"]["interim"],
        "facts": _facts(stats, written),
        "hash": plan.get("hash", ""),
        "meaning": meaning_of(stats),
        "text": shortened(stats["text_description"], LONGEST_TEXT),
        "needed": needed(stats),
        # Where no claim is testable, none can be false.
        "false_claims": 0.0 if needed(stats) else round(1 - plan["confidence"], 6),
        "effects": list(effects_of(stats)),
        "contrasts": [_contrast(c, stats) for c in stats["contrasts"] if _is_shown(c, plan)],
        "n_contrasts": len(stats["contrasts"]),
        # Statistics of an earlier version lack these.
        "instructions": [_beside(record) for record in stats.get("instructions", [])],
        "combined": [_beside(record) for record in stats.get("combined", [])],
        "format": [_format(record) for record in stats["format_check"]],
        "free_answers": _free_answers(stats["format_check"]),
        "figures": [packed_figure(path, title) for path, title in figures if path.is_file()],
        "transcripts": transcripts,
        "n_transcripts": n_transcripts,
        "sources": sources,
    }


PUSHED: dict[str, str] = {
    Position.ALL: "",
    Position.PROMPT: "those of the prompt",
    Position.THOUGHTS: "those of the thoughts",
    Position.RESPONSE: "those of thoughts and answer",
    Position.ANSWER: "those of the answer",
}


def _facts(stats: Statistics, written: Written) -> list[tuple[str, str]]:
    meta, plan = stats["meta"], stats["plan"]
    layers = plan["layers"]
    if not isinstance(layers, str):
        layers = ", ".join(map(str, layers))
    planned = meta["n_trials_planned"] or meta["n_trials"]
    intervals = f"intervals at {100 * meta['confidence']:g} %"
    return [
        ("outcome", f"{meta['outcome']}: {meaning_of(stats)}"),
        ("compared with people", "; ".join(human_lines(stats))),
        ("differences", f"in percentage points of the outcome; {intervals}"),
        ("trials", f"{meta['n_trials']:,} of {planned:,} planned"),
        ("scenarios", f"{meta['n_scenarios']}, the unit of inference"),
        ("scenarios without room for some effects, in neutral", _headroom(stats)),
        _answers(stats),
        ("written choice is the likeliest option", _agreement(written)),
        ("probability of all options together", _masses(stats)),
        ("headline intensity", f"{plan['headline_intensity']:g}"),
        ("layers", ": ".join(filter(None, [plan.get("layer_set"), layers.replace("_", " ")]))),
        ("tokens that are pushed", PUSHED[plan.get("position", Position.ALL)]),
        ("hash of the plan, frozen before the first trial", plan.get("hash", "")),
    ]


def _headroom(stats: Statistics) -> str:
    """Return how many scenarios are at floor or ceiling, at the mean over histories."""
    if not stats["headroom"]:
        return ""
    room = stats["headroom"][0]
    return f"{room['at_floor']} at floor, {room['at_ceiling']} at ceiling"


def _answers(stats: Statistics) -> tuple[str, str]:
    parsed, generated = stats["meta"]["n_parsed"], stats["meta"]["n_generated"]
    if stats["plan"]["decoding"] == "guided":
        return "answers", f"{generated:,}, all guided: the option was drawn"
    return "answers read", f"{parsed:,} of {generated:,}"


def _agreement(written: Written) -> str:
    """Return how often written choices are the likeliest option before the answer."""
    if not written.n_compared:
        return ""
    share = 100 * written.n_likeliest / written.n_compared
    return f"{share:.0f} % of {written.n_compared:,} answers"


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


def _beside(record: Mapping[str, Any]) -> Shown:
    """Return the row of an instruction or event beside a push: its estimates and what it is."""
    parts = {key: cast(Estimate, value) for key, value in record.items() if isinstance(value, dict)}
    estimates = {key: estimate_of(value) for key, value in parts.items()}
    share = {"estimate": record.get("undone"), "interval": record.get("undone_interval")}
    names = ("instruction", "emotion", "damaged", "p_corrected")
    named = {key: record[key] for key in names if key in record}
    return estimates | named | {"undone": estimate_of(cast(Estimate, share))}


def _format(record: FormatCheck) -> Shown:
    """Return one row of the table of the format check."""
    return {
        "emotion": record["emotion"],
        "intensity": record["intensity"],
        "answers": record["n_answers"],
        "readable": estimate_of(record["readable"]),
        "as_guided": estimate_of(record["as_guided"]),
        "difference": estimate_of(record["free_minus_guided"]),
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
        "effect": estimate_of(record),
        "damaged": bool(record["damaged"]),
        "note": "; ".join(note for note in notes if note),
        "p": number(record["p"]),
        "p_corrected": number(record["p_corrected"]),
    }
