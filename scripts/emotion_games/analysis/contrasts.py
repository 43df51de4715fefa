"""Compute the contrasts of `analysis_plan.CONTRASTS`, each at one history.

Histories are never pooled.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy.stats.contingency import association
from statsmodels.stats.contingency_tables import Table2x2  # type: ignore[import-untyped]

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.inference import against_random, holm, paired_t, sign_flip_p
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import PairedTest, narrowed
from emotion_games.analysis.statistics_records import Contrast, WorstCase
from emotion_games.experiment.analysis_plan import (
    CHOSEN,
    CONTRASTS,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    MINIMUM_SCENARIOS,
    RANDOM_MINUS_NEUTRAL,
    Plan,
)
from emotion_games.experiment.conditions import Arm

K = TypeVar("K", bound=Hashable)
PLANNED, SECONDARY, EXPLORATORY = "planned", "secondary", "exploratory"
FEW = f"fewer than {MINIMUM_SCENARIOS} scenarios: descriptive only, no test"
_FLAT = "every scenario has the same difference: no t, interval from the share that could differ"
# The basis of every `compare`, for the records' `method`.
TEST = "t interval; two-sided sign-flip test (mid-p)"
_PAIRED = f"mean over scenarios of paired differences, equal weight to option orders; {TEST}"
_DIRECTION = (
    "effect less the mean effect of the random directions; t interval and p with k - 1 degrees of "
    "freedom over k directions"
)


class Pair(NamedTuple):
    """A comparison of condition `a` with the mean of the conditions `minus`."""

    contrast: str
    a: int
    minus: tuple[int, ...]


def contrast_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[Contrast]:
    """Compute every contrast of every history and measure.

    The p values of each contrast and measure that the plan names are corrected together (Holm).

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model.
    """
    records: list[Any] = []
    for measure, history in product(_measured(cells), cells.histories):
        records += _paired_records(cells, plan, history, measure)
        if measure in MEASURES:
            records += _direction_records(cells, plan, history, measure)
    records = [record for record in records if record["n_scenarios"]]
    # Damaged conditions are marked, not removed: their numbers are reported.
    for record in records:
        record["role"] = role(record, plan)
        record["damaged"] = record.pop("condition") in damaged
        record["unit"] = f"difference in {_subject(record['measure'], plan['outcome'])}, -1 to 1"
    _correct(records)
    return records


def role(record: Contrast, plan: Plan) -> str:
    """Return whether a contrast is part of the claim, only in the plan, or neither."""
    contrast, measure = record["contrast"], record["measure"]
    # A described event has no dose.
    at_headline = np.isclose(record["intensity"], plan["headline_intensity"])
    if not (at_headline or record["arm"] == Arm.PROMPTED) or contrast not in plan["contrasts"]:
        return EXPLORATORY
    if {"contrast": contrast, "measure": measure} in plan["claim"]["requires"]:
        return PLANNED
    return SECONDARY if measure in plan["measures"] else EXPLORATORY


def compare(columns: Mapping[K, np.ndarray], confidence: float) -> dict[K, PairedTest]:
    """Test the mean of each column against 0.

    There is no p with fewer scenarios than the plan requires.

    Args:
        columns: Differences or other numbers, `(scenarios,)` each.
        confidence: The level of the intervals.
    """
    if not columns:
        return {}
    matrix = np.column_stack(list(columns.values()))
    found, flips = paired_t(matrix, confidence), sign_flip_p(matrix)
    tests = {}
    for i, key in enumerate(columns):
        n = int(found["n"][i])
        few = n < MINIMUM_SCENARIOS
        reasons = [FEW] * few + [_FLAT] * bool(found["flat"][i])
        test = {name: found[name][i] for name in ("estimate", "sd", "t", "df", "p_t")}
        interval = [found["low"][i], found["high"][i]] if n > 1 else None
        test |= {"p": flips[i], "n_scenarios": n, "interval": interval, "descriptive_only": few}
        test |= {"reason": "; ".join(reasons) or None}
        test |= {"p": None, "p_t": None} if few else {}
        tests[key] = narrowed(test, PairedTest)
    return tests


def pairs(cells: Cells) -> list[Pair]:
    """List the comparisons of a condition with its reference, and of an emotion with the others."""
    out = []
    for reference, contrast in product((Arm.NEUTRAL, Arm.PROMPTED_NEUTRAL), CONTRASTS):
        if contrast.is_paired and contrast.reference == reference:
            for a, b in product(cells.find(contrast.arm), cells.find(reference)):
                out.append(Pair(contrast.name, a, (b,)))
    for a in cells.find(Arm.STEERED) if cells.find(Arm.NEUTRAL) else ():
        same_dose = cells.find(Arm.STEERED, intensity=cells.conditions["intensity"][a])
        others = tuple(position for position in same_dose if position != a)
        if others:
            out.append(Pair(EMOTION_MINUS_OTHERS, a, others))
    return out


def worst_case(cells: Cells, history: str, a: int, b: int, confidence: float) -> WorstCase:
    """Bound `a` minus `b` over every possible choice of the unparsed answers."""
    low = cells.difference("chosen_low", history, a, b, minus="chosen_high")
    high = cells.difference("chosen_high", history, a, b, minus="chosen_low")
    summary = paired_t(np.column_stack([low, high]), confidence)
    return {
        "low": summary["estimate"][0],
        "high": summary["estimate"][1],
        "interval": [summary["low"][0], summary["high"][1]],
        "n_unparsed": cells.trials("parsed", history, a, b) - cells.trials(CHOSEN, history, a, b),
    }


def _measured(cells: Cells) -> list[str]:
    """The measures with a value and, with three choices or more, the shares of the main ones."""
    names = list(MEASURES)
    for measure in MEASURES.values():
        shares = [name for name in cells.means if name.startswith(f"{measure.name}:")]
        if measure.is_main and len(shares) > 2:
            names += shares
    return [name for name in names if cells.counts[name].any()]


def _paired_records(cells: Cells, plan: Plan, history: str, measure: str) -> list[dict[str, Any]]:
    columns = {}
    headline = cells.find(Arm.STEERED, intensity=plan["headline_intensity"])
    for pair in pairs(cells):
        # The shares of single choices are compared in the main contrast only.
        is_main = pair.contrast == EMOTION_MINUS_NEUTRAL and pair.a in headline
        if measure in MEASURES or is_main:
            columns[pair] = _difference(cells, measure, history, pair)
    sampled = measure in MEASURES and MEASURES[measure].is_sampled
    records = []
    for pair, test in compare(columns, plan["confidence"]).items():
        record = {"contrast": pair.contrast, **cells.place(pair.a, history, measure), **test}
        record["n_trials"] = cells.trials(measure, history, pair.a, *pair.minus)
        record["method"] = _PAIRED
        if sampled and pair.contrast not in (EMOTION_MINUS_OTHERS, RANDOM_MINUS_NEUTRAL):
            (b,) = pair.minus
            record["worst_case"] = worst_case(cells, history, pair.a, b, plan["confidence"])
            record |= _effect_sizes(cells, history, pair.a, b)
        records.append(record)
    return records


def _difference(cells: Cells, measure: str, history: str, pair: Pair) -> np.ndarray:
    if pair.contrast != EMOTION_MINUS_OTHERS:
        return cells.difference(measure, history, pair.a, pair.minus[0])
    # Through neutral, so that each emotion is compared over the orders that it shares with it.
    (neutral,) = cells.find(Arm.NEUTRAL)
    own, *others = (cells.difference(measure, history, c, neutral) for c in (pair.a, *pair.minus))
    return own - np.mean(others, axis=0)


def _direction_records(cells: Cells, plan: Plan, history: str, measure: str) -> list[Any]:
    references = cells.find(Arm.NEUTRAL)
    records = []
    for a in cells.find(Arm.STEERED) if references else ():
        directions = cells.find(Arm.RANDOM, intensity=cells.conditions["intensity"][a])
        directions = [c for c in directions if cells.trials(measure, history, c)]
        own = cells.difference(measure, history, a, references[0])
        n = int((~np.isnan(own)).sum())
        if len(directions) < 2 or not n:
            continue
        # Their pushes are as long as that of the emotion, so that effects compare as they are.
        differences = (cells.difference(measure, history, c, references[0]) for c in directions)
        effects = np.array([np.nanmean(difference) for difference in differences])
        test = against_random(np.nanmean(own), effects, plan["confidence"])
        low, high = test.pop("low"), test.pop("high")
        # Few scenarios estimate an effect too badly for a comparison, even with many directions.
        few = n < MINIMUM_SCENARIOS
        flat = "the random directions do not differ from one another: no t"
        record = {"contrast": EMOTION_MINUS_RANDOM, **cells.place(a, history, measure), **test}
        record |= {"p": None, "p_rank": None} if few else {}
        n_trials = cells.trials(measure, history, a, *directions)
        record |= {"interval": [low, high], "n_scenarios": n, "n_trials": n_trials}
        reason = FEW if few else flat if np.isnan(low) else None
        record |= {"descriptive_only": few, "reason": reason, "method": _DIRECTION}
        records.append(record)
    return records


def _effect_sizes(cells: Cells, history: str, a: int, b: int) -> dict[str, float | None]:
    """Cramer's V of the counts, and the odds ratio of two choices (0.5 added to empty cells)."""
    h = cells.histories.index(history)
    names = [name for name in cells.means if name.startswith(f"{CHOSEN}:")]
    answers = []
    for name in names:
        means, sizes = cells.means[name][h], cells.counts[name][h]
        answers.append(means[..., [a, b]] * sizes[..., [a, b]])
    counts = np.nansum(answers, axis=(1, 2, 3)).T.round().astype(int)
    # A choice that nobody made has no expected count.
    used = counts[:, counts.sum(0) > 0]
    varied = used.shape[1] > 1 and (used.sum(1) > 0).all()
    odds = None
    if len(names) == 2 and counts.any():
        odds = Table2x2(counts.astype(float), shift_zeros=True).oddsratio
    return {"cramers_v": association(used, method="cramer") if varied else 0.0, "odds_ratio": odds}


def _correct(records: Iterable[Contrast]) -> None:
    families = defaultdict(list)
    for record in records:
        record["p_holm"], record["n_tests"] = None, None
        if record["role"] != EXPLORATORY:
            families[record["contrast"], record["measure"]].append(record)
    for family in families.values():
        for record, adjusted in zip(family, holm([r["p"] for r in family]), strict=True):
            record["p_holm"], record["n_tests"] = adjusted, len(family)


def _subject(measure: str, outcome: str) -> str:
    name, _, choice = measure.partition(":")
    if choice:
        return f"the share of {choice} in the {MEASURES[name].label}"
    return MEASURES[name].of(outcome)
