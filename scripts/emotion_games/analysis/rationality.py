"""Equilibrium play and regret in the trials of an experiment."""

import json
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.games.equilibria import solve_node
from emotion_games.games.records import Game

_UNIT = "share of the written choices; points lost against the best choice"
_HIDDEN = "the prompts did not show the payoffs, so the stories have no fixed equilibrium"


def rationality(game: Game, trials: pd.DataFrame, shows_payoffs: bool) -> dict[str, Any]:
    """Return equilibrium play and regret, available only if the prompts showed the payoffs."""
    if not shows_payoffs:
        return {"available": False, "reason": _HIDDEN, "rows": []}
    return {"available": True, "reason": None, "rows": rationality_rows(game, trials)}


def rationality_rows(game: Game, trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Compute the share of equilibrium play and the mean regret by condition and history.

    Args:
        game: The game.
        trials: The results table. Answers that could not be parsed do not count.

    Returns:
        arm, emotion, intensity, instruction, history, equilibrium_share, mean_regret (points),
        n_trials, unit and method (what the others are taken to do).
    """
    histories = {history.name: history for history in game.histories}
    answered = trials[trials["choice"] != ""]
    rows = []
    keys = ["arm", "emotion", "intensity", "instruction", "history"]
    for _, group in answered.groupby(keys, sort=False):
        where = group[keys].iloc[0].to_dict()
        solved, optimal, regret = {}, [], []
        for shown, choice in zip(group["option_order"], group["choice"], strict=True):
            # Scenarios may offer only some choices, which changes the equilibrium.
            offer = tuple(sorted(json.loads(shown), key=game.labels.index))
            if offer not in solved:
                solved[offer] = solve_node(game, histories[where["history"]], offer)
            optimal.append(choice in solved[offer].best)
            regret.append(solved[offer].regret[choice])
        row = where | {"equilibrium_share": np.mean(optimal), "mean_regret": np.mean(regret)}
        row |= {"n_trials": len(group), "unit": _UNIT, "method": next(iter(solved.values())).basis}
        rows.append(row)
    return rows
