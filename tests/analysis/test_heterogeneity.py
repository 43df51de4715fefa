"""Random-effects summaries against their formulas and on planted differences."""

import numpy as np
import pytest
from scipy import stats

from emotion_games.analysis.heterogeneity import heterogeneity_records, summarize_effects


def row(model, game, estimate, **changes):
    found = {
        "model": model,
        "game": game,
        "history": "none",
        "emotion": "anger",
        "measure": "chosen",
    }
    found |= {
        "estimate": estimate,
        "se": 0.05,
        "damaged": False,
        "interim": False,
        "outcome": "cooperation",
    }
    return found | changes


def test_q_and_its_p_are_those_of_the_formula():
    effects, errors = [0.1, -0.05, 0.3], [0.05, 0.08, 0.1]
    found = summarize_effects(effects, errors, 0.95)
    weights = 1 / np.square(errors)
    centre = np.average(effects, weights=weights)
    q = (weights * (effects - centre) ** 2).sum()
    assert found["q"] == pytest.approx(q) and found["df"] == 2
    assert found["p_q"] == pytest.approx(stats.chi2.sf(q, 2))
    assert found["i2"] == pytest.approx(1 - 2 / q)


def test_paule_mandel_brings_q_to_its_expectation():
    effects, errors = np.array([0.5, -0.3, 0.1, 0.4]), np.array([0.05, 0.05, 0.08, 0.1])
    tau2 = summarize_effects(list(effects), list(errors), 0.95)["tau2"]
    weights = 1 / (errors**2 + tau2)
    centre = np.average(effects, weights=weights)
    assert (weights * (effects - centre) ** 2).sum() == pytest.approx(3, abs=1e-3)


def test_equal_effects_have_no_heterogeneity_and_an_honest_interval():
    found = summarize_effects([0.2, 0.2], [0.05, 0.05], 0.95)
    assert (found["i2"], found["tau2"]) == (0, pytest.approx(0, abs=1e-6))
    assert found["interval"][1] - found["estimate"] == pytest.approx(
        stats.t.ppf(0.975, 1) * 0.05 / np.sqrt(2)
    )


def test_one_effect_or_none_with_an_error_gives_a_reason():
    assert summarize_effects([0.2], [0.05], 0.95)["reason"]
    assert summarize_effects([0.2, 0.3], [0.05, None], 0.95)["estimate"] is None


def test_models_are_compared_within_a_game_and_games_within_a_model():
    rows = [
        row(m, g, e)
        for m, g, e in (("a", "X", 0.1), ("b", "X", 0.3), ("a", "Y", -0.4), ("b", "Y", 0.0))
    ]
    found = {(r["over"], r["game"] or r["model"]): r for r in heterogeneity_records(rows, 0.95)}
    assert set(found) == {("models", "X"), ("models", "Y"), ("games", "a"), ("games", "b")}
    assert found["games", "a"]["p_q"] < 0.001 and found["games", "a"]["members"] == [
        "X/none",
        "Y/none",
    ]


def test_damaged_and_unfinished_rows_stay_out():
    rows = [row("a", "X", 0.1), row("b", "X", 0.3, damaged=True), row("c", "X", 0.2, interim=True)]
    assert heterogeneity_records(rows, 0.95) == []
