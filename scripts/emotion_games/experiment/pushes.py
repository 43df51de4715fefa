"""The pushes of the conditions: the vectors that are added to the hidden states.

`engine.directions` scales the directions of emotions and rotates those of the random arm.
"""

from collections.abc import Sequence

from torch import Tensor

from emotion_games.engine.directions import Directions
from emotion_games.experiment.conditions import Arm, Condition


def condition_pushes(directions: Directions, conditions: Sequence[Condition]) -> dict[str, Tensor]:
    """Return the push of every condition that has one, by name, each `(steered layers, hidden)`."""
    pushes = {}
    for c in conditions:
        if c.arm == Arm.RANDOM:
            pushes[c.name] = directions.random_push(c.random_seed, c.intensity)
        elif c.is_pushed:
            pushes[c.name] = directions.push(c.emotion, c.intensity, c.arm == Arm.SHUFFLED)
    return pushes


def push_ratios(directions: Directions, conditions: Sequence[Condition]) -> dict[str, float]:
    """Return ‖push‖/‖h‖ of each pushed condition, at the steered layer where it is largest.

    The ratio is measured once per emotion, at intensity 1, and a push grows with the intensity.
    """
    ratios = {}
    for c in conditions:
        if c.is_pushed:
            # A random direction is the push of an emotion, turned, and has its size.
            is_random = c.arm == Arm.RANDOM
            emotion = directions.turned_emotion(c.random_seed) if is_random else c.emotion
            ratios[c.name] = round(directions.about["push_ratio"][emotion] * abs(c.intensity), 5)
    return ratios
