"""Two tables agree exactly when every trial says the same."""

import pandas as pd
import pytest

from emotion_games.errors import UserError
from emotion_games.repeat import NUMBERS, compare, repeat


def table(**changes):
    rows = {
        "trial_id": ["a", "b"],
        "output": ["x", ""],
        "choice": ["go", ""],
        **{name: ['{"go": 0.25, "wait": 0.75}', ""] for name in NUMBERS[:3]},
        **{name: ["0.9", ""] for name in NUMBERS[3:]},
    }
    return pd.DataFrame(rows | changes, dtype=str).set_index("trial_id")


def test_equal_tables_agree():
    assert compare(table(), table()).holds
    assert compare(table(), table(valid_mass=["0.90001", ""])).holds


@pytest.mark.parametrize(
    "changes",
    [
        {"output": ["y", ""]},
        {"choice": ["wait", ""]},
        {"valid_mass": ["0.91", ""]},
        {"valid_mass": ["", ""]},
        {"choice_probabilities": ['{"go": 0.26, "wait": 0.74}', ""]},
        {"choice_probabilities": ['{"go": 1.0}', ""]},
        {"trial_id": ["a", "c"]},
    ],
)
def test_any_difference_is_told(changes):
    agreement = compare(table(), table(**changes))
    assert not agreement.holds and "DIFFER" in str(agreement)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="not the folder of a finished experiment"):
        repeat(tmp_path, tmp_path, {})
