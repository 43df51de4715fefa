"""The table of trials and its two files.

In the files each probability has a column of its own, and `choice` says why there is none. In the
table that the statistics read, the probabilities of a trial are one JSON object.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.escapes import cell_text, csv_cell, json_text
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED, SCORED_AFTER
from emotion_games.experiment.answers import NOT_GENERATED
from emotion_games.games.records import Game

UNREADABLE = "unreadable"
# The columns of probabilities by choice, and how the names of their columns in the files begin.
PROBABILITIES = {
    "choice_probabilities": "p_",
    "choice_probabilities_after": "after_p_",
    "branch_probabilities": "branch_p_",
}
# The keys that every trial of exp_results.json has.
KEPT = (
    *("game_name", "model_name", "scenario", "input", "output", "rationale", "decision"),
    *("category", "repeat_num", "choice"),
)
# The columns that are not text. `category` and some numbers may be missing.
_NUMBERS = ("intensity", "valid_mass", "valid_mass_after", "push_ratio", "outcome_value")
_TYPES: dict[str, Any] = {
    **{"category": "Int64", "generated": bool},
    **dict.fromkeys(("repeat_num", "seed", "wording", "response_length"), int),
    **dict.fromkeys(_NUMBERS, float),
}


def on_offer(game: Game, table: pd.DataFrame) -> Game:
    """Return the game without the choices that no scenario offers, and values rescaled to 0 to 1.

    Without rescaling, an effect that moves every answer from one offered choice to another would
    look small.
    """
    labels = {label for order in table["option_order"].unique() for label in json.loads(order)}
    choices = [choice for choice in game.choices if choice.label in labels]
    low, high = (end(choice.value for choice in choices) for end in (min, max))
    if not game.subset or low == high:
        return game
    scaled = [replace(choice, value=(choice.value - low) / (high - low)) for choice in choices]
    return replace(game, choices=tuple(scaled))


def outcome_values(table: pd.DataFrame, game: Game, measure: str) -> pd.Series:
    """Return the outcome of each trial in a measure, from 0 to 1; NaN if a trial has none."""
    values = {choice.label: choice.value for choice in on_offer(game, table).choices}
    if measure == CHOSEN:
        return table["choice"].map(values)
    column = {SCORED: "choice_probabilities", SCORED_AFTER: "choice_probabilities_after"}[measure]
    return table[column].map(
        lambda text: (
            sum(values[label] * p for label, p in json.loads(text).items()) if text else np.nan
        )
    )


def write_trials(table: pd.DataFrame, as_csv: Path, as_json: Path) -> None:
    """Write the table as exp_results.csv and as exp_results.json, a line for each trial.

    Keys without a value are left out of the JSON file, except KEPT.
    """
    table = _spread(table)
    cells = _with_texts(table, csv_cell)
    cells.to_csv(as_csv, index=False, quoting=csv.QUOTE_NONNUMERIC)
    # Not splitlines, which would also split at the separators inside a text, such as U+2028.
    lines = table.to_json(orient="records", lines=True, force_ascii=False).split("\n")
    rows = ",\n".join(map(_without_empty, filter(None, lines)))
    as_json.write_text(json_text(f"[\n{rows}\n]\n"), encoding="utf-8")


def _without_empty(line: str) -> str:
    row = {k: v for k, v in json.loads(line).items() if k in KEPT or v not in ("", None)}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def read_trials(path: Path) -> pd.DataFrame:
    """Return the table from exp_results.csv, with the types that it was written with."""
    types = {name: _type(name) for name in pd.read_csv(path, nrows=0).columns}
    # An empty cell is an empty text, or a missing number; `NA` may be the text of an answer.
    missing = {name: [""] for name, kind in types.items() if kind in ("Int64", float)}
    table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
    return _gathered(_with_texts(table, cell_text))


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as it is in the files."""
    parts: list[pd.Series | pd.DataFrame] = []
    for name in map(str, table):
        column = table[name]
        if name not in PROBABILITIES:
            parts.append(column)
            continue
        given = [json.loads(text) if text else {} for text in column]
        found = pd.DataFrame(given, index=table.index, dtype=float)
        parts.append(found[sorted(map(str, found))].add_prefix(PROBABILITIES[name]))
    spread = pd.concat(parts, axis=1)
    if {"choice", "generated"} <= set(spread):
        why = np.where(spread["generated"], UNREADABLE, NOT_GENERATED)
        spread["choice"] = spread["choice"].where(spread["choice"] != "", why)
    return spread


def _gathered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the files as the statistics read it."""
    for name, prefix in PROBABILITIES.items():
        columns = [column for column in map(str, table) if column.startswith(prefix)]
        if columns:
            labels = [column.removeprefix(prefix) for column in columns]
            rows = table[columns].itertuples(index=False, name=None)
            texts = [_object(labels, row) for row in rows]
            table = table.drop(columns=columns).assign(**{name: texts})
    if {"choice", "category"} <= set(table):
        # A choice has a place among the options that were shown.
        table["choice"] = table["choice"].where(table["category"].notna(), "")
    return table


def _object(labels: list[str], row: tuple[float, ...]) -> str:
    given = {label: p for label, p in zip(labels, row, strict=True) if not np.isnan(p)}
    return json.dumps(given, ensure_ascii=False) if given else ""


def _type(column: str) -> Any:
    is_probability = column.startswith(tuple(PROBABILITIES.values()))
    return float if is_probability else _TYPES.get(column, str)


def _with_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return a table with all its texts changed; numbers stay numbers, also negative ones."""
    texts = [name for name in map(str, table) if _type(name) is str]
    return table.assign(**{name: table[name].map(change) for name in texts})
