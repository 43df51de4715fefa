"""Damage is found in each sign by a test, and a condition is cleared only if it would be found."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cell_arrays import cells_of_arrays
from emotion_games.analysis.cells import tidy
from emotion_games.analysis.damage import damage_records, text_measures
from emotion_games.experiment.check_records import CHECK_COLUMNS
from emotion_games.experiment.push_check_requests import NULL_TEXTS
from simulated_trials import a_game, simulate

PLAN = {"emotions": ["anger"], "confidence": 0.95}
ALPHA = 0.05
NEUTRAL = ("neutral", "neutral", 0.0)
ANGER = ("steered", "anger", 1.0)
NULL = ("random", "random_0", 1.0)
# Of one answer: the share of them that can be read, the mass on the options, repeated 4-word
# sequences, and words.
SOUND = {"parsed": 0.9, "valid_mass": 0.3, "repetition": 0.02, "words": 60.0}
# Mean log-likelihood a token, and the probability of the better option.
TEXTS, ITEMS, TOKENS = np.linspace(2.0, 3.4, 12), np.linspace(0.8, 0.95, 16), 49_152


def answers(rng, stories=48, orders=2, histories=1, **changed):
    """Answers that vary between and within stories, by measure."""
    shape, mean = (histories, stories, orders), SOUND | changed
    story = rng.normal(0, 0.3, (1, stories, 1))
    noise = rng.normal(0, 0.3, (2, *shape))
    return {
        "parsed": (rng.random(shape) < mean["parsed"]).astype(float),
        "valid_mass": mean["valid_mass"] * np.exp(story + noise[0]),
        "repetition": np.clip(mean["repetition"] + rng.normal(0, 0.05, shape), 0, 1),
        "words": np.round(mean["words"] * np.exp(noise[1])),
    }


def cells(conditions):
    """Cells of answers by condition."""
    parts = {
        measure: cells_of_arrays({who: own[measure] for who, own in conditions.items()}, measure)
        for measure in SOUND
    }
    first = next(iter(parts.values()))
    means = {measure: part.means[measure] for measure, part in parts.items()}
    return replace(first, means=means, counts={})


def checks(texts=None, items=None, tokens=TOKENS):
    """The table of checks, from the values of each condition."""
    rows = [("vocabulary", *NEUTRAL, "tokens", None, tokens)] if tokens else []
    for check, conditions in (("perplexity", texts), ("dominance", items)):
        for who, values in (conditions or {}).items():
            rows += [(check, *who, str(n), None, value) for n, value in enumerate(values)]
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def noisy(rng, values, sd=0.02):
    return values + rng.normal(0, sd, len(values))


def judged(change=None, texts=0.0, items=0.0, who=ANGER, **shape):
    """The record of a condition with these changes of its answers, texts and items."""
    rng = np.random.default_rng(1)
    found = cells({NEUTRAL: answers(rng, **shape), who: answers(rng, **shape, **(change or {}))})
    table = checks(
        {NEUTRAL: TEXTS, who: noisy(rng, TEXTS + texts)},
        {NEUTRAL: ITEMS, who: noisy(rng, ITEMS + items)},
    )
    (record,) = damage_records(found, table, PLAN)
    return record


def test_an_intact_condition_passes_every_check():
    found = judged()
    assert not found["damaged"] and found["complete"] and found["reasons"] == []
    assert found["reason"] is None
    assert {name: check["n"] for name, check in found["checks"].items()} == {
        **dict.fromkeys(("parse_rate", "valid_mass", "repetition", "output_length"), 48),
        **{"dominance": 16, "perplexity": 12},
    }
    assert all(check["passed"] is True for check in found["checks"].values())


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        ("parse_rate", {"change": {"parsed": 0.3}}, -0.6),
        ("valid_mass", {"change": {"valid_mass": 0.3 / 4}}, 1 / 4),
        ("repetition", {"change": {"repetition": 0.22}}, 0.2),
        ("output_length", {"change": {"words": 240}}, 4.0),
        ("output_length", {"change": {"words": 15}}, 1 / 4),
        ("dominance", {"items": -0.2}, -0.2),
        ("perplexity", {"texts": np.log(2.25)}, 2.25),
    ],
)
def test_each_sign_is_seen_with_the_interval_of_its_change(check, change, expected):
    found = judged(**change)
    own = found["checks"][check]
    assert found["damaged"] and [n for n, c in found["checks"].items() if not c["passed"]] == [
        check
    ]
    assert own["passed"] is False and own["p_holm"] <= ALPHA
    assert own["change"] == pytest.approx(expected, rel=0.2)
    assert own["interval"][0] < own["change"] < own["interval"][1]
    (reason,) = found["reasons"]
    assert reason.startswith(f"{check.replace('_', ' ')} {own['value']:.3g} against ")
    assert reason.endswith("is tolerated)")


def test_a_change_as_large_as_the_tolerated_one_is_no_damage():
    found = judged(texts=np.log(1.5), items=-0.1)
    assert not found["damaged"] and found["complete"]
    assert 0.05 < found["checks"]["perplexity"]["p"] < 0.95


def test_the_test_is_the_paired_t_test_of_the_tolerated_change():
    own, neutral = TEXTS + np.linspace(0.2, 0.7, 12), TEXTS
    table = checks({NEUTRAL: neutral, NULL: own})
    rng = np.random.default_rng(0)
    same = answers(rng)
    (found,) = damage_records(cells({NEUTRAL: same, NULL: same}), table, PLAN)
    check = found["checks"]["perplexity"]
    test = stats.ttest_1samp(own - neutral, np.log(1.5), alternative="greater")
    assert check["p"] == pytest.approx(test.pvalue)
    # Four other signs without any change.
    assert check["p_holm"] == pytest.approx(5 * test.pvalue)
    low, high = stats.ttest_1samp(own - neutral, 0).confidence_interval(0.9)
    assert check["interval"] == pytest.approx([np.exp(low), np.exp(high)])
    assert check["change"] == pytest.approx(np.exp(0.45)) and check["tolerated"] == [0.0, 1.5]


def test_a_falling_perplexity_is_no_damage():
    found = judged(texts=-1.5)
    assert not found["damaged"] and found["complete"]


def test_a_condition_whose_damage_could_be_missed_is_neither_damaged_nor_cleared():
    # One answer in five lost, in 24 answers.
    change = {"parsed": 0.7}
    found = judged(change, stories=24, orders=1)
    assert not found["damaged"] and not found["complete"]
    assert found["checks"]["parse_rate"]["passed"] is None
    assert found["reason"].startswith("cannot judge: parse rate ")
    assert judged(change, stories=400)["damaged"]


def test_equal_changes_count_by_their_number():
    rng = np.random.default_rng(0)
    for stories, is_damaged in ((3, False), (12, True)):
        neutral = answers(rng, stories=stories)
        own = neutral | {"words": 5 * neutral["words"]}
        table = checks({NEUTRAL: TEXTS, NULL: TEXTS})
        (found,) = damage_records(cells({NEUTRAL: neutral, NULL: own}), table, PLAN)
        assert found["damaged"] is is_damaged
        assert found["checks"]["output_length"]["interval"] == pytest.approx([5, 5])


def test_the_mean_over_histories_counts_and_not_the_worst_one():
    rng = np.random.default_rng(0)
    neutral, own = answers(rng, histories=3), answers(rng, histories=3)
    table = checks({NEUTRAL: TEXTS, NULL: TEXTS})
    for broken, is_damaged in ((1, False), (3, True)):
        own["valid_mass"] = neutral["valid_mass"].copy()
        own["valid_mass"][:broken] /= 3
        (found,) = damage_records(cells({NEUTRAL: neutral, NULL: own}), table, PLAN)
        assert found["damaged"] is is_damaged
        assert found["checks"]["valid_mass"]["n"] == 48


def test_only_answers_that_both_conditions_have_are_compared():
    rng = np.random.default_rng(0)
    neutral = answers(rng)
    neutral["words"][:, :, 1] = 600.0
    own = neutral | {"words": neutral["words"].copy()}
    own["words"][:, :, 1] = np.nan
    table = checks({NEUTRAL: TEXTS, NULL: TEXTS})
    (found,) = damage_records(cells({NEUTRAL: neutral, NULL: own}), table, PLAN)
    assert found["checks"]["output_length"]["change"] == pytest.approx(1.0)


def one(texts=None, items=None, who=ANGER, tokens=TOKENS):
    """The record of a condition with the answers of neutral."""
    same = answers(np.random.default_rng(0))
    table = checks(texts, items, tokens)
    (record,) = damage_records(cells({NEUTRAL: same, who: same}), table, PLAN)
    return record


def test_items_that_the_model_cannot_answer_show_no_damage():
    texts, fallen = {NEUTRAL: TEXTS, ANGER: TEXTS}, np.full(16, 0.2)
    found = one(texts, {NEUTRAL: np.full(16, 0.69), ANGER: fallen})
    assert not found["damaged"] and found["complete"]
    assert "dominance" not in found["checks"]
    assert found["dominance_not_understood"] == pytest.approx(0.69)
    # Just understood, the same fall is damage.
    found = one(texts, {NEUTRAL: np.full(16, 0.71), ANGER: fallen})
    assert found["damaged"] and found["dominance_not_understood"] is None


def test_texts_that_the_model_does_not_read_clear_nothing():
    # The square root of 49,152 is 221.7.
    texts = np.full(12, np.log(222.0))
    found = one({NEUTRAL: texts, ANGER: texts + 2.0})
    assert not found["damaged"] and not found["complete"]
    assert found["reason"] == (
        "cannot judge: the model cannot read the neutral texts: without a push its perplexity "
        "is 222, above 222, the square root of its 49152 tokens"
    )
    texts = np.full(12, np.log(221.0))
    assert one({NEUTRAL: texts, ANGER: texts})["complete"]
    assert one({NEUTRAL: texts, ANGER: texts + 2.0})["damaged"]
    single = one({NEUTRAL: texts[:1], ANGER: texts[:1]})
    assert single["reason"] == "cannot judge: a single neutral text was read"
    unknown = one({NEUTRAL: texts, ANGER: texts}, tokens=None)
    assert not unknown["complete"]
    assert unknown["reason"] == (
        "cannot judge: the perplexity of neutral texts without a push is unknown"
    )


def test_what_was_not_measured_is_not_cleared():
    texts, items = {NEUTRAL: TEXTS, ANGER: TEXTS}, {NEUTRAL: ITEMS, ANGER: ITEMS}
    assert one(texts, items)["complete"]
    assert one(texts, {NEUTRAL: ITEMS})["reason"] == "cannot judge: dominance was not measured"
    assert one({NEUTRAL: TEXTS}, items)["reason"] == "cannot judge: perplexity was not measured"
    assert one(texts)["complete"], "a file of items may hold none with a dominant answer"
    assert not one()["complete"] and not one()["damaged"]


def test_a_null_direction_is_judged_by_its_texts():
    items = {NEUTRAL: ITEMS}
    assert one({NEUTRAL: TEXTS, NULL: TEXTS}, items, who=NULL)["complete"]
    broken = one({NEUTRAL: TEXTS, NULL: TEXTS + 2.0}, items, who=NULL)
    assert broken["damaged"] and broken["condition"] == "random-0-1"


def test_an_event_in_words_is_judged_by_its_answers_alone():
    rng = np.random.default_rng(0)
    neutral, prompted = ("prompted_neutral", "neutral", 0.0), ("prompted", "anger", 1.0)
    for mass, is_damaged in ((0.3, False), (0.05, True)):
        conditions = {neutral: answers(rng), prompted: answers(rng, valid_mass=mass)}
        (found,) = damage_records(cells(conditions), checks(), PLAN)
        assert found["complete"] and found["damaged"] is is_damaged
        assert found["reason"] is None


def test_both_orders_of_an_item_are_one_item():
    rows = [
        ("dominance", *who, f"d{item}/{first}", None, share)
        for who in (NEUTRAL, ANGER)
        for item in range(8)
        for first, share in (("better", 0.95), ("worse", 0.75))
    ]
    table = pd.concat(
        [checks({NEUTRAL: TEXTS, ANGER: TEXTS}), pd.DataFrame(rows, columns=list(CHECK_COLUMNS))]
    )
    same = answers(np.random.default_rng(0))
    (found,) = damage_records(cells({NEUTRAL: same, ANGER: same}), table, PLAN)
    check = found["checks"]["dominance"]
    assert check["n"] == 8 and check["value"] == pytest.approx(0.85)


def test_the_record_is_json():
    json.dumps(judged()["checks"])


def test_repetition_is_the_share_of_repeated_four_word_sequences():
    table = simulate(a_game(), n_scenarios=1)
    table["output"] = "a b c d a b c d"
    found = text_measures(tidy(table))
    assert found["repetition"][0] == pytest.approx(1 / 5) and found["words"][0] == 8


def test_of_a_guided_answer_only_what_the_model_wrote_counts():
    table = simulate(a_game(), n_scenarios=3).assign(extraction_method="guided", generated=True)
    table["output"] = '{"rationale": "a b c d a b c d", "decision": "A very long option indeed"}'
    table["rationale"], table["rationale_end"] = "a b c d a b c d", "quote"
    # A decision alone has no text of the model, whichever option was drawn.
    table.loc[1, ["rationale", "rationale_end"]] = ""
    # An empty rationale was written.
    table.loc[2, "rationale"] = ""
    found = text_measures(tidy(table))
    assert found["repetition"][0] == pytest.approx(1 / 5) and found["words"][0] == 8
    assert np.isnan(found["words"][1]) and np.isnan(found["repetition"][1])
    assert found["words"][2] == found["repetition"][2] == 0


# Twice the tolerated change in one sign each. Lost answers are binary, and need more of them.
TWICE = {
    "valid_mass": {"valid_mass": 0.3 / 4},
    "repetition": {"repetition": 0.22},
    "longer": {"words": 240},
    "shorter": {"words": 15},
    "dominance": -0.2,
    "perplexity": np.log(2.25),
}


def simulated(draws, changed, seed=0, kind="steered", **shape):
    """Return the records of conditions with the same change, some to an experiment."""
    rng, records = np.random.default_rng(seed), []
    for _ in range(draws // 50):
        conditions, texts, items = (
            {NEUTRAL: answers(rng, **shape)},
            {NEUTRAL: TEXTS},
            {NEUTRAL: ITEMS},
        )
        for number in range(50):
            who = (kind, "anger" if kind == "steered" else f"{kind}_{number}", float(number))
            conditions[who] = answers(rng, **shape, **changed.get("answers", {}))
            # A push that does no harm changes a text by a factor of about 1.1.
            own = TEXTS + changed.get("texts", 0.1)
            texts[who] = noisy(rng, own, changed.get("texts_sd", 0.1))
            if kind == "random":
                texts[who] = texts[who][:NULL_TEXTS]
                continue
            items[who] = noisy(rng, ITEMS + changed.get("items", 0.0), 0.1)
        records += damage_records(cells(conditions), checks(texts, items), PLAN)
    assert len(records) == draws
    return records


def share(records, key):
    return np.mean([record[key] for record in records])


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        {"stories": 48, "orders": 1},
        {"stories": 24, "orders": 2},
        {"stories": 48, "orders": 2, "histories": 3},
    ],
)
def test_a_condition_that_does_nothing_is_not_flagged(shape):
    records = simulated(1000, {}, **shape)
    assert share(records, "damaged") <= 0.005
    answered = np.prod(list(shape.values()))
    assert share(records, "complete") >= (0.9 if answered < 96 else 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("sign", list(TWICE))
def test_twice_the_tolerated_change_is_found_in_48_stories(sign):
    change = TWICE[sign]
    key = {"dominance": "items", "perplexity": "texts"}.get(sign, "answers")
    records = simulated(1000, {key: change}, seed=1, texts_sd=0.2)
    # The 16 items vary most.
    assert share(records, "damaged") >= (0.85 if sign == "dominance" else 0.99)


@pytest.mark.slow
def test_lost_answers_are_found_in_many_answers_and_never_cleared_in_few():
    lost = {"answers": {"parsed": 0.7}}
    few = simulated(1000, lost, seed=2, orders=2)
    assert 0.15 <= share(few, "damaged") <= 0.35
    assert np.mean([r["complete"] and not r["damaged"] for r in few]) <= 0.1
    assert share(simulated(1000, lost, seed=3, orders=6, histories=2), "damaged") >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"answers": {"parsed": 0.8}},
        {"texts": np.log(1.5)},
    ],
)
def test_a_change_at_the_tolerated_limit_is_flagged_at_most_at_alpha(changed):
    assert share(simulated(1000, changed, seed=4), "damaged") <= 0.05


@pytest.mark.slow
def test_of_150_null_directions_that_do_no_harm_hardly_one_is_left_out():
    harmless = {"texts": np.log(1.2), "texts_sd": 0.15, "answers": {"valid_mass": 0.22}}
    records = simulated(1500, harmless, seed=5, kind="random")
    assert 150 * share(records, "damaged") <= 0.5
    damaged = simulated(1000, {"texts": np.log(2.25), "texts_sd": 0.17}, seed=6, kind="random")
    assert share(damaged, "damaged") >= 0.9
