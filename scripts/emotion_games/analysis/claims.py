"""Which emotion effects are claimed, and which are equivalent to none.

A claim requires two contrasts, so its p is the larger of theirs (intersection-union test, Berger
1982), corrected by Holm over the emotions and histories of the experiment.
"""

from collections.abc import Iterable
from functools import partial
from itertools import product

import numpy as np

from emotion_games.analysis import statistics_records as records
from emotion_games.analysis.cells import Cells
from emotion_games.analysis.inference import equivalence, holm
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import first, narrowed
from emotion_games.analysis.statistics_records import Contrast, Damage, EmotionEffect
from emotion_games.experiment.analysis_plan import (
    BRANCH,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    MINIMUM_SCENARIOS,
    PROMPTED_MINUS_NEUTRAL,
    SCORED,
    Plan,
)
from emotion_games.experiment.conditions import Arm


def emotion_analysis(
    contrasts: list[Contrast], damage: list[Damage], plan: Plan, interim: bool
) -> dict[str, list[EmotionEffect]]:
    """Judge each emotion at each history.

    Args:
        contrasts: All contrasts.
        damage: All damage records.
        plan: The plan.
        interim: Some planned trials are missing, so that nothing is claimed.

    Returns:
        One record per history, by emotion.
    """
    effects: dict[str, list[EmotionEffect]] = {}
    dose = plan["headline_intensity"]
    for emotion in plan["emotions"]:
        own_damage = first(damage, arm=Arm.STEERED, emotion=emotion, intensity=dose)
        effects[emotion] = []
        for history in plan["histories"]:
            own = [c for c in contrasts if (c["emotion"], c["history"]) == (emotion, history)]
            effect = _effect(own, own_damage, plan, interim)
            if effect:
                effects[emotion].append(effect)
    _decide([effect for several in effects.values() for effect in several], plan["confidence"])
    return effects


def equivalence_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[records.Equivalence]:
    """Test whether each emotion - neutral at the headline intensity is within the plan's margin.

    Holm corrects over the emotions and histories of a measure.
    """
    neutral = cells.find(Arm.NEUTRAL)
    steered = cells.find(Arm.STEERED, intensity=plan["headline_intensity"]) if neutral else []
    margin, confidence = plan["equivalence_margin"], plan["confidence"]
    found = []
    for measure in plan["measures"]:
        family = []
        for position, history in product(steered, cells.histories):
            differences = cells.difference(measure, history, position, neutral[0])
            n = int((~np.isnan(differences)).sum())
            if not n:
                continue
            who, test = cells.who(position), equivalence(differences, margin, confidence)
            few, flat = n < MINIMUM_SCENARIOS, np.isnan(test["p"])
            reason = "every scenario has the same difference: no test" if flat else None
            record = records.Equivalence(
                emotion=who["emotion"],
                history=history,
                measure=measure,
                intensity=who["intensity"],
                margin=margin,
                p=None if few else test["p"],
                interval=[test["low"], test["high"]],
                n_scenarios=n,
                damaged=who["condition"] in damaged,
                reason=f"fewer than {MINIMUM_SCENARIOS} scenarios: no test" if few else reason,
                unit=f"difference in {MEASURES[measure].of(plan['outcome'])}, -1 to 1",
                method=f"two one-sided t tests over scenarios; {2 * confidence - 1:.0%} interval",
                p_holm=None,
                equivalent=False,
            )
            family.append(record)
        for record, adjusted in zip(family, holm([r["p"] for r in family]), strict=True):
            record["p_holm"] = adjusted
            record["equivalent"] = adjusted is not None and adjusted <= 1 - confidence
        found += family
    return found


def intensity_analysis(
    contrasts: Iterable[Contrast], plan: Plan
) -> dict[str, list[records.IntensityEffect]]:
    """Group emotion - neutral by intensity. All but the headline intensity is exploratory."""
    effects: dict[str, list[records.IntensityEffect]] = {}
    for record in sorted(contrasts, key=lambda record: record["intensity"]):
        if record["contrast"] == EMOTION_MINUS_NEUTRAL and record["measure"] in plan["measures"]:
            effect = narrowed(record, records.IntensityEffect)
            effect["headline"] = record["intensity"] == plan["headline_intensity"]
            effects.setdefault(f"{record['intensity']:g}", []).append(effect)
    return effects


def _effect(
    contrasts: list[Contrast], damage: Damage | None, plan: Plan, interim: bool
) -> EmotionEffect | None:
    """The record of one emotion and history, from its contrasts and without its decision."""
    measures = {part["contrast"]: part["measure"] for part in plan["claim"]["requires"]}
    measure = measures[EMOTION_MINUS_NEUTRAL]
    find = partial(first, contrasts)
    # A described event has no dose, so the prompted contrast is found without one.
    at_dose = partial(find, intensity=plan["headline_intensity"])
    neutral = at_dose(contrast=EMOTION_MINUS_NEUTRAL, measure=measure)
    if neutral is None:
        return None
    random = at_dose(contrast=EMOTION_MINUS_RANDOM, measure=measures[EMOTION_MINUS_RANDOM])
    others = at_dose(contrast=EMOTION_MINUS_OTHERS, measure=measure)
    scored = at_dose(contrast=EMOTION_MINUS_NEUTRAL, measure=SCORED)
    branch = at_dose(contrast=EMOTION_MINUS_NEUTRAL, measure=BRANCH)
    return {
        "emotion": neutral["emotion"],
        "history": neutral["history"],
        "intensity": neutral["intensity"],
        "measure": measure,
        "versus_neutral": narrowed(neutral, records.Versus),
        "versus_random": _versus(random),
        "versus_other_emotions": _versus(others),
        "prompted": _versus(find(contrast=PROMPTED_MINUS_NEUTRAL, measure=measure)),
        "p_claim": float(np.maximum(_p(neutral), _p(random))),
        "damaged": bool(damage and damage["damaged"]),
        "damage_reasons": damage["reasons"] if damage else [],
        "failed_check": None,
        "branch_disagrees": _signs_differ(scored, branch),
        "claim_reasons": _reasons(neutral, random, damage, interim),
        "p_claim_holm": None,
        "n_tests": 0,
        "claim": False,
        "sentence": "",
    }


def _decide(effects: list[EmotionEffect], confidence: float) -> None:
    """Correct the p values of the claims, and decide each claim."""
    alpha = 1 - confidence
    corrected = holm([effect["p_claim"] for effect in effects])
    for effect, p in zip(effects, corrected, strict=True):
        effect["p_claim_holm"], effect["n_tests"] = p, len(effects)
        if p is not None and p > alpha:
            effect["claim_reasons"].insert(0, _not_significant(effect, p, alpha))
        # Without a p there was no test, so nothing is claimed.
        effect["claim"] = p is not None and not effect["claim_reasons"]


def _reasons(
    neutral: Contrast, random: Contrast | None, damage: Damage | None, interim: bool
) -> list[str]:
    """What prevents a claim, apart from the size of p."""
    reasons = []
    if neutral["descriptive_only"]:
        reasons.append(f"only {neutral['n_scenarios']} scenarios: descriptive only")
    # Of the reasons that concern the random directions, at most one is given.
    if random is None:
        reasons.append("there are no random directions to compare with")
    elif np.isnan(_p(random)) and not neutral["descriptive_only"]:
        reasons.append(str(random["reason"]))
    elif _signs_differ(neutral, random):
        reasons.append("the contrasts with neutral and with random directions differ in sign")
    if damage is None or not damage["complete"]:
        reasons.append("the damage check is incomplete")
    if damage and damage["damaged"]:
        reasons.append("the condition damages the model: " + "; ".join(damage["reasons"]))
    if interim:
        reasons.append("interim: some planned trials are missing")
    return reasons


def _not_significant(effect: EmotionEffect, corrected: float, alpha: float) -> str:
    parts = {"neutral": effect["versus_neutral"], "random directions": effect["versus_random"]}
    weak = []
    for name, part in parts.items():
        if part is None or part["p"] is None or part["p"] > alpha:
            weak.append(f"from {name}")
    difference = f"no significant difference {' or '.join(weak)}" if weak else "not significant"
    return f"{difference} (corrected p of the claim {corrected:.3g})"


def _p(contrast: Contrast | None) -> float:
    return np.nan if contrast is None or contrast["p"] is None else contrast["p"]


def _signs_differ(a: Contrast | None, b: Contrast | None) -> bool | None:
    if a is None or b is None or a["estimate"] is None or b["estimate"] is None:
        return None
    return bool(a["estimate"] * b["estimate"] < 0)


def _versus(contrast: Contrast | None) -> records.Versus | None:
    return narrowed(contrast, records.Versus) if contrast else None
