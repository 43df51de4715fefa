"""The checks of pushes: what is asked under which condition, and their table."""

import json
from dataclasses import replace

import pytest
import torch

from emotion_games.engine.backend import Backend
from emotion_games.experiment import measuring, push_checks
from emotion_games.experiment.check_records import (
    CHECK_COLUMNS,
    LEAST_NULLS,
    NULLS_CHECKED,
    read_checks,
)
from emotion_games.experiment.conditions import Arm, plan_conditions
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.push_check_requests import NULL_TEXTS, push_check_requests
from emotion_games.experiment.push_checks import check_pushes, load_material
from emotion_games.signals import Interrupted
from tiny import tiny_model
from tiny_experiment import SETTINGS, spec_of

torch.set_num_threads(1)
# As many null directions as are compared with.
ENOUGH = SETTINGS["arms"] | {"random": {"matched": LEAST_NULLS, "isotropic": 1}}
# Several batches.
RUNTIME = {"device": "cpu", "batch_tokens": 3000}


@pytest.fixture
def inputs_of(model, files, directions_file, tmp_path):
    def make(**changes):
        return Inputs(
            spec=spec_of(SETTINGS | changes),
            files=files,
            model_path=str(model),
            directions=directions_file,
            journal=tmp_path / "push_checks.jsonl",
            runtime=RUNTIME,
        )

    return make


@pytest.fixture
def check(inputs_of, tmp_path):
    """Run the checks in tmp_path; return the rows of the table, and the log."""

    def check(should_stop=lambda: False, **changes):
        log = []
        show = lambda counts, left: log.append((counts, left))  # noqa: E731
        output = tmp_path / "models" / "tiny" / "push_checks.csv"
        check_pushes(inputs_of(**changes), output, Control(should_stop, show, log.append))
        return read_checks(output), log

    return check


def requests_of(inputs_of, **changes):
    inputs = inputs_of(**{"arms": ENOUGH} | changes)
    return list(push_check_requests(load_material(inputs), tiny_model("qwen2")))


def by_check(requests):
    found = {}
    for request in requests:
        kind, condition, item = request.key.split("|")
        found.setdefault(kind, {}).setdefault(condition, {})[item] = request
    return found


def test_each_check_is_made_under_every_condition_in_which_it_makes_sense(inputs_of):
    arms, instructions = ENOUGH | {"combined": True}, {"calm": "Keep calm."}
    found = by_check(requests_of(inputs_of, arms=arms, instructions=instructions))
    conditions = plan_conditions(SETTINGS | {"arms": arms})
    halves, instructed = (Arm.FIRST_HALF, Arm.SECOND_HALF), (Arm.INSTRUCTED, Arm.INSTRUCTED_NEUTRAL)
    asked = {c.name for c in conditions if c.arm not in (*halves, *instructed, Arm.ISOTROPIC)}
    read = {name for name in asked if not name.startswith(("prompted", "combined"))}
    # An event or an instruction beside a push does not make it another push.
    pushed = {c.push for c in conditions if c.is_pushed} | {"neutral"}
    nulls = {c.name for c in conditions if c.arm.is_null}
    assert {kind: set(group) for kind, group in found.items()} == {
        "named_emotion": asked,
        "felt_emotion": asked,
        "held_out_sentences": read,
        "dominance": pushed - nulls,
        "perplexity": pushed,
    }
    assert {"isotropic-0-1", "random-2-1"} < pushed
    assert set(found["named_emotion"]["neutral"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("matched", "asked"), [(LEAST_NULLS - 1, 0), (LEAST_NULLS, LEAST_NULLS), (150, NULLS_CHECKED)]
)
def test_some_null_directions_are_asked_for_an_emotion_and_all_read_texts(
    inputs_of, matched, asked
):
    arms = ENOUGH | {"random": {"matched": matched, "isotropic": 0}}
    found = by_check(requests_of(inputs_of, arms=arms))
    nulls = {kind: [n for n in group if n.startswith("random")] for kind, group in found.items()}
    assert nulls["named_emotion"] == [f"random-{number}-1" for number in range(asked)]
    assert len(nulls["perplexity"]) == matched and nulls["dominance"] == []


def test_a_null_direction_reads_fewer_texts(inputs_of):
    material = load_material(inputs_of(arms=ENOUGH))
    texts = tuple(f"Here is the neutral text with the number {number}." for number in range(12))
    items = replace(material.items, neutral_texts=texts)
    asked = push_check_requests(replace(material, items=items), tiny_model("qwen2"))
    read = by_check(asked)["perplexity"]
    assert list(read["random-0-1"]) == [str(number) for number in range(NULL_TEXTS)]
    assert len(read["neutral"]) == len(read["steered-anger-1"]) == 12


def test_a_setting_leaves_checks_out(inputs_of, check):
    damage = by_check(requests_of(inputs_of, checks={"manipulation": False, "damage": True}))
    assert set(damage) == {"dominance", "perplexity"}
    rows, log = check(checks={"manipulation": False, "damage": False})
    assert rows == [] and log == [], "a header alone, without the model"


def test_the_answer_begins_in_the_prompt_and_ends_with_a_whole_word(inputs_of):
    found = by_check(requests_of(inputs_of))
    named = found["named_emotion"]["steered-anger-1"]["0"]
    felt = found["felt_emotion"]["steered-anger-1"]["0"]
    templates = load_material(inputs_of()).templates
    assert "You are at the bakery." in named.prompt
    assert named.prompt.endswith(templates.texts["named_emotion.answer"])
    assert felt.prompt.endswith(templates.texts["felt_emotion.answer"])
    assert named.push == felt.push == "steered-anger-1"
    assert named.options["anger"] == " anger" and named.closing == felt.closing == "."
    word = templates.feelings["anger"][0]
    assert felt.options[f"anger/{word}"] == f" {word}" and word not in felt.prompt


def test_labels_stand_in_another_order_in_each_situation_and_in_the_same_under_each_push(inputs_of):
    named = by_check(requests_of(inputs_of))["named_emotion"]
    assert (
        len({named[condition]["0"].prompt for condition in named if "prompted" not in condition})
        == 1
    )
    orders = [named["neutral"][item].prompt.split("feel?")[1] for item in ("0", "1")]
    assert orders[0] != orders[1]


def test_an_event_of_the_emotion_stands_before_the_situation_of_a_prompted_arm(inputs_of):
    material = load_material(inputs_of())
    felt = by_check(requests_of(inputs_of))["felt_emotion"]
    for condition, emotion in (("prompted-anger", "anger"), ("prompted_neutral", "neutral")):
        event = material.held_out[emotion][1]
        assert f"{event} You sort the post." in felt[condition]["1"].prompt
    assert felt["prompted-anger"]["1"].push is None


def test_sentences_are_held_out_stimuli_and_at_most_twenty_an_emotion(inputs_of):
    material = load_material(inputs_of())
    read = by_check(requests_of(inputs_of))["held_out_sentences"]["neutral"]
    for emotion in ("anger", "happiness"):
        texts = [r.prompt + r.options["text"] for k, r in read.items() if k.startswith(emotion)]
        held_out = material.held_out[emotion]
        assert [text.removeprefix("<s>") for text in texts] == held_out[:20]
        assert all(len(r.prompt.removeprefix("<s>").split()) == 1 for r in read.values())


def test_the_table_has_the_probability_of_all_words_of_an_emotion(check, monkeypatch):
    monkeypatch.setattr(Backend, "vocabulary_size", lambda _: 777)
    rows, log = check()
    batches = {line.split(":")[0].strip() for line in log if ": batch " in line}
    *asked, vocabulary = rows
    assert batches == {row["check"] for row in asked}, "a check makes batches of its own"
    assert ({"check items": (len(asked), len(asked))}, 0.0) in log
    assert (vocabulary["check"], vocabulary["value"]) == ("vocabulary", 777)
    assert list(rows[0]) == list(CHECK_COLUMNS)
    for row in asked:
        if row["check"] in ("named_emotion", "felt_emotion"):
            assert sum(json.loads(row["probabilities"]).values()) == pytest.approx(1, abs=1e-3)
        else:
            assert row["probabilities"] is None and isinstance(row["value"], float)
    assert {row["arm"] for row in rows} == {str(c.arm) for c in plan_conditions(SETTINGS)}


@pytest.mark.parametrize(("limit", "asked"), [(0.0, True), (1.1, False)])
def test_items_that_the_model_does_not_understand_are_asked_without_a_push_only(
    check, monkeypatch, limit, asked
):
    monkeypatch.setattr(push_checks, "DOMINANCE_READ", limit)
    rows, log = check()
    found = [row for row in rows if row["check"] == "dominance"]
    arms = {str(c.arm) for c in plan_conditions(SETTINGS) if c.is_pushed and not c.arm.is_null}
    assert {row["arm"] for row in found} == {"neutral"} | (arms if asked else set())
    total = len(rows) - 1
    assert ({"check items": (total, total)}, 0.0) in log


def test_a_job_that_was_stopped_continues_and_measures_nothing_twice(check, tmp_path, monkeypatch):
    whole, _ = check()
    (tmp_path / "push_checks.jsonl").unlink()
    measured, measure = [], measuring.measure
    spy = lambda i, rs, log: measured.extend(r.key for r in rs) or measure(i, rs, log)  # noqa: E731
    monkeypatch.setattr(measuring, "measure", spy)
    stops = iter([False, False, True])
    with pytest.raises(Interrupted, match=r"stopped after \d+ of \d+ check items; run the same"):
        check(lambda: next(stops))
    first = list(measured)
    # As after a kill in the middle of a write.
    with open(tmp_path / "push_checks.jsonl", "a") as journal:
        journal.write('[{"key": "dominance|neu')
    rows, _ = check()
    assert rows == whole
    assert first and len(measured) == len(set(measured)) == len(rows) - 1


def test_a_finished_journal_gives_the_table_without_the_model(check, tmp_path, monkeypatch):
    before, _ = check()
    (tmp_path / "models" / "tiny" / "push_checks.csv").unlink()
    monkeypatch.setattr(measuring, "load_model", lambda *_: pytest.fail("nothing to measure"))
    assert check()[0] == before


def test_other_situations_start_another_journal(check, files, tmp_path):
    check()
    before = files["checks"].read_text()
    try:
        files["checks"].write_text(before.replace("bakery", "baker's"))
        _, log = check()
    finally:
        files["checks"].write_text(before)
    assert any("belongs to other settings" in line for line in log)


def test_the_game_of_the_specification_does_not_matter(check, inputs_of, monkeypatch):
    check()
    monkeypatch.setattr(measuring, "load_model", lambda *_: pytest.fail("the journal must serve"))
    check(game_settings={"rounds": 3}, num_scenarios=5, repeat=7)


def test_other_weights_than_those_of_the_directions_are_refused(check, monkeypatch):
    monkeypatch.setattr(measuring, "weights_hash", lambda *_: "other")
    monkeypatch.setattr(measuring, "weights_state", lambda *_: ["another file"])
    with pytest.raises(measuring.ModelError, match="delete the directions file"):
        check()


def test_the_self_check_reads_chats_under_no_push_and_two_under_one_push(check, monkeypatch):
    # A sentence may begin with a single token, and the first position is never pushed.
    checked = []
    keep = lambda same, requests, _: checked.extend(r.key for r in requests) or same  # noqa: E731
    monkeypatch.setattr(measuring, "check_steering", keep)
    with pytest.raises(Interrupted):
        check(lambda: True)
    assert all(key.startswith(("named_emotion|", "felt_emotion|", "dominance|")) for key in checked)
    pushed = [key.split("|")[1] for key in checked if "steered" in key]
    assert len(pushed) == 2 and len(set(pushed)) == 1
    assert any("|neutral|" in key for key in checked)


def test_a_sweep_and_its_series_ask_and_read_different_things(inputs_of):
    source = {"sweep": "S", "sha256": "", "weights_hash": "", "stories": {}}
    swept, tested, every = (
        load_material(inputs_of(**changes))
        for changes in ({"sweep": True}, {"settings_from": source}, {})
    )
    for part in ("contexts", "dominance", "neutral_texts"):
        one, other, both = (getattr(m.items, part) for m in (swept, tested, every))
        assert not set(one) & set(other) and {*one, *other} == {*both}
    for emotion, sentences in every.held_out.items():
        one, other = set(swept.held_out[emotion]), set(tested.held_out[emotion])
        assert one and other and not one & other and one | other == set(sentences)
