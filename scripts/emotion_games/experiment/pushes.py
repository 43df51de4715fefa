"""The pushes of the conditions: the vectors that are added to the hidden states."""

from collections.abc import Sequence

from torch import Tensor

from emotion_games.engine.directions import (
    DIRECTION,
    FIRST_HALF,
    ISOTROPIC,
    MATCHED,
    SECOND_HALF,
    SHUFFLED,
    Directions,
)
from emotion_games.experiment.conditions import Arm, Condition

# The kind of direction of each arm.
KINDS = {
    Arm.STEERED: DIRECTION,
    Arm.COMBINED: DIRECTION,
    Arm.INSTRUCTED: DIRECTION,
    Arm.FIRST_HALF: FIRST_HALF,
    Arm.SECOND_HALF: SECOND_HALF,
    Arm.SHUFFLED: SHUFFLED,
    Arm.RANDOM: MATCHED,
    Arm.ISOTROPIC: ISOTROPIC,
}


def condition_pushes(
    directions: Directions, conditions: Sequence[Condition], unit: str
) -> dict[str, Tensor]:
    """Return every push of the conditions, by its name, each `(steered layers, hidden)`.

    Args:
        directions: The directions of the model.
        conditions: The conditions of the experiment.
        unit: The unit of their intensities; see `Directions.push`.
    """
    pushes = {}
    for c in conditions:
        arm = Arm(c.arm)
        if c.push is None or c.push in pushes:
            continue
        if arm.is_null:
            pushes[c.push] = directions.null_push(c.number, c.intensity, unit, KINDS[arm])
        else:
            pushes[c.push] = directions.push(c.emotion, c.intensity, unit, KINDS[arm])
    return pushes


def push_ratios(
    directions: Directions, conditions: Sequence[Condition], unit: str
) -> dict[str, float]:
    """Return ‖push‖/‖h‖ of each pushed condition, at the steered layer where it is largest."""
    pushed = (c for c in conditions if c.is_pushed)
    return {c.name: round(directions.push_ratio(c.intensity, unit), 5) for c in pushed}
