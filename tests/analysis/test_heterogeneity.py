"""Effects over models and over games: known answers, and no findings where there is nothing."""

import numpy as np
import pytest
from scipy import stats

from emotion_games.analysis.heterogeneity import crossed, game_records, model_records
from emotion_games.analysis.null_tests import null_variance


def analysis(
    scenarios, nulls=None, emotion="anger", damaged=False, interim=False, complete=True, **more
):
    """Statistics with the effect of one emotion by scenario, and those of null directions."""
    versus = {"estimate": float(np.mean(list(scenarios.values()))), "n_scenarios": len(scenarios)}
    effect = {"emotion": emotion, "intensity": 1.0, "measure": "scored", "history": "none"}
    effect |= {"damaged": damaged, "scenarios": scenarios, "versus_neutral": versus}
    damage = {"arm": "steered", "emotion": emotion, "intensity": 1.0, "complete": complete}
    where = {"arm": "random", "measure": "scored", "history": "none"}
    return {
        "meta": {"interim": interim, "outcome": "cooperation"},
        "plan": {"claim": {"scenarios": 24}},
        "emotion_analysis": {emotion: effect},
        "null_directions": [where | {"effects": nulls}] if nulls is not None else [],
        "damage": [damage],
    } | more


def named(values):
    return {f"s{number}": float(value) for number, value in enumerate(values)}


def by_hand(matrix):
    """The two-way analysis of variance without replication: F of the columns and its p."""
    n, k = matrix.shape
    rows, columns, mean = matrix.mean(1), matrix.mean(0), matrix.mean()
    between = sum(n * (column - mean) ** 2 for column in columns)
    rest = sum(
        (matrix[i, j] - rows[i] - columns[j] + mean) ** 2 for i in range(n) for j in range(k)
    )
    f = (between / (k - 1)) / (rest / ((n - 1) * (k - 1)))
    return f, stats.f.sf(f, k - 1, (n - 1) * (k - 1))


def simulated(rng, n, k, sd_models=0.0):
    """Effects of k models in n scenarios, which move all models alike."""
    shared = rng.normal(0.1, 0.1, (n, 1))
    return shared + rng.normal(0, sd_models, k) + rng.normal(0, 0.05, (n, k))


def test_two_models_are_compared_as_a_paired_t_test_does():
    matrix = simulated(np.random.default_rng(1), 30, 2, 0.02)
    found = crossed(matrix, 0.95)
    paired = stats.ttest_rel(matrix[:, 0], matrix[:, 1])
    assert found["f"] == pytest.approx(paired.statistic**2)
    assert found["p"] == pytest.approx(paired.pvalue)


def test_the_f_of_several_models_is_that_of_a_two_way_analysis_of_variance():
    matrix = simulated(np.random.default_rng(2), 24, 5, 0.03)
    found = crossed(matrix, 0.95)
    f, p = by_hand(matrix)
    assert found["f"] == pytest.approx(f) and found["p"] == pytest.approx(p)
    assert found["estimate"] == pytest.approx(matrix.mean()) and found["n_scenarios"] == 24
    assert found["sd"] == pytest.approx(null_variance(matrix) ** 0.5)
    # Both factors, with Satterthwaite's degrees of freedom.
    parts = np.array([matrix.mean(1).var(ddof=1) / 24, found["sd"] ** 2 / 5])
    df = parts.sum() ** 2 / (parts**2 / [23, 4]).sum()
    reach = stats.t.ppf(0.975, df) * parts.sum() ** 0.5
    assert found["interval"] == pytest.approx([matrix.mean() - reach, matrix.mean() + reach])


def test_equal_models_differ_at_the_nominal_rate():
    """Scenarios move all models alike, which is no difference between models."""
    rng = np.random.default_rng(3)
    found = [crossed(simulated(rng, 24, 6), 0.95) for _ in range(1_000)]
    assert np.mean([one["f"] for one in found]) == pytest.approx(1, abs=0.07)
    assert 0.03 < np.mean([one["p"] <= 0.05 for one in found]) < 0.07


def test_intervals_over_models_and_scenarios_cover_the_mean():
    rng = np.random.default_rng(4)
    found = [crossed(simulated(rng, 24, 6, 0.08), 0.95)["interval"] for _ in range(1_000)]
    assert 0.93 < np.mean([low <= 0.1 <= high for low, high in found]) < 0.98


def test_without_variation_or_scenarios_there_is_no_test():
    rows = np.random.default_rng(0).uniform(-0.1, 0.3, (20, 1))
    same = crossed(np.tile(rows, 3), 0.95)
    assert same["f"] is None and same["p"] is None
    assert same["sd"] == pytest.approx(0, abs=1e-12)
    assert crossed(np.array([[0.1, 0.2]]), 0.95)["reason"] == "fewer than two scenarios in common"
    wide = crossed(np.array([[0.9, 1.0], [-0.9, -1.0], [1.0, 0.9]]), 0.95)
    assert wide["interval"] == [-1.0, 1.0]


def test_models_are_compared_in_the_scenarios_that_they_share():
    experiments = [
        ("X", "a", analysis({"s0": 0.1, "s1": 0.3, "s2": 0.9})),
        ("X", "b", analysis({"s1": 0.5, "s0": 0.2})),
        ("Y", "a", analysis({"s0": 0.1})),
    ]
    (found,) = model_records(experiments, 0.95)
    assert (found["game_name"], found["emotion"], found["members"]) == ("X", "anger", ["a", "b"])
    assert found["n_scenarios"] == 2
    assert found["estimate"] == pytest.approx((0.1 + 0.3 + 0.2 + 0.5) / 4)
    assert "expected cooperation under the choice probabilities" in found["unit"]


def test_damaged_and_unfinished_effects_stay_out():
    rows = named(np.linspace(0.1, 0.2, 24))
    experiments = [
        ("X", "a", analysis(rows)),
        ("X", "b", analysis(rows, damaged=True)),
        ("X", "c", analysis(rows, interim=True)),
        ("Y", "a", analysis(rows, damaged=True)),
    ]
    assert model_records(experiments, 0.95) == [] and game_records(experiments, 0.95) == []


def two_games(effects, nulls, **more):
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.01, (2, 24))
    noise -= noise.mean(1, keepdims=True)
    return [
        (game, "m", analysis(named(effect + own), null, **more))
        for game, effect, own, null in zip("XY", effects, noise, nulls, strict=True)
    ]


def directions(*means):
    return {f"random_{number}": mean for number, mean in enumerate(means)}


def test_the_index_is_ranked_among_the_same_directions_averaged_over_the_games():
    """Each null is far out in one game, and none in both."""
    nulls = (directions(0.4, -0.4, 0.0, 0.0), directions(-0.4, 0.4, 0.0, 0.1))
    (found,) = game_records(two_games((0.2, 0.3), nulls), 0.95)
    assert found["members"] == ["X", "Y"] and found["estimate"] == pytest.approx(0.25)
    # The directions' means are 0, 0, 0 and .05; the emotion's is the furthest of the five.
    assert found["n_directions"] == 4 and found["p_rank"] == pytest.approx(1 / 5)
    assert found["p_claim"] == found["p_rank"] > found["p_moved"] and not found["claim"]
    values = [
        list(a["emotion_analysis"]["anger"]["scenarios"].values())
        for _, _, a in two_games((0.2, 0.3), nulls)
    ]
    parts = np.array([np.var(v, ddof=1) / 24 for v in values]) / 4
    df = parts.sum() ** 2 / (parts**2 / 23).sum()
    t = 0.25 / parts.sum() ** 0.5
    assert found["p_moved"] == pytest.approx(2 * stats.t.sf(t, df))


def test_directions_that_one_game_has_lost_to_damage_are_left_out():
    nulls = (directions(0.1, 0.2, 0.0), directions(0.1, 0.2))
    (found,) = game_records(two_games((0.2, 0.3), nulls), 0.95)
    assert found["n_directions"] == 2


def test_the_indices_of_a_model_are_one_family():
    nulls = directions(*np.linspace(-0.05, 0.05, 99))
    experiments = []
    for emotion, effect in (("anger", 0.3), ("fear", 0.0), ("joy", -0.2)):
        experiments += two_games((effect, effect), (nulls, nulls), emotion=emotion)
    merged = []
    for game in "XY":
        own = [a for g, _, a in experiments if g == game]
        merged.append(
            (
                game,
                "m",
                own[0]
                | {
                    "emotion_analysis": {
                        k: v for a in own for k, v in a["emotion_analysis"].items()
                    },
                    "damage": [record for a in own for record in a["damage"]],
                },
            )
        )
    anger, fear, joy = game_records(merged, 0.95)
    assert anger["p_claim_corrected"] == joy["p_claim_corrected"] == pytest.approx(0.01 * 3 / 2)
    assert anger["p_claim_holm"] == pytest.approx(0.03)
    assert anger["claim"] and joy["claim"] and not fear["claim"]


def test_an_index_is_not_claimed_where_its_games_could_not_claim():
    nulls = directions(*np.linspace(-0.05, 0.05, 99))
    (sound,) = game_records(two_games((0.3, 0.3), (nulls, nulls)), 0.95)
    assert sound["claim"] and sound["testable"]
    (unchecked,) = game_records(two_games((0.3, 0.3), (nulls, nulls), complete=False), 0.95)
    assert unchecked["p_claim"] < 0.05 and not unchecked["claim"] and not unchecked["testable"]
    few = [(g, m, analysis(named([0.2, 0.3, 0.4]), nulls)) for g, m in (("X", "m"), ("Y", "m"))]
    assert not game_records(few, 0.95)[0]["testable"]
