"""Average the trials of an experiment into cells, from which all statistics are computed.

A cell is a combination of history, scenario, option order, wording and condition; repeats are
averaged inside it. All option orders have equal weight, so that a preference for a position
cancels. A condition that lost an order to unparsed answers is compared with another one over the
orders that both have.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import Place, Who
from emotion_games.experiment.analysis_plan import CHOSEN, MEAN
from emotion_games.experiment.conditions import Arm, Condition
from emotion_games.games.records import Game

_AXES = ("history", "scenario_id", "option_order", "wording", "condition")
# Text columns of the table of trials that the statistics read.
_TEXTS = (
    *("choice", "extraction_method", "history", "event", "instruction"),
    *("output", "option_lengths"),
    *("rationale", "rationale_end", "free_output", "free_choice", "free_method"),
)


@dataclass(frozen=True)
class Cells:
    """Means and counts of every measure.

    Attributes:
        histories: Names, in the order of the plan.
        scenarios: Ids.
        conditions: One row per condition: condition, arm, emotion, intensity, push_ratio,
            instruction.
        means: By measure, `(histories, scenarios, orders, wordings, conditions)`; NaN in empty
            cells.
        counts: The number of trials with a value, of the same shape.
    """

    histories: list[str]
    scenarios: list[str]
    conditions: pd.DataFrame
    means: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    @property
    def places(self) -> list[str]:
        """The histories to compare at; with several of them, the mean over all comes first."""
        return [MEAN, *self.histories] if len(self.histories) > 1 else self.histories

    @property
    def own_conditions(self) -> list[int]:
        """The positions of all conditions but null directions, which count as a group only."""
        return [c for c, arm in enumerate(self.conditions["arm"]) if not Arm(arm).is_null]

    def find(
        self,
        arm: str,
        emotion: str | None = None,
        intensity: float | None = None,
        instruction: str | None = None,
    ) -> list[int]:
        """Return the positions of an arm's conditions, optionally only of those with a value."""
        rows = self.conditions["arm"] == arm
        if emotion is not None:
            rows &= self.conditions["emotion"] == emotion
        if intensity is not None:
            rows &= np.isclose(self.conditions["intensity"], intensity)
        if instruction is not None:
            rows &= self.conditions["instruction"] == instruction
        return list(np.flatnonzero(rows))

    def reference(self, position: int) -> list[int]:
        """Return the position of the condition that a condition is compared with, if it exists."""
        arm = Arm(self.who(position)["arm"])
        return self.find(arm.reference, instruction=self.instruction(position))

    def instruction(self, position: int) -> str:
        """Return the name of a condition's instruction; empty without one."""
        return str(self.conditions["instruction"].iat[position])

    def who(self, position: int) -> Who:
        """Return the columns that name a condition."""
        condition, arm, emotion, intensity = self._names[position]
        return Who(condition=condition, arm=arm, emotion=emotion, intensity=float(intensity))

    @cached_property
    def _names(self) -> list[tuple[str, str, str, float]]:
        columns = self.conditions[["condition", "arm", "emotion", "intensity"]]
        return list(columns.itertuples(index=False, name=None))

    def place(self, position: int, history: str, measure: str) -> Place:
        """Return the columns that name a condition at a history in a measure."""
        return Place(**self.who(position), history=history, measure=measure)

    def level(self, measure: str, history: str, condition: int) -> np.ndarray:
        """Return the mean of each scenario, `(scenarios,)`."""
        return over_cells(self._at(self.means[measure], history)[..., condition])

    def difference(self, measure: str, history: str, a: int, b: int, minus: str = "") -> np.ndarray:
        """Return condition `a` minus `b` in each scenario, over the orders and wordings of both.

        Args:
            measure: The measure of `a`.
            history: A history, or MEAN.
            a: Position of the first condition.
            b: Position of the second condition.
            minus: The measure of `b`, if it is another one.
        """
        own, other = (self._at(self.means[name], history) for name in (measure, minus or measure))
        return over_cells(own[..., a] - other[..., b])

    def differences(self, measure: str, history: str, several: list[int], b: int) -> np.ndarray:
        """Return several conditions minus `b` in each scenario, `(scenarios, conditions)`."""
        means = self._at(self.means[measure], history)
        return over_cells(means[..., several] - means[..., [b]])

    def trials(self, measure: str, history: str, *conditions: int) -> int:
        """Return the number of trials with a value."""
        counts = self._at(self.counts[measure], history)
        return int(counts[..., list(conditions)].sum())

    def total(self, measure: str, history: str, several: list[int]) -> np.ndarray:
        """Return the sums of a measure over the trials of some conditions, `(conditions,)`."""
        means, counts = (self._at(of[measure], history) for of in (self.means, self.counts))
        sums = np.nan_to_num(means[..., several]) * counts[..., several]
        return sums.sum(axis=tuple(range(sums.ndim - 1)))

    def _at(self, values: np.ndarray, history: str) -> np.ndarray:
        """Return the part of one history, or of all, with the axis of histories first."""
        if history == MEAN:
            return values
        place = self.histories.index(history)
        return values[place : place + 1]


def mean_of_present(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean over one axis, ignoring NaN; NaN if there is nothing else."""
    present = ~np.isnan(values)
    n = present.sum(axis)
    total = np.where(present, values, 0.0).sum(axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def over_cells(values: np.ndarray) -> np.ndarray:
    """Average `(histories, scenarios, orders, wordings, …)` to `(scenarios, …)`.

    Wordings within an order come first, then orders, then histories.
    """
    return mean_of_present(mean_of_present(mean_of_present(values, axis=3), axis=2), axis=0)


def tidy(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the results table with clean types, a `condition`, and no missing column."""
    table = trials.copy()
    for column in _TEXTS:
        given = table[column] if column in table else pd.Series("", table.index)
        table[column] = given.astype(object).fillna("").astype(str)
    for measure in MEASURES.values():
        table[measure.column] = table.get(measure.column, "")
    for column in ("valid_mass", "valid_mass_after", "push_ratio"):
        table[column] = pd.to_numeric(table.get(column, np.nan), errors="coerce")
    table["generated"] = table["generated"].astype(str).str.lower().isin(["true", "1", "1.0"])
    table["intensity"] = table["intensity"].astype(float)
    # A name is computed once per condition rather than once per trial.
    who = table[["arm", "emotion", "intensity", "instruction"]]
    distinct = who.drop_duplicates().itertuples(index=False, name=None)
    names = {row: Condition(row[0], row[1], row[2], instruction=row[3]).name for row in distinct}
    table["condition"] = [names[row] for row in who.itertuples(index=False, name=None)]
    return table


def trial_measures(table: pd.DataFrame, game: Game) -> dict[str, np.ndarray]:
    """Compute every measure of every trial.

    Args:
        table: The results as returned by `tidy`.
        game: The game with the choices on offer.

    Returns:
        Arrays of shape `(trials,)`, NaN if a trial has no value: each measure and the share of
        each choice (`<measure>:<choice>`); for the main measures `first:<measure>`, the share of
        the option shown first less equal shares, and `length:<measure>`, the length of the option
        over the mean length of the trial's options, less 1; `parsed`; `valid_mass` and
        `valid_mass_after`, the probability of all options before and after the rationale; and
        `chosen_low` and `chosen_high`, in which an unparsed answer has the least or highest value.
    """
    labels = list(game.labels)
    values = np.array([choice.value for choice in game.choices], dtype=float)
    generated = table["generated"].to_numpy()
    parsed = generated & table["choice"].isin(labels).to_numpy()
    orders = _orders(table["option_order"])
    first = np.array([labels.index(order[0]) for order in orders])
    equal_share = np.array([1 / len(order) for order in orders])
    lengths = _relative_lengths(table, labels)
    out = {
        "parsed": np.where(generated, parsed.astype(float), np.nan),
        "valid_mass": table["valid_mass"].to_numpy(float),
        "valid_mass_after": table["valid_mass_after"].to_numpy(float),
    }
    for name, measure in MEASURES.items():
        column = table[measure.column]
        if measure.is_sampled:
            taken = column.to_numpy(object)[:, None] == np.array(labels, dtype=object)
            shares = np.where(parsed[:, None], taken.astype(float), np.nan)
        else:
            shares = _probabilities(column, labels)
        # A drawn choice is a probability of 1, so that all measures are computed alike.
        out[name] = shares @ values
        for label, share in zip(labels, shares.T, strict=True):
            out[f"{name}:{label}"] = share
        if measure.is_main:
            out[f"first:{name}"] = shares[np.arange(len(table)), first] - equal_share
            length = (shares * np.nan_to_num(lengths)).sum(1)
            out[f"length:{name}"] = np.where(np.isnan(lengths).all(1), np.nan, length)
    unparsed = generated & ~parsed
    out["chosen_low"] = np.where(unparsed, values.min(), out[CHOSEN])
    out["chosen_high"] = np.where(unparsed, values.max(), out[CHOSEN])
    return out


def average_trials(table: pd.DataFrame, columns: dict[str, np.ndarray]) -> Cells:
    """Average columns of numbers, one per row of the table, inside each cell."""
    codes, names = [], []
    for axis in _AXES:
        code, found = pd.factorize(table[axis], sort=axis in ("option_order", "wording"))
        codes.append(code)
        names.append(list(found))
    shape = tuple(len(found) for found in names)
    # Sums by cell in one pass over the trials; a group-by of each measure takes many times longer.
    flat = np.ravel_multi_index(codes, shape)
    size = int(np.prod(shape))
    means, counts = {}, {}
    for name, values in columns.items():
        present = ~np.isnan(values)
        n = np.bincount(flat[present], minlength=size)
        total = np.bincount(flat[present], weights=values[present], minlength=size)
        means[name] = np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(shape)
        counts[name] = n.astype(np.int32).reshape(shape)
    # Conditions in the order of their first trial, as `factorize` numbers them.
    conditions = table.drop_duplicates("condition").reset_index(drop=True)
    who = ["condition", "arm", "emotion", "intensity", "push_ratio", "instruction"]
    conditions = conditions[who]
    return Cells(names[0], names[1], conditions, means, counts)


def _orders(column: pd.Series) -> list[list[str]]:
    parsed = {text: json.loads(text) for text in column.unique()}
    return [parsed[text] for text in column]


def _probabilities(column: pd.Series, labels: list[str]) -> np.ndarray:
    """`(trials, choices)`; NaN in a row without probabilities, 0 for a choice not offered."""
    out = np.full((len(column), len(labels)), np.nan)
    for row, text in enumerate(column.to_numpy(object)):
        given = json.loads(text) if isinstance(text, str) and text else text
        if isinstance(given, dict) and given:
            out[row] = [given.get(label, 0.0) for label in labels]
    return out


def _relative_lengths(table: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """`(trials, choices)`: characters of an option over the mean of the trial's options, less 1."""
    out = np.full((len(table), len(labels)), np.nan)
    # The trials of a prompt share their options, which are measured once.
    groups: dict[Any, Any] = table.groupby(["option_order", "option_lengths"]).indices
    for (order, text), rows in groups.items():
        if text:
            lengths = np.array(json.loads(text), dtype=float)
            places = [labels.index(label) for label in json.loads(order)]
            out[rows[:, None], places] = lengths / lengths.mean() - 1
    return out
