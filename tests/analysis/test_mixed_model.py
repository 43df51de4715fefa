"""The crossed mixed model: against statsmodels, on planted effects, and its error rates."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from scipy.special import expit, logit

from cell_arrays import cells_of_arrays
from emotion_games.analysis.mixed_model import CLIP, crossed_model, mixed_model_records

PLAN = {"headline_intensity": 1.0, "confidence": 0.95, "outcome": "cooperation"}
NULLS = [("random", f"random_{number}", 1.0) for number in range(6)]
ANGER = ("steered", "anger", 1.0)


def drawn(seed, n=14, k=7, effect=0.8, sd_nulls=0.6):
    """Return log-odds of an emotion and k null directions, with all variances above 0."""
    rng = np.random.default_rng(seed)
    shared, of_nulls, of_emotion = (rng.normal(0, sd, n) for sd in (1.0, sd_nulls, 0.7))
    levels = shared[:, None] + rng.normal(0, 0.5, k + 1) + rng.normal(0, 0.5, (n, k + 1))
    levels[:, 0] += effect + of_emotion
    levels[:, 1:] += of_nulls[:, None]
    return levels[:, 0], levels[:, 1:]


def arrays_of(levels, orders=(1.0, -1.0)):
    """Return probabilities by condition, with a preference for the first option in each order."""
    shifted = np.asarray(levels)[None, :, None] + np.array(orders)[:, None]
    return dict(zip([ANGER, *NULLS], np.moveaxis(expit(shifted), 3, 0), strict=True))


def record_of(arrays, damaged=()):
    (record,) = mixed_model_records(cells_of_arrays(arrays, "scored"), PLAN, set(damaged))
    return record


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_the_closed_form_is_the_restricted_maximum_likelihood_of_statsmodels(seed):
    own, nulls = drawn(seed)
    n, k = nulls.shape
    table = pd.DataFrame({"y": np.column_stack([own, nulls]).ravel(), "all": 1})
    table["scenario"], table["direction"] = np.divmod(np.arange(n * (k + 1)), k + 1)
    table["emotion"] = (table["direction"] == 0).astype(float)
    table["null"] = 1 - table["emotion"]
    # Three independent parts of the scenarios make the covariance of an emotion and nulls free.
    parts = {
        "a_shared": "0 + C(scenario)",
        "b_null": "0 + C(scenario):null",
        "c_emotion": "0 + C(scenario):emotion",
        "d_direction": "0 + C(direction)",
    }
    model = smf.mixedlm("y ~ emotion", table, groups="all", re_formula="0", vc_formula=parts)
    found = model.fit(reml=True, method=["lbfgs"])
    shared, null, emotion, direction = found.vcomp
    assert min(found.vcomp) > 0.01, "a draw at the edge of the model is no reference"
    fit = crossed_model(own, nulls)
    assert fit.estimate == pytest.approx(found.fe_params["emotion"], rel=1e-6)
    assert fit.error == pytest.approx(found.bse["emotion"], rel=1e-3)
    assert fit.sd_residuals**2 == pytest.approx(found.scale, rel=1e-3)
    assert fit.sd_directions**2 == pytest.approx(direction, rel=1e-2)
    assert fit.sd_scenarios**2 == pytest.approx(shared + null, rel=1e-2)
    assert fit.sd_effects**2 == pytest.approx(null + emotion, rel=1e-2)


def test_without_an_effect_of_directions_it_is_the_paired_t_test():
    # The means of the directions differ less than the residuals let expect.
    nulls = np.array([[1.0, -1.0], [-1.0, 1.0], [0.5, -0.5], [-0.5, 0.5]])
    fit = crossed_model(np.array([1.0, 2.0, 3.0, 4.0]), nulls)
    assert fit.sd_directions == 0 and fit.df == 3 and fit.estimate == 2.5
    assert fit.error == pytest.approx(np.sqrt(5 / 3 / 4))
    assert fit.interval(0.95) == pytest.approx([0.4457, 4.5543], abs=1e-4)
    assert fit.p == pytest.approx(0.03047, abs=1e-5)


def test_a_record_has_the_estimate_of_the_log_odds_whatever_the_position_preference():
    own, nulls = drawn(5, k=6)
    levels = np.column_stack([own, nulls])
    fit = crossed_model(own, nulls)
    for orders in ((0.0, 0.0), (1.5, -1.5)):
        found = record_of(arrays_of(levels, orders))
        assert found["estimate"] == pytest.approx(fit.estimate)
        assert found["interval"] == pytest.approx(fit.interval(0.95))
        assert found["p"] == pytest.approx(fit.p) and found["reason"] is None
        assert (found["n_scenarios"], found["n_directions"]) == (14, 6)
        assert (found["n_cells"], found["n_clipped"]) == (2 * 14 * 7, 0)
        assert found["unit"].startswith("difference in the log-odds of expected cooperation")


def test_histories_have_equal_weight():
    own, nulls = drawn(5, k=6)
    levels = np.column_stack([own, nulls])
    first, second = arrays_of(levels), arrays_of(levels + np.eye(7)[0])
    both = {key: np.concatenate([first[key], second[key]]) for key in first}
    assert record_of(both)["estimate"] == pytest.approx(record_of(first)["estimate"] + 0.5)


def test_the_opposite_outcome_has_the_opposite_effect():
    arrays = arrays_of(np.column_stack(drawn(6, k=6)))
    found, opposite = record_of(arrays), record_of({key: 1 - p for key, p in arrays.items()})
    assert opposite["estimate"] == pytest.approx(-found["estimate"])
    assert opposite["interval"] == pytest.approx([-end for end in reversed(found["interval"])])
    for key in ("p", "sd_scenarios", "sd_effects", "sd_directions", "sd_residuals"):
        assert opposite[key] == pytest.approx(found[key]), key


def test_clipped_cells_are_counted_and_finite():
    arrays = arrays_of(np.column_stack(drawn(7, k=6)))
    before = record_of(arrays)["n_clipped"]
    arrays[ANGER][0, :5, 0], arrays[NULLS[2]][0, 7, :] = 0.0, 1.0
    arrays[NULLS[3]][0, 8, 0] = CLIP
    found = record_of(arrays)
    assert before == 0 and found["n_clipped"] == 7 and np.isfinite(found["interval"]).all()


def test_damaged_null_directions_are_left_out_and_damaged_emotions_are_marked():
    arrays = arrays_of(np.column_stack(drawn(8, k=6)))
    without = {key: value for key, value in arrays.items() if key != NULLS[2]}
    found = record_of(arrays, ["random-2-1", "steered-anger-1"])
    assert found["damaged"] and found | {"damaged": False} == record_of(without)


def test_an_order_that_one_direction_lacks_weighs_on_none():
    arrays = arrays_of(np.column_stack(drawn(9, k=6)), orders=(3.0, -3.0))
    arrays[NULLS[0]][0, :7, 1] = np.nan
    found = record_of(arrays)
    for other in arrays.values():
        other[0, :7, 1] = np.nan
    assert found == record_of(arrays) and found["n_cells"] == (2 * 14 - 7) * 7


def test_what_cannot_be_computed_has_a_reason():
    arrays = arrays_of(np.column_stack(drawn(10, k=6)))
    few = record_of({key: value[:, :11] for key, value in arrays.items()})
    assert few["p"] is None and few["interval"] and "fewer than 12 scenarios" in few["reason"]
    alone = record_of({key: arrays[key] for key in (ANGER, NULLS[0])})
    assert alone["estimate"] is None and alone["reason"].startswith("1 undamaged null directions")
    flat = record_of({key: np.full_like(value, 0.3) for key, value in arrays.items()})
    assert flat["p"] is None and flat["interval"] is None and "do not vary" in flat["reason"]
    arrays[ANGER][:, 1:] = np.nan
    one = record_of(arrays)
    assert one["estimate"] is None and one["reason"].startswith("1 scenarios")


def test_an_emotion_without_probabilities_has_no_record():
    arrays = arrays_of(np.column_stack(drawn(10, k=6)))
    cells = cells_of_arrays(arrays | {ANGER: np.full((1, 14, 2), np.nan)}, "scored")
    assert mixed_model_records(cells, PLAN, set()) == []


SERIES, K = 1_000, 150
DIRECTIONS = {
    "normal": lambda rng, size: rng.normal(0, 1, size),
    "t3": lambda rng, size: rng.standard_t(3, size) / np.sqrt(3),
    "exponential": lambda rng, size: rng.exponential(1, size) - 1,
    "a tenth breaks": lambda rng, size: (
        rng.normal(0, 1, size) * np.where(rng.random(size) < 0.1, 3, 1) / np.sqrt(1.8)
    ),
}


# The sd of directions, that of the emotion's effect over scenarios, and the mean log-odds.
CASES = ((0.4, 0.0, 0.0), (0.1, 0.5, -6.0))


@pytest.mark.slow
@pytest.mark.parametrize("n", [24, 48])
def test_errors_with_150_null_directions(n):
    """The emotion's direction is one more of them; its interval misses 0 as often as p <= .05.

    The estimate and the interval shift with an effect, so that coverage is 1 - errors. Log-odds at
    the floor are clipped.
    """
    errors = {}
    for (kind, draw), (sd, varied, base) in product(DIRECTIONS.items(), CASES):
        rng = np.random.default_rng([n, int(10 * sd), int(-base), len(kind)])
        found = []
        for _ in range(SERIES):
            levels = rng.normal(base, 1, n)[:, None] + sd * draw(rng, K + 1)
            levels += rng.normal(0, 0.3, (n, K + 1))
            levels[:, 0] += rng.normal(0, varied, n)
            levels = np.maximum(levels, logit(CLIP))
            found.append(crossed_model(levels[:, 0], levels[:, 1:]).p <= 0.05)
        errors[kind, sd, varied, base] = np.mean(found)
        print(
            f"\n{n} scenarios, {kind} directions of sd {sd}, effects {varied}, mean {base}: ",
            end="",
        )
        print(f"{np.mean(found):.3f}")
    most = stats.binom.ppf(0.999, SERIES, 0.05) / SERIES
    assert max(errors.values()) <= most and min(errors.values()) >= 0.03
