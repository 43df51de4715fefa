"""The records of what is checked beside the choices: damage, feelings, and free answers."""

from typing import TypedDict

from emotion_games.analysis.statistics_parts import (
    Basis,
    Dosed,
    Estimate,
    Interval,
    Treatment,
    Who,
)


class FreeAnswer(TypedDict):
    scenario_id: str
    history: str
    text: str
    choice: str  # empty if the answer could not be read
    guided: str  # the likeliest option of the guided answer


# Free answers to the prompts of some guided ones.
class FormatCheck(Who, Basis):
    n_answers: int
    readable: Estimate  # share of the free answers
    as_guided: Estimate  # share of the readable ones that name the likeliest guided option
    free_minus_guided: Estimate  # in the outcome
    valid_mass: float | None  # probability of all options together, in the guided answers
    answers: list[FreeAnswer]


# Means over stories or items; of signs whose change is a factor, geometric ones.
class DamageCheck(TypedDict):
    value: float
    neutral: float
    change: float  # a difference or a factor
    interval: Interval  # of the change, of level 2 * confidence - 1
    tolerated: Interval  # the lowest and the highest change; None if there is no limit
    p: float  # one-sided: the change is at most what is tolerated
    p_holm: float | None  # over the signs of the condition
    passed: bool | None  # None if the interval is not within twice the tolerated change
    n: int  # stories or items
    unit: str


class Damage(Who, Basis):
    damaged: bool
    complete: bool  # every check was made, and damage would have been found
    reasons: list[str]  # of each sign that is damaged
    reason: str | None  # why the check is not complete
    # Probability of the better options in neutral, if it is too close to guessing to be of use.
    dominance_not_understood: float | None
    checks: dict[str, DamageCheck]


class Manipulation(Treatment, Basis):
    check: str
    estimate: float | None
    interval: Interval | None
    p: float | None
    sd: float
    n_items: int
    reason: str | None


# The emotion of a push in one check, in nats.
class OwnEffect(TypedDict):
    rise: float
    rises: dict[str, float]  # of all emotions, as they are compared
    rank: int  # among them; 1 if it rises most
    highest: str  # the emotion that rises most
    n_nulls: int  # null directions at this intensity
    null_mean: float | None  # of the rise of this emotion under them
    null_sd: float | None
    null_distance: float | None  # of the rise from their mean, in their sd


# Whether pushes with an emotion induce it.
class Induced(Dosed):
    came_through: bool | None  # None if too few checks were made
    reason: str
    checks: dict[str, OwnEffect]  # by check
    split_half: float | None  # cosine between directions of two halves of the stimuli
    accuracy: float | None  # of the emotion's held-out stimuli among the emotions
    perplexity_ratio: float | None  # of neutral texts, to neutral


# How many null directions raise any one emotion most in as many checks as an emotion needs.
class NullPasses(TypedDict):
    n_directions: int
    passed: int
