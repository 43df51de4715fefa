"""Equilibrium play and regret in the trials of an experiment.

They mean something only if the prompts showed the payoffs: without them a story has no fixed
equilibrium.
"""

import json

import numpy as np
import pandas as pd

from emotion_games.games.equilibria import solve_node
from emotion_games.games.records import Game


def rationality_rows(game: Game, trials: pd.DataFrame) -> list[dict]:
    """Share of equilibrium play and mean regret in points, by condition, history and the choices that stories offer.

    `trials` is the results table; only answers that could be read count. Each row says its number of answers.
    """
    answered = trials[trials["choice"] != ""]
    rows = []
    keys = ["arm", "emotion", "intensity", "history"]
    for (arm, emotion, intensity, history), group in answered.groupby(keys, sort=False):
        node = next(h for h in game.histories if h.name == history)
        offers = group["option_order"].map(
            lambda shown: tuple(sorted(json.loads(shown), key=game.labels.index))
        )
        solved = {labels: solve_node(game, node, labels) for labels in offers.unique()}
        pairs = list(zip(offers, group["choice"], strict=True))
        rows.append(
            {
                "arm": arm,
                "emotion": emotion,
                "intensity": intensity,
                "history": history,
                "equilibrium_share": float(
                    np.mean([choice in solved[labels].best for labels, choice in pairs])
                ),
                "mean_regret": float(
                    np.mean([solved[labels].regret[choice] for labels, choice in pairs])
                ),
                "n_trials": len(pairs),
                "unit": "share of answers; points lost against the best choice",
                "method": next(iter(solved.values())).basis,
            }
        )
    return rows
