"""One experiment, from plan to files; stopping it and other batches change nothing."""

import datetime
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from emotion_games.engine import directions, models
from emotion_games.errors import ProblemList
from emotion_games.experiment import inputs, measuring
from emotion_games.experiment import repeat as repetition
from emotion_games.experiment.answers import NOT_GENERATED
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.repeat import repeat
from emotion_games.experiment.trial_table import KEPT, PROBABILITIES, UNREADABLE, read_trials
from emotion_games.layout import PLAN, RESULT_FILES
from emotion_games.prompts.stimuli import SHIPPED
from emotion_games.signals import Interrupted
from tiny_experiment import ENTRY, SETTINGS, finish, spec_of

torch.set_num_threads(1)


@pytest.fixture
def play(model, files, directions_file, tmp_path):
    """Run the experiment in tmp_path and return its log.

    Keywords change settings, files, runtime or the stop signal.
    """

    def play(settings=None, should_stop=lambda: False, runtime=None, **changed_files):
        log = []
        inputs = Inputs(
            spec=spec_of(SETTINGS | (settings or {})),
            files=files | changed_files,
            model_path=str(model),
            directions=directions_file,
            journal=tmp_path / "x.trials.jsonl",
            runtime=runtime or {},
            plan_file=tmp_path / "out" / PLAN,
        )
        report = lambda counts, left: log.append((counts, left))  # noqa: E731
        control = Control(should_stop, report, log.append, announce=log.append)
        finish(inputs, tmp_path / "out", control)
        return log

    return play


def results(folder):
    return (folder / "exp_results.csv").read_text()


def same_results(one: Path, other: Path):
    """Texts and choices identical, numbers to the digits that are written."""
    a, b = (read_trials(folder / "exp_results.csv") for folder in (one, other))
    numbers = ["valid_mass", "valid_mass_after", "outcome_value", *PROBABILITIES]
    pd.testing.assert_frame_equal(a.drop(columns=numbers), b.drop(columns=numbers))
    for column in numbers:
        for x, y in zip(a[column], b[column], strict=True):
            x, y = (json.loads(v) if isinstance(v, str) and v else v for v in (x, y))
            assert x == pytest.approx(y, abs=2e-5, nan_ok=True), column


def test_every_planned_trial_is_a_row_and_all_four_files_are_there(reference):
    assert {file.name for file in reference.iterdir()} == set(RESULT_FILES)
    table = pd.read_csv(reference / "exp_results.csv", keep_default_na=False)
    assert table["trial_id"].is_unique
    # 2 scenarios × 2 orders × ((neutral, 4 steered) × 2 repeats + 3 random, 2 shuffled and
    # 3 prompted, which are only scored)
    assert len(table) == 2 * 2 * (5 * 2 + 8)
    rows = json.loads((reference / "exp_results.json").read_text())
    assert len(rows) == len(table) and set().union(*rows) <= set(table.columns)
    # What has no value is left out, except the columns that other programs read.
    assert all(set(KEPT) <= set(row) and row.get("after_p_defect") is not None for row in rows[:2])
    assert "after_p_defect" not in rows[-1]
    scored_only = table[table["extraction_method"] == "not generated"]
    assert len(scored_only) == 2 * 2 * 8 and (scored_only["choice"] == NOT_GENERATED).all()
    shares = table[["p_cooperate", "p_defect"]].astype(float)
    assert shares.sum(axis=1).tolist() == pytest.approx([1] * len(table), abs=1e-4)
    # The primary measure is the probability at once, and cooperation is the outcome.
    assert set(table["measure"]) == {"scored"}
    assert table["outcome_value"].tolist() == table["p_cooperate"].tolist()
    # In the CSV file control characters are escaped.
    read = read_trials(reference / "exp_results.csv")
    assert read["response_length"].tolist() == [len(text) for text in read["output"]]


def test_an_unparsed_free_answer_is_never_a_choice(play, tmp_path):
    play(SMALL | {"decoding": "free"})
    table = pd.read_csv(tmp_path / "out" / "exp_results.csv", keep_default_na=False)
    unparsed = table["extraction_method"].str.startswith("unparsed")
    assert unparsed.any() and (table.loc[unparsed, "category"] == "").all()
    assert set(table.loc[unparsed, "choice"]) == {UNREADABLE}


def test_conditions_answer_the_same_prompt_differently(reference):
    table = pd.read_csv(reference / "exp_results.csv", keep_default_na=False)
    first = table[(table["repeat_num"] == 0) & table["arm"].isin(["neutral", "steered", "random"])]
    for _, group in first.groupby(["scenario_id", "option_order"]):
        assert group["input"].nunique() == 1
        assert group["branch_p_cooperate"].nunique() == len(group)
    prompted = table[table["arm"] == "prompted"]
    assert prompted["input"].nunique() > first["input"].nunique()
    assert (prompted["push_ratio"] == 0).all() and (
        table.loc[table["arm"] == "steered", "push_ratio"] > 0
    ).all()


@pytest.mark.parametrize("tokens", [1, 2000, 50_000])
def test_batch_size_changes_nothing(play, reference, tmp_path, tokens):
    play(runtime={"batch_tokens": tokens, "share_layers": tokens != 2000})
    same_results(tmp_path / "out", reference)


def test_the_progress_counts_trials_and_checks_from_the_first_report_to_the_last(play, files):
    reports = [line for line in play(runtime={"batch_tokens": 5000}) if isinstance(line, tuple)]
    # 2 scenarios, neutral and 2 emotions at the headline dose, are also answered freely.
    trials, checks = 2 * 2 * (5 * 2 + 8), 2 * 3
    assert reports[0] == ({"trials": (0, trials), "checks": (0, checks)}, None)
    assert reports[-1] == ({"trials": (trials, trials), "checks": (checks, checks)}, 0.0)
    assert len(reports) > 5
    # Neutral comes first. Then a batch of checks and one of trials tell the time of all stages.
    told = [left is not None for _, left in reports]
    assert not any(told[:3]) and sum(told) >= len(told) - told.index(True) > 3
    assert all(left > 0 for _, left in reports[told.index(True) : -1])


def test_neutral_is_measured_to_its_end_and_its_headroom_shown_before_anything_else(
    play, monkeypatch
):
    steps, measure = [], measuring.measure

    def spied(instrument, requests, log):
        steps.append({request.key.split("/")[-1] for request in requests})
        return measure(instrument, requests, log)

    monkeypatch.setattr(measuring, "measure", spied)
    log = play(runtime={"batch_tokens": 2000})
    firsts = [step == {"neutral"} for step in steps]
    assert firsts.count(True) > 1 and firsts == sorted(firsts, reverse=True)
    (line,) = [line for line in log if str(line).startswith("headroom: ")]
    places = [str(line).startswith("  neutral: batch") for line in log]
    assert max(i for i, place in enumerate(places) if place) < log.index(line)
    assert log.index(line) < next(i for i, x in enumerate(log) if str(x).startswith("  checks: "))


def test_the_headroom_shown_is_that_of_the_statistics(play, tmp_path):
    log = play(SMALL | {"num_scenarios": 6})
    (line,) = [line for line in log if str(line).startswith("headroom: ")]
    (found,) = json.loads((tmp_path / "out" / "stats_analysis.json").read_text())["headroom"]
    counts = f"{found['at_floor']} at floor, {found['at_ceiling']} at ceiling of 6"
    assert found["n_scenarios"] == 6 and line.endswith(f"({found['history']}: {counts})")


def test_stopping_after_every_batch_changes_nothing_and_repeats_nothing(play, reference, tmp_path):
    batches, stops = [], 0
    while True:
        stop = iter([False, True])
        try:
            log = play(should_stop=lambda stop=stop: next(stop), runtime={"batch_tokens": 5000})
        except Interrupted as error:
            assert "run the same command again" in str(error)
            stops += 1
            continue
        finally:
            batches.append((tmp_path / "x.trials.jsonl").read_bytes())
        break
    assert stops > 3
    assert all(
        later.startswith(earlier) for earlier, later in zip(batches, batches[1:], strict=False)
    )
    keys = [r["key"] for line in batches[-1].splitlines()[1:] for r in json.loads(line)]
    assert len(keys) == len(set(keys)), "no trial is measured twice"
    assert (
        results(tmp_path / "out") == results(reference)
        or same_results(tmp_path / "out", reference) is None
    )
    assert log[-1].startswith("seconds: import ")


def test_a_finished_experiment_is_written_again_without_the_model(play, tmp_path, monkeypatch):
    play()
    before = results(tmp_path / "out")
    (tmp_path / "out" / "exp_results.csv").unlink()
    monkeypatch.setattr(
        measuring, "load_model", lambda *_: pytest.fail("the model must not be loaded")
    )
    play()
    assert results(tmp_path / "out") == before


def test_the_self_check_asks_each_unpushed_arm_and_two_prompts_under_a_push_before_trials(
    play, monkeypatch
):
    checked = []
    monkeypatch.setattr(
        measuring, "check_steering", lambda same, requests, _: checked.append(requests) or same
    )
    with pytest.raises(Interrupted):
        play(should_stop=lambda: True)
    play()
    play()
    assert len(checked) == 2
    for requests in checked:
        names = [request.key.split("/")[-1] for request in requests]
        arms = [name.split("-")[0] for name in names]
        unpushed = [Arm.NEUTRAL, Arm.PROMPTED, Arm.PROMPTED_NEUTRAL]
        assert sorted(arms) == sorted([*unpushed, Arm.STEERED, Arm.STEERED])
        pushed = [request for request in requests if request.push]
        assert len({r.push for r in pushed}) == 1 and len({r.prompt for r in pushed}) == 2


def test_another_setting_starts_another_journal(play, tmp_path):
    play()
    log = play(settings={"seed": 1})
    assert any("belongs to other settings" in line for line in log)
    assert list(tmp_path.glob("*.aside"))


def test_running_only_settings_keep_the_journal(play, monkeypatch):
    play()
    monkeypatch.setattr(measuring, "load_model", lambda *_: pytest.fail("the journal must serve"))
    play(runtime={"batch_tokens": 1000, "threads": 1, "device": "cpu"})


def test_a_game_without_a_valid_scenario_says_why(play, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('[{"description": "too little"}]')
    with pytest.raises(ProblemList, match="no valid scenario for Prisoners_Dilemma") as caught:
        play(scenarios=bad)
    assert caught.value.problems[1] == "1 of 1 entry cannot be used:"
    assert any(
        line.startswith(f"  {bad}[0]: behavior_choices: missing") for line in caught.value.problems
    )


def test_skipped_scenarios_are_counted_in_the_configuration(play, files, tmp_path):
    entries = yaml.safe_load(files["scenarios"].read_text())[:2]
    some = tmp_path / "some.json"
    some.write_text(json.dumps([*entries, {"description": "too little"}]))
    play(scenarios=some)
    content = yaml.safe_load((tmp_path / "out" / "exp_config.yaml").read_text())["scenarios"]
    assert content["skipped"] == 1 and "some.json" in content["problems"][0]


def test_a_game_without_a_valid_scenario_fails_before_its_model_is_loaded(
    play, tmp_path, monkeypatch
):
    bad = tmp_path / "bad.json"
    bad.write_text('[{"description": "too little"}]')
    monkeypatch.setattr(measuring, "load_model", lambda *_: pytest.fail("nothing to ask it"))
    with pytest.raises(ProblemList):
        play(scenarios=bad)


def with_model(monkeypatch, change):
    """Let every run change its model after it is loaded."""
    load = models.load_model

    def changed(*arguments):
        model = load(*arguments)
        change(model)
        return model

    monkeypatch.setattr(measuring, "load_model", changed)


def test_a_context_that_just_holds_the_texts_gives_the_same_results_and_a_shorter_one_none(
    play, reference, tmp_path, monkeypatch
):
    with_model(monkeypatch, lambda model: setattr(model, "positions", 1))
    with pytest.raises(models.ModelError, match="tokens is too short for Prisoners_Dil") as caught:
        play()
    needed = int(str(caught.value).split(" needs ")[1].split(", of")[0].replace(",", ""))
    with_model(monkeypatch, lambda model: setattr(model, "positions", needed - 1))
    with pytest.raises(models.ModelError, match=f"needs {needed:,}, of which"):
        play()
    (only,) = (tmp_path / "x.trials.jsonl").read_text().splitlines()[1:]
    assert [record["key"] for record in json.loads(only)] == ["plan"]
    with_model(monkeypatch, lambda model: setattr(model, "positions", needed))
    play()
    same_results(tmp_path / "out", reference)


def dated(model):
    """Give a model a template that tells the day, as Llama 3.1's does."""
    day = "{{ bos_token }}Today is {{ strftime_now('%d %B %Y') }}."
    model.tokenizer.chat_template = model.tokenizer.chat_template.replace("{{ bos_token }}", day)


SMALL = {
    "num_scenarios": 1,
    "repeat": 1,
    "arms": {"random": {"matched": 1, "isotropic": 0}, "shuffled": False, "prompted": False},
    "checks": {"manipulation": True, "damage": False, "format": True},
}
# Several batches, so that a run can be stopped between two of them.
SMALL_BATCHES = {"batch_tokens": 2000}


def stop_after(batches):
    answers = iter([False] * batches + [True])
    return lambda: next(answers)


class Tomorrow(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2031, 1, 2, tzinfo=tz)


def test_prompts_tell_the_day_on_which_the_series_began_also_if_a_run_continues_later(
    play, directions_file, tmp_path, monkeypatch
):
    with_model(monkeypatch, dated)
    prompts, measure = set(), measuring.measure

    def spied(instrument, requests, log):
        prompts.update(request.prompt for request in requests)
        return measure(instrument, requests, log)

    monkeypatch.setattr(measuring, "measure", spied)
    with pytest.raises(Interrupted):
        play(SMALL, stop_after(2), SMALL_BATCHES)
    before = (tmp_path / "x.trials.jsonl").read_bytes()
    assert len(before.splitlines()) == 5, "fingerprint, plan, prompts and two batches"
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Tomorrow)
    play(SMALL, runtime=SMALL_BATCHES)
    assert (tmp_path / "x.trials.jsonl").read_bytes().startswith(before)
    # The same directions, because a measurement of them takes longer than the trials.
    copy = lambda *arguments, **_: shutil.copy(directions_file, arguments[4])  # noqa: E731
    monkeypatch.setattr(repetition, "extract", copy)
    (tmp_path / "scratch").mkdir()
    assert repeat(tmp_path / "out", tmp_path / "scratch", None, log=lambda _: None).holds
    assert len(prompts) == 2, "two orders of the options"
    assert all(prompt.startswith("<s>Today is 31 January 2026.") for prompt in prompts)


def test_a_journal_with_otherwise_rendered_prompts_starts_again(play, tmp_path, monkeypatch):
    with_model(monkeypatch, dated)
    with pytest.raises(Interrupted):
        play(SMALL, stop_after(2), SMALL_BATCHES)
    (header, *_) = (tmp_path / "x.trials.jsonl").read_text().splitlines()
    with_model(monkeypatch, lambda model: None)
    log = play(SMALL, runtime=SMALL_BATCHES)
    assert any("its prompts were rendered by another template or library" in line for line in log)
    assert len(list(tmp_path.glob("*.aside"))) == 1
    again, *batches = (tmp_path / "x.trials.jsonl").read_text().splitlines()
    keys = [record["key"] for batch in batches for record in json.loads(batch)]
    assert again == header
    assert keys[:2] == ["plan", "prompts"] and len(keys) == len(set(keys))
    trials = pd.read_csv(tmp_path / "out" / "exp_results.csv")["trial_id"]
    assert {trial.rpartition("/")[0] for trial in trials} <= set(keys)


def test_the_configuration_names_the_day_and_the_hash_of_the_rendered_prompts(
    play, tmp_path, monkeypatch
):
    def configured(change):
        with_model(monkeypatch, change)
        play(SMALL)
        (tmp_path / "x.trials.jsonl").unlink()
        return yaml.safe_load((tmp_path / "out" / "exp_config.yaml").read_text())

    plain, with_day = configured(lambda model: None), configured(dated)
    assert plain["date"] == "2026-01-31" and len(plain["prompts_hash"]) == 64
    assert plain["fingerprint"] == with_day["fingerprint"]
    assert plain["prompts_hash"] != with_day["prompts_hash"]


def test_weights_that_changed_since_the_directions_were_measured_are_refused(play, monkeypatch):
    monkeypatch.setattr(measuring, "weights_hash", lambda *_: "other")
    monkeypatch.setattr(measuring, "weights_state", lambda *_: ["another file"])
    with pytest.raises(models.ModelError, match="delete the directions file"):
        play()


def test_weights_in_files_that_did_not_change_are_not_hashed_again(
    play, directions_file, tmp_path, monkeypatch
):
    made, path = directions.load(directions_file), tmp_path / "known.safetensors"
    made.about["weights_state"] = ["the file, its size and its time"]
    directions.save(made, path)
    monkeypatch.setattr(inputs.directions, "load", lambda _, load=directions.load: load(path))
    monkeypatch.setattr(measuring, "weights_hash", lambda *_: pytest.fail("it is known"))
    monkeypatch.setattr(measuring, "weights_state", lambda *_: made.about["weights_state"])
    play()


def test_directions_of_another_size_are_refused(play, directions_file, tmp_path, monkeypatch):
    made = directions.load(directions_file)
    path = tmp_path / "narrow.safetensors"
    named = {k: {e: v[:, :16] for e, v in group.items()} for k, group in made.named.items()}
    nulls = {kind: own[..., :16] for kind, own in made.nulls.items()}
    directions.save(directions.Directions(named, nulls, made.about), path)
    monkeypatch.setattr(inputs.directions, "load", lambda _, load=directions.load: load(path))
    with pytest.raises(models.ModelError, match="delete the directions file"):
        play()


def test_a_model_is_loaded_in_the_number_format_of_its_directions(play, monkeypatch):
    entries, load = [], measuring.load_model
    monkeypatch.setattr(
        measuring, "load_model", lambda entry, *rest: entries.append(entry) or load(entry, *rest)
    )
    play()
    assert "dtype" not in ENTRY and [entry["dtype"] for entry in entries] == ["float32"]


def test_other_words_for_the_checks_start_another_journal(play, files, tmp_path):
    play()
    prompts = tmp_path / "prompts.yaml"
    text = files["prompts"].read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["comprehension"]["question"] += " Be honest."
    prompts.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert any("belongs to other settings" in line for line in play(prompts=prompts))


def test_configuration_repeats_the_experiment(reference):
    content = yaml.safe_load((reference / "exp_config.yaml").read_text())
    assert content["settings"] == SETTINGS and content["model"] == ENTRY
    assert content["directions"]["reference"] == sorted(SHIPPED)
    assert set(content["seconds"]) >= {
        "import",
        "read",
        "load",
        "prefill",
        "score",
        "decode",
        "self_check",
    }
    assert content["machine"]["packages"]["torch"] == torch.__version__
    model = AutoModelForCausalLM.from_pretrained(content["model_path"])
    unique = {id(weights): weights.numel() for weights in model.parameters()}
    assert content["n_parameters"] == sum(unique.values())


def test_a_finished_experiment_can_be_repeated_from_its_configuration_alone(reference, tmp_path):
    lines, claims = [], []

    def claim(runtime, log):
        # Before the model is loaded for the directions.
        assert not list(tmp_path.iterdir())
        claims.append(runtime["device"])

    assert repeat(reference, tmp_path, None, claim, lines.append).holds
    assert claims == ["cpu"]
    assert not [line for line in lines if line.startswith("not as it was")]


def test_the_plan_is_on_disk_before_the_first_trial(play, tmp_path):
    with pytest.raises(Interrupted):
        play(should_stop=lambda: True)
    (first,) = json.loads((tmp_path / "x.trials.jsonl").read_text().splitlines()[1])
    assert first["key"] == "plan" and first["plan"]["headline_intensity"] == 1.0
    (file,) = (tmp_path / "out").iterdir()
    before = file.read_bytes()
    assert file.name == PLAN and yaml.safe_load(before)["hash"] == first["hash"]
    play()
    assert file.read_bytes() == before
    content = yaml.safe_load((tmp_path / "out" / "exp_config.yaml").read_text())["plan"]
    assert content["hash"] == first["hash"] and content["frozen"] == first["frozen"]
    assert (
        json.loads((tmp_path / "out" / "stats_analysis.json").read_text())["plan"]["hash"]
        == first["hash"]
    )
