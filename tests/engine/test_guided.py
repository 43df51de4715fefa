"""Guided answers: the model writes inside a string, and the options are scored after it."""

import json
import math

import numpy as np
import pytest
import torch

from emotion_games.engine.backend import ModelError
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import BUDGET, END_TOKEN, QUOTE, Instrument, Request, measure
from emotion_games.engine.reference import answer_texts, plain_logits
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.engine.scoring import normalised
from emotion_games.prompts.messages import decision_link, decision_prefix, rationale_prefix
from tiny import tiny_model

torch.set_num_threads(1)

OPTIONS = {"go": "Go on", "stay": 'Say \\"no\\"'}
STEPS = 8
END = 2  # the end token of the tiny models
# So high that all tokens are equally likely, and that the random numbers alone choose them.
EQUAL_CHANCES = 1e30


def model_with(*merged):
    """A tiny model in whose vocabulary some texts are one token."""
    model = tiny_model("llama")
    model.tokenizer.add_tokens(list(merged))
    model.model.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
    return model


@pytest.fixture(scope="module")
def model():
    return model_with('.",')


@pytest.fixture(scope="module")
def instrument(model):
    push = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    return Instrument(model, [1, 2], {"anger": push}, 0.9, 0.95)


def request(key="a", push=None, uniforms=(), prompt="<s>What now? ", **changes):
    frame = {"lead": rationale_prefix(), "link": decision_link()} | changes
    return Request(
        key, prompt, push, OPTIONS, decision_prefix(), '"}', uniforms=tuple(uniforms), **frame
    )


def some_requests():
    prompts = ["<s>What now? " * (1 + i % 3) for i in range(6)]
    return [
        request(f"{i}/{push}", push, [trial_uniforms((i, r), 0, STEPS) for r in (0, 1)], prompt)
        for i, prompt in enumerate(prompts)
        for push in (None, "anger")
    ]


def choosing(model, ids):
    """Return the random numbers with which a model without preferences writes these tokens.

    Then it writes x until the budget is used.
    """
    rows = len(model.model.get_output_embeddings().weight)
    numbers = [(token + 0.5) / rows for token in [*ids, *model.token_ids("x" * STEPS)]]
    return np.array(numbers[:STEPS])


def written(instrument, text, *ids):
    """Return the answer and its end, if the model writes a text and further tokens."""
    model = instrument.model
    indifferent = Instrument(model, [], {}, EQUAL_CHANCES, 1.0)
    numbers = choosing(model, [*model.token_ids(text), *ids])
    (found,) = measure(indifferent, [request(uniforms=[numbers])])
    return found.answers[0], found.ends[0]


@pytest.mark.parametrize(
    ("text", "further", "rationale", "end"),
    [
        ("No.", [], "No.xxxxx", BUDGET),
        ('No."', [], "No.", QUOTE),
        ('No.", x', [], "No.", QUOTE),
        ('a\\"b"', [], 'a"b', QUOTE),
        ('a\\\\"b', [], "a\\", QUOTE),
        ("No", [END], "No", END_TOKEN),
        ("", [END], "", END_TOKEN),
        ('"', [], "", QUOTE),
        ("1234567", [END], "1234567", END_TOKEN),
        ("12345678", [END], "12345678", BUDGET),
        ("1234567\\", [], "1234567", BUDGET),
        ("1234567é", [], "1234567", BUDGET),
        ("abc \\u12", [], "abc ", BUDGET),
    ],
)
def test_a_rationale_ends_at_its_quote_an_end_token_or_the_budget(
    instrument, text, further, rationale, end
):
    answer, why = written(instrument, text, *further)
    assert why == end
    assert answer.endswith(decision_link())
    assert json.loads(answer + '"}') == {"rationale": rationale, "decision": ""}


def test_a_quote_inside_a_token_ends_the_rationale(instrument):
    (token,) = instrument.model.token_ids('.",')
    assert written(instrument, "No", token) == ('{"rationale": "No.", "decision": "', QUOTE)


def plainly(model, prompt, opening, push):
    """Return probabilities of the options and their mass, from one reading of each whole text."""
    asked = Request("x", prompt, None, OPTIONS, opening, '"}')
    pushes = {} if push is None else {layer: push[i] for i, layer in enumerate((1, 2))}
    totals = []
    for text in answer_texts(model, asked).values():
        logs = plain_logits(model, text.ids, pushes)[text.start - 1 : -1].log_softmax(-1)
        totals.append(float(logs.gather(-1, torch.tensor(text.ids[text.start :])[:, None]).sum()))
    return normalised(totals), sum(map(math.exp, totals))


def test_probabilities_are_those_of_reading_the_assembled_text_alone(instrument):
    requests = some_requests()
    # Rationales whose end merges with what follows, and that need an escape.
    numbers = [choosing(instrument.model, instrument.model.token_ids(t)) for t in ("No.", "a\nb\\")]
    for asked, found in zip(requests, measure(instrument, requests), strict=True):
        push = instrument.pushes.get(asked.push)
        for answer, after in zip(found.answers, found.after, strict=True):
            probabilities, mass = plainly(instrument.model, asked.prompt, answer, push)
            assert list(after.probabilities.values()) == pytest.approx(probabilities, abs=1e-5)
            assert after.mass == pytest.approx(mass, abs=1e-5)
    for number in numbers:
        indifferent = Instrument(instrument.model, [], {}, EQUAL_CHANCES, 1.0)
        (found,) = measure(indifferent, [request(uniforms=[number])])
        probabilities, _ = plainly(instrument.model, "<s>What now? ", found.answers[0], None)
        assert list(found.after[0].probabilities.values()) == pytest.approx(probabilities, abs=1e-5)


def test_answers_do_not_depend_on_the_batch(instrument):
    requests = some_requests()
    tokens = {r.prompt: instrument.model.token_ids(r.prompt) for r in requests}
    alone = {r.key: measure(instrument, [r])[0] for r in requests}
    batches = [
        b for budget in (300, 100_000) for b in plan_batches(requests, tokens, STEPS, budget)
    ]
    sizes = {len(batch) for batch in batches}
    assert {1, 3} <= sizes and max(sizes) > 5
    for batch in batches:
        for asked, found in zip(batch, measure(instrument, batch), strict=True):
            expected = alone[asked.key]
            assert (found.answers, found.ends) == (expected.answers, expected.ends)
            for one, other in zip(found.after, expected.after, strict=True):
                assert one.probabilities == pytest.approx(other.probabilities, abs=2e-5)


def test_guided_and_free_answers_may_share_a_batch(instrument):
    numbers = [trial_uniforms(("x",), 0, STEPS)]
    guided, free = request("g", uniforms=numbers), request("f", uniforms=numbers, lead="", link="")
    together = measure(instrument, [guided, free])
    alone = [measure(instrument, [guided])[0], measure(instrument, [free])[0]]
    assert [m.answers for m in together] == [m.answers for m in alone]
    assert [m.scores.per_token for m in together] == [
        pytest.approx(m.scores.per_token, abs=2e-5) for m in alone
    ]
    assert together[0].answers[0].startswith(rationale_prefix()) and together[0].after[0]
    assert together[1].ends == [""] and together[1].after == [None]


def test_scores_before_an_answer_do_not_depend_on_its_form(instrument):
    numbers = [trial_uniforms(("x",), 0, STEPS)]
    guided, free = request("g", uniforms=numbers), request("f", uniforms=numbers, lead="", link="")
    one, other = (measure(instrument, [asked])[0].scores for asked in (guided, free))
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_probabilities_that_are_no_numbers_are_refused():
    with pytest.raises(ModelError, match="overflow"):
        normalised([math.nan, -1.0])
    with pytest.raises(ModelError, match="overflow"):
        normalised([-1.0, math.nan])
    with pytest.raises(ModelError, match="overflow"):
        normalised([-math.inf, -math.inf])
    assert normalised([-math.inf, -1.0]) == [0.0, 1.0]


SPACED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %} {{ m['content'] }}<|end|>"
    "{% else %}[{{ m['content'] }}]{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "before", "turn"),
    [
        # As Mistral's: a space before an answer, which the model writes itself.
        (SPACED, "[Hello] ", "[Hello]"),
        # A template that leaves answers out.
        ("{% for m in messages[:1] %}{{ m['content'] }}{% endfor %}", "Hello", "Hello"),
        (None, "Hello\n\n", "Hello\n\n"),
    ],
)
def test_a_guided_answer_stands_where_the_template_puts_an_answer(template, before, turn):
    own = tiny_model("llama")
    own.tokenizer.bos_token = None
    own.tokenizer.chat_template = template
    messages = [{"role": "user", "content": "Hello"}]
    assert own.text_before_answer(messages) == before
    assert own.chat_text(messages) == turn
