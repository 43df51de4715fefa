"""The contrasts of an experiment, each a flat record with its n, unit and method.

Knows which conditions are compared and how a comparison is told; the tests themselves stand in `inference`. Histories
are never pooled: each record belongs to one.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.stats.contingency import association
from statsmodels.stats.contingency_tables import Table2x2

from emotion_games.analysis.cells import GENERATED_MEASURES, MEASURES, Cells
from emotion_games.analysis.inference import against_random, holm, paired_t, sign_flip_p
from emotion_games.experiment.analysis_plan import (
    CONTRASTS,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    MINIMUM_SCENARIOS,
    RANDOM_MINUS_NEUTRAL,
)
from emotion_games.experiment.conditions import Arm

FEW = f"fewer than {MINIMUM_SCENARIOS} scenarios: descriptive only"
_PAIRED = "mean over scenarios of paired differences, equal weight to option orders; t interval; sign-flip mid-p"
_DIRECTION = (
    "effect less the mean of the random directions', each in proportion to the size of the emotion's push; t interval "
    "and p with k - 1 degrees of freedom over directions"
)


class Pair(NamedTuple):
    """One paired comparison: condition `a` minus condition `b`."""

    contrast: str
    a: int
    b: int


def contrast_records(
    cells: Cells, plan: dict[str, Any], outcome: str, damaged: set[str]
) -> list[dict[str, Any]]:
    """Every contrast of every history and measure; Holm within each planned family (contrast x measure)."""
    records = []
    for measure in _measured(cells):
        for history in cells.histories:
            records += _paired_records(cells, plan, history, measure)
            if ":" not in measure:
                records += _direction_records(cells, plan, history, measure)
    records = [record for record in records if record["n_scenarios"]]
    for record in records:
        record["role"] = role(record, plan)
        record["damaged"] = record.pop("condition") in damaged
        record["unit"] = f"difference in {_what(record['measure'], outcome)}, -1 to 1"
    _correct(records)
    return records


def role(record: dict[str, Any], plan: dict[str, Any]) -> str:
    """planned: one of the claim's two contrasts; secondary: named in the plan; exploratory: anything else."""
    contrast, measure = record["contrast"], record["measure"]
    at_dose = record["arm"] == "prompted" or np.isclose(
        record["intensity"], plan["headline_intensity"]
    )
    if not at_dose or contrast not in plan["contrasts"]:
        return "exploratory"
    if any(
        contrast == part["contrast"] and measure == part["measure"]
        for part in plan["claim"]["requires"]
    ):
        return "planned"
    return "secondary" if measure in plan["measures"] else "exploratory"


def compare(differences: np.ndarray, confidence: float) -> list[dict[str, Any]]:
    """The paired statistics of each column of (scenarios, contrasts); no p under the smallest number of scenarios."""
    summary = paired_t(differences, confidence)
    flips = sign_flip_p(differences)
    out = []
    for i in range(differences.shape[1]):
        n = int(summary["n"][i])
        few = n < MINIMUM_SCENARIOS
        same = " every scenario has the same difference: no t, interval from the share that could differ"
        reason = FEW if few else None
        if summary["flat"][i]:
            reason = "; ".join(filter(None, (reason, same.strip())))
        out.append(
            {
                "estimate": summary["estimate"][i],
                "interval": [summary["low"][i], summary["high"][i]] if n > 1 else None,
                "n_scenarios": n,
                "sd": summary["sd"][i],
                "t": summary["t"][i],
                "df": n - 1,
                "p": None if few else flips[i],
                "p_t": None if few else summary["p_t"][i],
                "descriptive_only": few,
                "reason": reason,
            }
        )
    return out


def pairs(cells: Cells) -> list[Pair]:
    """The comparisons of one condition with its own reference."""
    out = []
    for reference in (Arm.NEUTRAL, Arm.PROMPTED_NEUTRAL):
        compared = [c for c in CONTRASTS if c.is_paired and c.reference == reference]
        for b in cells.find(reference):
            for contrast in compared:
                out += [Pair(contrast.name, a, b) for a in cells.find(contrast.arm)]
    return out


def _measured(cells: Cells) -> list[str]:
    labels = [name for name in cells.means if name.startswith(("chosen:", "scored:"))]
    shares = labels if len(labels) > 4 else []
    return [name for name in (*MEASURES, *shares) if cells.counts[name].any()]


def _paired_records(
    cells: Cells, plan: dict[str, Any], history: str, measure: str
) -> list[dict[str, Any]]:
    share = ":" in measure
    chosen_pairs = [pair for pair in pairs(cells) if not share or _is_headline(cells, pair, plan)]
    if not chosen_pairs:
        return []
    columns = {pair: cells.difference(measure, history, pair.a, pair.b) for pair in chosen_pairs}
    if not share:
        columns |= _against_others(cells, columns)
    results = compare(np.column_stack(list(columns.values())), plan["confidence"])
    records = []
    for (name, a, b), result in zip(columns, results, strict=True):
        record = _identity(cells, name, a, history, measure) | result
        # The others' mean is minus many conditions; its trials are those of all of them.
        others = (
            b
            if b >= 0
            else [
                pair.a
                for pair in columns
                if pair.contrast == EMOTION_MINUS_NEUTRAL and _same_dose(cells, pair.a, a)
            ]
        )
        record["n_trials"] = cells.trials(measure, history, *{a, *np.atleast_1d(others).tolist()})
        record["method"] = _PAIRED
        if measure in GENERATED_MEASURES and b >= 0 and name != RANDOM_MINUS_NEUTRAL:
            record["worst_case"] = worst_case(cells, history, a, b, plan["confidence"])
            record |= _effect_sizes(cells, history, a, b)
        records.append(record)
    return records


def _against_others(cells: Cells, columns: dict[Pair, np.ndarray]) -> dict[Pair, np.ndarray]:
    out = {}
    steered = {
        pair: column for pair, column in columns.items() if pair.contrast == EMOTION_MINUS_NEUTRAL
    }
    for pair, column in steered.items():
        others = [c for p, c in steered.items() if p.a != pair.a and _same_dose(cells, p.a, pair.a)]
        if others:
            out[Pair(EMOTION_MINUS_OTHERS, pair.a, -1)] = column - np.mean(others, axis=0)
    return out


def _direction_records(
    cells: Cells, plan: dict[str, Any], history: str, measure: str
) -> list[dict[str, Any]]:
    reference = cells.find("neutral")
    if not reference:
        return []
    records = []
    for a in cells.find("steered"):
        seeds = cells.find("random", intensity=cells.conditions["intensity"][a])
        seeds = [j for j in seeds if cells.trials(measure, history, j)]
        if len(seeds) < 2:
            continue
        own = cells.difference(measure, history, a, reference[0])
        effects = [
            _push_size(cells, a, j)
            * np.nanmean(cells.difference(measure, history, j, reference[0]))
            for j in seeds
        ]
        n = int((~np.isnan(own)).sum())
        result = against_random(
            np.nanmean(own) if n else np.nan, np.array(effects), plan["confidence"]
        )
        low, high = result.pop("low"), result.pop("high")
        few = n < MINIMUM_SCENARIOS
        flat = (
            "the random directions do not differ from one another: no t" if np.isnan(low) else None
        )
        record = _identity(cells, EMOTION_MINUS_RANDOM, a, history, measure) | result
        record |= {
            "interval": [low, high],
            "n_scenarios": n,
            "n_trials": cells.trials(measure, history, a, *seeds),
        }
        record |= {"descriptive_only": few, "reason": FEW if few else flat, "method": _DIRECTION}
        record |= {"p": None, "p_rank": None} if few else {}
        records.append(record)
    return records


def _push_size(cells: Cells, a: int, b: int) -> float:
    """How many times as long the push of condition `a` is as that of `b`, from push_ratio; 1 where it is not known.

    Random directions have the sizes of the emotions in turn; a longer push moves more in any direction, and to compare
    unlike sizes would find an emotion with a long push too often.
    """
    own, other = cells.conditions["push_ratio"][[a, b]]
    return own / other if own > 0 and other > 0 else 1.0


def worst_case(cells: Cells, history: str, a: int, b: int, confidence: float) -> dict[str, Any]:
    """The effect if every unparsed answer had been the one least, or most, in its favour."""
    low = cells.difference("chosen_low", history, a, b, minus="chosen_high")
    high = cells.difference("chosen_high", history, a, b, minus="chosen_low")
    summary = paired_t(np.column_stack([low, high]), confidence)
    return {
        "low": summary["estimate"][0],
        "high": summary["estimate"][1],
        "interval": [summary["low"][0], summary["high"][1]],
        "n_unparsed": sum(
            cells.trials("parsed", history, c) - cells.trials("chosen", history, c) for c in (a, b)
        ),
    }


def _effect_sizes(cells: Cells, history: str, a: int, b: int) -> dict[str, float | None]:
    """Cramer's V of the counts and, for two choices, the odds ratio (0.5 added to empty cells); secondary, no test."""
    h = cells.histories.index(history)
    names = [name for name in cells.means if name.startswith("chosen:")]
    counts = (
        np.array(
            [
                [np.nansum(cells.means[m][h, ..., c] * cells.counts[m][h, ..., c]) for m in names]
                for c in (a, b)
            ]
        )
        .round()
        .astype(int)
    )
    used = counts[:, counts.sum(0) > 0]
    varied = used.shape[1] > 1 and (used.sum(1) > 0).all()
    odds = (
        Table2x2(counts.astype(float), shift_zeros=True).oddsratio
        if len(names) == 2 and counts.any()
        else None
    )
    return {"cramers_v": association(used, method="cramer") if varied else 0.0, "odds_ratio": odds}


def _identity(cells: Cells, contrast: str, a: int, history: str, measure: str) -> dict[str, Any]:
    row = cells.conditions.iloc[a]
    return {
        "contrast": contrast,
        "condition": row["condition"],
        "arm": row["arm"],
        "emotion": row["emotion"],
        "intensity": float(row["intensity"]),
        "history": history,
        "measure": measure,
    }


def _correct(records: Iterable[dict[str, Any]]) -> None:
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        record["p_holm"], record["n_tests"] = None, None
        if record["role"] != "exploratory":
            families.setdefault((record["contrast"], record["measure"]), []).append(record)
    for family in families.values():
        for record, adjusted in zip(family, holm([record["p"] for record in family]), strict=True):
            record["p_holm"], record["n_tests"] = adjusted, len(family)


def _same_dose(cells: Cells, a: int, b: int) -> bool:
    return bool(np.isclose(cells.conditions["intensity"][a], cells.conditions["intensity"][b]))


def _is_headline(cells: Cells, pair: Pair, plan: dict[str, Any]) -> bool:
    return pair.contrast == EMOTION_MINUS_NEUTRAL and bool(
        np.isclose(cells.conditions["intensity"][pair.a], plan["headline_intensity"])
    )


def _what(measure: str, outcome: str) -> str:
    return f"share of {measure.split(':', 1)[1]}" if ":" in measure else f"expected {outcome}"
