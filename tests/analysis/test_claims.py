"""When an emotion effect is claimed, and each reason that alone prevents it."""

import numpy as np
import pytest

from cell_arrays import cells_of_arrays
from emotion_games.analysis.claims import emotion_analysis, intensity_analysis
from emotion_games.analysis.contrasts import contrast_records, null_records
from emotion_games.analysis.inference import bootstrap_t_p, sign_flip_p
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game

EMOTIONS = ("anger", "fear", "joy")
SCENARIOS, NULLS = 24, 60


def settings(**changes):
    arms = SETTINGS["arms"] | {"random": {"matched": NULLS, "isotropic": 0}}
    return SETTINGS | {"emotions": list(EMOTIONS), "arms": arms} | changes


GAME = a_game(histories=("0", "1"))
PLAN = the_plan(settings(), GAME)


def arrays(effects, nulls=NULLS, n=SCENARIOS, arms=("steered",), seed=0, by_history=(0.0, 0.0)):
    """Cells of two histories and two orders, in which stories answer pushes differently."""
    rng = np.random.default_rng(seed)
    neutral = rng.uniform(0.3, 0.7, (2, n, 2))
    found = {("neutral", "neutral", 0.0): neutral}

    def pushed(effect):
        varying = np.array(by_history)[:, None, None] + rng.normal(0, 0.02, (1, n, 1))
        return neutral + effect + varying

    for arm in arms:
        found |= {(arm, emotion, 1.0): pushed(effect) for emotion, effect in effects.items()}
    # Means from -.05 to .05, so that the rank of an effect is known.
    spread = np.linspace(-0.05, 0.05, nulls)
    return found | {
        ("random", f"random_{j}", 1.0): neutral + mean + rng.normal(0, 1e-4, (1, n, 1))
        for j, mean in enumerate(spread)
    }


def intact(**changes):
    found = {"arm": "steered", "intensity": 1.0, "damaged": False, "complete": True}
    found |= {"reasons": [], "reason": None}
    return [found | {"emotion": emotion} | changes for emotion in EMOTIONS]


def judge(made, damages=None, interim=False, damaged=(), plan=PLAN):
    cells = cells_of_arrays(made, "scored")
    contrasts = contrast_records(cells, plan, set(damaged))
    nulls = null_records(cells, plan, set(damaged))
    damages = intact() if damages is None else damages
    return emotion_analysis(cells, contrasts, nulls, damages, plan, interim)


def judged(effects, damages=None, interim=False, damaged=(), plan=PLAN, **shape):
    return judge(arrays(effects, **shape), damages, interim, damaged, plan)


ONE = {"anger": 0.3, "fear": 0.0, "joy": 0.0}


def test_each_emotion_has_one_record_for_the_mean_over_histories():
    found = judged(ONE)
    assert list(found) == list(EMOTIONS)
    assert {record["history"] for record in found.values()} == {"mean"}
    assert {record["measure"] for record in found.values()} == {"scored"}
    assert [record["history"] for record in found["anger"]["histories"]] == ["0", "1"]


def test_an_effect_beyond_stories_and_null_directions_is_claimed():
    found = judged(ONE)
    anger = found["anger"]
    assert anger["claim"] is True and anger["moved"] is True and anger["claim_reasons"] == []
    assert anger["p_rank"] == pytest.approx(1 / (NULLS + 1))
    assert anger["p_claim"] == max(anger["p_moved"], anger["p_rank"])
    assert anger["p_claim_corrected"] == pytest.approx(3 / (NULLS + 1))
    assert not found["fear"]["claim"] and not found["fear"]["moved"]


def test_p_moved_is_the_larger_of_both_tests_over_stories():
    found = judged(ONE | {"fear": 0.004}, seed=3)["fear"]
    d = np.array(list(found["scenarios"].values()))[:, None]
    assert found["p_moved"] == max(sign_flip_p(d)[0], bootstrap_t_p(d)[0])


def test_p_rank_counts_the_directions_at_least_as_far_from_their_common_mean():
    found = judged(ONE | {"fear": 0.031})["fear"]
    effect = np.mean(list(found["scenarios"].values()))
    everyone = np.append(np.linspace(-0.05, 0.05, NULLS), effect)
    distance = np.abs(everyone - everyone.mean())
    assert found["p_rank"] == pytest.approx((distance >= distance[-1]).mean(), abs=1 / 91)
    assert 0.2 < found["p_rank"] < 0.6 and found["p_claim"] == found["p_rank"]


def test_an_effect_that_falls_from_neutral_and_rises_from_the_nulls_is_not_claimed():
    """The nulls lower the outcome by .2; the emotion lowers it by .05 only."""
    cells = arrays({"anger": -0.05, "fear": 0.0, "joy": 0.0})
    for key in cells:
        if key[0] == "random":
            cells[key] = cells[key] - 0.2
    found = judge(cells)["anger"]
    assert found["versus_neutral"]["estimate"] < 0 < found["versus_random"]["estimate"]
    assert found["moved"] and found["p_rank"] == pytest.approx(1 / (NULLS + 1))
    assert found["p_claim"] == 1.0 and not found["claim"]
    assert "in opposite directions" in found["claim_reasons"][0]


def test_both_corrections_over_the_emotions_by_hand():
    found = judged({"anger": 0.3, "fear": -0.25, "joy": 0.0})
    p = {emotion: found[emotion]["p_claim"] for emotion in EMOTIONS}
    least = 1 / (NULLS + 1)
    assert p["anger"] == p["fear"] == pytest.approx(least) and p["joy"] > 0.5
    # Benjamini and Hochberg: p times 3 over its rank, from the largest down.
    assert found["anger"]["p_claim_corrected"] == pytest.approx(least * 3 / 2)
    assert found["fear"]["p_claim_corrected"] == pytest.approx(least * 3 / 2)
    assert found["joy"]["p_claim_corrected"] == pytest.approx(p["joy"])
    # Holm: 3 times the smallest, and no later one is smaller.
    assert found["anger"]["p_claim_holm"] == pytest.approx(least * 3)
    assert found["fear"]["p_claim_holm"] == pytest.approx(least * 3)
    assert found["joy"]["p_claim_holm"] == pytest.approx(max(p["joy"], least * 3))
    assert {record["n_tests"] for record in found.values()} == {3}


def test_a_single_test_that_correction_makes_too_large_says_so():
    plan = PLAN | {"claim": PLAN["claim"] | {"null_directions": 20}}
    found = judged(ONE, nulls=24, plan=plan)["anger"]
    assert found["p_claim"] == pytest.approx(1 / 25) and not found["claim"]
    assert found["claim_reasons"] == [
        "not significant after correction (corrected p of the claim 0.12)"
    ]


BROKEN = intact(damaged=True, reasons=["perplexity 9"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effects": dict.fromkeys(EMOTIONS, 0.0)}, "no significant difference from neutral"),
        ({"effects": ONE | {"anger": 0.04}}, "no significant difference from null directions"),
        ({"nulls": 0}, "claims are not testable: 0 undamaged null directions of 59 needed"),
        ({"nulls": 58}, "claims are not testable: 58 undamaged null directions of 59 needed"),
        ({"n": 23}, "claims are not testable: 23 scenarios of 24 needed"),
        ({"n": 8}, "claims are not testable: 8 scenarios of 24 needed"),
        ({"damages": BROKEN}, "damages the model: perplexity 9"),
        (
            {"damages": intact(complete=False, reason="cannot judge: no texts")},
            "the damage check is incomplete (cannot judge: no texts)",
        ),
        ({"damages": []}, "damage check is incomplete"),
        ({"interim": True}, "interim"),
    ],
)
def test_each_reason_alone_prevents_the_claim(changes, reason):
    found = judged(**{"effects": ONE} | changes)["anger"]
    assert found["claim"] is False
    assert any(reason in text for text in found["claim_reasons"]), found["claim_reasons"]


def test_an_unfinished_experiment_has_moved_nothing():
    assert judged(ONE, interim=True)["anger"]["moved"] is False


def test_damaged_null_directions_leave_the_reference_and_are_counted():
    cells = arrays(ONE, nulls=62)
    everyone = [key[1] for key in cells if key[0] == "random"]
    assert judged(ONE, nulls=62)["anger"]["n_nulls"] == 62
    found = judged(ONE, nulls=62, damaged=["random-0-1", "random-1-1", "random-61-1"])["anger"]
    assert (found["n_nulls"], found["n_damaged_nulls"]) == (59, 3)
    assert found["versus_random"]["n_directions"] == len(everyone) - 3 and found["claim"]
    found = judged(ONE, nulls=61, damaged=["random-0-1", "random-1-1", "random-2-1"])["anger"]
    assert not found["claim"] and any(
        "58 undamaged null directions" in reason for reason in found["claim_reasons"]
    )


def test_histories_are_tested_only_if_their_mean_has_moved():
    found = judged({"anger": 0.0, "fear": 0.3, "joy": 0.0}, by_history=(0.2, -0.2))
    anger, fear = found["anger"], found["fear"]
    # Both histories move far in opposite directions; their mean does not.
    assert not anger["moved"] and [h["p_holm"] for h in anger["histories"]] == [None, None]
    assert all(h["p"] < 0.01 for h in anger["histories"])
    assert fear["moved"]
    p = [history["p"] for history in fear["histories"]]
    assert [h["p_holm"] for h in fear["histories"]] == pytest.approx([2 * min(p), 2 * min(p)])
    assert fear["histories"][0]["estimate"] == pytest.approx(0.5, abs=0.02)


def test_halves_of_the_stimuli_agree_if_both_have_the_sign_of_the_effect():
    arms = ("steered", "first_half", "second_half")
    found = judged(ONE, arms=arms)["anger"]
    assert found["halves_agree"] is True
    assert found["first_half"]["estimate"] == pytest.approx(0.3, abs=0.02)
    assert judged(ONE)["anger"]["halves_agree"] is None
    cells = arrays(ONE, arms=arms)
    cells["second_half", "anger", 1.0] = cells["neutral", "neutral", 0.0] - 0.1
    assert judge(cells)["anger"]["halves_agree"] is False
    # No change has no sign, nor has a rounding error.
    cells["second_half", "anger", 1.0] = cells["neutral", "neutral", 0.0] - 1e-16
    assert judge(cells)["anger"]["halves_agree"] is None


def test_intensities_are_listed_in_order_with_the_headline_marked():
    keys = ("estimate", "interval", "p", "n_scenarios", "history", "unit", "method")
    record = dict.fromkeys(keys) | {"contrast": "emotion_minus_neutral", "measure": "scored"}
    record |= {"emotion": "anger", "role": "x", "damaged": False}
    found = intensity_analysis([record | {"intensity": i} for i in (1.5, -0.5, 1.0)], PLAN)
    assert list(found) == ["-0.5", "1", "1.5"]
    assert [rows[0]["headline"] for rows in found.values()] == [False, True, False]
