"""Turns trials into one number a scenario: the only shape in which the statistics see an experiment.

Knows the results table and its measures; knows no test and no interval. A cell is history x scenario x option order x
wording x condition; repeats are averaged inside it. Orders get equal weight, so position bias cancels, and a
condition that lost an order to unparsed answers is compared with the other one on the orders that both have.
"""

import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from emotion_games.experiment.conditions import Condition
from emotion_games.games.records import Game

GENERATED_MEASURES = ("chosen",)
SCORED_MEASURES = ("scored", "scored_after", "branch")
MEASURES = GENERATED_MEASURES + SCORED_MEASURES
MEANINGS = {
    "chosen": "value of the generated choice; an unparsed answer is missing",
    "scored": "expected value under the direct choice probabilities",
    "scored_after": "expected value under the choice probabilities after the trial's own rationale",
    "branch": "expected value under the probabilities of the branching tokens only (sensitivity)",
}
_PROBABILITY_COLUMNS = {
    "scored": "choice_probabilities",
    "scored_after": "choice_probabilities_after",
    "branch": "branch_probabilities",
}


@dataclass(frozen=True)
class Cells:
    """Means and counts of every measure; arrays are (history, scenario, order, wording, condition), NaN where empty."""

    histories: list[str]
    scenarios: list[str]
    conditions: pd.DataFrame
    means: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    def find(
        self, arm: str, emotion: str | None = None, intensity: float | None = None
    ) -> list[int]:
        """Positions of the conditions of an arm, narrowed by emotion and intensity where they are given."""
        rows = self.conditions["arm"] == arm
        if emotion is not None:
            rows &= self.conditions["emotion"] == emotion
        if intensity is not None:
            rows &= np.isclose(self.conditions["intensity"], intensity)
        return list(np.flatnonzero(rows))

    def level(self, measure: str, history: str, condition: int) -> np.ndarray:
        """Mean of each scenario, equal weight to orders; shape (scenarios,)."""
        return over_orders(self.means[measure][self.histories.index(history), ..., condition])

    def difference(
        self, measure: str, history: str, a: int, b: int, minus: str | None = None
    ) -> np.ndarray:
        """a minus b of each scenario over the orders and wordings that both have; shape (scenarios,).

        `minus` is another measure to take of b."""
        h = self.histories.index(history)
        return over_orders(self.means[measure][h, ..., a] - self.means[minus or measure][h, ..., b])

    def trials(self, measure: str, history: str, *conditions: int) -> int:
        """Number of trials with a value."""
        counts = self.counts[measure][self.histories.index(history)]
        return int(counts[..., list(conditions)].sum())


def mean_of_present(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over one axis of what is there; NaN where nothing is."""
    present = ~np.isnan(values)
    n = present.sum(axis)
    total = np.where(present, values, 0.0).sum(axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def over_orders(values: np.ndarray) -> np.ndarray:
    """(scenarios, orders, wordings) to (scenarios,): wordings within an order first, then orders with equal weight."""
    return mean_of_present(mean_of_present(values, axis=2), axis=1)


def tidy(trials: pd.DataFrame) -> pd.DataFrame:
    """The results table with missing optional columns filled, texts as text and flags as flags."""
    table = trials.copy()
    for column in ("choice", "extraction_method", "history", "output", "option_lengths"):
        table[column] = table[column].fillna("").astype(str) if column in table else ""
    for column in _PROBABILITY_COLUMNS.values():
        table[column] = table.get(column, "")
    for column in ("valid_mass", "valid_mass_after", "category", "push_ratio"):
        table[column] = pd.to_numeric(table[column], errors="coerce") if column in table else np.nan
    if "wording" not in table:
        table["wording"] = 0
    if "generated" in table:
        table["generated"] = table["generated"].map(
            lambda flag: str(flag).lower() in ("true", "1", "1.0")
        )
    else:
        table["generated"] = ~table["extraction_method"].isin(["not generated"])
    table["intensity"] = table["intensity"].astype(float)
    keys = (
        table[["arm", "emotion", "intensity"]].drop_duplicates().itertuples(index=False, name=None)
    )
    names = {key: Condition(*key).name for key in keys}
    table["condition"] = [
        names[row] for row in zip(table["arm"], table["emotion"], table["intensity"], strict=True)
    ]
    return table


def on_offer(game: Game, table: pd.DataFrame) -> Game:
    """The game as its scenarios offer it: without choices that none of them has, the others' values from 0 to 1.

    Without this an effect that moves every answer from one offered choice to the other would look small.
    """
    labels = {
        label for order in _order_labels(table["option_order"].drop_duplicates()) for label in order
    }
    choices = [choice for choice in game.choices if choice.label in labels]
    low, high = (end(choice.value for choice in choices) for end in (min, max))
    if not game.subset or low == high:
        return game
    return replace(
        game, choices=tuple(replace(c, value=(c.value - low) / (high - low)) for c in choices)
    )


def measures(table: pd.DataFrame, game: Game) -> dict[str, np.ndarray]:
    """Every measure of a tidy table, one number a trial, NaN where the trial has none."""
    labels = [choice.label for choice in game.choices]
    values = np.array([choice.value for choice in game.choices], dtype=float)
    parsed = table["generated"].to_numpy() & table["choice"].isin(labels).to_numpy()
    generated = table["generated"].to_numpy()
    orders = _order_labels(table["option_order"])
    out = {
        "chosen": np.where(
            parsed,
            table["choice"].map(dict(zip(labels, values, strict=True))).to_numpy(float),
            np.nan,
        ),
        "parsed": np.where(generated, parsed.astype(float), np.nan),
        "valid_mass": table["valid_mass"].to_numpy(float),
        "valid_mass_after": table["valid_mass_after"].to_numpy(float),
    }
    out["chosen_low"] = np.where(generated & ~parsed, values.min(), out["chosen"])
    out["chosen_high"] = np.where(generated & ~parsed, values.max(), out["chosen"])
    for label in labels:
        out[f"chosen:{label}"] = np.where(
            parsed, (table["choice"] == label).to_numpy(float), np.nan
        )
    probabilities = {
        name: _probabilities(table[column], labels) for name, column in _PROBABILITY_COLUMNS.items()
    }
    for name, matrix in probabilities.items():
        out[name] = matrix @ values
        for position, label in enumerate(labels):
            out[f"{name}:{label}"] = matrix[:, position]
    out |= _position(table, orders, labels, parsed, probabilities["scored"])
    out |= _length(table, orders, labels, parsed, probabilities["scored"])
    return out


def _position(
    table: pd.DataFrame, orders: list, labels: list[str], parsed: np.ndarray, scored: np.ndarray
) -> dict:
    """How much likelier than by equal shares the option shown first is to be chosen."""
    first = np.array([labels.index(order[0]) for order in orders])
    fair = np.array([1 / len(order) for order in orders])
    took_first = table["choice"].to_numpy() == np.array([order[0] for order in orders])
    return {
        "first:chosen": np.where(parsed, took_first - fair, np.nan),
        "first:scored": scored[np.arange(len(table)), first] - fair,
    }


def _length(
    table: pd.DataFrame, orders: list, labels: list[str], parsed: np.ndarray, scored: np.ndarray
) -> dict:
    """How much longer the chosen option is than its trial's mean option, as a share of that mean."""
    lengths = _relative_lengths(table, orders, labels)
    column = table["choice"].map({label: i for i, label in enumerate(labels)}).fillna(0).astype(int)
    own = lengths[np.arange(len(table)), column]
    expected = (scored * np.nan_to_num(lengths)).sum(1)
    return {
        "length:chosen": np.where(parsed, own, np.nan),
        "length:scored": np.where(np.isnan(lengths).all(1), np.nan, expected),
    }


def cells(table: pd.DataFrame, columns: dict[str, np.ndarray]) -> Cells:
    """Averages each column (one number a row of `table`) inside its cell."""
    axes = []
    names = []
    for column in ("history", "scenario_id", "option_order", "wording", "condition"):
        codes, found = pd.factorize(table[column], sort=column in ("option_order", "wording"))
        axes.append(codes)
        names.append(list(found))
    shape = tuple(len(found) for found in names)
    flat = np.ravel_multi_index(axes, shape)
    size = int(np.prod(shape))
    means, counts = {}, {}
    for name, values in columns.items():
        present = ~np.isnan(values)
        n = np.bincount(flat[present], minlength=size)
        total = np.bincount(flat[present], weights=values[present], minlength=size)
        means[name] = np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(shape)
        counts[name] = n.astype(np.int32).reshape(shape)
    firsts = table.drop_duplicates("condition").set_index("condition").loc[names[4]].reset_index()
    conditions = firsts[["condition", "arm", "emotion", "intensity", "push_ratio"]]
    return Cells(names[0], names[1], conditions, means, counts)


def _order_labels(column: pd.Series) -> list[list[str]]:
    parsed = {text: json.loads(text) for text in column.unique()}
    return [parsed[text] for text in column]


def _probabilities(column: pd.Series, labels: list[str]) -> np.ndarray:
    """(trials, choices); a row without probabilities is NaN, a choice that was not offered has 0."""
    out = np.full((len(column), len(labels)), np.nan)
    for row, text in enumerate(column):
        given = json.loads(text) if isinstance(text, str) and text else text
        if isinstance(given, dict) and given:
            out[row] = [given.get(label, 0.0) for label in labels]
    return out


def _relative_lengths(
    table: pd.DataFrame, orders: list[list[str]], labels: list[str]
) -> np.ndarray:
    """(trials, choices): characters of each option over the mean of its trial's options, less 1; NaN where unknown."""
    out = np.full((len(table), len(labels)), np.nan)
    for row, (order, text) in enumerate(zip(orders, table["option_lengths"], strict=True)):
        if text:
            lengths = np.array(json.loads(text), dtype=float)
            out[row, [labels.index(label) for label in order]] = lengths / lengths.mean() - 1
    return out
