"""Planted effects under instructions and beside words come out exactly, and chance does not."""

import numpy as np
import pytest
from scipy import stats

from cell_arrays import cells_of_arrays
from emotion_games.analysis.corrections import benjamini_hochberg
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.inference import moved_p
from emotion_games.analysis.instructions import combined_records, instruction_records, undone
from emotion_games.experiment.analysis_plan import the_plan
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

GAME = a_game()
CALM, STERN = "calm", "stern"
MOVED = {emotion: {"moved": True} for emotion in SETTINGS["emotions"]}


def plan_of(*emotions):
    return the_plan(SETTINGS | {"emotions": list(emotions)}, GAME)


def shifted(base, by=0.0):
    """The cells of a condition, `(histories, scenarios, orders)`, moved in each scenario."""
    return base + np.broadcast_to(np.asarray(by), base.shape[1])[None, :, None]


def planted(n=24, seed=3):
    """Cells with known effects: two emotions, two instructions, and vector and words together."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.7, (2, n, 2))
    noise = rng.normal(0, 0.02, n)
    noise -= noise.mean()
    arrays = {("neutral", "neutral", 0.0): base}
    effects = {"anger": -0.2, "happiness": 0.1}
    for emotion, effect in effects.items():
        arrays["steered", emotion, 1.0] = shifted(base, effect + noise)
    # The instruction itself moves choices, which must not count as an effect of the emotion.
    for name, alone, left in ((CALM, 0.15, 0.25), (STERN, -0.1, 1.0)):
        told = shifted(base, alone)
        arrays["instructed_neutral", "neutral", 0.0, name] = told
        for emotion, effect in effects.items():
            arrays["instructed", emotion, 1.0, name] = shifted(told, left * effect + noise[::-1])
    event = shifted(base, 0.05)
    arrays["prompted_neutral", "neutral", 0.0] = event
    for emotion, effect in effects.items():
        arrays["prompted", emotion, 1.0] = shifted(event, effect / 2)
        arrays["combined", emotion, 1.0] = shifted(event, 1.2 * effect + noise)
    return cells_of_arrays(arrays, "scored"), noise


def test_planted_effects_and_their_differences_come_out_exactly():
    cells, noise = planted()
    records = instruction_records(cells, plan_of("anger", "happiness"), MOVED, set())
    expected = {
        (CALM, "anger"): (0.15, -0.2, -0.05, 0.15, 0.75),
        (CALM, "happiness"): (0.15, 0.1, 0.025, -0.075, 0.75),
        (STERN, "anger"): (-0.1, -0.2, -0.2, 0.0, 0.0),
        (STERN, "happiness"): (-0.1, 0.1, 0.1, 0.0, 0.0),
    }
    assert [(r["instruction"], r["emotion"]) for r in records] == list(expected)
    reach = stats.t.ppf(0.975, 23) * (noise[::-1] - noise).std(ddof=1) / np.sqrt(24)
    for record, numbers in zip(records, expected.values(), strict=True):
        parts = [record[name]["estimate"] for name in ("alone", "without", "under", "change")]
        assert [*parts, record["undone"]] == pytest.approx(numbers, abs=1e-12)
        centre = record["change"]["estimate"]
        assert record["change"]["interval"] == pytest.approx([centre - reach, centre + reach])
        assert (record["role"], record["history"]) == ("exploratory", "mean")
        assert record["n_tests"] == 4 and record["change"]["n_scenarios"] == 24
    p_values = [record["change"]["p"] for record in records]
    assert [record["p_corrected"] for record in records] == benjamini_hochberg(p_values)
    assert max(p_values[:2]) < 0.001 < 0.5 < min(p_values[2:])


def test_vector_and_words_are_compared_with_each_alone():
    cells, noise = planted()
    (anger, happiness) = combined_records(cells, plan_of("anger", "happiness"), set())
    names = ("vector", "words", "both", "both_minus_vector", "both_minus_words")
    found = [anger[name]["estimate"] for name in names]
    assert found == pytest.approx([-0.2, -0.1, -0.24, -0.04, -0.14])
    found = [happiness[name]["estimate"] for name in names]
    assert found == pytest.approx([0.1, 0.05, 0.12, 0.02, 0.07])
    reach = stats.t.ppf(0.975, 23) * noise.std(ddof=1) / np.sqrt(24)
    assert anger["both_minus_words"]["interval"] == pytest.approx([-0.14 - reach, -0.14 + reach])


def test_a_difference_of_effects_without_variation_is_bounded_by_its_own_range():
    base = np.full((1, 24, 2), 0.5)
    arrays = {
        ("neutral", "neutral", 0.0): base,
        ("steered", "anger", 1.0): shifted(base, 0.1),
        ("instructed_neutral", "neutral", 0.0, CALM): base,
        ("instructed", "anger", 1.0, CALM): base,
    }
    cells = cells_of_arrays(arrays, "scored")
    (record,) = instruction_records(cells, plan_of("anger"), MOVED, set())
    unseen = 1 - 0.025 ** (1 / 24)
    ends = [-0.1 - unseen * 1.9, -0.1 + unseen * 2.1]
    assert record["change"]["interval"] == pytest.approx(ends)


def test_no_share_is_undone_of_an_effect_that_is_not_shown_or_of_a_damaged_model():
    cells, _ = planted()
    plan = plan_of("anger", "happiness")
    effects = {"anger": {"moved": False}, "happiness": {"moved": True}}
    records = instruction_records(cells, plan, effects, {"instructed-calm-happiness-1"})
    shares = {(r["instruction"], r["emotion"]): r["undone"] for r in records}
    assert [pair for pair, share in shares.items() if share is not None] == [(STERN, "happiness")]
    assert [r["damaged"] for r in records] == [False, True, False, False]
    # The push of the steered arm is that of the others.
    steered = instruction_records(cells, plan, effects, {"steered-anger-1"})
    assert [r["damaged"] for r in steered] == [True, False, True, False]
    both = combined_records(cells, plan, {"combined-anger-1"})
    assert [r["damaged"] for r in both] == [True, False]


def test_an_unfinished_table_has_the_pairs_that_are_complete():
    cells, _ = planted()
    gone = cells.find("instructed", "anger", instruction=CALM)
    cells.means["scored"][..., gone] = np.nan
    records = instruction_records(cells, plan_of("anger", "happiness"), MOVED, set())
    assert [(r["instruction"], r["emotion"], r["n_tests"]) for r in records] == [
        (CALM, "happiness", 3), (STERN, "anger", 3), (STERN, "happiness", 3),
    ]  # fmt: skip


def test_the_interval_of_the_share_covers_it_and_ends_where_a_t_test_does():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(2000):
        without = rng.normal(0.2, 0.1, 24)
        under = 0.4 * without + rng.normal(0, 0.05, 24)
        share, ends = undone(without, under, 0.95)
        covered += ends[0] <= 0.6 <= ends[1]
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    for end in ends:
        assert stats.ttest_1samp(without - under - end * without, 0).pvalue == pytest.approx(0.05)
    # An effect that may be 0 has no bounded share.
    assert undone(rng.normal(0.01, 0.2, 24), np.zeros(24), 0.95)[1] is None


@pytest.mark.parametrize("shape", ["normal", "skewed", "one side skewed"])
def test_a_difference_of_two_equal_effects_is_found_no_more_often_than_planned(shape):
    # 24 stories; in each, the effect without and under the instruction.
    rng = np.random.default_rng(11)
    size = (2, 24, 2000)
    drawn = rng.normal(0, 0.1, size)
    if shape != "normal":
        skewed = 0.1 * (rng.exponential(1, size) - 1)
        # Under an instruction that works in few stories, the difference itself is skewed.
        drawn = skewed if shape == "skewed" else np.array([drawn[0] / 10, skewed[1]])
    base = np.full((1, 24, 1), 0.5)
    emotions = [f"e{number}" for number in range(size[2])]
    p_values = moved_p(drawn[1] - drawn[0])
    assert (p_values <= 0.05).mean() <= 0.06
    # The records have these p values.
    arrays = {("neutral", "neutral", 0.0): base}
    arrays["instructed_neutral", "neutral", 0.0, CALM] = base
    for number, emotion in enumerate(emotions[:20]):
        arrays["steered", emotion, 1.0] = shifted(base, drawn[0, :, number])
        arrays["instructed", emotion, 1.0, CALM] = shifted(base, drawn[1, :, number])
    cells = cells_of_arrays(arrays, "scored")
    records = instruction_records(cells, plan_of(*emotions[:20]), {}, set())
    assert [r["change"]["p"] for r in records] == pytest.approx(p_values[:20], abs=1e-9)


def test_the_statistics_of_trials_have_both_and_say_that_they_are_exploratory():
    arms = SETTINGS["arms"] | {"combined": True}
    settings = SETTINGS | {"arms": arms, "instructions": {CALM: "Keep calm."}}
    trials = simulate(
        GAME, seed=5, effects={"anger": -0.3}, arms=("prompted", "combined"), base=0.7,
        instructions={CALM: 0.3},
    )  # fmt: skip
    found = analyse(trials, simulate_checks(n_random=20), GAME, settings, len(trials))
    anger = found["instructions"][0]
    assert (anger["instruction"], anger["emotion"]) == (CALM, "anger")
    assert anger["without"]["estimate"] == pytest.approx(-0.3, abs=0.03)
    assert anger["change"]["estimate"] == pytest.approx(0.21, abs=0.04)
    assert anger["undone"] == pytest.approx(0.7, abs=0.1)
    assert [r["undone"] for r in found["instructions"][1:]] == [None, None]
    assert [r["emotion"] for r in found["combined"]] == SETTINGS["emotions"]
    # The claims are those of the same trials without these arms.
    plain = trials[~trials["arm"].isin(["combined", "instructed", "instructed_neutral"])]
    without = analyse(plain, simulate_checks(n_random=20), GAME, SETTINGS, len(plain))
    assert found["emotion_analysis"] == without["emotion_analysis"]
    assert found["contrasts"] == without["contrasts"]
    assert without["instructions"] == without["combined"] == []
    text, before = found["text_description"], without["text_description"]
    assert "exploratory" in text and "exploratory" not in before
    assert "Under the instruction calm, anger at intensity 1 changed it by" in text
    assert "% of the effect is undone (95 % interval" in text
    assert "The vector of anger at intensity 1 changed expected cooperation" in text
    # Pushed conditions are judged by the checks of their push.
    damage = {r["condition"]: r for r in found["damage"]}
    own = damage["instructed-calm-anger-1"]["checks"]["perplexity"]
    assert own == damage["steered-anger-1"]["checks"]["perplexity"]
    assert "perplexity" in damage["combined-anger-1"]["checks"]
    mass = damage["instructed-calm-anger-1"]["checks"]["valid_mass"]
    assert mass["neutral"] != damage["steered-anger-1"]["checks"]["valid_mass"]["neutral"]
