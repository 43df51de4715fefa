"""The parts of the series page: statistics, figures and sampled transcripts of each experiment.

A part is kept in the state folder, so that a page is written without reading the trials again.
Standard library only, because the page is also written while a series starts.
"""

import base64
import csv
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypedDict

from emotion_games.errors import UserError
from emotion_games.experiment.conditions import Arm
from emotion_games.files import read_json, replace_text
from emotion_games.layout import page_cache_dir
from emotion_games.prompts.stimuli import NEUTRAL

# Increase when the form of a part changes: kept parts of an earlier form are then made again.
FORM = 2
MOST_TRANSCRIPTS = 8
# In characters.
LONGEST_ANSWER, LONGEST_PROMPT, LONGEST_TEXT = 1500, 4000, 12000
# The files of plot_experiment with their captions, in the order of the page.
FIGURES = {
    "choice_rates": "Choice rates by condition and history, with intervals",
    "dose_response": "Dose-response curves, with the range of random directions",
    "manipulation_effect": "Effect on the choices over the manipulation check",
    "choice_shares": "Share of each option by condition and history",
    "direction_separation": "Separation of emotional and neutral texts by layer",
}
META = (
    "outcome", "n_scenarios", "n_trials", "n_trials_planned", "n_parsed", "n_generated", "interim",
    "confidence",
)  # fmt: skip
# The columns that the same decision has in common under all conditions; scenario and history first.
SAME_TRIAL = ("scenario_id", "history", "option_order", "wording", "repeat_num")
RATE = ("arm", "emotion", "intensity", "history", "measure")

# A JSON object that the script of the page displays.
Shown = dict[str, Any]
Key = tuple[str, ...]


class Part(TypedDict):
    """What the page can show of a finished experiment.

    Attributes:
        meta: Some entries of `meta` in stats_analysis.json.
        plan: The hash, the headline intensity and the layers of its plan.
        text: Its text_description, possibly cut.
        effects: One row per emotion and history, at the headline intensity.
        contrasts: The planned contrasts, and the first of the claim at all intensities.
        n_contrasts: The number of all contrasts.
        figures: Packed figures in the order of the page.
        transcripts: Decisions that were sampled without regard to the answers.
        n_transcripts: The number of all decisions.
        sources: The files from which the part was made, see `_sources`.
    """

    meta: Shown
    plan: Shown
    text: str
    effects: list[Shown]
    contrasts: list[Shown]
    n_contrasts: int
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
    stats = json.loads((folder / "stats_analysis.json").read_text(encoding="utf-8"))
    meta, plan = stats["meta"], stats["plan"]
    transcripts, n_transcripts = _transcripts(folder / "exp_results.csv", plan)
    figures = [(folder / "plots" / f"{name}.svg", title) for name, title in FIGURES.items()]
    return {
        "meta": {key: meta[key] for key in META},
        "plan": {key: plan[key] for key in ("hash", "headline_intensity", "layers")},
        "text": _shortened(stats["text_description"], LONGEST_TEXT),
        "effects": list(_effects(stats)),
        "contrasts": [_contrast(c) for c in stats["contrasts"] if _is_shown(c, plan)],
        "n_contrasts": len(stats["contrasts"]),
        "figures": [packed_figure(path, title) for path, title in figures if path.is_file()],
        "transcripts": transcripts,
        "n_transcripts": n_transcripts,
        "sources": sources,
    }


def _effects(stats: Mapping[str, Any]) -> Iterator[Shown]:
    rates = {tuple(rate[key] for key in RATE): rate["estimate"] for rate in stats["rates"]}
    for records in stats["emotion_analysis"].values():
        for record in records:
            emotion, intensity = record["emotion"], record["intensity"]
            history, measure = record["history"], record["measure"]
            versus = record["versus_neutral"]
            yield {
                "emotion": emotion,
                "history": history,
                "intensity": intensity,
                "measure": measure,
                "n_scenarios": versus["n_scenarios"],
                "neutral": _number(rates.get((Arm.NEUTRAL, NEUTRAL, 0.0, history, measure))),
                "rate": _number(rates.get((Arm.STEERED, emotion, intensity, history, measure))),
                "effect": _effect(versus),
                "random": _effect(record["versus_random"]),
                "prompted": _effect(record["prompted"]),
                "damaged": bool(record["damaged"]),
                "p": _number(record["p_claim_holm"]),
            }


def _is_shown(contrast: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
    main = plan["claim"]["requires"][0]
    is_main = contrast["contrast"] == main["contrast"] and contrast["measure"] == main["measure"]
    return is_main or contrast["role"] != "exploratory"


def _contrast(record: Mapping[str, Any]) -> Shown:
    """Return one row of the table of contrasts, its values in the order of the page's columns."""
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
        "note": record["reason"] or "",
        "p": _number(record["p"]),
        "p_holm": _number(record["p_holm"]),
    }


def _effect(record: Mapping[str, Any] | None) -> list[float | None] | None:
    """Return estimate, low and high."""
    if record is None or record["estimate"] is None:
        return None
    return [_number(record["estimate"]), *map(_number, record["interval"] or (None, None))]


def _number(value: float | None) -> float | None:
    """Return a number to four significant digits, which is more than the page displays."""
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None


def _transcripts(path: Path, plan: Mapping[str, Any]) -> tuple[list[Shown], int]:
    """Return sampled decisions and the number of all decisions.

    A sampled decision has the answers of the neutral model, of the model steered towards every
    emotion at the headline intensity, and of the model steered in one random direction.
    """
    # The table is read twice instead of being kept, because it can be larger than the memory.
    decisions: set[Key] = set()
    random: set[str] = set()
    for row in _rows(path):
        if row["arm"] == Arm.NEUTRAL:
            decisions.add(_key(row))
        elif row["arm"] == Arm.RANDOM and row["generated"] == "True":
            random.add(row["emotion"])
    # The random direction of the lowest number: the shortest name, then the first.
    example = min(random, key=lambda name: (len(name), name), default="")
    conditions: list[tuple[str, str]] = [(Arm.NEUTRAL, NEUTRAL)]
    conditions += [(Arm.STEERED, emotion) for emotion in plan["emotions"]]
    conditions.append((Arm.RANDOM, example))
    sample = _sample(decisions)
    about: dict[Key, Shown] = {}
    cards: dict[Key, dict[tuple[str, str], Shown]] = {key: {} for key in sample}
    for row in _rows(path):
        key, condition = _key(row), (row["arm"], row["emotion"])
        if key not in cards or condition not in conditions:
            continue
        if row["arm"] == Arm.NEUTRAL:
            about[key] = {
                "scenario": f"{row['scenario']} ({row['scenario_id']})",
                "history": row["history"],
                "order": ", ".join(json.loads(row["option_order"])),
                "prompt": _shortened(row["input"], LONGEST_PROMPT),
            }
        if row["arm"] != Arm.STEERED or float(row["intensity"]) == plan["headline_intensity"]:
            cards[key][condition] = _card(row)
    sampled = []
    for key in sample:
        shown = [cards[key][condition] for condition in conditions if condition in cards[key]]
        sampled.append(about[key] | {"cards": shown})
    return sampled, len(decisions)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        yield from csv.DictReader(file)


def _key(row: Mapping[str, str]) -> Key:
    return tuple(row[name] for name in SAME_TRIAL)


def _sample(keys: Iterable[Key]) -> list[Key]:
    """Return up to MOST_TRANSCRIPTS keys: histories in turn, scenarios not twice if possible.

    The order within a history is that of a hash of the keys, so it does not depend on the answers.
    """
    by_history: dict[str, list[Key]] = {}
    mixed = sorted(keys, key=lambda key: sha256("/".join(key).encode()).digest())
    for key in sorted(mixed, key=lambda key: key[1]):
        by_history.setdefault(key[1], []).append(key)
    chosen: list[Key] = []
    while len(chosen) < MOST_TRANSCRIPTS and any(by_history.values()):
        for own in by_history.values():
            used = {key[0] for key in chosen}
            if own:
                key = next((key for key in own if key[0] not in used), own[0])
                own.remove(key)
                chosen.append(key)
    return chosen[:MOST_TRANSCRIPTS]


def _card(row: Mapping[str, str]) -> Shown:
    probabilities = json.loads(row["choice_probabilities"] or "{}")
    return {
        "arm": row["arm"],
        "emotion": row["emotion"],
        "intensity": _number(float(row["intensity"])),
        "choice": row["choice"],
        "how": row["extraction_method"],
        "answer": _shortened(row["output"], LONGEST_ANSWER),
        "probabilities": {label: _number(value) for label, value in probabilities.items()},
        "mass": _number(float(row["valid_mass"])) if row["valid_mass"] else None,
    }


def _shortened(text: str, most: int) -> str:
    rest = len(text) - most
    return f"{text[:most]} … ({rest} more characters in the result files)" if rest > 0 else text
