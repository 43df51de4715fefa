"""The planted truth: the probability of each choice, by game, history and emotion."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_games.data_files import read_data
from emotion_games.errors import UserError
from emotion_games.games.catalog import load_game
from emotion_games.games.records import Game
from emotion_games.prompts.stimuli import NEUTRAL

# The intensity, as a share of ‖h‖, at which a push has the whole planted effect.
WHOLE_INTENSITY = 0.2


@dataclass(frozen=True)
class GameTruth:
    """The planted truth of one game.

    Attributes:
        order: The labels of the choices by ascending value (least prosocial first).
        prosocial: The expected value of the choice by emotion, in (0, 1).
        histories: What a history adds to the log-odds of that value; 0 if it is not named.
    """

    order: tuple[str, ...]
    prosocial: Mapping[str, float]
    histories: Mapping[str, float] = field(default_factory=dict)


def load_games(demo_dir: Path) -> dict[str, Game]:
    """Load the games of the truth table from the folder of games beside `demo_dir`."""
    names = read_data(demo_dir / "truth.yaml")["games"]
    return {name: load_game(demo_dir.parent / "games" / name) for name in names}


def load_truth(demo_dir: Path, flat: bool = False) -> dict[str, GameTruth]:
    """Load `truth.yaml`, by game; with `flat`, every emotion has the game's flat value.

    Raises:
        UserError: A value or the choices of a game do not fit.
    """
    path, table = demo_dir / "truth.yaml", {}
    games = load_games(demo_dir)
    for name, row in read_data(path)["games"].items():
        prosocial = dict.fromkeys(row["prosocial"], row["flat"]) if flat else row["prosocial"]
        for emotion, share in prosocial.items():
            if not 0 < share < 1:
                raise UserError(
                    f"{path}: {name}, {emotion}: expected a number between 0 and 1, found {share}"
                )
        ladder = sorted(games[name].choices, key=lambda choice: choice.value)
        evenly_spaced = [choice.value for choice in ladder] in ([0, 1], [0, 0.5, 1])
        if NEUTRAL not in prosocial or not evenly_spaced:
            expected = f"a value for {NEUTRAL} and two or three evenly spaced choices"
            raise UserError(f"{path}: {name}: expected {expected}")
        labels = tuple(choice.label for choice in ladder)
        table[name] = GameTruth(labels, prosocial, row.get("histories", {}))
    return table


def prosocial(
    row: GameTruth, emotion: str, history: str, intensity: float = WHOLE_INTENSITY
) -> float:
    """Return the expected value of the choice, in (0, 1).

    The log-odds are interpolated linearly between neutral (intensity 0) and the emotion
    (WHOLE_INTENSITY), and extrapolated beyond. At a share a of that intensity, every label has the
    normalised product p_neutral^(1-a) * p_emotion^a.
    """
    neutral, felt = _log_odds(row.prosocial[NEUTRAL]), _log_odds(row.prosocial[emotion])
    share = intensity / WHOLE_INTENSITY
    odds = (1 - share) * neutral + share * felt
    return 1 / (1 + math.exp(-odds - row.histories.get(history, 0.0)))


def planted_shift(
    row: GameTruth, emotion: str, history: str, intensity: float = WHOLE_INTENSITY
) -> float:
    """Return the expected value under an emotion minus that under neutral."""
    return prosocial(row, emotion, history, intensity) - prosocial(row, NEUTRAL, history)


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def shares(row: GameTruth, mean: float) -> dict[str, float]:
    """Return the share of every label at an expected value: binomial over the order of labels."""
    # Two choices have the shares 1-p and p, three have (1-p)^2, 2p(1-p) and p^2.
    last = len(row.order) - 1
    return {
        label: math.comb(last, n) * mean**n * (1 - mean) ** (last - n)
        for n, label in enumerate(row.order)
    }


def value(row: GameTruth, shares_by_label: Mapping[str, float]) -> float:
    """Return the expected value of a distribution over the labels."""
    last = len(row.order) - 1
    return sum(share * row.order.index(label) for label, share in shares_by_label.items()) / last
