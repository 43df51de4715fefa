"""Equilibrium play and regret of known answers."""

from pathlib import Path

import pandas as pd

from emotion_games.analysis.rationality import rationality_rows
from emotion_games.games.catalog import load_game

GAMES = Path(__file__).parents[2] / "config" / "games"


def test_rationality_of_known_answers() -> None:
    columns = ["arm", "emotion", "intensity", "instruction", "history", "option_order", "choice"]
    shown = '["reject", "accept"]'
    answers = [
        ("offer_low", "accept"),
        ("offer_low", "reject"),
        ("offer_high", "reject"),
        ("offer_high", ""),
    ]
    trials = pd.DataFrame(
        [("neutral", "neutral", 0.0, "", h, shown, c) for h, c in answers], columns=columns
    )
    low, high = rationality_rows(load_game(GAMES / "Ultimatum_Game_Responder"), trials)
    assert (low["history"], low["equilibrium_share"], low["mean_regret"], low["n_trials"]) == (
        "offer_low",
        0.5,
        1.0,
        2,
    )
    assert (high["equilibrium_share"], high["mean_regret"], high["n_trials"]) == (0.0, 6.0, 1)


def test_instructions_are_not_mixed() -> None:
    shown = '["reject", "accept"]'
    answers = [("selfish", "accept"), ("selfish", "accept"), ("proud", "reject")]
    trials = pd.DataFrame(
        [
            {
                "arm": "instructed_neutral",
                "emotion": "neutral",
                "intensity": 0.0,
                "instruction": instruction,
                "history": "offer_low",
                "option_order": shown,
                "choice": choice,
            }
            for instruction, choice in answers
        ]
    )
    rows = rationality_rows(load_game(GAMES / "Ultimatum_Game_Responder"), trials)
    assert {row["instruction"]: row["equilibrium_share"] for row in rows} == {
        "selfish": 1.0,
        "proud": 0.0,
    }
