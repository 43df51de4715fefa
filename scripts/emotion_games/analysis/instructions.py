"""Words beside a push: does an instruction undo its effect, and does an event add to it?

All of it is exploratory: there are no null directions under an instruction or after an event, so
that an emotion cannot be told from a push as such. Claims stay with the plain arms.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
from scipy import stats

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.contrasts import EXPLORATORY
from emotion_games.analysis.corrections import benjamini_hochberg
from emotion_games.analysis.inference import paired_t
from emotion_games.analysis.mean_tests import TEST, compare, possible
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.secondary_records import (
    CombinedEffect,
    Exploratory,
    InstructionEffect,
)
from emotion_games.analysis.statistics_parts import Estimate, Interval
from emotion_games.analysis.statistics_records import EmotionEffect
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.spec import Plan

_METHOD = f"mean over scenarios of paired differences, equal weight to option orders; {TEST}"
_INSTRUCTED = (
    f"{_METHOD}; `change` is the effect under the instruction less the effect without it in each "
    "scenario, corrected over instructions and emotions (Benjamini and Hochberg); `undone` is "
    "-change / without, with Fieller's interval, where choices have moved without the instruction"
)
_COMBINED = f"{_METHOD}; a difference of two effects is taken in each scenario"


def instruction_records(
    cells: Cells, plan: Plan, effects: Mapping[str, EmotionEffect], damaged: set[str]
) -> list[InstructionEffect]:
    """Compare the effect of each emotion under each instruction with its effect without it.

    Args:
        cells: The trials.
        plan: The plan.
        effects: The effects of the plain arms, by emotion.
        damaged: Names of the conditions that damage the model.
    """
    records, dose = [], plan["headline_intensity"]
    for neutral, emotion in product(cells.find(Arm.INSTRUCTED_NEUTRAL), plan["emotions"]):
        steered = cells.find(Arm.STEERED, emotion, dose)
        instructed = cells.find(Arm.INSTRUCTED, emotion, dose, cells.instruction(neutral))
        # An unfinished table may lack a condition.
        for place in product(cells.find(Arm.NEUTRAL), [neutral], steered, instructed):
            record = _instructed(cells, plan, *place, damaged)
            effect = effects.get(emotion)
            if record["damaged"] or not (effect and effect["moved"]):
                record["undone"] = record["undone_interval"] = None
            if record["change"]["n_scenarios"]:
                records.append(record)
    corrected = benjamini_hochberg([record["change"]["p"] for record in records])
    for record, p in zip(records, corrected, strict=True):
        record["p_corrected"], record["n_tests"] = p, len(records)
    return records


def combined_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[CombinedEffect]:
    """Compare vector and words together with each of them alone, for each emotion.

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model.
    """
    records, dose = [], plan["headline_intensity"]
    neutrals = cells.find(Arm.NEUTRAL), cells.find(Arm.PROMPTED_NEUTRAL)
    for emotion in plan["emotions"]:
        own = cells.find(Arm.STEERED, emotion, dose), cells.find(Arm.PROMPTED, emotion)
        together = cells.find(Arm.COMBINED, emotion, dose)
        for place in product(*neutrals, *own, together):
            record = _combined(cells, plan, *place, damaged)
            if record["both_minus_vector"]["n_scenarios"]:
                records.append(record)
    return records


def _instructed(
    cells: Cells,
    plan: Plan,
    neutral: int,
    instructed_neutral: int,
    steered: int,
    instructed: int,
    damaged: set[str],
) -> InstructionEffect:
    """Return the record of an emotion under an instruction, from the positions of its arms."""
    where = plan["claim"]["measure"], cells.places[0]
    alone = cells.difference(*where, instructed_neutral, neutral)
    without = cells.difference(*where, steered, neutral)
    under = cells.difference(*where, instructed, instructed_neutral)
    level, test = plan["confidence"], compare({0: under - without}, plan["confidence"])[0]
    share, ends = undone(without, under, level)
    return {
        **_about(cells, plan, instructed, {steered, instructed}, damaged, _INSTRUCTED),
        "instruction": cells.instruction(instructed),
        "alone": _estimate(alone, level),
        "without": _estimate(without, level),
        "under": _estimate(under, level),
        "change": {
            **_estimate(under - without, level, 2.0),
            "p": test["p"],
            "reason": test["reason"],
        },
        "p_corrected": None,
        "n_tests": 0,
        "undone": share,
        "undone_interval": ends,
    }


def _combined(
    cells: Cells,
    plan: Plan,
    neutral: int,
    prompted_neutral: int,
    steered: int,
    prompted: int,
    combined: int,
    damaged: set[str],
) -> CombinedEffect:
    """Return the record of an emotion in vector and words, from the positions of its arms."""
    where = plan["claim"]["measure"], cells.places[0]
    level = plan["confidence"]
    vector = cells.difference(*where, steered, neutral)
    both = cells.difference(*where, combined, prompted_neutral)
    return {
        **_about(cells, plan, combined, {steered, combined}, damaged, _COMBINED),
        "vector": _estimate(vector, level),
        "words": _estimate(cells.difference(*where, prompted, prompted_neutral), level),
        "both": _estimate(both, level),
        "both_minus_vector": _estimate(both - vector, level, 2.0),
        "both_minus_words": _estimate(cells.difference(*where, combined, prompted), level),
    }


def _about(
    cells: Cells, plan: Plan, position: int, pushed: set[int], damaged: set[str], method: str
) -> Exploratory:
    """Return what records of both kinds have in common."""
    who, measure = cells.who(position), plan["claim"]["measure"]
    return {
        "emotion": who["emotion"],
        "intensity": who["intensity"],
        "history": cells.places[0],
        "measure": measure,
        "role": EXPLORATORY,
        "damaged": any(cells.who(place)["condition"] in damaged for place in pushed),
        "unit": f"difference in {MEASURES[measure].of(plan['outcome'])}; -1 to 1, and of two "
        "effects -2 to 2",
        "method": method,
    }


def _estimate(values: np.ndarray, confidence: float, limit: float = 1.0) -> Estimate:
    """Return the mean of differences from -limit to limit, with its interval."""
    # Scaled to the range for which the intervals of equal values are made.
    found = paired_t(values[:, None] / limit, confidence)
    n, (low, high) = int(found["n"][0]), (found["low"][0], found["high"][0])
    return {
        "estimate": limit * float(found["estimate"][0]),
        "interval": [limit * end for end in possible(low, high)] if n > 1 else None,
        "n_scenarios": n,
    }


def undone(
    without: np.ndarray, under: np.ndarray, confidence: float
) -> tuple[float | None, Interval | None]:
    """Return the share of the mean effect `without` that is gone in that `under` an instruction.

    It is 1 if nothing is left, and negative if the instruction adds to the effect. The interval is
    Fieller's (1954, J. R. Stat. Soc. B 16:175): all shares s for which a t test of the mean of
    without - under - s * without does not reject 0. It is None if it is not bounded, as the effect
    without an instruction may then be 0.

    Args:
        without: The effect in each scenario, `(scenarios,)`.
        under: That under the instruction.
        confidence: The level of the interval.
    """
    pairs = np.array([without - under, without])[:, ~np.isnan(without + under)]
    n = pairs.shape[1]
    if n < 2 or pairs[1].mean() == 0:
        return None, None
    gone, whole = pairs.mean(1)
    reach = stats.t.ppf(0.5 + confidence / 2, n - 1) ** 2 / n
    (of_gone, of_both), (_, of_whole) = reach * np.cov(pairs)
    # The ends are the roots of a * s**2 - 2 * b * s + c.
    a, b, c = whole**2 - of_whole, gone * whole - of_both, gone**2 - of_gone
    if a <= 0:
        return float(gone / whole), None
    root = max(0.0, b**2 - a * c) ** 0.5
    return float(gone / whole), [float((b - root) / a), float((b + root) / a)]
