"""A sample of an experiment's decisions, each with its answers under several conditions.

Standard library only, because every job writes the page.
"""

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from emotion_games.escapes import cell_text
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.spec import Plan
from emotion_games.prompts.stimuli import NEUTRAL

MOST_TRANSCRIPTS = 8
LONGEST_ANSWER, LONGEST_PROMPT = 1500, 4000  # characters
# The columns that the same decision has in common under all conditions; scenario and history first.
SAME_TRIAL = ("scenario_id", "history", "option_order", "wording", "repeat_num")
# The columns that tables of earlier versions lack.
NEWER = {"instruction": "", "thoughts": ""}

# A JSON object that the script of the page displays.
Shown = dict[str, Any]
Key = tuple[str, ...]


def transcripts_of(path: Path, plan: Plan) -> tuple[list[Shown], int]:
    """Return sampled decisions and the number of all decisions.

    A sampled decision has the answers of the neutral model, of the model steered towards every
    emotion at the headline intensity, and of the model steered in one null direction.
    """
    # The table is read twice instead of being kept, because it can be larger than the memory.
    decisions: set[Key] = set()
    random: set[str] = set()
    for row in rows_of(path):
        if row["arm"] == Arm.NEUTRAL:
            decisions.add(_key(row))
        elif row["arm"] == Arm.RANDOM:
            random.add(row["emotion"])
    # The null direction of the lowest number: the shortest name, then the first.
    example = min(random, key=lambda name: (len(name), name), default="")
    conditions: list[tuple[str, str]] = [(Arm.NEUTRAL, NEUTRAL)]
    conditions += [(Arm.STEERED, emotion) for emotion in plan["emotions"]]
    conditions.append((Arm.RANDOM, example))
    sample = _sample(decisions)
    about: dict[Key, Shown] = {}
    cards: dict[Key, dict[tuple[str, str], Shown]] = {key: {} for key in sample}
    for row in rows_of(path):
        key, condition = _key(row), (row["arm"], cell_text(row["emotion"]))
        if key not in cards or condition not in conditions:
            continue
        row = {name: cell_text(cell) for name, cell in row.items()}
        if row["arm"] == Arm.NEUTRAL:
            about[key] = {
                "scenario": f"{row['scenario']} ({row['scenario_id']})",
                "history": row["history"],
                "order": ", ".join(json.loads(row["option_order"])),
                "prompt": shortened(row["input"], LONGEST_PROMPT),
            }
        if row["arm"] != Arm.STEERED or float(row["intensity"]) == plan["headline_intensity"]:
            cards[key][condition] = _card(row)
    sampled = []
    for key in sample:
        shown = [cards[key][condition] for condition in conditions if condition in cards[key]]
        sampled.append(about[key] | {"cards": shown})
    return sampled, len(decisions)


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of exp_results.csv, with the columns that earlier versions did not have."""
    # Thoughts can be longer than the module allows by default.
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            yield NEWER | row


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
    return {
        "arm": row["arm"],
        "emotion": row["emotion"],
        "intensity": number(float(row["intensity"])),
        "choice": choice_of(row),
        "how": row["extraction_method"],
        "thoughts": shortened(row["thoughts"], LONGEST_ANSWER),
        "answer": shortened(row["output"], LONGEST_ANSWER),
        "probabilities": {label: number(p) for label, p in chances(row).items()},
        "mass": number(float(row["valid_mass"])) if row["valid_mass"] else None,
    }


def choice_of(row: Mapping[str, str]) -> str:
    """Return the choice of a row of exp_results.csv, empty if the cell says why there is none."""
    return row["choice"] if row["choice"] in json.loads(row["option_order"]) else ""


def chances(row: Mapping[str, str]) -> dict[str, float]:
    """Return the probabilities of the options of a row of exp_results.csv, by choice."""
    start = "p_"
    cells = {name: cell for name, cell in row.items() if name.startswith(start)}
    return {name.removeprefix(start): float(cell) for name, cell in cells.items() if cell}


def shortened(text: str, most: int) -> str:
    rest = len(text) - most
    return f"{text[:most]} … ({rest} more characters in the result files)" if rest > 0 else text


def number(value: float | None) -> float | None:
    """Return a number to four significant digits, which is more than the page displays."""
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
