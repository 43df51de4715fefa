"""A model whose context cannot hold a prompt with its answer is refused before any measurement."""

import json
from dataclasses import replace

import pytest
import torch

from emotion_games.engine import extraction
from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.errors import ProblemList
from emotion_games.experiment.conditions import direction_settings
from emotion_games.experiment.context import check_context, series_check
from emotion_games.experiment.requests import load_questions
from emotion_games.prompts.messages import probe
from emotion_games.prompts.stimuli import load_stimuli
from emotion_games.prompts.templates import load_templates
from tiny import ARCHITECTURES, tiny_model
from tiny_experiment import ENTRY, FILES, GAME, SETTINGS, spec_of

PLAIN = SETTINGS | {
    "decoding": "free",
    "checks": {"manipulation": False, "damage": False, "format": True},
    "scoring": {"direct": True, "after_rationale": False},
    "arms": {"random": {"matched": 2, "isotropic": 0}, "shuffled": False, "prompted": False},
}

torch.set_num_threads(1)


@pytest.fixture
def model():
    return tiny_model("llama")


def questions(settings):
    return load_questions(spec_of(settings), FILES)


def needed(asked, model):
    """Return the number of tokens that the refusal of a very short context names."""
    model.positions = 1
    with pytest.raises(ModelError) as caught:
        check_context(asked, model)
    return int(str(caught.value).split(" needs ")[1].split(", of")[0].replace(",", ""))


def prompts(asked, model):
    return {key: model.chat_text(m, asked.date) for key, m in asked.prompts.items()}


def tokens_with_option(asked, model, opening):
    """Return the tokens of the longest prompt with an option; one token is one byte."""
    longest = 0
    for trial in asked.trials:
        prompt = model.chat_text(asked.prompts[trial.request_key], asked.date)
        for text in asked.scenarios[trial.scenario_id].options.values():
            ids = model.token_ids(f'{prompt}{opening}{text}"}}')
            longest = max(longest, len(ids))
    return longest


def with_answer(settings, tokens):
    return settings | {"generation": SETTINGS["generation"] | {"max_new_tokens": tokens}}


def test_the_longest_prompt_needs_room_for_its_answer(model):
    asked = questions(with_answer(PLAIN, 500))
    longest = max(len(model.token_ids(text)) for text in prompts(asked, model).values())
    assert needed(asked, model) == longest + 500


def test_an_option_that_is_longer_than_an_answer_counts(model):
    asked = questions(with_answer(PLAIN, 2))
    assert needed(asked, model) == tokens_with_option(asked, model, '{"decision": "')


def test_options_are_scored_again_after_the_longest_rationale(model):
    asked = questions(with_answer(PLAIN, 500) | {"scoring": SETTINGS["scoring"]})
    again = tokens_with_option(asked, model, '{"rationale": "", "decision": "')
    assert needed(asked, model) == again + 500


def test_an_option_that_is_drawn_at_once_needs_no_room_for_an_answer(model):
    drawn = PLAIN | {"decoding": "guided", "answer_form": "decision"}
    drawn["checks"] = PLAIN["checks"] | {"format": False}
    asked = questions(with_answer(drawn, 500))
    assert needed(asked, model) == tokens_with_option(asked, model, '{"decision": "')


def test_events_before_the_story_count(model):
    plain = questions(PLAIN)
    with_events = questions(PLAIN | {"arms": PLAIN["arms"] | {"prompted": True}})
    assert needed(with_events, model) > needed(plain, model)


def test_the_questions_of_the_checks_count(model):
    asked = questions(PLAIN | {"show_payoffs": True})
    model.positions = needed(asked, model) - 1
    with pytest.raises(ModelError, match=rf"{GAME}: comprehension\|neutral\|prisoners_dilemma_"):
        check_context(asked, model)
    assert model.positions > needed(questions(PLAIN), model)


def test_a_text_that_just_fits_passes_and_one_token_less_is_refused_in_one_line(model):
    asked = questions(PLAIN)
    model.positions = limit = needed(asked, model)
    check_context(asked, model)
    model.positions = limit - 1
    with pytest.raises(ModelError) as caught:
        check_context(asked, model)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        f"model llama: its context of {limit - 1:,} tokens is too short for {GAME}: "
        "prisoners_dilemma_"
    )
    assert f"needs {limit:,}, of which an answer may be 8; choose a model with" in line


def test_a_model_without_a_limit_holds_everything(model):
    model.positions = None
    check_context(questions(PLAIN), model)


def test_the_last_learned_position_is_used_like_any_other(monkeypatch):
    request = Request("k", "<s>Decide now.", None, {"a": "stay", "b": "walk"}, "{", "}")
    long = tiny_model("gpt2")
    # The opening, an option and its end follow the prompt.
    length = len(long.token_ids(request.prompt)) + 6
    monkeypatch.setitem(ARCHITECTURES, "gpt2", ARCHITECTURES["gpt2"] | {"n_positions": length})
    short = tiny_model("gpt2")
    assert short.positions == length
    weights = long.model.state_dict()
    name = "transformer.wpe.weight"
    short.model.load_state_dict(weights | {name: weights[name][:length]})
    found = [measure(Instrument(m, [1], {}, 0.0, 1.0), [request])[0].scores for m in (long, short)]
    assert found[0] == found[1]


def test_a_rationale_of_more_tokens_than_were_written_is_refused_if_it_does_not_fit(model):
    # Characters that are written as one token each are scored as six, such as \\u0001.
    request = Request("k", "<s>Decide now.", None, {"a": "stay", "b": "walk"}, "{", "}")
    model.positions = len(model.token_ids(request.prompt)) + 20
    openings = {"short": '{"r": "-', "long": '{"r": "' + 3 * "\\u0001"}
    for kind, opening in openings.items():
        instrument = Instrument(model, [1], {}, 0.0, 1.0)
        asked = replace(request, opening=opening)
        if kind == "short":
            measure(instrument, [asked])
        else:
            with pytest.raises(ModelError, match="too short for an option that makes 42 with its"):
                measure(instrument, [asked])


def test_a_series_without_a_usable_scenario_is_refused_before_a_model_is_needed(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps([{"description": "too little"}]))
    files = FILES | {"scenarios": bad}
    with pytest.raises(ProblemList, match=f"no valid scenario for {GAME}"):
        series_check([spec_of(PLAIN)], [files])
    # Another game needs the model.
    series_check([spec_of(PLAIN)] * 2, [files, FILES])


def test_a_model_is_refused_only_if_it_holds_no_game(model):
    specs = [spec_of(with_answer(PLAIN, tokens)) for tokens in (500, 3000)]
    check = series_check(specs, [FILES] * 2)
    model.positions = 2500
    check(model)
    model.positions = 100
    with pytest.raises(ProblemList) as caught:
        check(model)
    assert [" 500;" in line or " 3,000;" in line for line in caught.value.problems] == [True, True]


def saved(model, folder):
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def extracted(path, output, check=lambda _: None):
    settings, runtime = direction_settings(SETTINGS), {"device": "cpu"}
    extraction.extract(ENTRY, path, settings, FILES, output, runtime, check, log=lambda _: None)


@pytest.mark.parametrize(
    ("kind", "key", "positions"),
    [("gpt2", "n_positions", 64), ("llama", "max_position_embeddings", 128)],
)
def test_a_short_context_is_refused_before_directions_are_measured(
    tmp_path, monkeypatch, kind, key, positions
):
    monkeypatch.setitem(ARCHITECTURES, kind, ARCHITECTURES[kind] | {key: positions})
    path, output = saved(tiny_model(kind), tmp_path / "model"), tmp_path / "d.safetensors"
    monkeypatch.setattr(extraction, "hidden_states", lambda *_: pytest.fail("nothing is measured"))
    check = series_check([spec_of(PLAIN)], [FILES])
    with pytest.raises(
        ProblemList, match=f"model tiny: its context of {positions} tokens"
    ) as found:
        extracted(path, output, check)
    assert len(str(found.value).splitlines()) == 1 and not output.exists()


def test_a_stimulus_that_does_not_fit_is_refused_before_directions_are_measured(
    tmp_path, monkeypatch, model
):
    templates = load_templates(FILES["prompts"])
    stimuli = load_stimuli(FILES["stimuli"], SETTINGS["emotions"])
    texts = [model.chat_text(probe(templates, s)[0]) for lines in stimuli.values() for s in lines]
    longest = max(len(model.token_ids(text)) for text in texts)
    measured = []
    monkeypatch.setattr(extraction, "hidden_states", lambda *_: measured.append(1) or 1 / 0)
    for positions in (longest, longest - 1):
        limit = {"max_position_embeddings": positions}
        monkeypatch.setitem(ARCHITECTURES, "llama", ARCHITECTURES["llama"] | limit)
        path = saved(tiny_model("llama"), tmp_path / str(positions))
        error = ZeroDivisionError if positions == longest else ModelError
        with pytest.raises(error) as caught:
            extracted(path, tmp_path / "d.safetensors")
    assert len(measured) == 1
    assert f"needs {longest} with the text around it; shorten it" in str(caught.value)
