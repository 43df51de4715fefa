"""What the model does in each condition: rates, validity, preferences, and distance from people."""

from itertools import product

import numpy as np
import pandas as pd

from emotion_games.analysis import statistics_records as records
from emotion_games.analysis.cells import Cells, mean_of_present
from emotion_games.analysis.inference import rate_interval
from emotion_games.analysis.mean_tests import TEST, compare
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import Estimate, Tested, narrowed
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED, Plan
from emotion_games.experiment.conditions import Arm
from emotion_games.games.records import Game

PREFERENCES = {
    "first": "share of the option shown first, less equal shares",
    "length": "length of the chosen option over the mean length of the options, less 1",
}
# The largest absolute value of each; a long option can be many times as long as the others.
_LIMITS = {"first": 1.0, "length": np.inf}
_WILSON = (
    "mean over scenarios, equal weight to option orders; Wilson interval on the effective sample "
    "size, scenarios as clusters"
)
_TEST = f"mean over scenarios, equal weight to option orders; {TEST}, not corrected"


def rate_records(cells: Cells, game: Game, confidence: float) -> list[records.Rate]:
    """Compute the mean outcome and the share of each choice by condition, history and measure."""
    rates = []
    values = [choice.value for choice in game.choices]
    measures = [measure for measure in MEASURES.values() if measure.is_rated]
    for measure, history, position in product(measures, cells.places, cells.own_conditions):
        name, sampled = measure.name, measure.is_sampled
        n_trials = cells.trials(name, history, position)
        if not n_trials:
            continue
        shares = []
        for label in game.labels:
            level = cells.level(f"{name}:{label}", history, position)
            share = rate_interval(level, n_trials, sampled, confidence)
            estimate, interval = share["estimate"], share["interval"]
            shares.append({"choice": label, "estimate": estimate, "interval": interval})
        level = cells.level(name, history, position)
        found = rate_interval(level, n_trials, sampled, confidence)
        rate = records.Rate(
            **cells.place(position, history, name),
            **found,
            n_trials=n_trials,
            n_missing=cells.trials("parsed", history, position) - n_trials if sampled else 0,
            shares=shares,
            reason=None if found["n_scenarios"] > 1 else "one scenario: no interval",
            unit=f"{measure.of(game.outcome)}, {min(values):g} to {max(values):g}",
            method=_WILSON,
        )
        rates.append(rate)
    return rates


def preference_records(cells: Cells, what: str, confidence: float) -> list[records.Preference]:
    """Compute a preference by condition, and its difference from that of neutral.

    Args:
        cells: The trials.
        what: `first` for the option shown first, `length` for long options.
        confidence: The level of the intervals.
    """
    preferences = []
    neutral, limit = cells.find(Arm.NEUTRAL), _LIMITS[what]
    measures = [measure for measure in MEASURES.values() if measure.is_main]
    for measure, history in product(measures, cells.histories):
        name = f"{what}:{measure.name}"
        present = [c for c in cells.own_conditions if cells.trials(name, history, c)]
        own = compare({c: cells.level(name, history, c) for c in present}, confidence, limit)
        differences = {}
        for c in present if set(neutral) & set(present) else ():
            if c not in neutral:
                differences[c] = cells.difference(name, history, c, neutral[0])
        versus = compare(differences, confidence, limit)
        for c, test in own.items():
            preference = records.Preference(
                **cells.place(c, history, measure.name),
                **narrowed(test, Tested),
                n_trials=cells.trials(name, history, c),
                versus_neutral=narrowed(versus[c], Tested) if c in versus else None,
                unit=f"{PREFERENCES[what]} ({measure.label})",
                method=_TEST,
            )
            preferences.append(preference)
    return preferences


def validity_records(
    cells: Cells, table: pd.DataFrame, confidence: float
) -> list[records.Validity]:
    """Describe the answers by condition and history.

    How many could be parsed, why others could not, why guided rationales ended, and how much of
    the model's probability the options had.
    """
    validities = []
    groups = dict(iter(table.groupby(["condition", "history"])))
    for position, history in product(cells.own_conditions, cells.histories):
        who = cells.who(position)
        # An unfinished table may lack some histories of a condition.
        trials = groups.get((who["condition"], history), table[:0])
        failed = trials["generated"] & trials["extraction_method"].str.startswith("unparsed")
        n_generated = cells.trials("parsed", history, position)
        level = cells.level("parsed", history, position)
        rate = rate_interval(level, n_generated, True, confidence)
        mass, mass_after = (
            _mass(cells, measure, history, position, confidence)
            for measure in ("valid_mass", "valid_mass_after")
        )
        ends = trials["rationale_end"]
        validity = records.Validity(
            **who,
            history=history,
            n_trials=len(trials),
            n_generated=n_generated,
            n_parsed=cells.trials(CHOSEN, history, position),
            n_scenarios=rate["n_scenarios"],
            parse_rate=rate["estimate"],
            interval=rate["interval"],
            reasons=trials["extraction_method"][failed].value_counts().to_dict(),
            rationale_ends=ends[ends != ""].value_counts().to_dict(),
            valid_mass=mass,
            valid_mass_after=mass_after,
            reason=None if n_generated else "nothing was generated in this condition",
            unit="share of the written answers that could be parsed",
            method=_WILSON,
        )
        validities.append(validity)
    return validities


def _mass(
    cells: Cells, measure: str, history: str, position: int, confidence: float
) -> Estimate | None:
    """Return the mean probability of all options together, or None if it was not measured."""
    n_trials = cells.trials(measure, history, position)
    if not n_trials:
        return None
    level = cells.level(measure, history, position)
    return narrowed(rate_interval(level, n_trials, False, confidence), Estimate)


def distinct_events(table: pd.DataFrame) -> dict[str, int]:
    """Return how many different events each condition described, by its name.

    With fewer of them than scenarios, the scenarios that share an event are not independent.

    Args:
        table: The trials, as returned by `tidy`.
    """
    numbers = table[table["event"] != ""].groupby("condition")["event"].nunique()
    return {str(condition): int(number) for condition, number in numbers.items()}


def human_records(cells: Cells, game: Game, plan: Plan) -> list[records.HumanDistance]:
    """Compare neutral and each emotion at the headline intensity with the game's human means."""
    distances = []
    steered = cells.find(Arm.STEERED, intensity=plan["headline_intensity"])
    conditions = cells.find(Arm.NEUTRAL) + steered
    for reference, position, history in product(game.references, conditions, cells.places):
        weights = _weights(game, reference.of)
        if not weights:
            continue
        # People were observed to choose, so written choices come first.
        measure = MEASURES[CHOSEN if cells.trials(CHOSEN, history, position) else SCORED]
        levels = []
        for label, weight in weights.items():
            levels.append(cells.level(f"{measure.name}:{label}", history, position) * weight)
        level, n_trials = np.sum(levels, axis=0), cells.trials(measure.name, history, position)
        found = rate_interval(level, n_trials, measure.is_sampled, plan["confidence"])
        distance = records.HumanDistance(
            **cells.place(position, history, measure.name),
            of=reference.of,
            human=reference.value,
            **narrowed(found, Estimate),
            distance=float(mean_of_present(level, axis=0)) - reference.value,
            n_trials=n_trials,
            text=reference.text,
            source=reference.source,
            unit=f"share of {reference.of}, 0 to 1 ({measure.label})",
            method=_WILSON,
        )
        distances.append(distance)
    return distances


def _weights(game: Game, of: str) -> dict[str, float]:
    """What each choice counts in a human mean: its amount, or 1 for the choice itself."""
    if of != "amount":
        return {of: 1.0} if of in game.labels else {}
    amounts = {c.label: c.amount for c in game.choices if c.amount is not None}
    return amounts if len(amounts) == len(game.choices) else {}
