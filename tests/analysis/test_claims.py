"""When an emotion effect is claimed, and each reason that alone prevents it."""

import numpy as np
import pytest

from emotion_games.analysis.claims import emotion_analysis, equivalence_records, intensity_analysis
from emotion_games.analysis.inference import holm
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, cells_of, simulate

GAME = a_game()
PLAN = the_plan(SETTINGS | {"emotions": ["anger", "fear"]}, GAME)


def contrast(emotion, kind="emotion_minus_neutral", measure="chosen", **changes):
    record = {
        "contrast": kind,
        "arm": "steered",
        "emotion": emotion,
        "intensity": 1.0,
        "history": "none",
    }
    record |= {
        "measure": measure,
        "estimate": -0.3,
        "interval": [-0.4, -0.2],
        "p": 0.001,
        "p_holm": 0.002,
    }
    record |= {
        "n_scenarios": 24,
        "n_trials": 96,
        "unit": "u",
        "method": "m",
        "reason": None,
        "descriptive_only": False,
    }
    return record | changes


def against_random(emotion, **changes):
    return contrast(emotion, "emotion_minus_random", "scored", **changes)


def damage(emotion, **changes):
    found = {
        "arm": "steered",
        "emotion": emotion,
        "intensity": 1.0,
        "damaged": False,
        "complete": True,
        "reasons": [],
    }
    return found | changes


def anger(contrasts, damages=None, interim=False):
    rows = emotion_analysis(
        contrasts, [damage("anger")] if damages is None else damages, PLAN, interim
    )
    return rows["anger"][0]


BOTH = [contrast("anger"), against_random("anger")]
FEW = contrast("anger", p=None, descriptive_only=True, n_scenarios=8)


def test_a_claim_needs_both_contrasts_and_an_intact_model():
    found = anger(BOTH)
    assert found["claim"] is True and found["claim_reasons"] == []
    assert found["p_claim"] == 0.001


NEUTRAL, RANDOM = BOTH
BROKEN = damage("anger", damaged=True, reasons=["perplexity 9"])


@pytest.mark.parametrize(
    ("contrasts", "damages", "interim", "reason"),
    [
        (
            [contrast("anger", p=0.2), RANDOM],
            None,
            False,
            "no significant difference from neutral (corr",
        ),
        (
            [NEUTRAL, against_random("anger", p=0.2)],
            None,
            False,
            "no significant difference from random",
        ),
        ([NEUTRAL], None, False, "no random directions"),
        ([NEUTRAL, against_random("anger", estimate=0.3)], None, False, "differ in sign"),
        (BOTH, [BROKEN], False, "damages the model: perplexity 9"),
        (BOTH, [damage("anger", complete=False)], False, "damage check is incomplete"),
        (BOTH, [], False, "damage check is incomplete"),
        (BOTH, None, True, "interim"),
        ([FEW, against_random("anger", p=None)], None, False, "only 8 scenarios"),
        (
            [NEUTRAL, against_random("anger", p=None, reason="do not differ")],
            None,
            False,
            "do not differ",
        ),
        (
            [NEUTRAL, against_random("anger", p=np.nan, reason="all equal")],
            None,
            False,
            "all equal",
        ),
    ],
)
def test_each_reason_alone_prevents_the_claim(contrasts, damages, interim, reason):
    found = anger(contrasts, damages, interim)
    assert found["claim"] is False
    assert any(reason in text for text in found["claim_reasons"]), found["claim_reasons"]


def test_the_p_of_a_claim_is_the_larger_one_and_corrected_over_the_family():
    contrasts = [contrast("anger", p=0.001), against_random("anger", p=0.03)]
    contrasts += [contrast("fear", p=0.04), against_random("fear", p=0.02)]
    rows = emotion_analysis(contrasts, [damage("anger"), damage("fear")], PLAN, False)
    p = [rows[emotion][0]["p_claim"] for emotion in ("anger", "fear")]
    assert p == [0.03, 0.04]
    assert [rows[emotion][0]["p_claim_holm"] for emotion in ("anger", "fear")] == pytest.approx(
        holm(p)
    )
    assert not rows["anger"][0]["claim"]  # 0.06 after correction


def test_a_different_sign_of_the_branching_tokens_is_flagged():
    scored = [
        contrast("anger", measure="scored", estimate=-0.1),
        contrast("anger", measure="branch", estimate=0.1),
    ]
    assert anger(BOTH + scored)["branch_disagrees"] is True
    assert anger(BOTH)["branch_disagrees"] is None


def test_equivalence_is_corrected_and_needs_a_small_effect():
    trials = simulate(
        GAME, seed=1, n_scenarios=60, repeats=10, effects={"anger": -0.3}, effect_sd=0.02
    )
    records = equivalence_records(cells_of(trials, GAME), the_plan(SETTINGS, GAME), set())
    found = {(r["emotion"], r["measure"]): r for r in records}
    assert not found["anger", "scored"]["equivalent"]
    assert found["sadness", "scored"]["equivalent"] and found["sadness", "chosen"]["equivalent"]
    assert all(r["p_holm"] >= r["p"] for r in records)


def test_intensities_are_listed_in_order_with_the_headline_marked():
    records = [contrast("anger", intensity=i, role="x", damaged=False) for i in (1.5, -0.5, 1.0)]
    found = intensity_analysis(records, PLAN)
    assert list(found) == ["-0.5", "1", "1.5"]
    assert [rows[0]["headline"] for rows in found.values()] == [False, True, False]


def test_without_p_values_nothing_is_corrected():
    few = [contrast("anger", p=None, descriptive_only=True), against_random("anger", p=np.nan)]
    assert anger(few)["p_claim_holm"] is None
