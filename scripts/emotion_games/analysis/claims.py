"""Which emotions move choices, and which effects are claimed.

The rule is `analysis_plan.CLAIM_RULE`.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from emotion_games.analysis import statistics_records as records
from emotion_games.analysis.cells import Cells
from emotion_games.analysis.check_results import Damage
from emotion_games.analysis.corrections import benjamini_hochberg, holm
from emotion_games.analysis.null_tests import claim_p
from emotion_games.analysis.statistics_parts import first, narrowed
from emotion_games.analysis.statistics_records import Contrast, EmotionEffect
from emotion_games.experiment.analysis_plan import (
    BRANCH,
    EMOTION_MINUS_ISOTROPIC,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_OTHERS,
    EMOTION_MINUS_RANDOM,
    FIRST_HALF_MINUS_NEUTRAL,
    PROMPTED_MINUS_NEUTRAL,
    SECOND_HALF_MINUS_NEUTRAL,
    Plan,
)
from emotion_games.experiment.conditions import Arm


def emotion_analysis(
    cells: Cells,
    contrasts: list[Contrast],
    nulls: list[records.NullDirections],
    damage: list[Damage],
    plan: Plan,
    interim: bool,
) -> dict[str, EmotionEffect]:
    """Judge each emotion.

    Args:
        cells: The trials.
        contrasts: All contrasts.
        nulls: The effects of the null directions.
        damage: All damage records.
        plan: The plan.
        interim: Some planned trials are missing, so that nothing is claimed.

    Returns:
        A record for each emotion with an effect.
    """
    measure, dose = plan["claim"]["measure"], plan["headline_intensity"]
    sound = first(nulls, arm=Arm.RANDOM, measure=measure, history=cells.places[0])
    n_nulls = sound["n_directions"] if sound else 0
    effects: dict[str, EmotionEffect] = {}
    for emotion in plan["emotions"]:
        own = [c for c in contrasts if c["emotion"] == emotion]
        effect = _effect(own, cells, plan)
        if effect is None:
            continue
        _test(effect)
        effect["n_nulls"] = n_nulls
        effect["n_damaged_nulls"] = len(cells.find(Arm.RANDOM)) - n_nulls
        own_damage = first(damage, arm=Arm.STEERED, emotion=emotion, intensity=dose)
        effect["damaged"] = bool(own_damage and own_damage["damaged"])
        effect["damage_reasons"] = own_damage["reasons"] if own_damage else []
        effect["claim_reasons"] = _reasons(effect, own_damage, plan, interim)
        effects[emotion] = effect
    _decide(list(effects.values()), plan["confidence"], interim)
    return effects


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


def _effect(contrasts: list[Contrast], cells: Cells, plan: Plan) -> EmotionEffect | None:
    """The record of one emotion from its contrasts, without its tests and its decision."""
    measure, tested = plan["claim"]["measure"], cells.places[0]
    dose, here = plan["headline_intensity"], {"measure": measure, "history": tested}
    at_dose = partial(first, contrasts, intensity=dose)
    neutral = at_dose(contrast=EMOTION_MINUS_NEUTRAL, **here)
    if neutral is None:
        return None
    branch = at_dose(contrast=EMOTION_MINUS_NEUTRAL, measure=BRANCH, history=tested)
    halves = [
        at_dose(contrast=contrast, **here)
        for contrast in (FIRST_HALF_MINUS_NEUTRAL, SECOND_HALF_MINUS_NEUTRAL)
    ]
    differ = [_signs_differ(neutral, half) for half in halves]
    return {
        "emotion": neutral["emotion"],
        "history": tested,
        "intensity": neutral["intensity"],
        "measure": measure,
        "versus_neutral": narrowed(neutral, records.Versus),
        "versus_random": _versus(at_dose(contrast=EMOTION_MINUS_RANDOM, **here)),
        "versus_isotropic": _versus(at_dose(contrast=EMOTION_MINUS_ISOTROPIC, **here)),
        "versus_other_emotions": _versus(at_dose(contrast=EMOTION_MINUS_OTHERS, **here)),
        # A described event has no dose, so the prompted contrast is found without one.
        "prompted": _versus(first(contrasts, contrast=PROMPTED_MINUS_NEUTRAL, **here)),
        "first_half": _versus(halves[0]),
        "second_half": _versus(halves[1]),
        "halves_agree": None if None in differ else not any(differ),
        "other_measures": _other_measures(contrasts, neutral, plan),
        "histories": _by_history(contrasts, neutral, plan),
        "p_moved": neutral["p"],
        "p_rank": None,
        "p_claim": None,
        "p_moved_corrected": None,
        "p_moved_holm": None,
        "p_claim_corrected": None,
        "p_claim_holm": None,
        "n_tests": 0,
        "moved": False,
        "claim": False,
        "claim_reasons": [],
        "n_nulls": 0,
        "n_damaged_nulls": 0,
        "damaged": False,
        "damage_reasons": [],
        "failed_check": None,
        "branch_disagrees": _signs_differ(neutral, branch),
        "scenarios": _by_scenario(cells, neutral),
        "sentence": "",
    }


def _other_measures(
    contrasts: list[Contrast], neutral: Contrast, plan: Plan
) -> list[records.OtherMeasure]:
    found = []
    for measure in plan["measures"][1:]:
        same = {key: neutral[key] for key in ("contrast", "intensity", "history")}
        other = first(contrasts, measure=measure, **same)
        if other:
            differ = _signs_differ(neutral, other)
            record = records.OtherMeasure(
                measure=measure,
                **narrowed(other, records.Estimate),
                agrees=None if differ is None else not differ,
            )
            found.append(record)
    return found


def _by_history(
    contrasts: list[Contrast], neutral: Contrast, plan: Plan
) -> list[records.HistoryEffect]:
    """The effect at each history of a game with several."""
    same = {key: neutral[key] for key in ("contrast", "intensity", "measure")}
    found = (
        first(contrasts, history=history, **same)
        for history in plan["histories"]
        if history != neutral["history"]
    )
    return [
        records.HistoryEffect(
            history=record["history"],
            **narrowed(record, records.Estimate),
            p=record["p"],
            p_holm=None,
        )
        for record in found
        if record
    ]


def _by_scenario(cells: Cells, neutral: Contrast) -> dict[str, float]:
    (a,) = cells.find(Arm.STEERED, neutral["emotion"], neutral["intensity"])
    (b,) = cells.find(Arm.NEUTRAL)
    differences = cells.difference(neutral["measure"], neutral["history"], a, b)
    pairs = zip(cells.scenarios, differences.tolist(), strict=True)
    return {name: value for name, value in pairs if not np.isnan(value)}


def _test(effect: EmotionEffect) -> None:
    """Fill in the p values of the claim, if there is something to compare with."""
    own, random, moved = effect["versus_neutral"], effect["versus_random"], effect["p_moved"]
    if random is None or random["p"] is None or moved is None:
        return
    assert own["estimate"] is not None and random["estimate"] is not None, "a p has an estimate"
    effect["p_rank"] = random["p"]
    effect["p_claim"] = claim_p(moved, random["p"], own["estimate"], random["estimate"])


def _decide(effects: Sequence[EmotionEffect], confidence: float, interim: bool) -> None:
    """Correct the p values over the emotions, and decide what has moved and what is claimed."""
    alpha = 1 - confidence
    for p in ("p_moved", "p_claim"):
        family = [effect[p] for effect in effects]
        corrected = zip(effects, benjamini_hochberg(family), holm(family), strict=True)
        for effect, by_bh, by_holm in corrected:
            effect[f"{p}_corrected"], effect[f"{p}_holm"] = by_bh, by_holm  # type: ignore[literal-required]
    for effect in effects:
        effect["n_tests"] = len(effects)
        moved, claimed = effect["p_moved_corrected"], effect["p_claim_corrected"]
        effect["moved"] = moved is not None and moved <= alpha and not interim
        if claimed is not None and claimed > alpha:
            effect["claim_reasons"].insert(0, _not_significant(effect, alpha))
        # Without a p there was no test, so nothing is claimed.
        effect["claim"] = claimed is not None and not effect["claim_reasons"]
        if effect["moved"]:
            _test_histories(effect)


def _test_histories(effect: EmotionEffect) -> None:
    """Correct the p values of the histories, which are tested because their mean has moved."""
    histories = effect["histories"]
    for history, p in zip(histories, holm([h["p"] for h in histories]), strict=True):
        history["p_holm"] = p


def _reasons(effect: EmotionEffect, damage: Damage | None, plan: Plan, interim: bool) -> list[str]:
    """What prevents a claim, apart from the size of p."""
    reasons, claim = [], plan["claim"]
    n = effect["versus_neutral"]["n_scenarios"]
    found = {"scenarios": n, "undamaged null directions": effect["n_nulls"]}
    needed = (claim["scenarios"], claim["null_directions"])
    few = [
        f"{number} {what} of {least} needed"
        for (what, number), least in zip(found.items(), needed, strict=True)
        if number < least
    ]
    if few:
        reasons.append(f"claims are not testable: {', '.join(few)}")
    if damage is None or not damage["complete"]:
        why = f" ({damage['reason']})" if damage and damage["reason"] else ""
        reasons.append(f"the damage check is incomplete{why}")
    if effect["damaged"]:
        reasons.append("the condition damages the model: " + "; ".join(effect["damage_reasons"]))
    if interim:
        reasons.append("interim: some planned trials are missing")
    return reasons


def _not_significant(effect: EmotionEffect, alpha: float) -> str:
    random = effect["versus_random"]
    parts = []
    if effect["p_moved"] is None or effect["p_moved"] > alpha:
        parts.append("from neutral")
    if effect["p_rank"] is None or effect["p_rank"] > alpha:
        parts.append("from null directions")
    elif random and _signs_differ(effect["versus_neutral"], random):
        return "it differs from neutral and from null directions in opposite directions"
    text = "not significant after correction"
    if parts:
        text = f"no significant difference {' or '.join(parts)}"
    return f"{text} (corrected p of the claim {effect['p_claim_corrected']:.3g})"


def _signs_differ(
    a: Contrast | records.Versus | None, b: Contrast | records.Versus | None
) -> bool | None:
    """Return whether two effects have opposite signs; None if one is unknown or 0."""
    # Means of choices that did not change may differ from 0 by a rounding error.
    one, other = (round(record["estimate"] or 0.0, 9) if record else 0.0 for record in (a, b))
    return (one < 0) != (other < 0) if one and other else None


def _versus(contrast: Contrast | None) -> records.Versus | None:
    return narrowed(contrast, records.Versus) if contrast else None
