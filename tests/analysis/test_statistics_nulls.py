"""Error rates, coverage and power on simulated series of known truth; `-m slow -s` prints them.

Each null is simulated with 1,000 series at every base rate (.1 to .9), number of scenarios (12, 24,
60) and number of repeats (1, 5), as the scenario-level matrices that the tests receive. The whole
analysis runs on fewer.
"""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from emotion_games.analysis.cells import over_orders
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.inference import (
    against_random,
    holm,
    paired_t,
    rate_interval,
    sign_flip_p,
)
from emotion_games.experiment.power import (
    SD_OF_EFFECTS,
    SD_OF_RANDOM_DIRECTIONS,
    smallest_detectable_difference,
    smallest_detectable_from_random,
)
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

pytestmark = pytest.mark.slow
SERIES = 1_000
RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
GRID = list(product(RATES, (12, 24, 60), (1, 5)))
ORDERS = 2


def scenario_rates(rng, base, n, spread=0.8):
    """Return `(series, scenarios)` probabilities around a base rate, normal on the logit scale."""
    return 1 / (1 + np.exp(-(np.log(base / (1 - base)) + rng.normal(0, spread, (SERIES, n)))))


def answers(rng, p, repeats):
    """Mean of the answers to both option orders; shape of p."""
    return rng.binomial(ORDERS * repeats, p) / (ORDERS * repeats)


def balanced_effects(rng, p, size=0.25):
    """Return effects of mean zero: plus or minus, by chance, as far as [0, 1] has room."""
    room = np.minimum(size, np.minimum(p, 1 - p))
    return room * rng.choice([-1, 1], p.shape) * rng.uniform(0.5, 1, p.shape)


def within(rate, n, level=0.05):
    """Upper end of what simulation error allows a true `level` to show in n series (99.9 %)."""
    return rate <= stats.binom.ppf(0.999, n, level) / n


def summarize(name, differences_of):
    """Simulate every cell of the grid, and return the pooled and the worst numbers.

    These are the errors of the sign flips and of t, and the coverage.
    """
    flips, ts, covers = [], [], []
    for cell in GRID:
        differences = differences_of(
            np.random.default_rng([len(name), *(int(10 * x) for x in cell)]), *cell
        ).T
        found = paired_t(differences)
        flips.append((sign_flip_p(differences) <= 0.05).mean())
        ts.append((np.nan_to_num(found["p_t"], nan=1.0) <= 0.05).mean())
        covers.append(((found["low"] <= 1e-12) & (found["high"] >= -1e-12)).mean())
    by_rate = {
        rate: np.mean([c for c, cell in zip(covers, GRID, strict=True) if cell[0] == rate])
        for rate in RATES
    }
    print(
        f"\n{name}: {len(GRID)} cells x {SERIES} series; sign-flip p <= .05: {np.mean(flips):.4f} "
        f"(cells {min(flips):.3f} to {max(flips):.3f}); "
        f"t: {np.mean(ts):.4f} ({min(ts):.3f} to {max(ts):.3f}); "
        f"coverage {np.mean(covers):.4f} ({min(covers):.3f} to {max(covers):.3f}); by base rate "
        + ", ".join(f"{rate}: {cover:.3f}" for rate, cover in by_rate.items())
    )
    return np.array(flips), np.array(ts), np.array(covers)


def test_no_effect_at_all():
    def differences(rng, base, n, repeats):
        p = scenario_rates(rng, base, n)
        return answers(rng, p, repeats) - answers(rng, p, repeats)

    flips, ts, covers = summarize("no effect", differences)
    assert all(within(rate, SERIES) for rate in flips)
    assert within(flips.mean(), SERIES * len(GRID))
    assert 0.93 <= covers.mean() <= 0.97 and covers.min() >= 0.93


def test_effects_that_vary_by_scenario_around_zero():
    def differences(rng, base, n, repeats):
        p = scenario_rates(rng, base, n)
        return answers(rng, np.clip(p + balanced_effects(rng, p), 0, 1), repeats) - answers(
            rng, p, repeats
        )

    flips, ts, covers = summarize("effects around zero", differences)
    assert all(within(rate, SERIES) for rate in flips)
    assert within(flips.mean(), SERIES * len(GRID))
    assert 0.93 <= covers.mean() <= 0.97 and covers.min() >= 0.93


def test_unparsed_answers_that_hit_one_condition_and_one_order():
    """12 % of the emotion's answers lost, most in one order, under position bias."""

    def differences(rng, base, n, repeats):
        p = np.clip(
            scenario_rates(rng, base, n)[..., None, None] + np.array([0.15, -0.15])[:, None],
            0.01,
            0.99,
        )
        shape = (SERIES, n, ORDERS, repeats)
        neutral = (rng.random(shape) < p).astype(float)
        emotion = (rng.random(shape) < p).astype(float)
        emotion[rng.random(shape) < np.array([0.2, 0.04])[:, None]] = np.nan
        neutral[rng.random(shape) < 0.02] = np.nan
        cells = mean_present(emotion) - mean_present(neutral)
        return over_orders(cells.reshape(SERIES * n, ORDERS, 1)).reshape(SERIES, n)

    def mean_present(values):
        n = (~np.isnan(values)).sum(-1)
        return np.where(n > 0, np.nansum(values, -1) / np.maximum(n, 1), np.nan)

    flips, ts, covers = summarize("unparsed answers", differences)
    assert all(within(rate, SERIES) for rate in flips)
    assert 0.93 <= covers.mean() <= 0.97 and covers.min() >= 0.92


def test_an_option_that_nobody_chooses():
    """Three ordered choices worth 0, 1/2 and 1, of which the last is never chosen."""

    def differences(rng, base, n, repeats):
        p = scenario_rates(rng, base, n)
        return (answers(rng, p, repeats) - answers(rng, p, repeats)) / 2

    flips, ts, covers = summarize("an option nobody chooses", differences)
    assert all(within(rate, SERIES) for rate in flips)
    nobody = np.zeros((24, 1))
    assert sign_flip_p(nobody)[0] == 1.0
    assert paired_t(nobody)["low"][0] < 0 < paired_t(nobody)["high"][0]


def test_random_directions_that_act():
    """An emotion that is one more random direction; a test over scenarios alone would claim it."""
    rng = np.random.default_rng(8)
    k, errors, naive, ranks = 20, [], [], []
    for n in (12, 24, 60):
        push = rng.normal(0, 0.08, (SERIES, k + 1))
        scored = push[:, None, :] + rng.normal(0, 0.06, (SERIES, n, k + 1))
        effects = scored.mean(1)
        found = [against_random(row[0], row[1:]) for row in effects]
        errors.append(np.mean([result["p"] <= 0.05 for result in found]))
        ranks.append(np.mean([result["p_rank"] <= 0.05 for result in found]))
        pooled = scored[:, :, 0] - scored[:, :, 1:].mean(2)
        naive.append((paired_t(pooled.T)["p_t"] <= 0.05).mean())
    print(
        f"\nrandom directions: t {np.round(errors, 3)}, rank {np.round(ranks, 3)}, "
        f"scenarios only {np.round(naive, 3)}"
    )
    assert all(within(rate, SERIES) for rate in errors + ranks)
    assert min(naive) > 0.25


def test_claims_keep_the_error_of_the_family():
    """Six emotions that are random directions: every one moves choices, none as an emotion."""
    rng = np.random.default_rng(9)
    n, k, emotions = 24, 20, 6
    claims, uncorrected = [], []
    for _ in range(SERIES):
        push = rng.normal(0, 0.08, k + emotions)
        scored = push + rng.normal(0, 0.06, (n, k + emotions))
        noise = rng.normal(0, 0.25, (n, emotions)) + rng.normal(0, 0.25, (n, 1))
        p_neutral = sign_flip_p(push[k:] + noise)
        effects = scored.mean(0)
        p_random = [against_random(effects[k + e], effects[:k])["p"] for e in range(emotions)]
        p_claim = np.maximum(p_neutral, p_random)
        claims.append(min(holm(list(p_claim))) <= 0.05)
        uncorrected.append(min(p_random) <= 0.05)
    print(
        f"\nclaims: any of six {np.mean(claims):.3f}; "
        f"the random contrast uncorrected {np.mean(uncorrected):.3f}"
    )
    assert within(np.mean(claims), SERIES)


def test_rates_are_covered():
    covers = []
    for base, n, repeats in GRID:
        rng = np.random.default_rng([int(10 * base), n, repeats])
        truth = scenario_rates(np.random.default_rng(1), base, 2_000)[:50].mean()
        levels = answers(rng, scenario_rates(rng, base, n), repeats)
        ends = [
            rate_interval(row, n * ORDERS * repeats, sampled=True)["interval"] for row in levels
        ]
        covers.append(np.mean([low <= truth <= high for low, high in ends]))
    print(f"\nrates: coverage {np.mean(covers):.4f} (cells {min(covers):.3f} to {max(covers):.3f})")
    assert 0.93 <= np.mean(covers) <= 0.98 and min(covers) >= 0.93


def test_planted_effects_are_found_with_the_planned_power():
    powers = {}
    for n, repeats in product((12, 24, 60), (1, 5)):
        rng = np.random.default_rng([n, repeats])
        trials, shift = ORDERS * repeats, 0.2
        for _ in range(20):
            shift = smallest_detectable_difference(n, trials, rate=0.5 - shift / 2)
        # Effects of this sd exactly, two-valued so that no probability leaves [0, 1].
        emotion = 0.5 + shift / 2 + SD_OF_EFFECTS * rng.choice([-1, 1], (SERIES, n))
        written = [
            rng.binomial(trials, p, (SERIES, n)) / trials for p in (emotion, 0.5 - shift / 2)
        ]
        powers[n, repeats] = (sign_flip_p((written[0] - written[1]).T) <= 0.05).mean()
        print(
            f"\nplanted {shift:.3f} at {n} scenarios x {trials} answers: "
            f"found {powers[n, repeats]:.3f}"
        )
    assert all(0.75 <= power <= 0.85 for power in powers.values())


def test_planted_directions_are_found_with_the_planned_power():
    rng = np.random.default_rng(10)
    shift = smallest_detectable_from_random(20)
    effects = rng.normal(0, SD_OF_RANDOM_DIRECTIONS, (SERIES, 21)) + shift * np.eye(21)[0]
    found = np.mean([against_random(row[0], row[1:])["p"] <= 0.05 for row in effects])
    print(f"\nplanted {shift:.3f} against 20 random directions: found {found:.3f}")
    assert 0.76 <= found <= 0.84


def test_the_whole_analysis_on_null_and_planted_series():
    """With random directions and unparsed answers, false claims are rare and anger is found."""
    game, settings = (
        a_game(),
        SETTINGS | {"emotions": ["anger", "happiness", "sadness"], "intensity": [1.0]},
    )
    null, planted = [], []
    for seed in range(80):
        size = {
            "n_scenarios": 24,
            "repeats": 5,
            "intensities": (1.0,),
            "n_random_generated": 0,
            "prompted": False,
        }
        common = size | {"unparsed": 0.02, "random_sd": 0.08, "texts": False}
        rng = np.random.default_rng(seed)
        drawn = dict(zip(settings["emotions"], rng.normal(0, 0.08, 3), strict=True))
        for effects, record in ((drawn, null), ({"anger": -0.35}, planted)):
            trials = simulate(game, seed=seed, effects=effects, **common)
            checks = simulate_checks(intensities=(1.0,))
            found = analyse(trials, checks, game, settings)["emotion_analysis"]
            record.append([found[emotion][0]["claim"] for emotion in settings["emotions"]])
    any_null, anger = np.any(null, axis=1).mean(), np.mean(planted, axis=0)
    print(
        f"\nwhole analysis, 80 series: any claim under the null {any_null:.3f}; "
        f"planted anger claimed {anger[0]:.3f}"
    )
    assert within(any_null, 80)
    assert anger[0] >= 0.8
