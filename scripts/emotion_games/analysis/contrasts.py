"""Compute the contrasts of `analysis_plan.CONTRASTS` at the mean over histories and at each one."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy.stats.contingency import association
from statsmodels.stats.contingency_tables import Table2x2  # type: ignore[import-untyped]

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.corrections import benjamini_hochberg, holm
from emotion_games.analysis.inference import paired_t
from emotion_games.analysis.mean_tests import FEW, TEST, compare, possible
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.null_tests import against_nulls, null_variance
from emotion_games.analysis.statistics_records import Contrast, NullDirections, WorstCase
from emotion_games.experiment.analysis_plan import (
    CHOSEN,
    CONTRASTS,
    EMOTION_MINUS_ISOTROPIC,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    MINIMUM_SCENARIOS,
    Plan,
)
from emotion_games.experiment.conditions import Arm

PLANNED, SECONDARY, EXPLORATORY = "planned", "secondary", "exploratory"
_PAIRED = f"mean over scenarios of paired differences, equal weight to option orders; {TEST}"
_NULLS = (
    "effect less the mean effect of the null directions; interval over scenarios and directions "
    "(Satterthwaite); p: rank among the directions"
)
# The contrast of an emotion with the null directions of an arm.
NULL_CONTRASTS = {
    Arm.RANDOM: EMOTION_MINUS_RANDOM,
    Arm.ISOTROPIC: EMOTION_MINUS_ISOTROPIC,
}


class Pair(NamedTuple):
    """A comparison of condition `a` with the mean of the conditions `minus`."""

    contrast: str
    a: int
    minus: tuple[int, ...]


def contrast_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[Contrast]:
    """Compute every contrast of every history and measure.

    The p values of each contrast and measure that the plan names are corrected over emotions.

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model.
    """
    records: list[Any] = []
    for measure, history in product(_measured(cells), cells.places):
        records += _paired_records(cells, plan, history, measure)
        if measure in MEASURES:
            records += _null_contrasts(cells, plan, history, measure, damaged)
    records = [record for record in records if record["n_scenarios"]]
    # Damaged conditions are marked, not removed: their numbers are reported.
    for record in records:
        record["role"] = role(record, plan, cells.places[0])
        record["damaged"] = record.pop("condition") in damaged
        record["unit"] = f"difference in {_subject(record['measure'], plan['outcome'])}, -1 to 1"
    _correct(records)
    return records


def role(record: Contrast, plan: Plan, tested: str) -> str:
    """Return whether a contrast is part of the claim, only in the plan, or neither.

    Args:
        record: The contrast.
        plan: The plan.
        tested: The history of the claims.
    """
    contrast, measure = record["contrast"], record["measure"]
    # A described event has no dose.
    at_headline = np.isclose(record["intensity"], plan["headline_intensity"])
    is_planned = contrast in plan["contrasts"] and record["history"] == tested
    if not (at_headline or record["arm"] == Arm.PROMPTED) or not is_planned:
        return EXPLORATORY
    needed = (EMOTION_MINUS_NEUTRAL, EMOTION_MINUS_RANDOM)
    if contrast in needed and measure == plan["claim"]["measure"]:
        return PLANNED
    return SECONDARY if measure in plan["measures"] else EXPLORATORY


def null_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[NullDirections]:
    """Describe the effects of the null directions of each kind, history and measure.

    Args:
        cells: The trials.
        plan: The plan.
        damaged: Names of the conditions that damage the model. They are left out.
    """
    records = []
    for arm, measure, history in product(NULL_CONTRASTS, plan["measures"], cells.places):
        positions, matrix = sound_nulls(cells, arm, measure, history, damaged)
        if not positions:
            continue
        names = [cells.who(position)["emotion"] for position in positions]
        means = matrix.mean(0) if len(matrix) else np.full(len(names), np.nan)
        several = len(names) > 1
        record = NullDirections(
            arm=arm,
            history=history,
            measure=measure,
            intensity=cells.who(positions[0])["intensity"],
            n_directions=len(names),
            n_damaged=len(cells.find(arm)) - len(names),
            n_scenarios=len(matrix),
            mean=float(means.mean()),
            sd_of_means=float(means.std(ddof=1)) if several else None,
            sd=null_variance(matrix) ** 0.5 if several and len(matrix) > 1 else None,
            effects=dict(zip(names, means.tolist(), strict=True)),
            unit=f"difference in {_subject(measure, plan['outcome'])}, -1 to 1",
            method="mean over scenarios of paired differences from neutral; `sd` over directions "
            "leaves out the variation between scenarios",
        )
        records.append(record)
    return records


def sound_nulls(
    cells: Cells, arm: Arm, measure: str, history: str, damaged: set[str]
) -> tuple[list[int], np.ndarray]:
    """Return the undamaged null directions of an arm, and their differences from neutral.

    Returns:
        Their positions, and `(scenarios, directions)` with the scenarios that have all numbers.
    """
    neutral = cells.find(Arm.NEUTRAL)
    positions = [
        c
        for c in (cells.find(arm) if neutral else [])
        if cells.who(c)["condition"] not in damaged and cells.trials(measure, history, c)
    ]
    if not positions:
        return [], np.empty((len(cells.scenarios), 0))
    matrix = cells.differences(measure, history, positions, neutral[0])
    return positions, matrix[~np.isnan(matrix).any(1)]


def pairs(cells: Cells) -> list[Pair]:
    """List the comparisons of a condition with its reference, and of an emotion with the others."""
    out = []
    for contrast in CONTRASTS:
        if contrast.is_paired:
            for a, b in product(cells.find(contrast.arm), cells.find(contrast.reference)):
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
        "interval": possible(summary["low"][0], summary["high"][1]),
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
    # An interval that holds for all emotions of the experiment together (Bonferroni).
    level = 1 - (1 - plan["confidence"]) / max(1, len(plan["emotions"]))
    together = paired_t(np.column_stack(list(columns.values())), level) if columns else {}
    sampled = measure in MEASURES and MEASURES[measure].is_sampled
    records = []
    for number, (pair, test) in enumerate(compare(columns, plan["confidence"], 1.0).items()):
        record = {"contrast": pair.contrast, **cells.place(pair.a, history, measure), **test}
        ends = together["low"][number], together["high"][number]
        record["interval_corrected"] = possible(*ends) if test["interval"] else None
        record["n_trials"] = cells.trials(measure, history, pair.a, *pair.minus)
        record["method"] = _PAIRED
        if sampled and pair.contrast != EMOTION_MINUS_OTHERS:
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


def _null_contrasts(
    cells: Cells, plan: Plan, history: str, measure: str, damaged: set[str]
) -> list[dict[str, Any]]:
    """Compare each emotion with the null directions of each kind at their intensity."""
    neutral = cells.find(Arm.NEUTRAL)
    records = []
    for arm, contrast in NULL_CONTRASTS.items():
        positions, _ = sound_nulls(cells, arm, measure, history, damaged)
        if len(positions) < 2:
            continue
        nulls = cells.differences(measure, history, positions, neutral[0])
        dose = cells.who(positions[0])["intensity"]
        for a in cells.find(Arm.STEERED, intensity=dose):
            own = cells.difference(measure, history, a, neutral[0])
            test: dict[str, Any] = against_nulls(own, nulls, plan["confidence"])
            n, interval = test.pop("n"), possible(test.pop("low"), test.pop("high"))
            # Few scenarios estimate an effect too badly for a comparison.
            few = n < MINIMUM_SCENARIOS
            p_rank = None if few else test["p_rank"]
            record = {"contrast": contrast, **cells.place(a, history, measure), **test}
            record |= {"p": p_rank, "p_rank": p_rank, "interval": interval, "n_scenarios": n}
            record |= {"n_trials": cells.trials(measure, history, a, *positions)}
            record |= {"descriptive_only": few, "reason": FEW if few else None, "method": _NULLS}
            records.append(record)
    return records


def _effect_sizes(cells: Cells, history: str, a: int, b: int) -> dict[str, float | None]:
    """Cramer's V of the counts, and the odds ratio of two choices (0.5 added to empty cells)."""
    names = [name for name in cells.means if name.startswith(f"{CHOSEN}:")]
    counts = np.array([cells.total(name, history, [a, b]) for name in names]).T.round().astype(int)
    # A choice that nobody made has no expected count.
    used = counts[:, counts.sum(0) > 0]
    varied = used.shape[1] > 1 and (used.sum(1) > 0).all()
    odds = None
    if len(names) == 2 and counts.any():
        odds = Table2x2(counts.astype(float), shift_zeros=True).oddsratio
    return {"cramers_v": association(used, method="cramer") if varied else 0.0, "odds_ratio": odds}


def _correct(records: Iterable[Contrast]) -> None:
    """Correct the p values of each planned contrast and measure over the emotions."""
    families = defaultdict(list)
    for record in records:
        record["p_corrected"], record["p_holm"], record["n_tests"] = None, None, None
        if record["role"] != EXPLORATORY:
            families[record["contrast"], record["measure"]].append(record)
    for family in families.values():
        p_values = [record["p"] for record in family]
        corrected = zip(family, benjamini_hochberg(p_values), holm(p_values), strict=True)
        for record, by_bh, by_holm in corrected:
            record["p_corrected"], record["p_holm"] = by_bh, by_holm
            record["n_tests"] = len(family)


def _subject(measure: str, outcome: str) -> str:
    name, _, choice = measure.partition(":")
    if choice:
        return f"the share of {choice} in the {MEASURES[name].label}"
    return MEASURES[name].of(outcome)
