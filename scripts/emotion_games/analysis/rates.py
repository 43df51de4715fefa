"""What a model does in each condition: choice rates, validity, position and length preferences, distance to humans.

Knows one condition at a time, beside its neutral at most; the contrasts that carry a claim stand in `contrasts`.
"""

from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import GENERATED_MEASURES, Cells
from emotion_games.analysis.contrasts import compare
from emotion_games.analysis.inference import rate_interval
from emotion_games.games.records import Game

RATE_MEASURES = ("chosen", "scored", "scored_after")
_WILSON = (
    "mean over scenarios, equal weight to option orders; Wilson interval on the effective sample size, scenarios as "
    "clusters"
)
_TEST = (
    "mean over scenarios, equal weight to option orders; t interval; sign-flip mid-p, not corrected"
)


def rate_records(cells: Cells, game: Game, confidence: float) -> list[dict[str, Any]]:
    """Expected outcome and share of each choice, for each condition, history and measure."""
    labels = [choice.label for choice in game.choices]
    lowest, highest = min(c.value for c in game.choices), max(c.value for c in game.choices)
    records = []
    for position, history, measure in _each(cells, RATE_MEASURES):
        sampled = measure in GENERATED_MEASURES
        n_trials = cells.trials(measure, history, position)
        found = rate_interval(
            cells.level(measure, history, position), n_trials, sampled, confidence
        )
        shares = []
        for label in labels:
            share = rate_interval(
                cells.level(f"{measure}:{label}", history, position), n_trials, sampled, confidence
            )
            shares.append(
                {
                    "choice": label,
                    "estimate": share["estimate"],
                    "interval": [share["low"], share["high"]],
                }
            )
        missing = cells.trials("parsed", history, position) - n_trials if sampled else 0
        records.append(
            condition_of(cells, position)
            | {
                "history": history,
                "measure": measure,
                "estimate": found["estimate"],
                "interval": [found["low"], found["high"]],
                "n_scenarios": found["n"],
                "n_trials": n_trials,
                "n_missing": missing,
                "design_effect": found["design_effect"],
                "shares": shares,
                "reason": None if found["n"] > 1 else "one scenario: no interval",
                "unit": f"expected {game.outcome}, {lowest:g} to {highest:g}",
                "method": _WILSON,
            }
        )
    return records


def preference_records(
    cells: Cells, what: str, unit: str, confidence: float
) -> list[dict[str, Any]]:
    """Preference for the `first` option or for `length`, by condition, and how it differs from neutral's."""
    records = []
    neutral = cells.find("neutral")
    for measure in ("chosen", "scored"):
        name = f"{what}:{measure}"
        for history in cells.histories:
            present = [c for c in range(len(cells.conditions)) if cells.trials(name, history, c)]
            present = [c for c in present if cells.conditions["arm"][c] != "random"]
            if not present:
                continue
            own = compare(
                np.column_stack([cells.level(name, history, c) for c in present]), confidence
            )
            versus: list[dict[str, Any] | None] = [None] * len(present)
            if neutral and neutral[0] in present:
                columns = [cells.difference(name, history, c, neutral[0]) for c in present]
                versus = list(compare(np.column_stack(columns), confidence))
            for position, result, against in zip(present, own, versus, strict=True):
                brief = against and {
                    key: against[key]
                    for key in ("estimate", "interval", "p", "n_scenarios", "reason")
                }
                records.append(
                    condition_of(cells, position)
                    | {"history": history, "measure": measure}
                    | {
                        key: result[key]
                        for key in ("estimate", "interval", "p", "n_scenarios", "reason")
                    }
                    | {"n_trials": cells.trials(name, history, position)}
                    | {
                        "versus_neutral": None if position in neutral else brief,
                        "unit": unit,
                        "method": _TEST,
                    }
                )
    return records


def validity_records(cells: Cells, table: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """How many answers could be read, why others could not, and how much probability the options hold."""
    failed = table[table["generated"] & (table["extraction_method"].str.startswith("unparsed"))]
    reasons = failed.groupby(["condition", "history"])["extraction_method"].value_counts()
    totals = table.groupby(["condition", "history"]).size()
    records = []
    for position in range(len(cells.conditions)):
        condition = condition_of(cells, position)
        for history in cells.histories:
            key = (condition["condition"], history)
            generated = cells.trials("parsed", history, position)
            rate = rate_interval(
                cells.level("parsed", history, position), generated, True, confidence
            )
            mass = cells.level("valid_mass", history, position)
            records.append(
                condition
                | {
                    "history": history,
                    "n_trials": int(totals.get(key, 0)),
                    "n_generated": generated,
                    "n_parsed": cells.trials("chosen", history, position),
                    "n_scenarios": rate["n"],
                    "parse_rate": rate["estimate"],
                    "interval": [rate["low"], rate["high"]] if rate["n"] > 1 else None,
                    "reasons": reasons[key].to_dict() if key in reasons.index.droplevel(2) else {},
                    "valid_mass": float(np.nanmean(mass)) if (~np.isnan(mass)).any() else None,
                    "reason": None if generated else "nothing was generated in this condition",
                    "unit": "share of answers; probability of all options together",
                    "method": _WILSON,
                }
            )
    return records


def human_records(cells: Cells, game: Game, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Distance of neutral and of each emotion at the headline intensity from the game's human reference points."""
    wanted = cells.find("neutral") + cells.find("steered", intensity=plan["headline_intensity"])
    records = []
    for reference in getattr(game, "references", ()):
        weights = _weights(game, reference.of)
        for position in wanted if weights else ():
            for history in cells.histories:
                measure = "chosen" if cells.trials("chosen", history, position) else "scored"
                levels = [
                    cells.level(f"{measure}:{label}", history, position) * w
                    for label, w in weights.items()
                ]
                n_trials = cells.trials(measure, history, position)
                found = rate_interval(
                    np.sum(levels, axis=0), n_trials, measure == "chosen", plan["confidence"]
                )
                records.append(
                    condition_of(cells, position)
                    | {
                        "history": history,
                        "measure": measure,
                        "of": reference.of,
                        "human": reference.value,
                    }
                    | {"estimate": found["estimate"], "interval": [found["low"], found["high"]]}
                    | {
                        "distance": found["estimate"] - reference.value,
                        "n_scenarios": found["n"],
                        "n_trials": n_trials,
                    }
                    | {
                        "text": reference.text,
                        "source": reference.source,
                        "unit": "share",
                        "method": _WILSON,
                    }
                )
    return records


def condition_of(cells: Cells, position: int) -> dict[str, Any]:
    """The four columns that name a condition."""
    row = cells.conditions.iloc[position]
    return {
        "condition": row["condition"],
        "arm": row["arm"],
        "emotion": row["emotion"],
        "intensity": float(row["intensity"]),
    }


def _weights(game: Game, of: str) -> dict[str, float]:
    if of != "amount":
        return {of: 1.0} if of in [choice.label for choice in game.choices] else {}
    amounts = {choice.label: getattr(choice, "amount", None) for choice in game.choices}
    return {} if None in amounts.values() else amounts  # type: ignore[return-value]


def _each(cells: Cells, measures: tuple[str, ...]):
    for measure in measures:
        for history in cells.histories:
            for position in range(len(cells.conditions)):
                if cells.trials(measure, history, position):
                    yield position, history, measure
