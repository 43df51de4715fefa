"""Guided answers of an experiment: a choice in each trial, drawn from its own probabilities."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from emotion_games.engine.sampling import trial_uniforms
from emotion_games.experiment.answers import GUIDED, answer_of, drawn_option
from emotion_games.experiment.check_requests import FORMAT_SCENARIOS, check_requests, format_trials
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.requests import load_questions, trial_requests
from emotion_games.experiment.trial_table import read_trials
from tiny import tiny_model
from tiny_experiment import FILES, SETTINGS, finish, spec_of

MODEL = tiny_model("llama")


@pytest.fixture(scope="module")
def questions():
    return load_questions(spec_of(SETTINGS), FILES)


def record(*probabilities, rationale="Fair."):
    scores = {"probabilities": dict(zip(("cooperate", "defect"), probabilities, strict=True))}
    answer = f'{{"rationale": "{rationale}", "decision": "'
    return {
        "scores": {"probabilities": {"cooperate": 0.5, "defect": 0.5}},
        "answers": [answer] * 2,
        "after": [scores] * 2,
        "ends": ["quote", "budget"],
    }


def test_options_are_drawn_as_often_as_they_are_likely():
    shares = {"b": 0.2, "a": 0.5, "c": 0.3}
    keys = [("Game", f"s{i}", "none", ["a", "b"], 0, "option") for i in range(4000)]
    drawn = Counter(drawn_option(shares, trial_uniforms(k, 7, 1)[0], 0.7) for k in keys)
    expected = [shares[label] * len(keys) for label in drawn]
    assert chisquare(list(drawn.values()), expected).pvalue > 0.01


def test_an_option_is_the_inverse_of_the_cumulative_distribution_in_label_order():
    shares = {"b": 0.25, "c": 0.0, "a": 0.75}
    drawn = [drawn_option(shares, u, 1.0) for u in (0.0, 0.7499, 0.7501, np.nextafter(1, 0))]
    assert drawn == ["a", "a", "b", "b"]


def test_temperature_does_not_change_the_draw_but_zero_takes_the_likeliest_option():
    shares = {"a": 0.4, "b": 0.6}
    assert drawn_option(shares, 0.1, 0.01) == drawn_option(shares, 0.1, 10.0) == "a"
    assert drawn_option(shares, 0.1, 0) == "b"
    assert drawn_option({"b": 0.5, "a": 0.5}, 0.9, 0) == "a", "label order decides between equals"


def test_the_answer_is_the_form_with_the_rationale_and_the_drawn_option(questions):
    trial = next(t for t in questions.trials if t.order == ("defect", "cooperate"))
    answer = answer_of(questions, trial, record(1.0, 0.0))
    option = questions.scenarios[trial.scenario_id].options["cooperate"]
    assert json.loads(answer.output) == {"rationale": "Fair.", "decision": option}
    found = answer.decision
    assert (found.choice, found.category, found.method) == ("cooperate", 2, GUIDED)
    assert (found.rationale, found.decision, answer.rationale_end) == ("Fair.", option, "quote")


def test_a_drawn_option_is_paired_over_conditions_and_differs_over_repeats(questions):
    draws = {}
    for trial in questions.trials:
        if trial.condition.generated:
            uniform_half = answer_of(questions, trial, record(0.5, 0.5)).decision.choice
            draws.setdefault(trial.sampling_key, set()).add(uniform_half)
    assert all(len(choices) == 1 for choices in draws.values())
    assert len(set.union(*draws.values())) == 2


def test_a_draw_does_not_share_its_random_number_with_the_first_token(questions):
    trial = questions.trials[0]
    key = (questions.game.name, *trial.sampling_key)
    first = trial_uniforms(key, SETTINGS["seed"], 1)[0]
    # With that number the option would be the other one.
    at = answer_of(questions, trial, record(first + 1e-6, 1 - first - 1e-6)).decision.choice
    below = answer_of(questions, trial, record(first - 1e-6, 1 - first + 1e-6)).decision.choice
    assert at == below


def test_free_decoding_keeps_prompts_random_numbers_and_trial_ids(questions):
    free = load_questions(spec_of(SETTINGS | {"decoding": "free"}), FILES)
    assert [t.trial_id for t in free.trials] == [t.trial_id for t in questions.trials]
    requests = [trial_requests(asked, MODEL) for asked in (free, questions)]
    for one, other in zip(*requests, strict=True):
        assert replace(one, uniforms=()) == replace(other, lead="", link="", uniforms=())
        assert all((a == b).all() for a, b in zip(one.uniforms, other.uniforms, strict=True))
    assert list(check_requests(free, MODEL)) == []


def test_a_guided_decision_alone_is_scored_at_once_and_nothing_is_written():
    settings = SETTINGS | {"answer_form": "decision"}
    settings |= {"scoring": {"direct": True, "after_rationale": True}}
    asked = load_questions(spec_of(settings), FILES)
    for made in trial_requests(asked, MODEL):
        assert made.scored and made.uniforms == () and made.lead == ""
    trial = asked.trials[0]
    measured = {"scores": {"probabilities": {"cooperate": 0.0, "defect": 1.0}}}
    answer = answer_of(asked, trial, measured)
    assert answer.decision.choice == "defect" and answer.after is None
    assert list(json.loads(answer.output)) == ["decision"]


def test_free_answers_are_asked_in_neutral_and_under_each_emotion_at_the_headline_dose(questions):
    requests = [r for r in check_requests(questions, MODEL) if r.key.startswith("free|")]
    conditions = Counter(r.key.split("|")[1] for r in requests)
    assert conditions == dict.fromkeys(("neutral", "steered-anger-1", "steered-happiness-1"), 2)
    first = {t.trial_id: t for t in questions.trials}
    by_key = {r.key: r for r in trial_requests(questions, MODEL)}
    for (key, trial), made in zip(format_trials(questions), requests, strict=True):
        assert key == made.key and first[trial.trial_id].trial_id.endswith("/r0")
        guided = by_key[trial.request_key]
        assert made.lead == "" and made.options == {} and not made.scored
        assert made.push == guided.push and len(made.uniforms) == 1
        assert (made.uniforms[0] == guided.uniforms[0]).all()


def test_at_most_a_few_scenarios_are_answered_freely_and_none_without_the_check(questions):
    many = load_questions(spec_of(SETTINGS | {"num_scenarios": FORMAT_SCENARIOS + 3}), FILES)
    assert len({t.scenario_id for _, t in format_trials(many)}) == FORMAT_SCENARIOS
    off = SETTINGS | {"checks": SETTINGS["checks"] | {"format": False}}
    assert not list(format_trials(load_questions(spec_of(off), FILES)))


@pytest.fixture(scope="module")
def table(reference):
    return read_trials(reference / "exp_results.csv")


def test_each_guided_trial_has_a_choice_that_its_own_probabilities_give(table):
    generated = table[table["generated"]]
    assert (generated["extraction_method"] == GUIDED).all() and (generated["choice"] != "").all()
    for row in generated.to_dict("records"):
        answer = json.loads(row["output"])
        assert answer["rationale"] == row["rationale"] and answer["decision"] == row["decision"]
        order = json.loads(row["option_order"])
        assert order[row["category"] - 1] == row["choice"]
        key = ("Prisoners_Dilemma", row["scenario_id"], row["history"], order, row["repeat_num"])
        uniform = trial_uniforms((*key, "option"), row["seed"], 1)[0]
        after = json.loads(row["choice_probabilities_after"])
        assert drawn_option(after, uniform, 0.7) == row["choice"]
        assert 0 <= row["valid_mass_after"] <= 1
    assert set(generated["rationale_end"]) <= {"quote", "end token", "budget"}
    assert set(table.loc[~table["generated"], "rationale_end"]) == {""}


def test_free_answers_stand_beside_the_guided_ones_to_the_same_prompt(table):
    asked = table[table["free_method"] != ""]
    assert set(asked["arm"]) == {"neutral", "steered"} and set(asked["repeat_num"]) == {0}
    assert len(asked) == 2 * 3
    assert (asked["free_output"] != asked["output"]).all()


def test_the_decision_alone_gives_every_trial_a_choice(model, files, directions_file, tmp_path):
    settings = SETTINGS | {
        "answer_form": "decision",
        "num_scenarios": 1,
        "repeat": 1,
        "scoring": {"direct": True, "after_rationale": False},
        "arms": {"random": {"matched": 1, "isotropic": 0}, "shuffled": False, "prompted": False},
    }
    inputs = Inputs(
        spec=spec_of(settings),
        files=files,
        model_path=str(model),
        directions=directions_file,
        journal=tmp_path / "x.trials.jsonl",
        runtime={"device": "cpu"},
    )
    finish(inputs, tmp_path / "out", Control(log=lambda _: None))
    found = read_trials(tmp_path / "out" / "exp_results.csv")
    drawn = found["arm"].isin(["neutral", "steered"])
    assert (found["choice"] != "").equals(drawn) and (found["rationale"] == "").all()
    assert found["valid_mass"].notna().all() and found["valid_mass_after"].isna().all()
    assert (found["choice_probabilities"] != "").all()
