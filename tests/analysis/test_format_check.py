"""The format check counts what was planted: readable answers, agreement, and the difference."""

import json

import numpy as np
import pandas as pd
import pytest

from emotion_games.analysis.cells import tidy
from emotion_games.analysis.experiment_statistics import strict
from emotion_games.analysis.format_check import format_records
from simulated_trials import a_game

GAME = a_game()
SCENARIOS = 12


def trials(free, likely, condition=("neutral", "neutral", 0.0), after=True):
    """Return trials with these free choices, where the likely option has a probability of .75."""
    rows = []
    for number, (choice, guided) in enumerate(zip(free, likely, strict=True)):
        other = {"cooperate": "defect", "defect": "cooperate"}[guided]
        probabilities = json.dumps({guided: 0.75, other: 0.25})
        row = dict(zip(("arm", "emotion", "intensity"), condition, strict=True))
        row |= {"scenario_id": f"s{number:02d}", "history": "none", "wording": 0, "repeat_num": 0}
        row |= {"option_order": json.dumps(["cooperate", "defect"]), "generated": True}
        row |= {"choice": guided, "extraction_method": "guided", "push_ratio": 0.0}
        row |= {"choice_probabilities": probabilities if not after else ""}
        row |= {"choice_probabilities_after": probabilities if after else ""}
        row |= {"valid_mass": 0.9, "valid_mass_after": 0.1 if after else np.nan}
        row |= {"free_output": f"answer {number}", "free_choice": choice or ""}
        row |= {"free_method": "strict" if choice else "unparsed: no json"}
        rows.append(row)
    return pd.DataFrame(rows)


# Nine of twelve can be read; six of these name the likely option.
FREE = ["cooperate"] * 6 + ["defect"] * 3 + [None] * 3
LIKELY = ["cooperate"] * 12


@pytest.mark.parametrize("after", [True, False])
def test_planted_figures_are_found_exactly(after):
    (found,) = format_records(tidy(trials(FREE, LIKELY, after=after)), GAME, 0.95)
    assert (found["condition"], found["n_answers"]) == ("neutral", SCENARIOS)
    assert found["readable"]["estimate"] == pytest.approx(9 / 12)
    assert found["as_guided"]["estimate"] == pytest.approx(6 / 9)
    assert (found["readable"]["n_scenarios"], found["as_guided"]["n_scenarios"]) == (12, 9)
    # Readable: 6 answers of 1 and 3 of 0, against .75 expected in each.
    difference = found["free_minus_guided"]
    assert difference["estimate"] == pytest.approx(6 / 9 - 0.75)
    low, high = difference["interval"]
    half = 2.306004 * np.std([1] * 6 + [0] * 3, ddof=1) / 3
    assert (low, high) == (
        pytest.approx(difference["estimate"] - half),
        pytest.approx(difference["estimate"] + half),
    )
    assert found["valid_mass"] == pytest.approx(0.1 if after else 0.9)


def test_every_free_answer_stays_visible_with_its_choice():
    (found,) = format_records(tidy(trials(FREE, LIKELY)), GAME, 0.95)
    assert [answer["text"] for answer in found["answers"]] == [f"answer {i}" for i in range(12)]
    assert [answer["choice"] or None for answer in found["answers"]] == FREE
    assert {answer["guided"] for answer in found["answers"]} == {"cooperate"}
    assert json.dumps(strict(found)).count('"text"') == SCENARIOS


def test_conditions_are_kept_apart():
    anger = trials([None] * 12, ["defect"] * 12, ("steered", "anger", 1.0))
    both = pd.concat([trials(FREE, LIKELY), anger], ignore_index=True)
    neutral, steered = format_records(tidy(both), GAME, 0.95)
    assert neutral["readable"]["estimate"] == pytest.approx(0.75)
    assert (steered["condition"], steered["readable"]["estimate"]) == ("steered-anger-1", 0)
    assert strict(steered["as_guided"]) == {"estimate": None, "interval": None, "n_scenarios": 0}
    assert strict(steered["free_minus_guided"])["estimate"] is None


def test_tables_without_free_answers_have_no_format_check():
    table = trials(FREE, LIKELY)
    assert format_records(tidy(table.assign(free_method="")), GAME, 0.95) == []
    columns = ["free_output", "free_choice", "free_method"]
    assert format_records(tidy(table.drop(columns=columns)), GAME, 0.95) == []
