"""Every condition gets its own push, and only those that should."""

import pytest
import torch

from emotion_games.engine.directions import Directions
from emotion_games.experiment.conditions import Condition
from emotion_games.experiment.pushes import condition_pushes, push_ratios

VECTORS = {
    e: torch.randn(4, 8, generator=torch.Generator().manual_seed(i))
    for i, e in enumerate(("anger", "fear"))
}
SHUFFLED = {e: -v for e, v in VECTORS.items()}
ABOUT = {
    "layers": [1, 2],
    "calibration": {"anger": 1.5, "fear": 1.0},
    "push_ratio": {"anger": 0.2, "fear": 0.4},
}
DIRECTIONS = Directions(VECTORS, SHUFFLED, ABOUT | {"weights_hash": "w"})


def test_pushes_follow_arm_emotion_and_intensity():
    conditions = [
        Condition("neutral", "neutral", 0.0),
        Condition("steered", "anger", -0.5),
        Condition("shuffled", "fear", 1.0),
        Condition("random", "random_3", 1.0),
        Condition("prompted", "anger", 1.0),
    ]
    pushes = condition_pushes(DIRECTIONS, conditions)
    assert list(pushes) == ["steered-anger--0.5", "shuffled-fear-1", "random-3-1"]
    torch.testing.assert_close(pushes["steered-anger--0.5"], VECTORS["anger"][1:3] * -0.5 * 1.5 / 2)
    torch.testing.assert_close(pushes["shuffled-fear-1"], -VECTORS["fear"][1:3] / 2)
    torch.testing.assert_close(
        pushes["random-3-1"].norm(dim=-1), VECTORS["fear"][1:3].norm(dim=-1) / 2
    )


def test_ratios_grow_with_the_dose():
    conditions = [
        Condition("steered", "anger", -0.5),
        Condition("random", "random_3", 1.0),
        Condition("neutral", "neutral", 0),
    ]
    assert push_ratios(DIRECTIONS, conditions) == pytest.approx(
        {"steered-anger--0.5": 0.1, "random-3-1": 0.4}
    )
