"""What the page shows of one finished experiment: its statistics, figures and a sample of its transcripts.

Knows the files of a result folder and which of their content the page needs; knows nothing of the page's form. Each
part is kept in the series' state folder, so that writing the page again does not read the trials again. Standard
library only.
"""

import base64
import csv
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from emotion_games.files import read_json, replace_text
from emotion_games.layout import page_cache_dir

# Part files of another form are made anew.
FORM = 1
MOST_TRANSCRIPTS = 8
LONGEST_ANSWER, LONGEST_PROMPT, LONGEST_TEXT = 1500, 4000, 12000
FIGURES = {
    "choice_rates": "Choice rates by condition and history, with intervals",
    "dose_response": "Dose-response curves with the band of random directions",
    "manipulation_effect": "Manipulation check against effect",
    "direction_separation": "Separation of the directions by layer",
    "choice_shares": "Share of each option by condition and history",
}
META = (
    "outcome",
    "n_scenarios",
    "n_trials",
    "n_trials_planned",
    "n_parsed",
    "n_generated",
    "interim",
    "confidence",
)
SAME_TRIAL = ("scenario_id", "history", "option_order", "wording", "repeat_num")
Part = dict[str, Any]


def part_of(series_dir: Path, exp_id: str, folder: Path) -> Part:
    """The part of a finished experiment, from the state folder or made anew; `problem` says what could not be read."""
    kept = page_cache_dir(series_dir) / f"{exp_id}.json"
    sources = _sources(folder)
    part = read_json(kept)
    if part and part.get("sources") == sources:
        return part
    try:
        part = _make(folder)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        return {"problem": f"its results cannot be read ({type(error).__name__}: {error})"}
    part["sources"] = sources
    # It can be made again, so nobody waits for the disk.
    replace_text(kept, json.dumps(part), durable=False)
    return part


def packed_figure(path: Path, title: str) -> Part:
    """An SVG file as gzip in base64, an eighth of its size."""
    content = base64.b64encode(gzip.compress(path.read_bytes(), 9, mtime=0)).decode("ascii")
    return {"name": path.stem, "title": title, "svg": content}


def _sources(folder: Path) -> list[list[Any]]:
    figures = [_figure_file(folder, name) for name in FIGURES]
    files = [folder / "stats_analysis.json", folder / "exp_results.csv", *figures]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return [["form", FORM, 0], *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _figure_file(folder: Path, name: str) -> Path:
    return folder / "plots" / f"{name}.svg"


def _make(folder: Path) -> Part:
    stats = json.loads((folder / "stats_analysis.json").read_text(encoding="utf-8"))
    meta, plan = stats["meta"], stats["plan"]
    names = {name: _figure_file(folder, name) for name in FIGURES}
    return {
        "meta": {key: meta[key] for key in META},
        "plan": {key: plan[key] for key in ("hash", "headline_intensity", "layers")},
        "text": _shortened(stats["text_description"], LONGEST_TEXT),
        "effects": list(_effects(stats)),
        "contrasts": [_contrast(c) for c in stats["contrasts"] if _is_shown(c, plan)],
        "n_contrasts": len(stats["contrasts"]),
        "figures": [
            packed_figure(file, FIGURES[name]) for name, file in names.items() if file.is_file()
        ],
        **_transcripts(folder / "exp_results.csv", plan),
    }


def _effects(stats: Mapping[str, Any]) -> Iterator[Part]:
    keys = ("arm", "emotion", "intensity", "history", "measure")
    rates = {tuple(rate[key] for key in keys): rate["estimate"] for rate in stats["rates"]}
    for record in (record for records in stats["emotion_analysis"].values() for record in records):
        place = (record["history"], record["measure"])
        versus = record["versus_neutral"]
        yield {
            **{key: record[key] for key in ("emotion", "history", "intensity", "measure")},
            "n_scenarios": versus["n_scenarios"],
            "neutral": _number(rates.get(("neutral", "neutral", 0.0, *place))),
            "rate": _number(rates.get(("steered", record["emotion"], record["intensity"], *place))),
            "effect": _effect(versus),
            "random": _effect(record["versus_random"]),
            "prompted": _effect(record["prompted"]),
            "damaged": bool(record["damaged"]),
            "p": _number(record["p_claim_holm"]),
            "claim": bool(record["claim"]),
        }


def _is_shown(contrast: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
    # Beside the planned contrasts, the other intensities of the first of them.
    main = plan["claim"]["requires"][0]
    doses = (contrast["contrast"], contrast["measure"]) == (main["contrast"], main["measure"])
    return contrast["role"] != "exploratory" or doses


def _contrast(record: Mapping[str, Any]) -> Part:
    keys = (
        "contrast",
        "emotion",
        "intensity",
        "history",
        "measure",
        "role",
        "n_scenarios",
        "n_trials",
    )
    return {
        **{key: record[key] for key in keys},
        "effect": _effect(record),
        "damaged": bool(record["damaged"]),
        "note": record["reason"] or "",
        "p": _number(record["p"]),
        "p_holm": _number(record["p_holm"]),
    }


def _effect(record: Mapping[str, Any] | None) -> list[float | None] | None:
    if record is None or record["estimate"] is None:
        return None
    return [_number(record["estimate"]), *map(_number, record["interval"] or (None, None))]


def _number(value: float | None) -> float | None:
    # Four significant digits are more than the page shows.
    return (
        float(f"{value:.4g}") if isinstance(value, int | float) and math.isfinite(value) else None
    )


def _transcripts(path: Path, plan: Mapping[str, Any]) -> Part:
    """The same trial neutral, under every emotion and one random direction at the headline intensity, for a few trials.

    Which trials is decided by a hash of their place in the plan, not by what was answered.
    """
    everyone: set[tuple] = set()
    random: set[str] = set()
    for row in _rows(path):
        if row["arm"] == "neutral":
            everyone.add(_key(row))
        elif row["arm"] == "random" and row["generated"] == "True":
            random.add(row["emotion"])
    sampled, example = _sample(everyone), min(random, key=_seed, default="")
    shown = ["neutral", *plan["emotions"], example]
    found: dict[tuple, dict[str, Part]] = {key: {} for key in sampled}
    about: dict[tuple, Part] = {}
    for row in _rows(path):
        key = _key(row)
        steered = row["arm"] == "steered" and float(row["intensity"]) == plan["headline_intensity"]
        if (
            key in found
            and row["emotion"] in shown
            and (steered or row["arm"] in ("neutral", "random"))
        ):
            found[key][row["emotion"]] = _card(row)
        if key in found and row["arm"] == "neutral":
            about[key] = {
                "scenario": f"{row['scenario']} ({row['scenario_id']})",
                "history": row["history"],
                "order": ", ".join(json.loads(row["option_order"])),
                "prompt": _shortened(row["input"], LONGEST_PROMPT),
            }
    sets = [
        about[key] | {"cards": [found[key][name] for name in shown if name in found[key]]}
        for key in sampled
    ]
    return {"transcripts": sets, "n_transcripts": len(everyone)}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        yield from csv.DictReader(file)


def _key(row: Mapping[str, str]) -> tuple:
    return tuple(row[name] for name in SAME_TRIAL)


def _sample(keys: Iterable[tuple]) -> list[tuple]:
    mixed = sorted(keys, key=lambda key: sha256("/".join(key).encode()).digest())
    by_history = {
        history: [key for key in mixed if key[1] == history]
        for history in sorted({key[1] for key in mixed})
    }
    chosen: list[tuple] = []
    while len(chosen) < MOST_TRANSCRIPTS and any(by_history.values()):
        for own in by_history.values():
            used = {key[0] for key in chosen}
            key = next((key for key in own if key[0] not in used), own[0] if own else None)
            if key is not None:
                own.remove(key)
                chosen.append(key)
    return chosen[:MOST_TRANSCRIPTS]


def _seed(emotion: str) -> int:
    return int(emotion.removeprefix("random_"))


def _card(row: Mapping[str, str]) -> Part:
    return {
        "arm": row["arm"],
        "emotion": row["emotion"],
        "intensity": _number(float(row["intensity"])),
        "choice": row["choice"],
        "how": row["extraction_method"],
        "answer": _shortened(row["output"], LONGEST_ANSWER),
        "probabilities": _probabilities(row["choice_probabilities"]),
        "mass": _number(float(row["valid_mass"])) if row["valid_mass"] else None,
    }


def _probabilities(text: str) -> dict[str, float | None]:
    return {label: _number(value) for label, value in json.loads(text).items()} if text else {}


def _shortened(text: str, most: int) -> str:
    return (
        text
        if len(text) <= most
        else f"{text[:most]} … ({len(text) - most} more characters in the result files)"
    )
