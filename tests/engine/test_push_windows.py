"""Pushes act on the prompt, on the answer, or on both, as a plain pass with a hook finds it.

The plain pass shares no function with the engine: it has its own tokenization and its own hook, and
reads one whole text at a time.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from emotion_games.engine import (
    batches,
    hooks,
    prompt_tree,
    self_check,
    self_check_cases,
    transformers_backend,
)
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.self_check import check_steering
from emotion_games.engine.windows import NO_END, Edges, Window
from tiny import tiny_model

torch.set_num_threads(1)

KINDS = ("llama", "qwen3", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "olmo2", "qwen3_moe")
EARLY, LATE = [0, 1], [3]
STORY = "<s><|user|>A walker finds a full purse on the old bridge. "
PROMPTS = [
    f"{STORY}1. {one} 2. {other}<|end|><|assistant|>"
    for one, other in (("Keep it", "Ask around"), ("Ask around", "Keep it"))
]
OPTIONS = {"keep": "Keep it", "ask": "Ask around"}
OPENING, CLOSING, LEAD, LINK = '{"decision": "', '"}', '{"rationale": "', '", "decision": "'
STEPS = 4
TOLERANCE = 1e-5
# Where a prompt begins and ends to be pushed; None stands for the end of everything.
POSITIONS = {
    "all": lambda prompt: (0, None),
    "prompt": lambda prompt: (0, len(prompt)),
    "answer": lambda prompt: (len(prompt), None),
    "story": lambda prompt: (len("<s><|user|>"), len(STORY)),
}


def instrument(kind, layers, **changes):
    model = tiny_model(kind)
    generator = torch.Generator().manual_seed(0)
    size = len(layers), model.hidden_size
    pushes = {name: 2 * torch.randn(*size, generator=generator) for name in ("anger", "joy")}
    return Instrument(model, layers, pushes, temperature=0, top_p=1.0, **changes)


def requests(position):
    return [
        Request(
            f"{name} {number}", prompt, name, OPTIONS, OPENING, CLOSING,
            uniforms=(np.full(STEPS, 0.5),), lead=LEAD, link=LINK,
            begin=POSITIONS[position](prompt)[0], end=POSITIONS[position](prompt)[1],
        )
        for number, prompt in enumerate(PROMPTS)
        for name in (None, "anger", "joy")
    ]  # fmt: skip


def plain(case, request, text):
    """The log-probabilities after each token of a text, and its tokens."""
    model, tokenizer = case.model.model, case.model.tokenizer

    def count(characters):
        return len(tokenizer(request.prompt[:characters], add_special_tokens=False)["input_ids"])

    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    first = max(1, count(request.begin))
    last = len(ids) if request.end is None else count(request.end)

    def add(vector):
        def hook(module, arguments, output):
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = hidden.clone()
            hidden[0, first:last] += vector
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    vectors = case.pushes[request.push] if request.push else []
    handles = [
        case.model.layers[layer].register_forward_hook(add(vector))
        for layer, vector in zip(case.layers, vectors, strict=bool(request.push))
    ]
    with torch.inference_mode():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return logits.log_softmax(-1), ids


def plain_score(case, request, before, option):
    """The mean log-probability of an option and its closing quote."""
    logs, ids = plain(case, request, before + option + '"')
    start = len(case.model.tokenizer(before, add_special_tokens=False)["input_ids"])
    return float(np.mean([logs[place - 1, ids[place]] for place in range(start, len(ids))]))


@pytest.mark.parametrize("kind", KINDS)
def test_positions_and_layer_sets_agree_with_a_plain_pass(kind):
    for layers, position in [*product([EARLY], POSITIONS), (LATE, "prompt"), (LATE, "answer")]:
        case, asked = instrument(kind, layers), requests(position)
        for request, found in list(zip(asked, measure(case, asked), strict=True))[1:]:
            at_once, option = request.prompt + OPENING, OPTIONS["ask"]
            after = request.prompt + found.answers[0]
            for scores, before in ((found.scores, at_once), (found.after[0], after)):
                expected = plain_score(case, request, before, option)
                assert scores.per_token["ask"] == pytest.approx(expected, abs=TOLERANCE)


def test_a_position_decides_what_is_written_and_how_options_are_scored():
    case = instrument("llama", [1, 2])
    found = {position: measure(case, requests(position)) for position in POSITIONS}
    scores = {name: [m.scores.per_token["ask"] for m in several] for name, several in found.items()}
    for number, request in enumerate(requests("all")):
        values = {name: several[number] for name, several in scores.items()}
        assert len(set(values.values())) == (len(POSITIONS) if request.push else 1), values


def test_a_prompt_is_read_once_for_all_pushes_of_answers(monkeypatch):
    honest, read = CachedRows.extend, []

    def counted(rows, ids, real, *others, **named):
        read.append(int(real.sum()))
        return honest(rows, ids, real, *others, **named)

    monkeypatch.setattr(CachedRows, "extend", counted)
    case, tokens = instrument("llama", [1, 2]), {}
    for position in ("all", "answer"):
        read.clear()
        asked = [replace(request, uniforms=()) for request in requests(position)]
        batches._read(case, asked)
        tokens[position] = sum(read)
    lengths = [len(case.model.token_ids(prompt)) for prompt in PROMPTS]
    shared = len(case.model.token_ids(f"{STORY}1. "))
    # Both prompts, what they have in common once, and for each row the opening's two tokens.
    assert tokens["answer"] == sum(lengths) - shared + 2 * len(requests("answer"))
    assert tokens["all"] > 2 * tokens["answer"]


def test_a_token_belongs_to_the_prompt_as_long_as_the_text_is_that_of_the_prompt():
    prompt = (5, 6, 7)
    assert Edges((), prompt).window((5, 6, 7, 8)) == Window(0, 3)
    assert Edges(prompt).window((5, 6, 7, 8)) == Window(3, NO_END)
    # 78 spans the last characters of the prompt and the first ones of the answer.
    assert Edges((), prompt).window((5, 6, 78)) == Window(0, 2)
    assert Edges(prompt).window((5, 6, 78)) == Window(2, NO_END)
    # The first token of a text is never pushed.
    assert Window().within(3) == Window(1, 3)
    assert Window().within(1) is None and Window(3).within(3) is None


def window_of(change):
    def fault(monkeypatch, case):
        honest = Edges.window
        monkeypatch.setattr(Edges, "window", lambda edges, text: change(honest(edges, text)))

    return fault


def reference_window(change):
    def fault(monkeypatch, case):
        honest = self_check_cases.pushed_tokens
        changed = lambda ids, edges: change(honest(ids, edges))  # noqa: E731
        monkeypatch.setattr(self_check_cases, "pushed_tokens", changed)
        answers = self_check_cases.answer_texts

        def broken(model, request):
            found = answers(model, request)
            return {k: replace(text, pushed=change(text.pushed)) for k, text in found.items()}

        monkeypatch.setattr(self_check_cases, "answer_texts", broken)

    return fault


def another_layer(monkeypatch, case):
    honest = hooks.steer

    def broken(model, layers, vectors, *others):
        return honest(model, layers, {at + 1: v for at, v in vectors.items()}, *others)

    monkeypatch.setattr(hooks, "steer", broken)


def another_layer_in_the_reference(monkeypatch, case):
    honest = self_check.plain_logits

    def broken(model, ids, pushes, *at):
        return honest(model, ids, {layer + 1: push for layer, push in pushes.items()}, *at)

    monkeypatch.setattr(self_check, "plain_logits", broken)


def windows_forgotten_after_the_prompt(monkeypatch, case):
    honest = CachedRows.take

    def broken(rows, *others, **named):
        taken = honest(rows, *others, **named)
        taken.windows = torch.tensor([Window()] * len(taken.windows))
        return taken

    monkeypatch.setattr(CachedRows, "take", broken)


FAULTS = {
    "the whole text instead": window_of(lambda _: Window()),
    "the rest of the text instead": window_of(
        lambda w: Window(0, w.begin) if w.begin else Window(w.end)
    ),
    "begins a token early": window_of(lambda w: Window(w.begin - 1, w.end)),
    "begins a token late": window_of(lambda w: Window(max(1, w.begin) + 1, w.end)),
    "ends a token early": window_of(lambda w: Window(w.begin, w.end - 1)),
    "ends a token late": window_of(lambda w: Window(w.begin, w.end + 1)),
    "forgotten while writing": windows_forgotten_after_the_prompt,
    "another layer": another_layer,
    "another layer in the reference": another_layer_in_the_reference,
    "the whole text in the reference": reference_window(lambda _: (1, NO_END)),
    "begins late in the reference": reference_window(lambda w: (w[0] + 1, w[1])),
    "ends early in the reference": reference_window(lambda w: (w[0], w[1] - 1)),
}
# What changes nothing: a window without an end cannot end later, one from the start on cannot begin
# earlier, and after the prompt all tokens are those of the answer.
HARMLESS = {
    *(("answer", f"ends a token {when}") for when in ("early", "late")),
    ("answer", "ends early in the reference"),
    ("answer", "forgotten while writing"),
    ("prompt", "begins a token early"),
}
CAUGHT = [(p, f) for p in ("prompt", "answer") for f in FAULTS if (p, f) not in HARMLESS]


def checked(position):
    """Two prompts under a push, and one without, as in an experiment."""
    return [requests(position)[place] for place in (0, 1, 4)]


@pytest.mark.parametrize(("position", "fault"), CAUGHT)
def test_the_self_check_finds_a_wrong_place(position, fault, monkeypatch):
    case = instrument("llama", [1, 2])
    FAULTS[fault](monkeypatch, case)
    with pytest.raises(SteeringError):
        check_steering(case, checked(position), log=lambda line: None)


def test_trunks_that_miss_their_push_are_found(monkeypatch):
    """The prompts are then read alone, with a line."""
    case, lines = instrument("llama", [1, 2]), []
    honest = prompt_tree.branching

    def blind(prompts, pushes, windows=(), shares=prompt_tree.SHARES):
        return honest(prompts, [0] * len(prompts), windows, shares)

    monkeypatch.setattr(transformers_backend, "branching", blind)
    assert not check_steering(case, checked("prompt"), lines.append).share
    assert "cannot share what they read" in lines[0]


@pytest.mark.parametrize("position", POSITIONS)
def test_the_self_check_passes_at_every_position(position):
    lines = []
    assert check_steering(instrument("gemma2", [0, 2]), checked(position), lines.append).share
    assert lines == []
