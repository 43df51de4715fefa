"""The back end gives what a plain model gives, whichever rows share a batch, cache or layer."""

import numpy as np
import pytest
import torch

from emotion_games.engine import cached_rows
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.hooks import steer
from emotion_games.engine.sampling import next_tokens, trial_uniforms
from tiny import ARCHITECTURES, tiny_model

torch.set_num_threads(1)
PROMPTS = [
    "the meadow is green",
    "the meadow is green",
    "a somewhat longer text about a river",
    "the meadow is green",
]
STEPS = 10


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request):
    return tiny_model(request.param)


def pushes(rows):
    generator = torch.Generator().manual_seed(3)
    full = {layer: torch.randn(len(PROMPTS), 32, generator=generator) for layer in (1, 2)}
    full[1][0] = full[2][0] = 0
    return {layer: v[rows] for layer, v in full.items()}


def ids(model, rows):
    return [model.token_ids(PROMPTS[row]) for row in rows]


def read(model, rows, share=True, watched=()):
    return model.read(ids(model, rows), pushes(rows), share, watched)


def uniforms(rows):
    return torch.from_numpy(np.stack([trial_uniforms(("story", row), 0, STEPS) for row in rows]))


def generate(rows, numbers, is_closed=lambda _: False):
    return rows.generate(range(len(numbers)), numbers, 1.0, 0.95, is_closed)


def answers(model, rows, share=True):
    return generate(read(model, rows, share), uniforms(rows))


@torch.inference_mode()
def plain_answer(model, row):
    """Token by token, reading the whole text again at every step: no cache, no batch."""
    text, end = list(ids(model, [row])[0]), model.tokenizer.eos_token_id
    start, numbers = len(text), uniforms([row])
    for step in range(STEPS):
        with steer(model.model, model.layers, pushes([row])):
            logits = model.model(torch.tensor([text])).logits[:, -1]
        token = int(next_tokens(logits, numbers[:, step], 1.0, 0.95))
        if token == end:
            break
        text.append(token)
    return text[start:]


def test_answers_are_those_of_the_plain_model(model):
    rows = list(range(len(PROMPTS)))
    assert answers(model, rows) == [plain_answer(model, row) for row in rows]


def test_answers_do_not_depend_on_the_batch(model):
    rows = list(range(len(PROMPTS)))
    together = answers(model, rows)
    assert together == answers(model, rows, share=False)
    assert together == [answers(model, [row])[0] for row in rows]
    assert together == answers(model, rows[::-1])[::-1]
    assert together[0] != together[1], "steered and unsteered rows of one prompt differ"


def test_shared_lower_layers_run_on_one_row_a_prompt_and_change_nothing(model):
    rows, sizes = list(range(len(PROMPTS))), {}
    for share in (True, False):
        hooks = [
            layer.register_forward_hook(
                lambda m, a, out, n=n, s=share: sizes.update(
                    {(s, n): (out[0] if isinstance(out, tuple) else out).shape[0]}
                )
            )
            for n, layer in enumerate(model.layers)
        ]
        result = read(model, rows, share)
        for hook in hooks:
            hook.remove()
        if share:
            shared = result
            assert [len(layer.keys) for layer in shared.cache.layers] == [2, 2, 4, 4]
    # The counting hooks see the first steered layer before its rows are spread.
    assert [sizes[True, n] for n in range(4)] == [2, 2, 4, 4]
    assert [sizes[False, n] for n in range(4)] == [4, 4, 4, 4]
    torch.testing.assert_close(shared.logits, result.logits, atol=1e-5, rtol=1e-5)
    each = shared.take(range(4), room=0)
    for layer, plain in zip(each.cache.layers, result.cache.layers, strict=True):
        torch.testing.assert_close(layer.keys, plain.keys, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer.values, plain.values, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_log_probabilities_are_those_of_the_whole_text(model):
    rows = list(range(len(PROMPTS)))
    options = [model.token_ids(text) for text in (" yes", " perhaps not")]
    found = read(model, rows).score(rows, [options] * len(rows))
    for row in rows:
        prompt = ids(model, [row])[0]
        for option, values in zip(options, found[row], strict=True):
            with steer(model.model, model.layers, pushes([row])):
                logits = model.model(torch.tensor([prompt + option])).logits[0].log_softmax(-1)
            expected = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(option)]
            assert values == pytest.approx(expected, abs=2e-5)


# "so I stay" and "so I go on" in two rows, "I stay" and "I go on" in the others. What each pair
# begins with is read once, as far as the rows scored together can go ("I " is 2 tokens, "so I " 5).
# No last token is ever read.
@pytest.mark.parametrize(
    "at_once, tokens", [(4, 4 * (2 + 6 + 7)), (2, 2 * (2 + 3 + 4) + 2 * (5 + 3 + 4))]
)
@torch.inference_mode()
def test_what_continuations_begin_with_is_read_once(model, monkeypatch, at_once, tokens):
    rows = list(range(len(PROMPTS)))
    texts = [
        [model.token_ids(begin + end) for end in ("stay", "go on")] for begin in ("so I ", "I ") * 2
    ]
    begun, seen, honest = read(model, rows), [], CachedRows.extend
    monkeypatch.setattr(cached_rows, "SCORED_AT_ONCE", at_once)
    monkeypatch.setattr(CachedRows, "extend", lambda *a: seen.append(a[1].numel()) or honest(*a))
    found = begun.score(rows, texts)
    assert sum(seen) == tokens
    for row in rows:
        for text, values in zip(texts[row], found[row], strict=True):
            alone = read(model, [row]).score([0], [[text]])[0][0]
            assert values == pytest.approx(alone, abs=2e-5)


def test_scoring_and_generating_leave_the_rows_as_they_are(model):
    rows = read(model, [0, 2])
    length = rows.mask.shape[1]
    first = rows.score([0, 1, 1], [[[5, 6]], [[7]], [[5, 6, 7]]])
    written = generate(rows, uniforms([0, 2]))
    assert first == rows.score([0, 1, 1], [[[5, 6]], [[7]], [[5, 6, 7]]])
    assert written == generate(rows, uniforms([0, 2]))
    assert rows.mask.shape[1] == length
    assert rows.cache.layers[0].keys.shape[2] == length


def test_a_closed_answer_ends_and_leaves_the_batch():
    model = tiny_model("llama")
    sizes = []
    hook = model.layers[0].register_forward_hook(
        lambda m, a, out: sizes.append(len(out[0] if isinstance(out, tuple) else out))
    )
    rows = read(model, [0, 1, 2, 3], share=False)
    brace = model.token_ids("}")[0]
    rows.logits = rows.logits.clone()
    rows.logits[0, brace] = 1e4  # row 0 closes its answer with the first token
    written = generate(rows, uniforms([0, 1, 2, 3]), lambda text: text == "}")
    hook.remove()
    assert written[0] == [brace]
    assert sizes[:2] == [4, 3] and max(sizes[1:]) == 3
    assert written[1:] == answers(model, [1, 2, 3], share=False)


def test_end_token_is_not_part_of_the_answer():
    model = tiny_model("llama")
    rows = read(model, [0, 1])
    rows.logits = rows.logits.clone()
    rows.logits[0, model.tokenizer.eos_token_id] = 1e4
    assert generate(rows, uniforms([0, 1]))[0] == []


def test_states_are_those_after_the_push_at_the_last_token(model):
    rows = list(range(len(PROMPTS)))
    for share, layers in ((True, [0, 1, 2, 3]), (True, [1, 3]), (False, [0, 1])):
        found = read(model, rows, share, layers).states
        for row in rows:
            states, _ = model.capture(ids(model, [row]), pushes([row]), layers)
            for layer in layers:
                expected = states[layer][0, -1]
                torch.testing.assert_close(found[layer][row], expected, atol=1e-5, rtol=1e-4)
