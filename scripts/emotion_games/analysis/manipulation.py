"""Whether pushes induce their emotion: each must raise its own most, and more than null ones do.

An emotion comes through at a dose if it rises most in two of three checks and, where there are
enough null directions at this dose, rises more than their mean + 2 sd in two of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.check_results import Induced, Manipulation, NullPasses, OwnEffect
from emotion_games.analysis.mean_tests import TEST, compare
from emotion_games.analysis.rises import Rises
from emotion_games.analysis.statistics_records import EmotionEffect
from emotion_games.experiment.check_records import LEAST_NULLS, Check
from emotion_games.experiment.conditions import Arm

UNITS = {
    Check.NAMED_EMOTION: "rise of the log-probability that the word from a list is the emotion, "
    "in nats",
    Check.FELT_EMOTION: "rise of the log-probability that the own word is one for the emotion, "
    "in nats",
    Check.HELD_OUT: "rise of the log-likelihood per token of sentences about the emotion, beyond "
    "the mean over emotions, in nats",
}
# Of the three checks.
LEAST_CHECKS = 2
NULL_SD = 2.0
# Rises of the emotions by check, conditions × emotions.
Means = dict[str, pd.DataFrame]


def manipulation_records(found: Sequence[Rises], confidence: float) -> list[Manipulation]:
    """Compute the rise of the intended emotion for every condition that intends one.

    Args:
        found: The rises of all conditions.
        confidence: The level of the intervals.
    """
    records = []
    for one in found:
        if Arm(one.arm).is_null or one.emotion not in one.table:
            continue
        differences = one.table[one.emotion].dropna().to_numpy()
        test = compare({one.check: differences}, confidence)[one.check]
        record = Manipulation(
            check=str(one.check),
            arm=one.arm,
            emotion=one.emotion,
            intensity=one.intensity,
            estimate=test["estimate"],
            interval=test["interval"],
            p=test["p"],
            sd=test["sd"],
            n_items=test["n_scenarios"],
            unit=UNITS[Check(one.check)],
            reason=test["reason"] and test["reason"].replace("scenario", "item"),
            method=f"mean over items of the difference from neutral; {TEST}, not corrected",
        )
        records.append(record)
    return records


def induced_records(
    found: Sequence[Rises], checks: pd.DataFrame, about: Mapping[str, Any], headline: float
) -> list[Induced]:
    """Judge each emotion at each dose.

    Args:
        found: The rises of all conditions.
        checks: The table of checks, for the perplexity.
        about: How the directions were made; see `engine.directions.About`.
        headline: The intensity of the null directions.
    """
    records = []
    nulls = _means(one for one in found if one.arm == Arm.RANDOM)
    steered = [one for one in found if one.arm == Arm.STEERED]
    for dose in dict.fromkeys(one.intensity for one in steered):
        means = _means(one for one in steered if one.intensity == dose)
        references = nulls if dose == headline else {}
        for emotion in dict.fromkeys(one.emotion for one in steered if one.intensity == dose):
            effects = {
                check: _own_effect(emotion, check, table, references.get(check))
                for check, table in means.items()
                if emotion in table.index and emotion in table and len(table.columns) > 1
            }
            verb = "raised" if dose > 0 else "lowered"
            came_through, reason = _verdict(emotion, effects, verb)
            record = Induced(
                emotion=emotion,
                intensity=dose,
                came_through=came_through,
                reason=reason,
                checks=effects,
                split_half=_split_half(about, emotion),
                accuracy=about.get("accuracy_by_emotion", {}).get(emotion),
                perplexity_ratio=_perplexity_ratio(checks, emotion, dose),
            )
            records.append(record)
    return records


def null_passes(found: Sequence[Rises], emotions: Sequence[str]) -> NullPasses | None:
    """Count the null directions that raise any one emotion most in enough checks."""
    nulls = _means(one for one in found if one.arm == Arm.RANDOM)
    if len(nulls) < LEAST_CHECKS:
        return None
    highest = pd.DataFrame(
        {check: _compared(check, table).idxmax(axis=1) for check, table in nulls.items()}
    )
    wins = pd.DataFrame({emotion: (highest == emotion).sum(axis=1) for emotion in emotions})
    passed = (wins >= LEAST_CHECKS).any(axis=1)
    return NullPasses(n_directions=len(passed), passed=int(passed.sum()))


def mark_failures(
    effects: dict[str, EmotionEffect], induced: Sequence[Induced]
) -> dict[str, EmotionEffect]:
    """Write into each effect why its emotion failed its manipulation check, if it did."""
    reasons = {
        (one["emotion"], one["intensity"]): one["reason"]
        for one in induced
        if one["came_through"] is False
    }
    for effect in effects.values():
        effect["failed_check"] = reasons.get((effect["emotion"], effect["intensity"]))
    return effects


def _means(found: Iterable[Rises]) -> Means:
    """Return the mean rises in each check that was made, conditions × emotions."""
    means: dict[str, dict[str, pd.Series]] = {}
    for one in found:
        means.setdefault(str(one.check), {})[one.emotion] = one.mean
    return {check: pd.DataFrame(rows).T for check, rows in means.items()}


def _compared(check: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rises to compare between emotions.

    Those of held-out sentences are centred over the pushes too: some sentences react to any push.
    """
    return table - table.mean() if check == Check.HELD_OUT and len(table) > 1 else table


def _own_effect(
    emotion: str, check: str, table: pd.DataFrame, nulls: pd.DataFrame | None
) -> OwnEffect:
    compared = _row(_compared(check, table), emotion)
    rise, n_nulls = _row(table, emotion)[emotion], 0 if nulls is None else len(nulls)
    mean = sd = distance = None
    if nulls is not None and n_nulls > 1:
        spread = nulls[emotion].to_numpy(dtype=float)
        mean, sd = float(spread.mean()), float(spread.std(ddof=1))
        distance = (rise - mean) / sd if sd else None
    return OwnEffect(
        rise=rise,
        rises=compared,
        rank=1 + sum(value > compared[emotion] for value in compared.values()),
        highest=max(compared, key=compared.__getitem__),
        n_nulls=n_nulls,
        null_mean=mean,
        null_sd=sd,
        null_distance=distance,
    )


def _row(table: pd.DataFrame, emotion: str) -> dict[str, float]:
    """Return the rises under the push of an emotion."""
    rises = table.loc[emotion].to_numpy(dtype=float)
    return {str(name): float(value) for name, value in zip(table.columns, rises, strict=True)}


def _verdict(emotion: str, effects: Mapping[str, OwnEffect], verb: str) -> tuple[bool | None, str]:
    """Return whether an emotion comes through, and why."""
    if len(effects) < LEAST_CHECKS:
        return None, "it was not measured whether the push induces the emotion"
    lost = [effect for effect in effects.values() if effect["rank"] > 1]
    if len(effects) - len(lost) < LEAST_CHECKS:
        rival = max((e["highest"] for e in lost), key=[e["highest"] for e in lost].count)
        return False, f"the push {verb} {rival!r} more than {emotion!r}"
    text = f"{verb} most in {len(effects) - len(lost)} of {len(effects)} checks"
    n_nulls = min(effect["n_nulls"] for effect in effects.values())
    if n_nulls < LEAST_NULLS:
        return True, text
    distances = [effect["null_distance"] or 0.0 for effect in effects.values()]
    beyond = sum(distance > NULL_SD for distance in distances)
    if beyond < LEAST_CHECKS:
        found = ", ".join(f"{distance:.1f}" for distance in distances)
        return False, (
            f"the push {verb} {emotion!r} hardly more than null directions do ({found} sd of "
            f"{n_nulls} above their mean)"
        )
    return True, f"{text}, and in {beyond} beyond {NULL_SD:g} sd of {n_nulls} null directions"


def _split_half(about: Mapping[str, Any], emotion: str) -> float | None:
    """Return the cosine between the directions of two halves of the stimuli."""
    cosines = about.get("split_half", {}).get(emotion)
    return cosines[about["layers"][-1]] if cosines else None


def _perplexity_ratio(checks: pd.DataFrame, emotion: str, dose: float) -> float | None:
    """Return the perplexity of neutral texts under a push, relative to neutral."""
    rows = checks[checks["check"] == Check.PERPLEXITY]
    is_own = (rows["arm"] == Arm.STEERED) & (rows["emotion"] == emotion)
    is_own &= rows["intensity"].astype(float) == dose
    own, neutral = (
        part.set_index("item")["value"].astype(float)
        for part in (rows[is_own], rows[rows["arm"] == Arm.NEUTRAL])
    )
    differences = (own - neutral).dropna().to_numpy()
    return float(np.exp(differences.mean())) if len(differences) else None
