"""The whole analysis: an independent computation, and the mistakes that such analyses make."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from emotion_games.analysis.experiment_statistics import analyse, strict
from emotion_games.analysis.inference import bootstrap_t_p
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

ROOT = Path(__file__).parents[2]


def analysed(trials, game=None, checks=None, settings=SETTINGS, **others):
    return analyse(
        trials,
        simulate_checks() if checks is None else checks,
        game or a_game(),
        settings,
        **others,
    )


def one(records, **values):
    found = [
        record for record in records if all(record[key] == value for key, value in values.items())
    ]
    assert len(found) == 1, (values, len(found))
    return found[0]


def headline(
    analysis, emotion="anger", contrast="emotion_minus_neutral", measure="chosen", history="none"
):
    values = {
        "contrast": contrast,
        "emotion": emotion,
        "intensity": 1.0,
        "measure": measure,
        "history": history,
    }
    return one(analysis["contrasts"], **values)


def chosen(table, arm, emotion, intensity, choices, order=None):
    """Set the choices of a condition; `choices` is one label or one a row."""
    rows = (table["arm"] == arm) & (table["emotion"] == emotion) & (table["intensity"] == intensity)
    if order is not None:
        rows &= table["option_order"] == json.dumps(order)
    table.loc[rows, "choice"] = choices
    table.loc[rows, "extraction_method"] = "strict"


def test_a_worked_example_agrees_with_an_independent_computation():
    """Loops and plain NumPy, all 4,096 sign patterns, twelve scenarios with unparsed answers."""
    trials = simulate(
        a_game(), seed=5, n_scenarios=12, repeats=3, unparsed=0.1, effects={"anger": -0.2}, base=0.6
    )
    analysis = analysed(trials)

    def by_order(arm, emotion, column):
        cells = {}
        for row in trials[trials["arm"].eq(arm) & trials["emotion"].eq(emotion)].to_dict("records"):
            if row["intensity"] in (0.0, 1.0):
                value = column(row)
                cells.setdefault((row["scenario_id"], row["option_order"]), []).append(value)
        return {
            key: np.mean([v for v in values if v is not None])
            for key, values in cells.items()
            if any(v is not None for v in values)
        }

    def differences(arm, emotion, column):
        a, b = by_order(arm, emotion, column), by_order("neutral", "neutral", column)
        shared = {}
        for key in a.keys() & b.keys():
            shared.setdefault(key[0], []).append(a[key] - b[key])
        return np.array([np.mean(shared[name]) for name in sorted(shared)])

    def choice(row):
        return {"cooperate": 1.0, "defect": 0.0, "": None}[row["choice"]]

    def probability(row):
        return json.loads(row["choice_probabilities"])["cooperate"]

    d = differences("steered", "anger", choice)
    n, mean, sd = len(d), d.sum() / len(d), np.sqrt(((d - d.mean()) ** 2).sum() / (len(d) - 1))
    reach = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)
    sums = np.abs([np.dot(signs, d) for signs in product((1, -1), repeat=n)])
    p = np.mean(sums > abs(d.sum()) + 1e-9) + 0.5 * np.mean(np.abs(sums - abs(d.sum())) <= 1e-9)
    found = headline(analysis)
    assert found["estimate"] == pytest.approx(mean, abs=1e-8)
    assert found["interval"] == pytest.approx([mean - reach, mean + reach], abs=1e-8)
    assert found["p"] == pytest.approx(max(p, bootstrap_t_p(d[:, None])[0]), abs=1e-8)
    assert found["n_scenarios"] == n == 12

    own = differences("steered", "anger", probability)
    nulls = np.array([differences("random", f"random_{j}", probability) for j in range(20)]).T
    excess, means = own - nulls.mean(1), nulls.mean(0)
    # Both factors: stories, and directions without the noise that the stories add to them.
    rest = nulls - nulls.mean(1, keepdims=True) - means + means.mean()
    noise = (rest**2).sum() / (11 * 19) / 12
    parts = np.array([excess.var(ddof=1) / 12, max(0.0, means.var(ddof=1) - noise) / 20])
    df = parts.sum() ** 2 / (parts**2 / np.array([11, 19])).sum()
    reach = stats.t.ppf(0.975, df) * np.sqrt(parts.sum())
    random = headline(analysis, contrast="emotion_minus_random", measure="scored")
    assert random["estimate"] == pytest.approx(excess.mean(), abs=1e-8)
    assert random["interval"] == pytest.approx(
        [excess.mean() - reach, excess.mean() + reach], abs=1e-8
    )
    every = np.append(means, own.mean())
    distance = np.abs(every - every.mean())
    assert random["p"] == random["p_rank"] == pytest.approx((distance >= distance[-1]).mean())

    everyone = [differences("steered", e, choice) for e in SETTINGS["emotions"]]
    specific = everyone[0] - (everyone[1] + everyone[2]) / 2
    assert headline(analysis, contrast="emotion_minus_other_emotions")["estimate"] == pytest.approx(
        specific.mean(), abs=1e-8
    )


def test_fault_1_cramers_v_of_identical_and_of_reversed_choices():
    trials = simulate(a_game(), seed=1)
    chosen(trials, "neutral", "neutral", 0.0, "cooperate")
    chosen(trials, "steered", "anger", 1.0, "cooperate")
    chosen(trials, "steered", "happiness", 1.0, "defect")
    analysis = analysed(trials)
    same, reversed_ = headline(analysis, "anger"), headline(analysis, "happiness")
    assert (same["cramers_v"], same["estimate"], same["p"]) == (0.0, 0.0, 1.0)
    assert same["interval"][0] < 0 < same["interval"][1]
    assert (reversed_["cramers_v"], reversed_["estimate"]) == (1.0, -1.0)
    assert reversed_["p"] < 0.001


def test_fault_2_an_option_that_nobody_chose_hides_nothing():
    game = a_game(("much", "little", "nothing"), (1.0, 0.5, 0.0))
    trials = simulate(game, seed=2)
    half = np.where(np.arange((trials["arm"] == "neutral").sum()) % 2, "much", "little")
    chosen(trials, "neutral", "neutral", 0.0, half)
    chosen(trials, "steered", "anger", 1.0, "little")
    analysis = analysed(trials, game)
    found = headline(analysis)
    assert found["p"] < 0.001 and 0.3 < found["cramers_v"] <= 1
    shares = one(analysis["rates"], condition="neutral", measure="chosen")["shares"]
    assert one(shares, choice="nothing")["estimate"] == 0
    assert headline(analysis, measure="chosen:nothing")["p"] == 1.0


def test_fault_3_the_same_data_give_the_same_numbers():
    trials = simulate(a_game(), seed=3, n_random=2, arms=())
    shuffled = trials.sample(frac=1, random_state=1).reset_index(drop=True)
    first, second = headline(analysed(trials)), headline(analysed(shuffled))
    assert first == headline(analysed(trials.copy()))
    assert first["p"] == pytest.approx(second["p"], abs=0.01)
    assert first["interval"] == pytest.approx(second["interval"])


@pytest.mark.parametrize("n_scenarios", [1, 2, 11])
def test_fault_4_strict_json_from_any_table(n_scenarios):
    trials = simulate(a_game(), seed=4, n_scenarios=n_scenarios)
    trials["choice"], trials["extraction_method"] = "", "unparsed: no json"
    for table, checks in (
        (trials, None),
        (simulate(a_game(), n_scenarios=n_scenarios), pd.DataFrame()),
    ):
        analysis = analysed(table, checks=checks)
        assert json.loads(json.dumps(analysis, allow_nan=False)) == analysis
        assert not any(r["moved"] or r["claim"] for r in analysis["emotion_analysis"].values())
        assert not any(r["p"] is not None for r in analysis["contrasts"])
        assert all(r["reason"] for r in analysis["contrasts"] if r["p"] is None)
        assert "descriptive only" in analysis["text_description"]


def test_fault_5_the_family_of_tests_is_corrected():
    game = a_game(histories=("low", "high"))
    analysis = analysed(simulate(game, seed=5), game)
    planned = [
        r
        for r in analysis["contrasts"]
        if r["role"] == "planned" and r["contrast"] == "emotion_minus_neutral"
    ]
    # One test an emotion, whatever the number of histories.
    assert len(planned) == 3 and {r["n_tests"] for r in planned} == {3}
    assert {r["history"] for r in planned} == {"mean"}
    for record in planned:
        effect = analysis["emotion_analysis"][record["emotion"]]
        assert effect["p_moved_corrected"] == record["p_corrected"] >= record["p"]
        assert effect["p_moved_holm"] == record["p_holm"] >= record["p_corrected"]
    assert {r["p_holm"] for r in analysis["contrasts"] if r["role"] == "exploratory"} == {None}


def test_fault_6_repeats_are_not_scenarios():
    trials = simulate(a_game(), seed=6, effects={"anger": -0.1})
    tenfold = pd.concat([trials.assign(repeat_num=i) for i in range(10)], ignore_index=True)
    once, ten = headline(analysed(trials)), headline(analysed(tenfold))
    assert ten["n_trials"] == 10 * once["n_trials"] and ten["n_scenarios"] == once["n_scenarios"]
    for key in ("estimate", "interval", "p", "p_t"):
        assert ten[key] == pytest.approx(once[key], abs=1e-9)


def test_fault_7_unparsed_answers_are_no_behaviour():
    """Twelve parse failures and nothing else: no effect, but they are counted and bounded."""
    trials = simulate(a_game(), seed=7)
    for arm, emotion, intensity in (("neutral", "neutral", 0.0), ("steered", "anger", 1.0)):
        chosen(trials, arm, emotion, intensity, "cooperate")
    lost = trials.index[
        (trials["emotion"] == "anger") & (trials["intensity"] == 1.0) & (trials["arm"] == "steered")
    ][:12]
    trials.loc[lost, ["choice", "extraction_method"]] = ["", "unparsed: no json"]
    analysis = analysed(trials)
    found = headline(analysis)
    assert (found["estimate"], found["p"]) == (0.0, 1.0)
    assert found["worst_case"]["n_unparsed"] == 12
    assert (
        found["worst_case"]["low"] == pytest.approx(-12 / 48) and found["worst_case"]["high"] == 0
    )
    validity = one(analysis["validity"], condition="steered-anger-1")
    assert validity["reasons"] == {"unparsed: no json": 12} and validity[
        "parse_rate"
    ] == pytest.approx(36 / 48)
    assert one(analysis["rates"], condition="steered-anger-1", measure="chosen")["n_missing"] == 12


def test_fault_8_intensities_are_kept_apart():
    trials = simulate(a_game(), seed=8, effects={"anger": -0.3})
    changed = trials.copy()
    chosen(changed, "steered", "anger", 1.5, "cooperate")
    first, second = analysed(trials), analysed(changed)
    assert headline(first) == headline(second)
    doses = {
        key: one(rows, emotion="anger", measure="chosen")
        for key, rows in first["intensity_analysis"].items()
    }
    assert list(doses) == ["0.5", "1", "1.5"]
    assert [doses[key]["headline"] for key in doses] == [False, True, False]
    assert all(row["interval"] for row in doses.values())
    slope = one(first["dose_response"], emotion="anger", measure="chosen")["slope"]
    assert slope["estimate"] == pytest.approx(-0.3, abs=0.12) and slope["interval"][1] < 0


def test_fault_9_position_bias_is_no_behaviour():
    """The model takes the first option, and a condition lost most answers of one order."""
    trials = simulate(a_game(), seed=9)
    trials["choice"] = [json.loads(order)[0] for order in trials["option_order"]]
    trials["extraction_method"] = "strict"
    anger = (
        (trials["emotion"] == "anger")
        & (trials["option_order"] == '["cooperate", "defect"]')
        & (trials.index % 4 > 0)
    )
    trials.loc[anger, ["choice", "extraction_method"]] = ["", "unparsed: cut off"]
    analysis = analysed(trials)
    assert headline(analysis)["estimate"] == 0.0
    bias = one(analysis["position_bias"], condition="neutral", measure="chosen")
    assert bias["estimate"] == 0.5 and bias["p"] < 0.001
    assert (
        one(analysis["position_bias"], condition="steered-happiness-1", measure="chosen")[
            "versus_neutral"
        ]["estimate"]
        == 0
    )


NULLS = 61
CLAIMING = SETTINGS | {
    "intensity": [1.0],
    "arms": SETTINGS["arms"] | {"random": {"matched": NULLS, "isotropic": 0}},
}


def with_nulls(game=None, checks=None, **changes):
    """Trials and checks of an experiment that can claim an effect of anger, and its settings."""
    planted = {"effects": {"anger": -0.5}, "random_sd": 0.03, "arms": ("first_half", "second_half")}
    made = {"intensities": (1.0,), "n_random": NULLS, "texts": False} | planted | changes
    checks = simulate_checks(intensities=(1.0,), n_random=NULLS) if checks is None else checks
    return simulate(game or a_game(), seed=10, **made), checks


def primary(name):
    return CLAIMING | {"statistics": SETTINGS["statistics"] | {"primary": name}}


def test_an_interim_table_claims_nothing():
    trials, checks = with_nulls()
    complete, part = (
        analysed(trials, checks=checks, settings=CLAIMING, n_planned=n)
        for n in (len(trials), len(trials) + 1)
    )
    assert complete["emotion_analysis"]["anger"]["claim"] is True
    assert part["meta"]["interim"] and part["emotion_analysis"]["anger"]["claim"] is False
    assert "INTERIM" in part["text_description"]


def test_without_generated_answers_the_claim_rests_on_the_scores():
    trials, checks = with_nulls()
    trials["generated"], trials["choice"], trials["extraction_method"] = False, "", "not generated"
    analysis = analysed(trials, checks=checks, settings=CLAIMING)
    assert analysis["emotion_analysis"]["anger"]["measure"] == "scored"
    assert analysis["emotion_analysis"]["anger"]["claim"] is True
    assert analysis["text_description"].count("Nothing was generated") == 1


@pytest.mark.parametrize(
    ("name", "measure"), [("written", "chosen"), ("after_rationale", "scored_after")]
)
def test_claims_can_rest_on_each_measure(name, measure):
    """Only this measure moves; the probabilities before the answer stay those of neutral."""
    trials, checks = with_nulls(writes_nulls=True)
    trials["choice_probabilities"] = '{"cooperate": 0.5, "defect": 0.5}'
    analysis = analysed(trials, checks=checks, settings=primary(name))
    anger = analysis["emotion_analysis"]["anger"]
    assert anger["measure"] == analysis["plan"]["claim"]["measure"] == measure
    assert anger["claim"] is True and anger["n_nulls"] == NULLS
    direct = analysed(trials, checks=checks, settings=CLAIMING)["emotion_analysis"]["anger"]
    assert direct["measure"] == "scored" and direct["moved"] is direct["claim"] is False
    assert {o["measure"]: o["agrees"] for o in anger["other_measures"]}.keys() == {
        *{"scored", "scored_after", "chosen"} - {measure}
    }


def test_other_measures_agree_if_their_effect_has_the_same_sign():
    trials, checks = with_nulls()
    rows = (trials["arm"] == "steered") & (trials["emotion"] == "anger")
    trials.loc[rows, "choice_probabilities_after"] = '{"cooperate": 0.99, "defect": 0.01}'
    anger = analysed(trials, checks=checks, settings=CLAIMING)["emotion_analysis"]["anger"]
    agreed = {other["measure"]: other["agrees"] for other in anger["other_measures"]}
    assert agreed == {"scored_after": False, "chosen": True} and anger["halves_agree"] is True


def test_a_hundred_and_fifty_null_directions_add_few_records():
    """Each stands in the damage check, and in one list of effects."""
    made = {"n_scenarios": 2, "intensities": (1.0,), "texts": False}
    settings = SETTINGS | {"intensity": [1.0]}
    sizes, records = [], []
    for n in (20, 150):
        checks = simulate_checks(intensities=(1.0,), n_random=n)
        analysis = analysed(simulate(a_game(), n_random=n, **made), None, checks, settings)
        parts = ("rates", "contrasts", "position_bias", "length_bias", "validity", "dose_response")
        records.append([len(analysis[part]) for part in (*parts, "manipulation", "equivalence")])
        assert not any(r["arm"] == "random" for part in parts[:5] for r in analysis[part])
        sizes.append(len(json.dumps(analysis)))
        assert len(analysis["damage"]) == 3 + 3 + n
    assert records[0] == records[1] and sum(records[1]) < 250
    assert (sizes[1] - sizes[0]) / 130 < 1_500, "bytes for each null direction"


def test_damaged_null_directions_leave_the_reference():
    checks = simulate_checks(
        intensities=(1.0,), n_random=NULLS, broken=("random_3", "random_40", "random_50")
    )
    trials, _ = with_nulls()
    analysis = analysed(trials, checks=checks, settings=CLAIMING)
    damaged = {r["emotion"] for r in analysis["damage"] if r["damaged"]}
    assert damaged == {"random_3", "random_40", "random_50"}
    nulls = one(analysis["null_directions"], arm="random", measure="scored")
    assert (nulls["n_directions"], nulls["n_damaged"]) == (58, 3)
    assert not damaged & set(nulls["effects"])
    anger = analysis["emotion_analysis"]["anger"]
    assert (anger["n_nulls"], anger["n_damaged_nulls"]) == (58, 3) and not anger["claim"]
    assert anger["versus_random"]["n_directions"] == 58
    reason = "claims are not testable: 58 undamaged null directions of 59 needed"
    assert reason in anger["claim_reasons"]


def test_histories_are_shown_beside_their_mean():
    game = a_game(histories=("low", "high"))
    trials = simulate(game, seed=12)
    for history, choice in (("low", "defect"), ("high", "cooperate")):
        trials.loc[(trials["history"] == history) & (trials["emotion"] == "anger"), "choice"] = (
            choice
        )
    analysis = analysed(trials, game)
    mean, low, high = (
        headline(analysis, history=name)["estimate"] for name in ("mean", "low", "high")
    )
    assert low < -0.3 and high > 0.3 and mean == pytest.approx((low + high) / 2)
    assert {record["history"] for record in analysis["contrasts"]} == {"mean", "low", "high"}
    assert analysis["meta"]["histories"] == ["low", "high"]


def test_rationality_needs_prompts_that_show_the_payoffs():
    payoffs = {(a, b): (1.0, 1.0) for a in ("cooperate", "defect") for b in ("cooperate", "defect")}
    game = replace(a_game(), payoffs=payoffs)
    trials = simulate(game, n_scenarios=2)
    assert analysed(trials)["rationality"]["reason"].startswith(
        "the prompts did not show the payoffs"
    )
    shown = analysed(trials, game, settings=SETTINGS | {"show_payoffs": True})["rationality"]
    assert shown["available"] and {row["arm"] for row in shown["rows"]} >= {"neutral", "steered"}
    assert all(
        0 <= row["equilibrium_share"] <= 1 and row["mean_regret"] >= 0 for row in shown["rows"]
    )


def test_every_number_has_n_unit_and_method():
    analysis = analysed(simulate(a_game(), seed=13))
    basis = analysis["basis"]
    for part in ("rates", "contrasts", "dose_response", "position_bias", "validity", "equivalence"):
        assert analysis[part]
        for record in analysis[part]:
            assert record["n_scenarios"] is not None and set(basis[record["basis"]]) == {
                "unit",
                "method",
            }
    assert all(
        record["n_items"] and basis[record["basis"]]["method"]
        for record in analysis["manipulation"]
    )
    # No text stands there twice, and none is left in a record.
    assert len({json.dumps(entry) for entry in basis}) == len(basis)
    rest = json.dumps({key: part for key, part in analysis.items() if key != "basis"})
    assert '"unit":' not in rest and '"method":' not in rest


def test_strict_turns_numpy_and_nan_into_json():
    value = {
        1: [np.nan, np.nan],
        "a": np.float32(0.5),
        "b": (np.int64(2), np.inf),
        "c": np.bool_(True),
    }
    assert strict(value) == {"1": None, "a": 0.5, "b": [2, None], "c": True}


@pytest.mark.slow
def test_a_hundred_thousand_trials_in_a_minute_and_two_gigabytes():
    code = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks
from emotion_games.analysis.experiment_statistics import analyse
emotions = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")
game = a_game(histories=("low", "medium", "high"))
nulls = {"matched": 150, "isotropic": 150}
shape = {"emotions": emotions, "intensities": (0.1, 0.2, 1.0)}
trials = simulate(game, n_scenarios=49, repeats=2, n_random=150, n_isotropic=150, **shape)
checks = simulate_checks(**shape, n_random=150)
arms = {"random": nulls, "shuffled": False, "prompted": True}
settings = SETTINGS | {"emotions": list(emotions), "intensity": [0.1, 0.2, 1.0], "arms": arms}
started = time.time()
analyse(trials, checks, game, settings)
seconds = time.time() - started
# Unlike ru_maxrss, it does not include what the process that starts this one takes.
(line,) = [line for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
print(len(trials), seconds, int(line.split()[1]) / 2**20)
"""
    environment = {"PYTHONPATH": "scripts", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    n, seconds, gigabytes = (float(part) for part in done.stdout.split())
    print(
        f"\n{n:.0f} trials analysed in {seconds:.1f} s, "
        f"peak memory {gigabytes:.2f} GB (with the simulation)"
    )
    assert n >= 100_000 and seconds < 60 and gigabytes < 2
