"""The push of every condition: which vectors it adds, and how large they are beside the hidden states.

Knows conditions and directions; knows nothing of prompts or models.
"""

from collections.abc import Sequence

from torch import Tensor

from emotion_games.engine.directions import Directions
from emotion_games.experiment.conditions import Condition


def condition_pushes(directions: Directions, conditions: Sequence[Condition]) -> dict[str, Tensor]:
    """The push of every condition that has one: {name: (steered layers, hidden)}."""
    pushes = {}
    for c in conditions:
        if c.arm == "random":
            pushes[c.name] = directions.random_push(c.random_seed, c.intensity)
        elif c.is_pushed:
            pushes[c.name] = directions.push(c.emotion, c.intensity, shuffled=c.arm == "shuffled")
    return pushes


def push_ratios(directions: Directions, conditions: Sequence[Condition]) -> dict[str, float]:
    """‖push‖/‖h‖ of each condition at the steered layer where it is largest, from the ratio measured at intensity 1."""
    ratios, found = directions.about["push_ratio"], {}
    for c in conditions:
        if c.is_pushed:
            emotion = directions.turned_emotion(c.random_seed) if c.arm == "random" else c.emotion
            found[c.name] = round(ratios[emotion] * abs(c.intensity), 5)
    return found
