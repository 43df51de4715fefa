"""Whether the manipulation checks find what pushes raise, with planted rises."""

import json
import math

import pandas as pd
import pytest

from emotion_games.analysis.manipulation import (
    induced_records,
    manipulation_records,
    mark_failures,
    null_passes,
)
from emotion_games.analysis.rises import rises
from simulated_trials import simulate_checks

COLUMNS = ["check", "arm", "emotion", "intensity", "item", "probabilities", "value"]
EMOTIONS = ("anger", "fear", "happiness")
ABOUT = {
    "layers": [1, 2],
    "split_half": {"anger": [0.1, 0.2, 0.6, 0.3]},
    "accuracy_by_emotion": {"anger": 0.75},
}
# Rises that come through: of the own emotion 1, of the others 0.
CLEAR = {e: {o: float(o == e) for o in EMOTIONS} for e in EMOTIONS}


def feelings(check, arm, emotion, dose, shifts, items=3):
    """Rows in which the log-probability of each emotion is shifted from items that differ."""
    rows = []
    for item in range(items):
        logs = {e: -1.0 - item * (number + 1) / 4 for number, e in enumerate(EMOTIONS)}
        # Not normalised: a common factor would move all emotions alike.
        given = {e: math.exp(value - 1 + shifts.get(e, 0.0)) for e, value in logs.items()}
        rows.append((check, arm, emotion, dose, str(item), json.dumps(given), None))
    return rows


def sentences(arm, emotion, dose, shifts, items=2):
    rows = []
    for number, about in enumerate(EMOTIONS):
        for item in range(items):
            value = -3.0 - number - item / 2 + shifts.get(about, 0.0)
            rows.append(("held_out_sentences", arm, emotion, dose, f"{about}/{item}", None, value))
    return rows


def condition(arm, emotion, dose, shifts):
    rows = feelings("named_emotion", arm, emotion, dose, shifts)
    rows += feelings("felt_emotion", arm, emotion, dose, shifts)
    return rows + sentences(arm, emotion, dose, shifts)


def table(steered=None, nulls=(), dose=0.2, more=()):
    rows = condition("neutral", "neutral", 0.0, {})
    for emotion, shifts in (CLEAR if steered is None else steered).items():
        rows += condition("steered", emotion, dose, shifts)
    for number, shifts in enumerate(nulls):
        rows += condition("random", f"random_{number}", 0.2, shifts)
    return pd.DataFrame([*rows, *more], columns=COLUMNS)


def judged(checks, about=ABOUT, headline=0.2):
    return {r["emotion"]: r for r in induced_records(rises(checks), checks, about, headline)}


def one(records, **values):
    found = [r for r in records if all(r[key] == value for key, value in values.items())]
    assert len(found) == 1
    return found[0]


def test_the_rise_is_the_mean_difference_of_logs_by_item():
    records = manipulation_records(rises(table({"anger": {"anger": 0.7, "fear": 0.1}})), 0.95)
    for check in ("named_emotion", "felt_emotion"):
        found = one(records, check=check)
        assert found["estimate"] == pytest.approx(0.7) and found["n_items"] == 3
        assert "in nats" in found["unit"]
    # Of sentences, the rise beyond the mean of .7, .1 and 0.
    found = one(records, check="held_out_sentences")
    assert found["estimate"] == pytest.approx(0.7 - 0.8 / 3) and found["n_items"] == 2


def test_an_item_without_its_neutral_answer_does_not_count():
    lone = ("named_emotion", "steered", "anger", 0.2, "9", '{"anger": 1.0}', None)
    records = manipulation_records(rises(table({"anger": {"anger": 0.7}}, more=[lone])), 0.95)
    assert one(records, check="named_emotion")["n_items"] == 3


def test_a_probability_of_zero_counts_as_half_of_the_last_digit():
    rows = [
        ("named_emotion", arm, emotion, dose, "0", json.dumps({"anger": p, "fear": 0.5}), None)
        for arm, emotion, dose, p in (
            ("neutral", "neutral", 0.0, 0.0),
            ("steered", "anger", 1, 0.5),
        )
    ]
    (found,) = rises(pd.DataFrame(rows, columns=COLUMNS))
    assert found.mean["anger"] == pytest.approx(math.log(0.5 / 5e-6))


def test_prompted_emotions_are_compared_with_the_prompted_neutral():
    rows = feelings("named_emotion", "prompted_neutral", "neutral", 0.0, {"anger": 0.4})
    rows += feelings("named_emotion", "prompted", "anger", 1.0, {"anger": 1.0})
    records = manipulation_records(rises(table(more=rows)), 0.95)
    assert one(records, arm="prompted")["estimate"] == pytest.approx(0.6)


def test_random_directions_intend_no_emotion_and_simulated_ones_rise_with_the_dose():
    records = manipulation_records(rises(simulate_checks()), 0.95)
    assert {r["arm"] for r in records} == {"steered"}
    for check in ("named_emotion", "felt_emotion", "held_out_sentences"):
        doses = [
            one(records, check=check, emotion="anger", intensity=dose) for dose in (0.5, 1.0, 1.5)
        ]
        estimates = [dose["estimate"] for dose in doses]
        assert estimates == sorted(estimates) and estimates[0] > 0


def test_ranks_are_among_all_emotions_of_the_check():
    pushed = CLEAR | {"fear": {"anger": 0.5, "fear": 0.3, "happiness": 0.9}}
    found = judged(table(pushed))["fear"]["checks"]
    for check in ("named_emotion", "felt_emotion"):
        assert (found[check]["rank"], found[check]["highest"]) == (3, "happiness")
        assert found[check]["rises"] == pytest.approx(pushed["fear"])
    assert judged(table(pushed))["anger"]["checks"]["named_emotion"]["rank"] == 1


def test_sentences_that_react_to_any_push_are_centred_out():
    # Every push makes sentences about happiness likelier, by 2.
    pushed = {e: {o: (o == e) + 2 * (o == "happiness") for o in EMOTIONS} for e in EMOTIONS}
    found = judged(table(pushed))["anger"]["checks"]["held_out_sentences"]
    assert found["rank"] == 1
    assert found["rises"] == pytest.approx({"anger": 2 / 3, "fear": -1 / 3, "happiness": -1 / 3})
    assert found["rise"] == pytest.approx(1 - 1), "beyond the mean of 1, 0 and 2"


def nulls(rises_of_anger):
    return [{"anger": rise} for rise in rises_of_anger]


def test_the_own_effect_is_in_sd_of_the_null_directions():
    spread = [0.1, 0.3] * 5
    found = judged(table(nulls=nulls(spread)))["anger"]["checks"]["named_emotion"]
    sd = math.sqrt(10 * 0.01 / 9)
    assert (found["n_nulls"], found["null_mean"]) == (10, pytest.approx(0.2))
    assert found["null_sd"] == pytest.approx(sd)
    assert found["null_distance"] == pytest.approx(0.8 / sd)
    sentence = judged(table(nulls=nulls(spread)))["anger"]["checks"]["held_out_sentences"]
    # Two thirds of each null's rise are beyond its mean over the emotions.
    assert sentence["null_sd"] == pytest.approx(sd * 2 / 3)
    assert sentence["null_distance"] == pytest.approx(0.8 / sd)


def test_an_emotion_comes_through_if_it_rises_most_in_two_checks():
    found = judged(table())["anger"]
    assert found["came_through"] is True
    assert found["reason"] == "raised most in 3 of 3 checks"
    rows = table()
    other = rows["check"] != "felt_emotion"
    weak = feelings("felt_emotion", "steered", "anger", 0.2, {"fear": 0.4})
    weak += feelings("felt_emotion", "neutral", "neutral", 0.0, {})
    changed = pd.concat([rows[other], pd.DataFrame(weak, columns=COLUMNS)])
    assert judged(changed)["anger"]["came_through"] is True
    assert judged(changed)["anger"]["reason"].startswith("raised most in 2 of 3 checks")


def test_an_emotion_fails_if_another_rises_more_in_two_checks():
    found = judged(table(CLEAR | {"anger": {"anger": 0.5, "happiness": 0.9}}))["anger"]
    assert found["came_through"] is False
    assert found["reason"] == "the push raised 'happiness' more than 'anger'"


def test_ten_null_directions_that_rise_as_much_make_an_emotion_fail():
    loud = nulls([-1.0, 1.0] * 5)
    assert judged(table(nulls=loud[:9]))["anger"]["came_through"] is True
    found = judged(table(nulls=loud))["anger"]
    assert found["came_through"] is False
    assert found["reason"] == (
        "the push raised 'anger' hardly more than null directions do (0.9, 0.9, 0.9 sd of 10 above "
        "their mean)"
    )
    quiet = judged(table(nulls=nulls([-0.1, 0.1] * 5)))["anger"]
    assert quiet["came_through"] is True
    assert quiet["reason"] == (
        "raised most in 3 of 3 checks, and in 3 beyond 2 sd of 10 null directions"
    )


def test_null_directions_count_at_their_own_dose_only():
    found = judged(table(nulls=nulls([-1.0, 1.0] * 5), dose=0.1))["anger"]
    assert found["came_through"] is True and found["checks"]["named_emotion"]["n_nulls"] == 0


def test_at_a_negative_dose_the_own_emotion_must_fall_most():
    fallen = {e: {o: -rise for o, rise in CLEAR[e].items()} for e in EMOTIONS}
    found = judged(table(fallen, dose=-0.2), headline=-0.2)["anger"]
    assert found["came_through"] is True and found["reason"].startswith("lowered most in 3 of 3")
    risen = judged(table(dose=-0.2), headline=-0.2)["anger"]
    assert risen["came_through"] is False and "the push lowered" in risen["reason"]


def test_one_check_alone_judges_nothing():
    checks = table()
    found = judged(checks[checks["check"] == "named_emotion"])["anger"]
    assert found["came_through"] is None and "not measured" in found["reason"]
    assert judged(checks[checks["check"] == "dominance"]) == {}


def test_a_single_emotion_has_sentences_to_compare_with_none():
    checks = table({"anger": CLEAR["anger"]})
    about_others = checks["item"].str.startswith(("fear/", "happiness/"))
    found = judged(checks[~about_others])["anger"]
    assert set(found["checks"]) == {"named_emotion", "felt_emotion"} and found["came_through"]


def test_stability_accuracy_and_perplexity_stand_beside_the_verdict():
    texts = [
        ("perplexity", arm, emotion, dose, str(item), None, value)
        for item in range(4)
        for arm, emotion, dose, value in (
            ("neutral", "neutral", 0.0, 3.0 + item),
            ("steered", "anger", 0.2, 3.1 + item),
        )
    ]
    found = judged(table(more=texts))
    assert found["anger"]["perplexity_ratio"] == pytest.approx(math.exp(0.1))
    assert (found["anger"]["split_half"], found["anger"]["accuracy"]) == (0.6, 0.75)
    assert found["fear"]["perplexity_ratio"] is None and found["fear"]["split_half"] is None


def test_null_directions_that_would_pass_are_counted():
    mixed = [{"anger": 0.5}, {"fear": 0.2}, {}, {"anger": 0.1, "fear": 0.1}]
    # The last two tie; the first of the tied emotions is anger, and it is centred out of sentences.
    found = null_passes(rises(table(nulls=mixed)), ["fear"])
    assert found == {"n_directions": 4, "passed": 1}
    assert null_passes(rises(table(nulls=mixed)), EMOTIONS)["passed"] >= 2
    assert null_passes(rises(table()), EMOTIONS) is None


def test_a_failure_is_written_into_the_effect_at_its_dose_only():
    effects = {name: {"emotion": name, "intensity": 0.2} for name in ("anger", "fear")}
    induced = [
        {"emotion": "anger", "intensity": 0.1, "came_through": False, "reason": "too weak"},
        {"emotion": "anger", "intensity": 0.2, "came_through": True, "reason": "fine"},
        {"emotion": "fear", "intensity": 0.2, "came_through": False, "reason": "the push"},
    ]
    marked = mark_failures(effects, induced)
    assert [effect["failed_check"] for effect in marked.values()] == [None, "the push"]
