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
NULLS = torch.randn(5, 4, 8, generator=torch.Generator().manual_seed(9))
ABOUT = {
    "layers": [1, 2],
    "hidden_norm": [1.0, 10.0, 20.0, 30.0],
    "natural_gap": {"anger": [0.1, 0.1, 0.3, 0.1], "fear": [0.1, 0.3, 0.5, 0.1]},
    "reference": ["anger", "fear"],
    "weights_hash": "w",
}
HALF = {e: 2 * v + 1 for e, v in VECTORS.items()}
DIRECTIONS = Directions(
    {"direction": VECTORS, "first_half": HALF, "second_half": VECTORS, "shuffled": SHUFFLED},
    {"matched": NULLS, "isotropic": NULLS.flip(0)},
    ABOUT,
)
CONDITIONS = [
    Condition("neutral", "neutral", 0.0),
    Condition("steered", "anger", -0.5),
    Condition("shuffled", "fear", 0.2),
    Condition("random", "random_3", 0.2),
    Condition("isotropic", "isotropic_3", 0.2),
    Condition("first_half", "anger", 0.2),
    Condition("prompted", "anger", 1.0),
]


@pytest.mark.parametrize("unit", ["hidden_norm", "gap", "raw"])
def test_pushes_follow_arm_emotion_intensity_and_unit(unit):
    pushes = condition_pushes(DIRECTIONS, CONDITIONS, unit)
    assert list(pushes) == [
        "steered-anger--0.5",
        "shuffled-fear-0.2",
        "random-3-0.2",
        "isotropic-3-0.2",
        "first_half-anger-0.2",
    ]
    steered, shuffled, random, isotropic, half = pushes.values()
    assert torch.equal(steered, DIRECTIONS.push("anger", -0.5, unit))
    assert torch.equal(shuffled, DIRECTIONS.push("fear", 0.2, unit, "shuffled"))
    assert torch.equal(random, DIRECTIONS.null_push(3, 0.2, unit))
    assert torch.equal(isotropic, DIRECTIONS.null_push(3, 0.2, unit, "isotropic"))
    assert torch.equal(half, DIRECTIONS.push("anger", 0.2, unit, "first_half"))
    assert len({tuple(push.flatten().tolist()) for push in pushes.values()}) == len(pushes)


@pytest.mark.parametrize(
    ("unit", "share"), [("hidden_norm", 1 / 2), ("gap", 0.4 / 2), ("raw", 1 / 10)]
)
def test_ratios_are_those_of_the_layer_where_the_push_is_largest(unit, share):
    assert push_ratios(DIRECTIONS, CONDITIONS, unit) == pytest.approx(
        {
            "steered-anger--0.5": 0.5 * share,
            "shuffled-fear-0.2": 0.2 * share,
            "random-3-0.2": 0.2 * share,
            "isotropic-3-0.2": 0.2 * share,
            "first_half-anger-0.2": 0.2 * share,
        },
        abs=1e-5,
    )
