"""Trials of a model that thinks: everything is measured after the thoughts of each trial."""

import json
import shutil

import pandas as pd
import pytest
import torch

from emotion_games.engine.backend import ModelError
from emotion_games.engine.extraction import extract
from emotion_games.experiment.answers import answer_of
from emotion_games.experiment.check_requests import check_requests, format_trials
from emotion_games.experiment.conditions import Arm, direction_settings
from emotion_games.experiment.context import check_context, series_check
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.requests import load_questions, trial_requests
from emotion_games.experiment.results import read_trials
from emotion_games.signals import Interrupted
from thinking import TEMPLATE, thinking_model
from tiny import byte_tokenizer, tiny_model
from tiny_experiment import ENTRY, FILES, SETTINGS, finish, spec_of

torch.set_num_threads(1)
BUDGET = 12
SMALL = SETTINGS | {
    "num_scenarios": 1,
    "intensity": [1.0],
    "emotions": ["anger"],
    "arms": {"random": {"matched": 2, "isotropic": 0}, "shuffled": False, "prompted": True},
}
THINKING = SMALL | {"thinking": True, "thinking_budget": BUDGET}
OPENING, LINK = "<|assistant|><think>\n", "\n</think>\n\n"


def questions(settings=THINKING):
    return load_questions(spec_of(settings), FILES)


@pytest.fixture(scope="module")
def model_that_thinks(model, tmp_path_factory):
    """The folder of the model of all tests, with another chat template."""
    path = tmp_path_factory.mktemp("thinking") / "model"
    shutil.copytree(model, path)
    byte_tokenizer(TEMPLATE).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def play(model_that_thinks, files, tmp_path_factory):
    """Run the experiment in a folder, and return its table of trials."""
    vectors = tmp_path_factory.mktemp("directions") / "tiny.safetensors"
    settings = direction_settings(THINKING)
    extract(ENTRY, str(model_that_thinks), settings, files, vectors, {}, log=lambda _: None)

    def play(folder, settings=THINKING, should_stop=lambda: False, runtime=None):
        inputs = Inputs(
            spec=spec_of(settings),
            files=files,
            model_path=str(model_that_thinks),
            directions=vectors,
            journal=folder / "x.trials.jsonl",
            runtime={"device": "cpu"} | (runtime or {}),
        )
        finish(inputs, folder / "out", Control(should_stop, log=lambda _: None))
        return read_trials(folder / "out" / "exp_results.csv")

    return play


@pytest.fixture(scope="module")
def folder(play, tmp_path_factory):
    path = tmp_path_factory.mktemp("thoughts")
    play(path)
    return path


@pytest.fixture
def table(folder):
    return read_trials(folder / "out" / "exp_results.csv")


def test_every_trial_has_thoughts_of_its_own(table):
    assert set(table["thoughts_end"]) <= {"closed", "end token", "budget"}
    assert (table["thoughts"] != "").mean() > 0.9
    prompts = table.groupby(["arm", "emotion", "option_order"])
    assert all(rows["thoughts"].nunique() == len(rows) for _, rows in prompts)
    # One set of thoughts for each repeat, also where only probabilities are measured.
    assert prompts.size().groupby("arm").max().to_dict() == dict.fromkeys(table["arm"], 2)


def test_probabilities_are_those_after_the_thoughts_of_the_trial(table):
    twice = table[table["generated"]].groupby(["arm", "option_order"])["choice_probabilities"]
    assert (twice.nunique() == 2).all()


def test_thoughts_stand_in_the_journal_and_in_both_tables(folder, table):
    lines = (folder / "x.trials.jsonl").read_text().splitlines()[1:]
    records = {record["key"]: record for line in lines for record in json.loads(line)}
    in_json = json.loads((folder / "out" / "exp_results.json").read_text())
    for row, other in zip(table.to_dict("records"), in_json, strict=True):
        record = records[row["trial_id"]]
        assert row["thoughts"] == record["thoughts"] == other["thoughts"]
        assert row["thoughts_end"] == record["thoughts_end"] == other["thoughts_end"]
    assert records["plan"]["plan"]["thinking_budget"] == BUDGET


def test_numbers_are_paired_over_conditions_and_belong_to_the_trial(folder):
    made = trial_requests(questions(), thinking_model())
    by_place = {}
    for r in made:
        story, history, order, _, repeat = r.key.split("/")
        by_place.setdefault((story, history, order, repeat), []).append(r.thinking.uniforms)
    assert len(by_place) == 4, "two orders and two repeats"
    assert all((one == u).all() for one, *others in by_place.values() for u in others)
    assert len({several[0][0] for several in by_place.values()}) == 4
    # They are not those of the answers.
    generated = next(r for r in made if r.uniforms)
    assert generated.uniforms[0][0] != generated.thinking.uniforms[0]


@pytest.mark.parametrize("decoding", ["guided", "free"])
def test_thoughts_follow_the_prompt_of_the_same_chat(decoding):
    kind = {"decoding": decoding, "show_payoffs": True}
    model = thinking_model()
    plain, asked = questions(SMALL | kind), questions(THINKING | kind)
    silent = {r.key: r for r in trial_requests(plain, model)}
    made = trial_requests(asked, model)
    assert [r.key for r in made] == [t.trial_id for t in asked.trials]
    for r in made:
        other = silent[r.key.rpartition("/")[0]]
        assert r.prompt.endswith(OPENING)
        assert r.prompt + LINK == other.prompt
        assert len(r.thinking.uniforms) == BUDGET and len(r.uniforms) == bool(other.uniforms)
    checks = list(check_requests(asked, model))
    assert checks and all(r.thinking and r.prompt.endswith(OPENING) for r in checks)


def test_a_free_answer_beside_a_guided_one_follows_the_same_thoughts():
    model, asked = thinking_model(), questions()
    by_key = {r.key: r for r in trial_requests(asked, model)}
    beside = list(format_trials(asked))
    for (key, trial), free in zip(beside, check_requests(asked, model), strict=True):
        guided = by_key[trial.trial_id]
        assert free.key == key and trial.repeat == 0
        assert free.prompt == guided.prompt
        assert (free.thinking.uniforms == guided.thinking.uniforms).all()


def test_thoughts_are_never_read_as_an_answer():
    asked = questions(THINKING | {"decoding": "free"})
    trial = next(t for t in asked.trials if t.condition.generated and t.repeat == 1)
    options = asked.scenarios[trial.scenario_id].options
    perfect = json.dumps({"rationale": "It is fair.", "decision": options["cooperate"]})
    record = {"scores": None, "after": [None], "ends": [""], "thoughts": perfect}
    for output, choice in (("", None), (json.dumps({"decision": options["defect"]}), "defect")):
        found = answer_of(asked, trial, record | {"answers": [output]})
        assert (found.decision.choice, found.decision.rationale) == (choice, "")


def test_the_batch_changes_nothing(play, table, tmp_path):
    same(play(tmp_path, runtime={"batch_tokens": 1500, "share_layers": False}), table)


def test_stopping_after_every_batch_changes_nothing(play, table, tmp_path):
    stops = 0
    while True:
        stop = iter([False, True])
        try:
            found = play(
                tmp_path, should_stop=lambda s=stop: next(s), runtime={"batch_tokens": 20_000}
            )
            break
        except Interrupted:
            stops += 1
    assert stops > 1
    same(found, table)


def same(one, other):
    texts = ["trial_id", "thoughts", "thoughts_end", "output", "choice", "rationale_end"]
    pd.testing.assert_frame_equal(one[texts], other[texts])
    for name in ("choice_probabilities", "choice_probabilities_after"):
        for a, b in zip(one[name], other[name], strict=True):
            assert (json.loads(a) if a else None) == pytest.approx(
                json.loads(b) if b else None, abs=2e-5
            )


def needed(settings):
    model = thinking_model()
    model.positions = 1
    with pytest.raises(ModelError) as caught:
        check_context(questions(settings), model)
    assert "thinking_budget" in str(caught.value) or not settings.get("thinking")
    return int(str(caught.value).split(" needs ")[1].split(", of")[0].replace(",", ""))


def test_the_context_must_hold_the_thoughts():
    # The silent prompt has empty thoughts.
    assert needed(THINKING) == needed(SMALL) + BUDGET
    assert needed(THINKING | {"thinking_budget": 700}) == needed(SMALL) + 700


def test_a_model_that_cannot_think_is_refused_before_directions_are_measured():
    check = series_check([spec_of(THINKING)], [FILES])
    check(thinking_model())
    with pytest.raises(ModelError, match="its chat template has no thinking mode"):
        check(tiny_model("qwen3"))
    series_check([spec_of(SMALL)], [FILES])(tiny_model("qwen3"))


def test_without_thinking_requests_have_none():
    for settings in (SMALL, SMALL | {"thinking": False, "thinking_budget": 512}):
        asked = questions(settings)
        assert all(r.thinking is None for r in trial_requests(asked, thinking_model()))
        assert all(t.request_key == t.trial_id.rpartition("/")[0] for t in asked.trials)


def test_null_directions_think_under_their_own_push(table):
    nulls = table[(table["arm"] == Arm.RANDOM) & (table["repeat_num"] == 0)]
    neutral = table[(table["arm"] == Arm.NEUTRAL) & (table["repeat_num"] == 0)]
    assert (nulls["thoughts_end"] != "").all()
    by_order = dict(zip(neutral["option_order"], neutral["thoughts"], strict=True))
    assert any(
        thoughts != by_order[order]
        for order, thoughts in zip(nulls["option_order"], nulls["thoughts"], strict=True)
    )
