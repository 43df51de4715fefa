"""NDM and NAD: by hand, between their bounds, and their intervals' coverage."""

from dataclasses import replace

import numpy as np
import pytest

from cell_arrays import cells_of_arrays
from emotion_games.analysis.human_alignment import alignment_records, bootstrap_t_interval
from emotion_games.games.records import HumanEffect
from simulated_trials import a_game

PLAN = {
    "headline_intensity": 1.0,
    "confidence": 0.95,
    "outcome": "cooperation",
    "measures": ["scored"],
}
NEUTRAL = ("neutral", "neutral", 0.0)
SIGNS = {"anger": -1, "happiness": 1, "surprise": 0}
GAME = replace(
    a_game(),
    human_effects={
        emotion: HumanEffect(sign, f"what {emotion} did", "a source")
        for emotion, sign in SIGNS.items()
    },
)


def steered(emotion, intensity=1.0):
    return ("steered", emotion, intensity)


def record_of(arrays, game=GAME, damaged=()):
    (record,) = alignment_records(cells_of_arrays(arrays, "scored"), game, PLAN, set(damaged))
    return record


def of_emotions(record):
    return {one["emotion"]: one for one in record["emotions"]}


def drawn(seed, n=24, histories=2, orders=2):
    rng = np.random.default_rng(seed)
    conditions = [NEUTRAL, *map(steered, (*SIGNS, "fear")), ("random", "random_0", 1.0)]
    return {key: rng.random((histories, n, orders)) for key in conditions}


def test_the_indices_of_decisions_that_change_completely_are_those_of_the_publication():
    # Happiness turns a defection into cooperation, and anger cooperation into defection.
    arrays = {NEUTRAL: np.array([[[0.0], [1.0]]])}
    arrays[steered("happiness")] = np.array([[[1.0], [np.nan]]])
    arrays[steered("anger")] = np.array([[[np.nan], [0.0]]])
    found = record_of(arrays)
    assert found["ndm"]["estimate"] == found["nad"]["estimate"] == 1.0
    assert [one["n_pairs"] for one in found["emotions"]] == [1, 1]


def test_pairs_are_taken_before_the_mean():
    # Over two orders in each of two histories the changes of anger cancel: .2, -.2, -.4, .4.
    neutral = np.full((2, 1, 2), 0.5)
    shifts = np.array([[[0.2, -0.2]], [[-0.4, 0.4]]])
    arrays = {NEUTRAL: neutral, steered("anger"): neutral + shifts}
    arrays[steered("happiness")] = neutral + [0.1, 0.0]
    arrays[steered("surprise")] = neutral - 0.2
    arrays[steered("fear")] = neutral + 0.4
    found = record_of(arrays)
    by = {emotion: (one["ndm"], one["nad"]) for emotion, one in of_emotions(found).items()}
    ndm = {emotion: index["estimate"] for emotion, (index, _) in by.items()}
    nad = {emotion: index["estimate"] for emotion, (_, index) in by.items()}
    expected = {"anger": 0.3, "happiness": 0.05, "surprise": 0.2, "fear": 0.4}
    assert ndm == pytest.approx(expected)
    assert nad.pop("fear") is None and by["fear"][1]["reason"] == "no sign among people is known"
    assert nad == pytest.approx({"anger": 0.0, "happiness": 0.05, "surprise": 0.0})
    # Over emotions; fear has no sign, and counts in NDM only.
    assert found["ndm"]["estimate"] == pytest.approx(sum(expected.values()) / 4)
    assert found["nad"]["estimate"] == pytest.approx(0.05 / 3)
    assert of_emotions(found)["anger"]["human_sign"] == -1
    assert of_emotions(found)["anger"]["source"] == "a source"
    assert of_emotions(found)["fear"]["source"] is None


def test_changes_count_as_shares_of_the_range_of_the_outcome():
    arrays = {NEUTRAL: np.full((1, 2, 1), 0.5), steered("happiness"): np.full((1, 2, 1), 0.6)}
    narrow = replace(a_game(values=(0.7, 0.3)), human_effects=GAME.human_effects)
    found = record_of(arrays, narrow)
    assert found["ndm"]["estimate"] == pytest.approx(0.25) == found["nad"]["estimate"]


def test_the_opposite_outcome_with_the_opposite_signs_has_the_same_indices():
    arrays = drawn(1)
    effects = {key: replace(e, sign=-e.sign) for key, e in GAME.human_effects.items()}
    opposite = {key: 1 - values for key, values in arrays.items()}
    found, other = record_of(arrays), record_of(opposite, replace(GAME, human_effects=effects))
    mirrored = record_of(arrays, replace(GAME, human_effects=effects))
    for name in ("ndm", "nad"):
        assert other[name]["estimate"] == pytest.approx(found[name]["estimate"])
        assert other[name]["interval"] == pytest.approx(found[name]["interval"])
    low, high = found["nad"]["interval"]
    assert mirrored["nad"]["estimate"] == pytest.approx(-found["nad"]["estimate"])
    assert mirrored["nad"]["interval"] == pytest.approx([-high, -low], abs=1e-3)
    assert mirrored["ndm"] == found["ndm"]


@pytest.mark.parametrize("seed", range(5))
def test_the_indices_lie_between_their_bounds(seed):
    found = record_of(drawn(seed))
    for one in [found, *found["emotions"]]:
        ndm, nad = one["ndm"], one["nad"]
        assert 0 <= ndm["interval"][0] < ndm["estimate"] < ndm["interval"][1] <= 1
        if nad["interval"]:
            assert -1 <= nad["interval"][0] < nad["estimate"] < nad["interval"][1] <= 1
            assert one is found or abs(nad["estimate"]) <= ndm["estimate"]


def test_damaged_emotions_are_marked_and_left_out_of_the_indices_over_emotions():
    arrays = drawn(2)
    found = record_of(arrays, damaged=["steered-anger-1", "random-0-1"])
    without = {key: v for key, v in arrays.items() if key != steered("anger")}
    expected = record_of(without)
    assert (found["ndm"], found["nad"]) == (expected["ndm"], expected["nad"])
    assert [one["emotion"] for one in found["emotions"] if one["damaged"]] == ["anger"]
    assert (found["null_ndm"], found["null_nad"], found["n_directions"]) == (None, None, 0)
    nothing = record_of(
        {NEUTRAL: arrays[NEUTRAL], steered("anger"): arrays[steered("anger")]},
        damaged=["steered-anger-1"],
    )
    assert nothing["ndm"]["estimate"] is None
    assert nothing["ndm"]["reason"] == "every emotion damages the model"
    assert nothing["nad"]["reason"] == "the sign among people is known of no undamaged emotion"
    assert nothing["emotions"][0]["nad"]["estimate"] is not None


def test_null_directions_show_what_a_push_without_an_emotion_does():
    neutral = np.full((1, 3, 2), 0.5)
    arrays = {NEUTRAL: neutral, steered("anger"): neutral}
    arrays |= {
        ("random", f"random_{i}", 1.0): neutral + shift for i, shift in enumerate((-0.1, 0.3))
    }
    found = record_of(arrays)
    assert found["null_ndm"] == pytest.approx(0.2) and found["n_directions"] == 2
    # With the sign of anger, -1, the shifts of -.1 and .3 are .1 and -.3.
    assert found["null_nad"] == pytest.approx(-0.1)
    arrays[steered("surprise")] = arrays[steered("fear")] = neutral
    assert record_of(arrays)["null_nad"] == pytest.approx(-0.05)


def test_only_the_headline_dose_counts_and_a_measure_without_values_has_no_record():
    arrays = drawn(3)
    more = arrays | {steered("anger", 0.5): np.zeros((2, 24, 2))}
    assert record_of(more) == record_of(arrays)
    cells = cells_of_arrays(arrays, "scored")
    cells.means["chosen"] = np.full_like(cells.means["scored"], np.nan)
    plan = PLAN | {"measures": ["chosen", "scored"]}
    assert [r["measure"] for r in alignment_records(cells, GAME, plan, set())] == ["scored"]
    assert "chance" not in record_of(arrays)["method"]
    cells.means["chosen"] = cells.means["scored"]
    drawn_answers, _ = alignment_records(cells, GAME, plan, set())
    assert drawn_answers["method"].endswith("differ by chance, too, which raises NDM")
    del arrays[NEUTRAL]
    assert alignment_records(cells_of_arrays(arrays, "scored"), GAME, PLAN, set()) == []


def test_intervals_that_cannot_be_computed_have_a_reason():
    few = record_of(drawn(4, n=11))
    assert few["ndm"]["interval"] is None and "fewer than 12 scenarios" in few["ndm"]["reason"]
    zero = of_emotions(record_of(drawn(4)))["surprise"]["nad"]
    assert zero["estimate"] == 0 and zero["interval"] is None and "the same value" in zero["reason"]


def test_an_interval_is_that_of_the_t_of_resamples():
    values = np.array([0.0, 0.0, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.9])
    rng = np.random.default_rng(1)
    samples = rng.choice(values, (40_000, len(values)))
    t = (samples.mean(1) - values.mean()) / samples.std(1)
    low, high = np.quantile(t, [0.975, 0.025])
    expected = values.mean() - np.array([low, high]) * values.std()
    assert bootstrap_t_interval(values, 0.95) == pytest.approx(expected, abs=0.02)
    # A long tail upwards leaves more room above than below.
    found = bootstrap_t_interval(values, 0.95)
    assert found[1] - values.mean() > 1.3 * (values.mean() - found[0])


def test_rare_changes_have_an_interval_up_to_the_bound():
    arrays = {NEUTRAL: np.zeros((1, 24, 1)), steered("happiness"): np.zeros((1, 24, 1))}
    arrays[steered("happiness")][0, 0] = 1.0
    found = record_of(arrays)["ndm"]
    assert found["estimate"] == pytest.approx(1 / 24) and found["interval"][1] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("n", [24, 48])
def test_intervals_are_covered(n):
    """Effects vary over scenarios and over six pairs in each; they are of both signs, or skewed."""
    series = 1_000
    cases = {"of both signs": (0.1, 0.15), "skewed": (0.05, None)}
    for name, (mean, sd) in cases.items():
        rng = np.random.default_rng([n, len(name)])

        def scenarios(size, mean=mean, sd=sd, rng=rng):
            own = rng.exponential(mean, size) if sd is None else rng.normal(mean, sd, size)
            return own[:, None] + rng.normal(0, 0.03, (size, 6))

        many = scenarios(400_000)
        truth = np.abs(many).mean(), many.mean()
        covered = np.zeros(2)
        for _ in range(series):
            pairs = scenarios(n)
            for i, values in enumerate((np.abs(pairs).mean(1), pairs.mean(1))):
                low, high = bootstrap_t_interval(values, 0.95)
                covered[i] += low <= truth[i] <= high
        print(
            f"\n{n} scenarios, {name}: NDM {covered[0] / series:.3f}, NAD {covered[1] / series:.3f}"
        )
        assert (covered / series >= 0.93).all() and (covered / series <= 0.97).all(), name
