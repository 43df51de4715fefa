"""The engine reads, steers, scores and writes as a plain model does, in every tested architecture.

The plain model is a copy whose decoder layers add the push in their own `forward`. It reads one
text at a time, whole, without padding, cache or hooks.
"""

import copy

import pytest
import torch

from architectures import (
    DOCS,
    FAST,
    REFUSED,
    SLOW,
    TESTED,
    UNSHARED,
    docs_page,
    tiny_architecture,
    tiny_causal_model,
)
from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.models import load_model
from emotion_games.engine.self_check import check_steering
from emotion_games.engine.support import unsupported
from tiny import byte_tokenizer

torch.set_num_threads(1)
ROOT = DOCS.parents[1]
STEERED, STEPS = (1, 2), 4
# Four rows, as many as attention heads, under three pushes and none.
TEXTS = ["the meadow is green", "the meadow is green", "a long text about a river", "a long text"]
OPTIONS = [" yes", " perhaps not", " pen"]
# Largest error, relative to what the pushes change.
TOLERANCE = 1e-4


@pytest.fixture(
    scope="module",
    params=[*FAST, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)],
)
def model(request):
    return tiny_architecture(request.param)


def row_pushes(model):
    """{layer: (rows, hidden)}, half as long as the states; row 0 is unsteered."""
    layers = [layer for layer in STEERED if layer < model.depth]
    states, _ = model.capture([model.token_ids(TEXTS[0])], {}, layers)
    generator = torch.Generator().manual_seed(3)
    pushes = {}
    for layer, state in states.items():
        push = torch.randn(len(TEXTS), model.hidden_size, generator=generator)
        pushes[layer] = push * 0.5 * state.square().mean().sqrt()
        pushes[layer][0] = 0
    return pushes


def plain_model(model, pushes):
    """A copy of the model whose layers add {layer: (hidden,)} themselves."""
    layers, other = copy.deepcopy((model.layers, model.model))
    for layer, push in pushes.items():
        layers[layer].forward = added(layers[layer].forward, push)
    return lambda ids: other(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def added(forward, push):
    def steered(*args, **kwargs):
        output = forward(*args, **kwargs)
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, 1:] += push
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    return steered


@torch.inference_mode()
def test_every_architecture_is_read_steered_and_continued_as_by_the_plain_model(model):
    pushes, rows = row_pushes(model), range(len(TEXTS))
    prompts = [model.token_ids(text) for text in TEXTS]
    options = [model.token_ids(option) for option in OPTIONS]
    read = model.read(prompts, pushes, share=model.name not in UNSHARED)
    scored = read.score(rows, [options] * len(TEXTS))
    written = read.generate(rows, torch.zeros(len(TEXTS), STEPS), 0, 1.0, lambda _: False)
    effects, errors = [], []
    for row in rows:
        steered = plain_model(model, {layer: push[row] for layer, push in pushes.items()})
        last = len(prompts[row]) - 1
        for option, values in zip(options, scored[row], strict=True):
            logits = steered([*prompts[row], *option])[last:]
            steps = logits[:-1].log_softmax(-1)
            alone = steps.gather(-1, torch.tensor(option)[:, None])[:, 0]
            errors.append((torch.tensor(values) - alone).abs().max())
        errors.append((read.logits[row] - logits[0]).abs().max())
        effects.append((logits[0] - plain_model(model, {})(prompts[row])[-1]).abs().max())
        following = steered([*prompts[row], *written[row]])[last:].argmax(-1).tolist()
        assert len(written[row]) == STEPS or following[-1] in model.end_tokens
        assert written[row] == following[: len(written[row])]
    assert min(effects[1:]) > 0.02, "the pushes change the logits"
    assert max(errors) <= TOLERANCE * max(effects)


def test_only_layers_from_the_first_steered_one_on_change(model):
    pushes, text = row_pushes(model), model.token_ids(TEXTS[0])
    first, everywhere = min(pushes), range(model.depth)
    unsteered, steered = (
        model.capture([text], {layer: push[[row]] for layer, push in pushes.items()}, everywhere)[0]
        for row in (0, 1)
    )
    for layer in everywhere:
        moved = (steered[layer] - unsteered[layer])[0]
        if layer == first:
            assert not moved[0].any(), "the first position is never pushed"
            expected = pushes[layer][1].expand_as(moved[1:])
            torch.testing.assert_close(moved[1:], expected, atol=1e-5, rtol=1e-4)
        else:
            assert bool(moved.any()) == (layer > first)


def test_states_after_texts_that_begin_alike_are_those_of_each_text_alone(model):
    texts = [model.token_ids(text) for text in ("a long text", "a long river", "a lone hill goes")]
    watched = range(model.depth)
    found = model.last_states(texts, watched)
    for row, text in enumerate(texts):
        alone, _ = model.capture([text], {}, watched)
        for layer in watched:
            size = alone[layer].abs().max()
            assert (found[layer][row] - alone[layer][0, -1]).abs().max() <= TOLERANCE * size


def test_the_architecture_is_known_to_work_and_whether_rows_can_share_what_they_read(model):
    assert unsupported(model) is None
    pushes = {"push": torch.stack([push[1] for push in row_pushes(model).values()])}
    instrument = Instrument(model, list(row_pushes(model)), pushes, 1.0, 1.0)
    options = {"yes": OPTIONS[0], "no": OPTIONS[1]}
    requests = [
        Request(f"{number}/{push}", text, push, options)
        for number, text in enumerate(TEXTS)
        for push in ("push", None)
    ]
    shares = check_steering(instrument, requests, print).share
    assert shares == (model.name not in UNSHARED)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_work_is_refused_in_one_line_when_it_is_loaded(kind, tmp_path):
    settings, reason = REFUSED[kind]
    tiny_causal_model(kind, settings).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model({"id": "x"}, str(tmp_path), {"device": "cpu"})
    message = str(caught.value)
    assert message.startswith("model x") and "\n" not in message
    assert "layers_path" not in message, "naming the layers would not help"


def test_the_documentation_names_the_tested_architectures():
    assert DOCS.read_text(encoding="utf-8") == docs_page()
    for page in (ROOT / "README.md", ROOT / "docs" / "validation.md", ROOT / "docs" / "faq.md"):
        text = " ".join(page.read_text(encoding="utf-8").split())
        assert f"{len(TESTED)} architectures" in text, page.name
