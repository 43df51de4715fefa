"""Two tables agree if every trial has the same text, choice and numbers."""

import pandas as pd
import pytest

from emotion_games.errors import UserError
from emotion_games.experiment.repeat import changes, compare, repeat

PROBABILITIES = ("p_go", "after_p_go", "branch_p_go")


def table(**changes):
    rows = {
        "trial_id": ["a", "b"],
        "output": ["x", ""],
        "choice": ["go", ""],
        **{name: ["0.25", ""] for name in PROBABILITIES},
        **{name: ["0.9", ""] for name in ("valid_mass", "valid_mass_after")},
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
        {"valid_mass_after": ["0.8", ""]},
        {"after_p_go": ["0.5", ""]},
        {"p_go": ["0.26", ""]},
        {"branch_p_go": ["", ""]},
        {"trial_id": ["a", "c"]},
    ],
)
def test_any_difference_is_found(changes):
    agreement = compare(table(), table(**changes))
    assert not agreement.holds and "DIFFER" in str(agreement)


def test_changed_inputs_are_named_and_nothing_else():
    before = {
        "machine": {"packages": {"torch": "1", "numpy": "2"}, "gpus": ["A"]},
        "directions": {"content_hash": "c", "split_half": {"anger": [1.0]}},
        "seconds": {"load": 1.0},
    }
    now = {
        "machine": {"packages": {"torch": "3", "numpy": "2"}, "gpus": []},
        "directions": {"content_hash": "d", "split_half": {"anger": [0.5]}},
        "seconds": {"load": 2.0},
    }
    assert changes(before, before) == []
    assert changes(before, now) == [
        "directions.content_hash: c -> d",
        "machine.gpus: ['A'] -> []",
        "machine.packages.torch: 1 -> 3",
    ]


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="not the folder of a finished experiment"):
        repeat(tmp_path, tmp_path, None)
