"""How natural the form of guided answers is: the same prompts, answered freely.

If free answers can be read and agree with the guided ones, the form does not cause the result.
"""

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import trial_measures
from emotion_games.analysis.check_results import FormatCheck, FreeAnswer
from emotion_games.analysis.inference import rate_interval
from emotion_games.analysis.mean_tests import compare
from emotion_games.analysis.statistics_parts import Estimate, Who, narrowed
from emotion_games.experiment.analysis_plan import SCORED, SCORED_AFTER
from emotion_games.games.records import Game


def format_records(table: pd.DataFrame, game: Game, confidence: float) -> list[FormatCheck]:
    """Compare the free answers of each condition with the guided ones to the same prompts.

    Args:
        table: The results as returned by `tidy`; at most one free answer a scenario and condition.
        game: The game with the choices on offer.
        confidence: The level of the intervals.
    """
    asked = table[table["free_method"] != ""].reset_index(drop=True)
    groups = asked.groupby("condition", sort=False)
    return [_record(rows.reset_index(drop=True), game, confidence) for _, rows in groups]


def _record(rows: pd.DataFrame, game: Game, confidence: float) -> FormatCheck:
    measures = trial_measures(rows, game)
    # The option is drawn after the rationale, if there is one.
    is_after = not np.isnan(measures[SCORED_AFTER]).all()
    measure, mass = (SCORED_AFTER, "valid_mass_after") if is_after else (SCORED, "valid_mass")
    shares = np.column_stack([measures[f"{measure}:{label}"] for label in game.labels])
    likeliest = np.array(game.labels)[shares.argmax(1)]
    free = rows["free_choice"].to_numpy()
    readable = np.isin(free, game.labels)
    values = {choice.label: choice.value for choice in game.choices}
    outcome = np.array([values.get(label, np.nan) for label in free])
    same = np.where(readable, (free == likeliest).astype(float), np.nan)
    difference = compare({0: outcome - measures[measure]}, confidence, 1.0)[0]
    first = rows.iloc[0]
    return FormatCheck(
        **Who(
            condition=first["condition"],
            arm=first["arm"],
            emotion=first["emotion"],
            intensity=float(first["intensity"]),
        ),
        n_answers=len(rows),
        readable=_share(readable.astype(float), confidence),
        as_guided=_share(same, confidence),
        free_minus_guided=narrowed(difference, Estimate),
        valid_mass=float(rows[mass].mean()),
        answers=[
            FreeAnswer(scenario_id=scenario, history=history, text=text, choice=choice, guided=own)
            for scenario, history, text, choice, own in zip(
                *(rows[name] for name in ("scenario_id", "history", "free_output", "free_choice")),
                likeliest,
                strict=True,
            )
        ],
        unit=f"shares of answers; {game.outcome} in the free answer less the expected one under "
        "the guided probabilities, -1 to 1",
        method="one answer a scenario, in its first option order; Wilson intervals and a t "
        "interval over scenarios",
    )


def _share(values: np.ndarray, confidence: float) -> Estimate:
    """Return a share with its interval; NaN is not counted."""
    n = int((~np.isnan(values)).sum())
    return narrowed(rate_interval(values, n, True, confidence), Estimate)
