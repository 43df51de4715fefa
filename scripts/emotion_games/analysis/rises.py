"""What pushes raise: the change of each emotion's score from neutral, in nats.

The score of an emotion is the log of its probability among the emotions (`named_emotion`,
`felt_emotion`), or the mean log-likelihood per token of sentences about it (`held_out_sentences`).
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_games.experiment.check_records import WORD, Check
from emotion_games.experiment.conditions import Arm
from emotion_games.prompts.stimuli import NEUTRAL as NO_EMOTION

FEELINGS = (Check.NAMED_EMOTION, Check.FELT_EMOTION, Check.HELD_OUT)
# Probabilities are written with five digits; a smaller one counts as half of the last of them.
_FLOOR = 5e-6


@dataclass(frozen=True)
class Rises:
    """The rises in one check under one condition.

    Attributes:
        check: A name of `FEELINGS`.
        arm: The arm of the condition.
        emotion: Its emotion.
        intensity: Its dose.
        table: Items × emotions. At a negative dose, what falls is positive.
    """

    check: str
    arm: str
    emotion: str
    intensity: float
    table: pd.DataFrame

    @property
    def mean(self) -> pd.Series:
        """The mean rise of each emotion over the items."""
        return self.table.mean()


def rises(checks: pd.DataFrame) -> list[Rises]:
    """Return the rises of every condition that has a reference, in the order of the rows.

    A push makes any sentence less likely. So the rises of held-out sentences are those beyond the
    mean over the emotions whose sentences were read, if there are several.

    Args:
        checks: One row per item of a check and condition; see `check_records`.
    """
    found = []
    for check in FEELINGS:
        rows = checks[checks["check"] == check]
        scores = {key: _scores(check, own) for key, own in _conditions(rows)}
        for (arm, emotion, intensity), own in scores.items():
            reference = scores.get((Arm(arm).reference, NO_EMOTION, 0.0))
            if arm == Arm(arm).reference or reference is None:
                continue
            # Paired by item, so that items of different difficulty do not add noise.
            table = (own - reference).dropna(how="all") * (np.sign(intensity) or 1.0)
            if check == Check.HELD_OUT and len(table.columns) > 1:
                table -= table.mean().mean()
            found.append(Rises(check, arm, emotion, intensity, table))
    return found


def _conditions(rows: pd.DataFrame) -> list[tuple[tuple[str, str, float], pd.DataFrame]]:
    found = []
    for _, own in rows.groupby(["arm", "emotion", "intensity"], sort=False):
        arm, emotion, intensity = own[["arm", "emotion", "intensity"]].iloc[0]
        found.append(((str(arm), str(emotion), float(intensity)), own))
    return found


def _scores(check: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each emotion, items × emotions."""
    if check == Check.HELD_OUT:
        places = rows["item"].str.split(WORD, expand=True)
        table = rows.assign(emotion=places[0], number=places[1], value=rows["value"].astype(float))
        return table.pivot(index="number", columns="emotion", values="value")
    probabilities = pd.DataFrame(list(rows["probabilities"].map(_mapping)), index=rows["item"])
    return probabilities.clip(lower=_FLOOR).apply(np.log)


def _mapping(cell: object) -> dict[str, float]:
    """The content of a cell: a mapping, or its JSON."""
    return json.loads(cell) if isinstance(cell, str) else dict(cell)  # type: ignore[call-overload]
