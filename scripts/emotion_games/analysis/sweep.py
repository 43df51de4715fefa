"""Compare the settings of a sweep, and choose one of them, by what their pushes do.

A setting is a layer set, a position and a dose of one model. What the games measure, the outcome,
is shown beside each setting, and no part of the choice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypedDict

import numpy as np

from emotion_games.analysis.statistics_parts import first
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL, MEAN
from emotion_games.experiment.check_records import Check
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.spec import Configuration

CLEARED, UNCLEAR, DAMAGED = "cleared", "unclear", "damaged"
RULE = (
    "Of the settings whose pushes are cleared of damage for every emotion in every game of the "
    "sweep, the one in which most checks of most emotions find that the push raises its own "
    "emotion most; then the one that raises the own emotion furthest above the mean of the others "
    "(log-probability in both questions about the feeling); then the smaller dose. The outcome of "
    "the games is not used."
)
# The checks whose rises have the same unit, nats of the probability of a feeling.
_QUESTIONS = (Check.NAMED_EMOTION, Check.FELT_EMOTION)


# The configuration and the statistics of an experiment.
Experiment = tuple[Configuration, Statistics]


class Setting(TypedDict):
    """A setting of a sweep, and what its pushes do; None where that is not known."""

    model: str
    layer_set: str  # empty if it has no name
    layers: list[int]
    position: str
    intensity: float
    raised_most: int  # pairs of an emotion and a check in which the own emotion rises most
    checked: int  # all such pairs
    specific_rise: float | None  # of the own emotion above the mean of the others, in nats
    damage: str  # `cleared`, `unclear` or `damaged`
    damage_reason: str  # empty if it is cleared
    perplexity_ratio: float | None  # of neutral texts, to neutral; the largest of the emotions
    split_half: float | None  # cosine of the directions of two halves of the stimuli
    outcome_change: float | None  # mean size of emotion - neutral over emotions and games
    null_change: float | None  # the same of null directions, at the dose that has them
    chosen: bool


def comparable(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Return the experiments of the games that were played at every place of the pushes.

    A series can have others: a game that was removed from the config while the sweep ran.
    """
    found = list(experiments)
    places = {_place(configuration) for configuration, _ in found}
    games: dict[str, set[tuple[str, str]]] = {}
    for configuration, _ in found:
        games.setdefault(configuration["game"], set()).add(_place(configuration))
    return [one for one in found if games[one[0]["game"]] == places]


def settings_of(experiments: Sequence[Experiment], model: str) -> list[Setting]:
    """Return the settings of one model, in the order of the experiments and then of the doses.

    Args:
        experiments: The experiments of the model, see `comparable`. Those of the same place of the
            pushes are one setting per dose, over all their games.
        model: The name of the model.
    """
    found: list[Setting] = []
    by_place = sorted(experiments, key=lambda one: _place(one[0]))
    order = list(dict.fromkeys(_place(configuration) for configuration, _ in experiments))
    groups = {place: list(own) for place, own in groupby(by_place, key=lambda one: _place(one[0]))}
    for place in order:
        own = groups[place]
        for dose in own[0][0]["settings"]["intensity"]:
            found.append(_setting(model, own, dose))
    best = _best(found)
    return [{**setting, "chosen": setting is best} for setting in found]


def chosen(settings: Sequence[Setting]) -> Setting:
    """Return the setting that was chosen.

    Raises:
        UserError: No setting fits.
    """
    best = first(settings, chosen=True)
    if best:
        return best
    kinds = [setting["damage"] for setting in settings]
    reasons = [s["damage_reason"] for s in settings if s["damage_reason"]]
    unchecked = sum(not setting["checked"] for setting in settings)
    raise UserError(
        f"{settings[0]['model']}: none of {len(settings)} settings fits: {kinds.count(DAMAGED)} "
        f"damage the model, {kinds.count(UNCLEAR)} could not be cleared of damage, {unchecked} "
        f"were not checked for their emotion ({next(iter(reasons), 'no check was made')}); add "
        "smaller doses, other layers, or more stories and check items"
    )


def _best(settings: Iterable[Setting]) -> Setting | None:
    fit = [s for s in settings if s["damage"] == CLEARED and s["checked"]]
    # Of equals the first one, in the order of the config.
    return max(fit, key=_merit, default=None)


def _merit(setting: Setting) -> tuple[float, float, float]:
    rise = setting["specific_rise"]
    share = setting["raised_most"] / setting["checked"]
    return share, -np.inf if rise is None else rise, -setting["intensity"]


def _place(configuration: Configuration) -> tuple[str, str]:
    settings = dict(configuration["settings"])
    return str(settings.get("layer_set", "")), str(settings.get("position", "all"))


def _setting(model: str, own: Sequence[Experiment], dose: float) -> Setting:
    configuration, statistics = own[0]
    layer_set, position = _place(configuration)
    about = configuration["directions"]
    # The checks of the pushes are the same in all games of a place.
    induced = [one for one in statistics["induced"] if one["intensity"] == dose]
    effects = [effect for one in induced for effect in one["checks"].values()]
    ratios = [one["perplexity_ratio"] for one in induced]
    damage, reason = _damage([statistics for _, statistics in own], dose)
    return Setting(
        model=model,
        layer_set=layer_set,
        layers=about["layers"],
        position=position,
        intensity=dose,
        raised_most=sum(effect["rank"] == 1 for effect in effects),
        checked=len(effects),
        specific_rise=_mean(_specific_rises(induced)),
        damage=damage,
        damage_reason=reason,
        perplexity_ratio=max((ratio for ratio in ratios if ratio is not None), default=None),
        split_half=_mean(
            cosines[layer] for cosines in about["split_half"].values() for layer in about["layers"]
        ),
        outcome_change=_mean(c for _, each in own for c in _changes(each, dose)),
        null_change=_mean(c for _, each in own for c in _null_changes(each, dose)),
        chosen=False,
    )


def _specific_rises(induced: Iterable[Mapping[str, Any]]) -> Iterator[float]:
    """Yield how far each push raises its own emotion above the mean of the others."""
    for one in induced:
        for check in _QUESTIONS:
            rises = dict(one["checks"].get(check, {}).get("rises", {}))
            if len(rises) > 1:
                rise = rises.pop(one["emotion"])
                yield rise - sum(rises.values()) / len(rises)


def _damage(games: Iterable[Statistics], dose: float) -> tuple[str, str]:
    """Return whether the pushes of a dose damage the model in any game, and why."""
    records = [
        record
        for statistics in games
        for record in statistics["damage"]
        if record["arm"] == Arm.STEERED and record["intensity"] == dose
    ]
    for record in records:
        if record["damaged"]:
            return DAMAGED, f"{record['emotion']}: {'; '.join(record['reasons'])}"
    for record in records:
        if not record["complete"]:
            return UNCLEAR, f"{record['emotion']}: {record['reason']}"
    return (CLEARED, "") if records else (UNCLEAR, "damage was not checked")


def _where(statistics: Statistics) -> dict[str, str]:
    """Return the measure of the claims, at the mean over histories."""
    histories = statistics["meta"]["histories"]
    history = MEAN if len(histories) > 1 else histories[0]
    return {"history": history, "measure": statistics["plan"]["claim"]["measure"]}


def _changes(statistics: Statistics, dose: float) -> Iterator[float]:
    """Yield the size of each emotion's change of the outcome."""
    wanted = _where(statistics) | {"contrast": EMOTION_MINUS_NEUTRAL}
    for record in statistics["contrasts"]:
        fits = all(record.get(key) == value for key, value in wanted.items())
        if fits and record["intensity"] == dose and record["estimate"] is not None:
            yield abs(record["estimate"])


def _null_changes(statistics: Statistics, dose: float) -> Iterator[float]:
    wanted = _where(statistics) | {"arm": str(Arm.RANDOM), "intensity": dose}
    for record in statistics["null_directions"]:
        if all(record.get(key) == value for key, value in wanted.items()):
            yield from map(abs, record["effects"].values())


def _mean(numbers: Iterable[float]) -> float | None:
    values = list(numbers)
    return float(np.mean(values)) if values else None
