"""Whether the checks on the emotion itself compare the right things."""

import pandas as pd
import pytest

from emotion_games.analysis.manipulation import manipulation_records
from simulated_trials import simulate_checks

COLUMNS = ["check", "arm", "emotion", "intensity", "item", "probabilities", "value"]


def one(records, **values):
    found = [r for r in records if all(r[key] == value for key, value in values.items())]
    assert len(found) == 1
    return found[0]


def test_induced_emotions_rise_with_the_dose():
    records = manipulation_records(simulate_checks(), 0.95)
    for check in ("self_report", "blind_label", "projection"):
        rise = [
            one(records, check=check, emotion="anger", intensity=i)["estimate"]
            for i in (0.5, 1.0, 1.5)
        ]
        assert rise == sorted(rise) and rise[0] > 0
        assert one(records, check=check, emotion="anger", intensity=1.0)["p"] < 0.001


def test_the_difference_is_paired_by_item_and_of_the_intended_label():
    rows = []
    for i in range(12):
        base = i / 24
        rows.append(
            (
                "self_report",
                "neutral",
                "neutral",
                0.0,
                f"s{i}",
                {"anger": base, "fear": 1 - base},
                None,
            )
        )
        rows.append(
            (
                "self_report",
                "steered",
                "anger",
                1.0,
                f"s{i}",
                {"anger": base + 0.25, "fear": 0.0},
                None,
            )
        )
    rows.append(("self_report", "steered", "anger", 1.0, "alone", {"anger": 1.0}, None))
    found = one(
        manipulation_records(pd.DataFrame(rows, columns=COLUMNS), 0.95), check="self_report"
    )
    assert found["estimate"] == pytest.approx(0.25) and found["n_items"] == 12


def test_random_directions_intend_no_emotion():
    assert {r["arm"] for r in manipulation_records(simulate_checks(), 0.95)} == {"steered"}


def test_without_neutral_rows_only_the_projection_is_estimated():
    checks = simulate_checks()
    records = manipulation_records(checks[checks["arm"] != "neutral"], 0.95)
    assert one(records, check="self_report", emotion="anger", intensity=1.0)["n_items"] == 0
    projection = one(records, check="projection", emotion="anger", intensity=1.0)
    assert (
        projection["estimate"] == pytest.approx(0.4, abs=0.06) and "from 0" in projection["method"]
    )


def test_prompted_emotions_are_compared_with_the_prompted_neutral():
    rows = [
        (
            "self_report",
            arm,
            emotion,
            1.0 if emotion == "anger" else 0.0,
            f"s{i}",
            f'{{"anger": {value}}}',
            None,
        )
        for i in range(12)
        for arm, emotion, value in (
            ("neutral", "neutral", 0.1),
            ("prompted_neutral", "neutral", 0.4),
            ("prompted", "anger", 0.6),
        )
    ]
    assert manipulation_records(pd.DataFrame(rows, columns=COLUMNS), 0.95)[0][
        "estimate"
    ] == pytest.approx(0.2)
