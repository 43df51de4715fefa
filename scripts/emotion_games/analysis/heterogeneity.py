"""Effects over several models or several games of a series.

Exploratory, but for the index of an emotion over all games of a model, which is a family of its own
beside the claims of the experiments.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from emotion_games.analysis.corrections import benjamini_hochberg, holm
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.null_tests import claim_p, null_variance, rank_p
from emotion_games.analysis.statistics_parts import first
from emotion_games.analysis.statistics_records import EmotionEffect, Statistics
from emotion_games.experiment.conditions import Arm

# What is needed of an experiment: its game, its model, and its statistics.
Experiment = tuple[str, str, Statistics]
Record = dict[str, Any]
# Smaller variances are those of rounding.
_TINY = 1e-24
_MODELS = (
    "models as a random factor crossed with the scenarios that they share: F test of the models "
    "against their interaction with the scenarios; interval over both factors (Satterthwaite); "
    "exploratory"
)
_GAMES = (
    "unweighted mean of the games' effects; interval and p_moved from the standard errors of the "
    "games (Satterthwaite); p_rank among the same null directions, each averaged over the games; "
    "corrected over the emotions of the model"
)


def model_records(experiments: Iterable[Experiment], confidence: float) -> list[Record]:
    """Compare the models that decided in the same scenarios of a game.

    Damaged and unfinished effects are left out. Models are compared whose pushes act at the same
    place: in the same layer set and at the same position.

    Returns:
        One record for each game, emotion and place with two models or more: estimate, interval, sd
        (of the models' true effects), f, p, members, n_scenarios, reason.
    """
    groups: dict[tuple[Any, ...], list[tuple[str, EmotionEffect, str]]] = defaultdict(list)
    for game, model, analysis in experiments:
        place = [analysis["plan"].get(key) for key in ("layer_set", "position")]
        for emotion, effect in _sound(analysis):
            member = model, effect, analysis["meta"]["outcome"]
            groups[game, emotion, *place].append(member)
    records = []
    for (game, emotion, *_), members in groups.items():
        if len(members) < 2:
            continue
        effects = [effect for _, effect, _ in members]
        shared = set.intersection(*(set(effect["scenarios"]) for effect in effects))
        matrix = np.array([[e["scenarios"][name] for e in effects] for name in sorted(shared)])
        measured = MEASURES[effects[0]["measure"]].of(members[0][2])
        record = {
            "game_name": game,
            "emotion": emotion,
            "members": [model for model, _, _ in members],
        }
        record |= crossed(matrix.reshape(-1, len(members)), confidence)
        records.append(record | {"unit": f"difference in {measured}, -1 to 1", "method": _MODELS})
    return records


def crossed(matrix: np.ndarray, confidence: float) -> Record:
    """Summarize the effects of several models in the scenarios that they share.

    Args:
        matrix: `(scenarios, models)`.
        confidence: The level of the interval.
    """
    n, k = matrix.shape
    found: Record = dict.fromkeys(("estimate", "interval", "sd", "f", "p", "reason"))
    found["n_scenarios"] = n
    if n < 2:
        return found | {"reason": "fewer than two scenarios in common"}
    means, by_scenario = matrix.mean(0), matrix.mean(1)
    residuals = matrix - by_scenario[:, None] - means + means.mean()
    noise = (residuals**2).sum() / ((n - 1) * (k - 1))
    found |= {"estimate": means.mean(), "sd": null_variance(matrix) ** 0.5}
    if noise > _TINY:
        f = n * means.var(ddof=1) / noise
        found |= {"f": f, "p": stats.f.sf(f, k - 1, (n - 1) * (k - 1))}
    parts = np.array([by_scenario.var(ddof=1) / n, found["sd"] ** 2 / k])
    found["interval"] = _interval(means.mean(), parts, np.array([n - 1, k - 1]), confidence)
    return found


def game_records(experiments: Iterable[Experiment], confidence: float) -> list[Record]:
    """Return the index of each emotion over the games of a model, where there are two or more.

    Damaged and unfinished effects are left out. An index is claimed only if every game has the
    scenarios and the damage check that a claim of its own would need.
    """
    models: dict[str, list[tuple[str, Statistics]]] = defaultdict(list)
    for game, model, analysis in experiments:
        models[model].append((game, analysis))
    records = []
    for model, played in models.items():
        emotions = dict.fromkeys(name for _, a in played for name in a["emotion_analysis"])
        family = [_index(model, emotion, played, confidence) for emotion in emotions]
        known = [record for record in family if record]
        p_values = [record["p_claim"] for record in known]
        corrected = zip(known, benjamini_hochberg(p_values), holm(p_values), strict=True)
        for record, by_bh, by_holm in corrected:
            record |= {"p_claim_corrected": by_bh, "p_claim_holm": by_holm}
            is_small = by_bh is not None and by_bh <= 1 - confidence
            record["claim"] = is_small and record["testable"]
        records += known
    return records


def _index(
    model: str, emotion: str, played: Sequence[tuple[str, Statistics]], confidence: float
) -> Record | None:
    effects, nulls, members, is_testable = [], [], [], True
    for game, analysis in played:
        own = dict(_sound(analysis)).get(emotion)
        if own is None or own["versus_neutral"]["estimate"] is None:
            continue
        where = {"measure": own["measure"], "history": own["history"]}
        reference = first(analysis["null_directions"], arm=Arm.RANDOM, **where)
        effects.append(own)
        nulls.append(reference["effects"] if reference else {})
        members.append(game)
        is_testable &= _is_testable(own, analysis)
    if len(members) < 2:
        return None
    values = [np.array(list(effect["scenarios"].values())) for effect in effects]
    estimate = float(np.mean([own.mean() for own in values]))
    record: Record = {"model_name": model, "emotion": emotion, "members": members}
    record |= dict.fromkeys(("interval", "p_moved", "p_rank", "p_claim", "n_directions"))
    record |= {"estimate": estimate, "unit": "difference in each game's outcome, -1 to 1"}
    record |= {"method": _GAMES, "testable": is_testable}
    parts = np.array([own.var(ddof=1) / len(own) for own in values if len(own) > 1])
    if len(parts) < len(values) or not parts.all():
        return record
    parts, freedom = parts / len(values) ** 2, np.array([len(own) - 1 for own in values])
    record["interval"] = _interval(estimate, parts, freedom, confidence)
    df = parts.sum() ** 2 / (parts**2 / freedom).sum()
    record["p_moved"] = 2 * stats.t.sf(abs(estimate) / parts.sum() ** 0.5, df)
    shared = set.intersection(*map(set, nulls))
    record["n_directions"] = len(shared)
    if len(shared) > 1:
        means = np.array([np.mean([own[name] for own in nulls]) for name in sorted(shared)])
        record["p_rank"] = rank_p(estimate, means)
        record["p_claim"] = claim_p(
            record["p_moved"], record["p_rank"], estimate, estimate - means.mean()
        )
    return record


def _is_testable(effect: EmotionEffect, analysis: Statistics) -> bool:
    who = {"arm": Arm.STEERED, "emotion": effect["emotion"], "intensity": effect["intensity"]}
    damage, needed = first(analysis["damage"], **who), analysis["plan"]["claim"]["scenarios"]
    enough = effect["versus_neutral"]["n_scenarios"] >= needed
    return enough and damage is not None and damage["complete"]


def _sound(analysis: Statistics) -> list[tuple[str, EmotionEffect]]:
    if analysis["meta"]["interim"]:
        return []
    return [(name, e) for name, e in analysis["emotion_analysis"].items() if not e["damaged"]]


def _interval(
    estimate: float, parts: np.ndarray, freedom: np.ndarray, confidence: float
) -> list[float]:
    """Return the interval of an estimate whose variance is the sum of independent parts."""
    total = parts.sum()
    if total <= 0:
        return [estimate, estimate]
    df = total**2 / (parts**2 / freedom).sum()
    reach = stats.t.ppf(0.5 + confidence / 2, df) * total**0.5
    return [max(-1.0, estimate - reach), min(1.0, estimate + reach)]
