"""Where an emotion effect is claimed, and where a large one is excluded.

Knows the contrasts and the damage records as they stand; computes no new estimate. A claim needs both main contrasts,
so its p is the larger of the two (intersection-union test), corrected by Holm over the emotions and histories of the
experiment.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.inference import equivalence, holm
from emotion_games.experiment.analysis_plan import (
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    MINIMUM_SCENARIOS,
    PROMPTED_MINUS_NEUTRAL,
)

_BRIEF = (
    "estimate",
    "interval",
    "p",
    "p_holm",
    "n_scenarios",
    "n_trials",
    "n_directions",
    "unit",
    "method",
    "reason",
)


def emotion_analysis(
    contrasts: list[dict[str, Any]],
    damage: list[dict[str, Any]],
    plan: dict[str, Any],
    interim: bool,
) -> dict[str, list[dict[str, Any]]]:
    """For each emotion one record a history, with both main contrasts, the claim and what stands against it."""
    measures = {part["contrast"]: part["measure"] for part in plan["claim"]["requires"]}
    find = _finder(contrasts, plan["headline_intensity"])
    state = {(d["arm"], d["emotion"], d["intensity"]): d for d in damage}
    rows = []
    for emotion in plan["emotions"]:
        for history in plan["histories"]:
            neutral = find(EMOTION_MINUS_NEUTRAL, emotion, history, measures[EMOTION_MINUS_NEUTRAL])
            if neutral is None:
                continue
            random = find(EMOTION_MINUS_RANDOM, emotion, history, measures[EMOTION_MINUS_RANDOM])
            own_damage = state.get(("steered", emotion, neutral["intensity"]))
            row = {
                "emotion": emotion,
                "history": history,
                "intensity": neutral["intensity"],
                "measure": measures[EMOTION_MINUS_NEUTRAL],
            }
            row["versus_neutral"], row["versus_random"] = _brief(neutral), _brief(random)
            row["versus_other_emotions"] = _brief(
                find(EMOTION_MINUS_OTHERS, emotion, history, measures[EMOTION_MINUS_NEUTRAL])
            )
            row["prompted"] = _brief(
                find(
                    PROMPTED_MINUS_NEUTRAL,
                    emotion,
                    history,
                    measures[EMOTION_MINUS_NEUTRAL],
                    dose=None,
                )
            )
            row["p_claim"] = _larger_p(neutral, random)
            row["damaged"] = bool(own_damage and own_damage["damaged"])
            row["damage_reasons"] = own_damage["reasons"] if own_damage else []
            row["branch_disagrees"] = _signs_differ(
                find(EMOTION_MINUS_NEUTRAL, emotion, history, "scored"),
                find(EMOTION_MINUS_NEUTRAL, emotion, history, "branch"),
            )
            row["claim_reasons"] = _against(neutral, random, own_damage, interim)
            rows.append(row)
    for row, adjusted in zip(rows, holm([row["p_claim"] for row in rows]), strict=True):
        row["p_claim_holm"], row["n_tests"] = adjusted, len(rows)
        if adjusted is not None and adjusted > 1 - plan["confidence"]:
            row["claim_reasons"].insert(0, _unclear(row, 1 - plan["confidence"]))
        row["claim"] = adjusted is not None and not row["claim_reasons"]
    return {
        emotion: [row for row in rows if row["emotion"] == emotion] for emotion in plan["emotions"]
    }


def equivalence_records(
    cells: Cells, plan: dict[str, Any], outcome: str, damaged: set[str]
) -> list[dict[str, Any]]:
    """TOST of emotion - neutral at the headline intensity with the plan's margin; Holm over emotions and histories."""
    margin, confidence, neutral = (
        plan["equivalence_margin"],
        plan["confidence"],
        cells.find("neutral"),
    )
    records = []
    for measure in plan["measures"] if neutral else ():
        family = []
        for position in cells.find("steered", intensity=plan["headline_intensity"]):
            for history in cells.histories:
                differences = cells.difference(measure, history, position, neutral[0])
                n = int((~np.isnan(differences)).sum())
                if not n:
                    continue
                found = equivalence(differences, margin, confidence)
                few = n < MINIMUM_SCENARIOS
                flat = (
                    "every scenario has the same difference: no test"
                    if np.isnan(found["p"])
                    else None
                )
                row = cells.conditions.iloc[position]
                family.append(
                    {
                        "emotion": row["emotion"],
                        "history": history,
                        "measure": measure,
                        "intensity": float(row["intensity"]),
                    }
                    | {
                        "margin": margin,
                        "p": None if few else found["p"],
                        "interval": [found["low"], found["high"]],
                    }
                    | {"n_scenarios": n, "damaged": row["condition"] in damaged}
                    | {
                        "reason": f"fewer than {MINIMUM_SCENARIOS} scenarios: no test"
                        if few
                        else flat
                    }
                    | {"unit": f"difference in expected {outcome}, -1 to 1"}
                    | {
                        "method": f"two one-sided t tests over scenarios; {2 * confidence - 1:.0%} interval"
                    }
                )
        for record, adjusted in zip(family, holm([record["p"] for record in family]), strict=True):
            record["p_holm"] = adjusted
            record["equivalent"] = adjusted is not None and adjusted <= 1 - confidence
        records += family
    return records


def intensity_analysis(
    contrasts: Iterable[dict[str, Any]], plan: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Emotion - neutral by intensity; all but the headline intensity is exploratory."""
    out: dict[str, list[dict[str, Any]]] = {}
    keys = (
        "emotion",
        "history",
        "measure",
        "estimate",
        "interval",
        "n_scenarios",
        "p",
        "role",
        "damaged",
        "unit",
        "method",
    )
    for record in sorted(contrasts, key=lambda record: record["intensity"]):
        if record["contrast"] == EMOTION_MINUS_NEUTRAL and record["measure"] in plan["measures"]:
            headline = bool(np.isclose(record["intensity"], plan["headline_intensity"]))
            entry = {key: record[key] for key in keys} | {"headline": headline}
            out.setdefault(f"{record['intensity']:g}", []).append(entry)
    return out


def _finder(contrasts: list[dict[str, Any]], headline: float):
    index = {
        (r["contrast"], r["emotion"], r["history"], r["measure"], round(r["intensity"], 9)): r
        for r in contrasts
    }

    def find(
        contrast: str, emotion: str, history: str, measure: str, dose: float | None = headline
    ):
        return index.get(
            (contrast, emotion, history, measure, round(1.0 if dose is None else dose, 9))
        )

    return find


def _against(neutral: dict, random: dict | None, damage: dict | None, interim: bool) -> list[str]:
    """What forbids a claim, apart from the size of the p-value."""
    reasons = []
    if neutral["descriptive_only"]:
        reasons.append(f"only {neutral['n_scenarios']} scenarios: descriptive only")
    if random is None:
        reasons.append("no random directions to compare with")
    elif (random["p"] is None or np.isnan(random["p"])) and not neutral["descriptive_only"]:
        reasons.append(random["reason"])
    elif _signs_differ(neutral, random):
        reasons.append(
            "the contrasts with neutral and with random directions point in opposite ways"
        )
    if damage is None or not damage["complete"]:
        reasons.append("the damage check was not run in full")
    if damage and damage["damaged"]:
        reasons.append("the condition damages the model: " + "; ".join(damage["reasons"]))
    if interim:
        reasons.append("interim: not every planned trial is done")
    return reasons


def _unclear(row: dict[str, Any], alpha: float) -> str:
    weak = [
        name
        for name, part in (
            ("neutral", row["versus_neutral"]),
            ("random directions", row["versus_random"]),
        )
        if part is None or part["p"] is None or part["p"] > alpha
    ]
    against = (
        "the contrast with " + " and with ".join(weak)
        if weak
        else "one of the contrasts after correction"
    )
    return f"{against} does not hold (corrected p of the claim {row['p_claim_holm']:.3g})"


def _larger_p(*records: dict[str, Any] | None) -> float | None:
    p_values = [record and record["p"] for record in records]
    known = [p for p in p_values if p is not None and not np.isnan(p)]
    return max(known) if len(known) == len(p_values) else None


def _signs_differ(a: dict[str, Any] | None, b: dict[str, Any] | None) -> bool | None:
    return None if a is None or b is None else bool(a["estimate"] * b["estimate"] < 0)


def _brief(record: dict[str, Any] | None) -> dict[str, Any] | None:
    return record and {key: record[key] for key in _BRIEF if key in record}
