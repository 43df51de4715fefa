"""Thoughts are written first and become a part of the prompt; they are never read as an answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emotion_games.engine import batches
from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument
from emotion_games.engine.requests import Request, Thinking
from emotion_games.engine.self_check import EQUAL_CHANCES
from emotion_games.engine.thinking import Frame, after_thoughts, frame_of, measure
from thinking import thinking_model
from tiny import CHAT

torch.set_num_threads(1)
PROMPT = "<s><|user|>Which one?<|end|><|assistant|><think>\n"
LINK = "\n</think>\n\n"
PERFECT = '{"rationale": "It is fair.", "decision": "share"}'
BUDGET = 60
TURN = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|>"
OFF = TURN + "{% if enable_thinking is false %}"


@pytest.fixture(scope="module")
def model():
    return thinking_model()


@pytest.fixture(scope="module")
def instrument(model):
    push = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    return Instrument(model, [1, 2], {"push": push}, 0.7, 0.95)


def request(key="k", push=None, seed=0, **changes):
    uniforms = np.random.default_rng(seed).random(BUDGET)
    options = {"a": "share", "b": "keep it"}
    thinking = Thinking(uniforms, "</think>", LINK)
    asked = Request(key, PROMPT, push, options, '{"decision": "', '"}', thinking=thinking)
    return replace(asked, **changes)


def that_write(model, text, most=BUDGET):
    """Random numbers with which a model whose tokens are all equally likely writes a text."""
    size = model.model.config.vocab_size
    tokens = [*model.token_ids(text), *[3] * most][:most]
    return (np.array(tokens) + 0.5) / size


def forced(instrument, text, most=BUDGET, **changes):
    """What is measured if the model thinks a text."""
    free = replace(instrument, temperature=EQUAL_CHANCES, top_p=1.0)
    thinking = Thinking(that_write(instrument.model, text, most), "</think>", LINK)
    asked = request(thinking=thinking, **changes)
    (found,) = measure(free, [asked])
    (expected,) = batches.measure(free, [after_thoughts(asked, found.thoughts)])
    return found, expected


@pytest.mark.parametrize(
    ("template", "frame"),
    [
        (None, Frame("<think>\n", "</think>", LINK)),
        # The template itself opens the thoughts, always or if they are wanted.
        (TURN + "<think>\n", Frame("", "</think>", LINK)),
        (OFF + "<think></think>{% else %}<think>{% endif %}", Frame("", "</think>", "</think>")),
        (OFF + "<think></think>{% endif %}", Frame("<think>", "</think>", "</think>")),
        (
            OFF + "<thought>\n\n</thought>\n{% endif %}",
            Frame("<thought>\n", "</thought>", "\n</thought>\n"),
        ),
    ],
)  # fmt: skip
def test_tags_are_found_in_the_template(template, frame):
    made = thinking_model() if template is None else thinking_model(template=template)
    assert frame_of(made) == frame


@pytest.mark.parametrize(
    "template",
    [CHAT, None, *(TURN + end for end in ("<bot>", "<think></think>", "{{ enable_thinking }}"))],
)
def test_a_model_that_cannot_think_is_refused_in_one_line(template):
    with pytest.raises(ModelError, match=r"^model qwen3: experiment.thinking is on, ") as caught:
        frame_of(thinking_model(template=template))
    assert "\n" not in str(caught.value) and "thinking: off" in str(caught.value)


def test_thoughts_end_with_their_tag_and_what_is_measured_follows_them(instrument):
    found, expected = forced(instrument, "Both of us.\n</think>\n\nShare!")
    assert (found.thoughts, found.thoughts_end) == ("Both of us.", "closed")
    assert found.scores == expected.scores
    (other,) = batches.measure(
        instrument, [after_thoughts(request(), "Only me.")]
    )  # the scores depend on the thoughts
    assert other.scores != found.scores


def test_thoughts_without_an_end_are_closed_at_the_budget(instrument):
    found, expected = forced(instrument, "And then " * 20)
    assert (found.thoughts, found.thoughts_end) == (("And then " * 20)[:BUDGET].strip(), "budget")
    assert found.scores == expected.scores


def test_an_end_token_ends_thoughts(instrument):
    found, expected = forced(instrument, "So.<|end|>")
    assert (found.thoughts, found.thoughts_end) == ("So.", "end token")
    assert found.scores == expected.scores


def test_a_tag_that_the_budget_cuts_is_none(instrument):
    found, _ = forced(instrument, "So be it</think>", most=len("So be it</thi"))
    assert (found.thoughts, found.thoughts_end) == ("So be it</thi", "budget")


@pytest.mark.parametrize("lead", ["", '{"rationale": "'])
def test_an_answer_in_the_thoughts_is_a_thought(instrument, lead):
    asked = []
    reopening = replace(instrument, reopen=lambda answer: asked.append(answer) or None)
    uniforms = (that_write(instrument.model, 'I do."'),)
    kind = {"lead": lead, "link": '", "decision": "' if lead else "", "uniforms": uniforms}
    found, expected = forced(reopening, PERFECT + "</think>", **kind)
    assert (found.thoughts, found.thoughts_end) == (PERFECT, "closed")
    assert found.answers == expected.answers and "fair" not in found.answers[0]
    assert replace(found, thoughts="", thoughts_end="") == expected
    assert not any("fair" in answer for answer in asked)


def test_thoughts_depend_on_their_own_numbers_and_push_but_not_on_the_batch(instrument):
    asked = [
        request("a"),
        request("b", seed=1),
        request("c", "push"),
        request("d", prompt=PROMPT + "\n"),
    ]
    together = measure(instrument, asked)
    for one, found in zip(asked, together, strict=True):
        (alone,) = measure(replace(instrument, share=False), [one])
        assert (alone.thoughts, alone.thoughts_end) == (found.thoughts, found.thoughts_end)
        assert alone.scores.probabilities == pytest.approx(found.scores.probabilities, abs=2e-5)
    assert len({found.thoughts for found in together}) == 4


# What a push acts on, of the prompt, the thoughts with their closing tag, and the answer.
POSITIONS = {
    "all": ((0, None), (True, True), (1, 1, 1)),
    "prompt": ((0, len(PROMPT)), (False, False), (1, 0, 0)),
    "thoughts": ((len(PROMPT), None), (True, False), (0, 1, 0)),
    "response": ((len(PROMPT), None), (True, True), (0, 1, 1)),
    "answer": ((len(PROMPT), None), (False, True), (0, 0, 1)),
}


def plain_logprobs(instrument, parts, acts):
    """The tokens of a text in three parts, and their log-probabilities under hooks of this test."""
    lengths = torch.tensor([len(part) for part in parts])
    mask = torch.repeat_interleave(torch.tensor(acts), lengths)[:, None].float()
    mask[0] = 0

    def pushing(vector):
        def hook(module, arguments, output):
            if isinstance(output, tuple):
                return (output[0] + mask * vector, *output[1:])
            return output + mask * vector

        return hook

    backend = instrument.model
    pairs = zip(instrument.layers, instrument.pushes["push"], strict=True)
    handles = [backend.layers[at].register_forward_hook(pushing(v)) for at, v in pairs]
    ids = torch.tensor([[token for part in parts for token in part]])
    with torch.no_grad():
        logits = backend.model(input_ids=ids).logits[0]
    for handle in handles:
        handle.remove()
    return ids[0], logits.log_softmax(-1)


@pytest.mark.parametrize("position", POSITIONS)
def test_pushes_act_where_their_position_says(instrument, position):
    (begin, end), (pushed, pushed_after), acts = POSITIONS[position]
    thinking = Thinking(np.zeros(12), "</think>", LINK, pushed, pushed_after)
    asked = request("k", "push", begin=begin, end=end, thinking=thinking)
    (found,) = measure(replace(instrument, temperature=0), [asked])
    tokens, decode = instrument.model.token_ids, instrument.model.decode
    written = []
    while len(written) < 12:
        _, logprobs = plain_logprobs(instrument, (tokens(PROMPT), written, []), acts)
        written.append(int(logprobs[-1].argmax()))
    # Bytes that are no characters take room, so that some of the text is cut.
    assert len(found.thoughts) > 3 and decode(written).strip().startswith(found.thoughts)
    for label, option in asked.options.items():
        thoughts, opening = tokens(found.thoughts + LINK), tokens(asked.opening)
        parts = tokens(PROMPT), thoughts, opening + tokens(f'{option}"')
        ids, logprobs = plain_logprobs(instrument, parts, acts)
        start = len(parts[0]) + len(thoughts) + len(opening)
        each = logprobs[start - 1 : -1].gather(-1, ids[start:, None])
        assert found.scores.per_token[label] == pytest.approx(float(each.mean()), abs=2e-5)


def test_pushes_of_the_answer_leave_the_thoughts_of_neutral_which_are_written_once(
    instrument, monkeypatch
):
    asked, measured = [], batches.measure
    monkeypatch.setattr(
        batches, "measure", lambda i, r, log: asked.append(r) or measured(i, r, log)
    )
    neutral = request("neutral")
    thinking = replace(neutral.thinking, pushed=False)
    pushed = request("pushed", "push", begin=len(PROMPT), thinking=thinking)
    one, other = measure(instrument, [neutral, pushed])
    assert one.thoughts == other.thoughts and one.scores != other.scores
    assert [len(requests) for requests in asked] == [2, 2]
    asked.clear()
    measure(instrument, [pushed, replace(pushed, key="again", push=None)])
    assert [len(requests) for requests in asked] == [1, 2]


def test_thoughts_have_room_for_their_budget(instrument, model):
    # Bytes that are no characters are written as characters of three bytes each.
    for found in measure(instrument, [request(str(seed), seed=seed) for seed in range(4)]):
        assert "\ufffd" in found.thoughts and len(model.token_ids(found.thoughts)) <= BUDGET


def test_nothing_changes_without_thoughts(instrument):
    plain = [request("a", thinking=None), request("b", "push", thinking=None)]
    assert measure(instrument, plain) == batches.measure(instrument, plain)
    assert all(found.thoughts == found.thoughts_end == "" for found in measure(instrument, plain))
