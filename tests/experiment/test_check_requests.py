"""Checks are made under the right push, and their rows hold what was measured."""

import json
from pathlib import Path

import pytest
import torch

from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.directions import Directions
from emotion_games.experiment import check_requests
from emotion_games.experiment.check_records import check_row
from emotion_games.experiment.conditions import Condition, plan_conditions
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import load_questions
from emotion_games.prompts.check_items import load_check_items
from tiny import tiny_model
from tiny_experiment import FILES, ROOT, SETTINGS, spec_of

MODEL = tiny_model("llama")


@pytest.fixture(scope="module")
def questions():
    return load_questions(spec_of(SETTINGS), FILES)


@pytest.fixture(scope="module")
def requests(questions):
    answer = '{"rationale": "Because I was wronged.", "decision": "x"}'
    records = {t.request_key: {"answers": [answer] * 2} for t in questions.trials}
    return list(check_requests.manipulation_requests(questions, records, MODEL))


def test_self_report_follows_the_decision_under_the_same_push(questions, requests):
    reports = [r for r in requests if r.key.startswith("self_report")]
    generated = [c.name for c in plan_conditions(SETTINGS) if c.generated]
    assert sorted({r.key.split("|")[1] for r in reports}) == sorted(generated)
    assert len(reports) == len(generated) * len(questions.scenarios)
    assert all(
        r.prompt.count("Because I was wronged.") == 1 and "anger" in r.options for r in reports
    )


def test_labelling_is_blind_and_unsteered(requests):
    blind = [r for r in requests if r.key.startswith("blind_label")]
    assert blind and all(r.push is None for r in blind)
    assert all("Because I was wronged." in r.prompt and "steered" not in r.prompt for r in blind)
    steered = next(r for r in blind if "|steered-anger-1|" in r.key)
    row = check_row({"key": steered.key, "scores": {"probabilities": {"anger": 1.0}}}, names())
    assert (row["arm"], row["emotion"]) == ("steered", "anger"), (
        "the row belongs to the condition of the trial"
    )


def names():
    return {c.name: c for c in plan_conditions(SETTINGS)}


def test_dominance_items_are_asked_in_both_orders_under_every_written_push(questions):
    conditions = plan_conditions(SETTINGS)
    items = load_check_items(ROOT / "config" / "checks.yaml")
    found = list(check_requests.damage_requests(questions, conditions, items, MODEL))
    first = [r for r in found if r.key.startswith("dominance|neutral|cash_prize")]
    assert len(first) == 2 and first[0].prompt != first[1].prompt
    assert {(r.push or "neutral").split("-")[0] for r in found} == {
        "neutral",
        "steered",
        "random",
        "shuffled",
    }
    assert not any(r.push == "random-2-1" for r in found), (
        "scored-only directions write nothing to damage"
    )
    row = check_row(
        {"key": first[0].key, "scores": {"probabilities": {"better": 0.8, "worse": 0.2}}}, names()
    )
    assert (row["check"], row["value"], row["item"]) == ("dominance", 0.8, "cash_prize/better")


def test_perplexity_is_the_mean_negative_log_likelihood(questions):
    row = check_row(
        {"key": "perplexity|steered-anger-1|0", "scores": {"per_token": {"text": -2.5}}}, names()
    )
    assert (row["value"], row["emotion"], row["intensity"]) == (2.5, "anger", 1.0)


def test_comprehension_counts_only_the_right_answer():
    scores = {"probabilities": {"right": 0.3, "wrong_1": 0.4, "wrong_2": 0.3}}
    assert (
        check_row({"key": "comprehension|neutral|s/h/0", "scores": scores}, names())["value"] == 0.0
    )


def test_comprehension_is_asked_in_neutral_about_every_outcome(questions):
    found = list(check_requests.comprehension_requests(questions, MODEL))
    assert len(found) == 4 * len(questions.scenarios), "a matrix of two by two has four outcomes"
    assert all(list(r.options).count("right") == 1 and r.push is None for r in found)


@torch.inference_mode()
def test_projection_is_what_the_layers_after_add():
    loaded = tiny_model("llama")
    vectors = torch.randn(4, 32, generator=torch.Generator().manual_seed(2)) * 0.3
    about = {"layers": [1], "depth": 4, "calibration": {"anger": 1.0}, "weights_hash": "w"}
    directions = Directions({"anger": vectors}, {}, about)
    condition = Condition("steered", "anger", 1.0)
    instrument = Instrument(loaded, [1], condition_pushes(directions, [condition]), 0.7, 0.95)
    assert check_requests.later_layer(directions) == 2
    for layer in loaded.layers[2:]:  # layers that pass their input on add nothing to the push
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    emotions = {condition.name: condition.emotion}
    found = check_requests.projections(
        instrument, directions, [Request("k", "<s>Well?", condition.name, {})], emotions
    )
    assert found == pytest.approx([0.0], abs=1e-4)


def test_nothing_later_to_read_where_the_last_layer_is_steered():
    assert check_requests.later_layer(Directions({}, {}, {"layers": [2, 3], "depth": 4})) is None


def test_probabilities_are_written_as_json():
    row = check_row(
        {"key": "self_report|neutral|s", "scores": {"probabilities": {"fear": 1.0}}}, names()
    )
    assert json.loads(row["probabilities"]) == {"fear": 1.0} and Path(row["item"]).name == "s"
