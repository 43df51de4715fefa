"""The planted truth: how likely each choice is in a game, after a history, under an emotion.

Knows the table in `truth.yaml` and its arithmetic; knows nothing of texts or models.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_games.data_files import read_data
from emotion_games.errors import UserError
from emotion_games.games.catalog import Game

NEUTRAL = "neutral"


@dataclass(frozen=True)
class GameTruth:
    """One game's row of the table. `order` holds the game's labels by ascending value (least prosocial first).

    `prosocial` maps an emotion to the expected value of the choice, `histories` a history to the shift of its log-odds.
    """

    order: tuple[str, ...]
    prosocial: Mapping[str, float]
    histories: Mapping[str, float] = field(default_factory=dict)


def load_truth(path: Path, games: Mapping[str, Game], flat: bool = False) -> dict[str, GameTruth]:
    """Read the table by game; with `flat` every emotion has the game's flat value. UserError in one line."""
    table = {}
    for name, row in read_data(path)["games"].items():
        emotions = {
            emotion: row["flat"] if flat else share for emotion, share in row["prosocial"].items()
        }
        for emotion, share in emotions.items():
            if not 0 < share < 1:
                raise UserError(
                    f"{path}: {name}, {emotion}: expected a number between 0 and 1, found {share}"
                )
        ladder = sorted(games[name].choices, key=lambda choice: choice.value)
        if NEUTRAL not in emotions or [choice.value for choice in ladder] not in (
            [0, 1],
            [0, 0.5, 1],
        ):
            raise UserError(
                f"{path}: {name}: expected a value for {NEUTRAL} and two or three evenly spaced choices"
            )
        table[name] = GameTruth(
            tuple(choice.label for choice in ladder), emotions, row.get("histories", {})
        )
    return table


def emotions_of(table: Mapping[str, GameTruth]) -> tuple[str, ...]:
    """Return every emotion of the table, neutral first."""
    names = {name for row in table.values() for name in row.prosocial}
    return (NEUTRAL, *sorted(names - {NEUTRAL}))


def prosocial(row: GameTruth, emotion: str, history: str, intensity: float = 1.0) -> float:
    """Return the expected value of the choice, in (0, 1).

    The log-odds move from those of neutral to those of the emotion in proportion to the intensity, past both ends too,
    which equals p_neutral^(1-a) * p_emotion^a, normalised, for every label.
    """
    odds = (1 - intensity) * _log_odds(row.prosocial[NEUTRAL]) + intensity * _log_odds(
        row.prosocial[emotion]
    )
    return 1 / (1 + math.exp(-odds - row.histories.get(history, 0.0)))


def planted_shift(row: GameTruth, emotion: str, history: str, intensity: float = 1.0) -> float:
    """Return the expected value under an emotion less that under neutral."""
    return prosocial(row, emotion, history, intensity) - prosocial(row, NEUTRAL, history)


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def shares(row: GameTruth, mean: float) -> dict[str, float]:
    """Return the share of every label for an expected value: binomial over the order of labels."""
    last = len(row.order) - 1
    return {
        label: math.comb(last, n) * mean**n * (1 - mean) ** (last - n)
        for n, label in enumerate(row.order)
    }


def value(row: GameTruth, shares_by_label: Mapping[str, float]) -> float:
    """Return the expected value of a distribution over the labels."""
    return sum(share * row.order.index(label) for label, share in shares_by_label.items()) / (
        len(row.order) - 1
    )
