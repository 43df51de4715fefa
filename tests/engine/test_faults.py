"""The self-check finds every fault that is built into the engine, in every number format.

A fault is built into the engine alone, or into the engine and the reference. The pushes are small:
.9 % of a hidden state per layer, as in real experiments.
"""

from copy import deepcopy
from functools import cache
from itertools import product

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import AutoConfig

from architectures import FAST, PATHS, tiny_causal_model
from emotion_games.engine import hooks, reference, self_check
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.models import decoder_layers
from emotion_games.engine.self_check import TOLERANCE, check_steering, differences
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import byte_tokenizer

torch.set_num_threads(1)

SIZE = {
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 256,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
MODELS = {
    "llama": {**SIZE, "num_hidden_layers": 12},
    "gemma2": {**SIZE, "num_hidden_layers": 6, "sliding_window": 16, "query_pre_attn_scalar": 64},
    "qwen3_moe": {**SIZE, **EXPERTS, "num_hidden_layers": 6, "decoder_sparse_step": 1},
}
FORMATS = (torch.float32, torch.bfloat16, torch.float16)
PUSH = 0.009  # of the length of a hidden state, per layer
PROMPT = "<s><|user|>Do you help?<|end|><|assistant|>"
OPTIONS = {"help": "Yes", "refuse": "Never"}
NAMES = (None, "anger", "joy")


@cache
def model(kind, dtype):
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **special, **MODELS[kind])
    made = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False).to(dtype)
    return TransformersBackend(made, tokenizer, decoder_layers(made), kind)


@cache
def instrument(kind, dtype):
    backend = model(kind, dtype)
    return small_pushes(backend, list(range(backend.depth // 3, 2 * backend.depth // 3)))


def small_pushes(backend, layers):
    """An instrument with pushes that are as long as those of real experiments."""
    states, _ = backend.capture([backend.token_ids(PROMPT)], {}, layers)
    lengths = torch.stack([states[layer].float().norm(dim=-1).median() for layer in layers])
    generator = torch.Generator().manual_seed(0)
    pushes = {}
    for name in NAMES[1:]:
        push = torch.randn(len(layers), backend.hidden_size, generator=generator)
        push *= PUSH * (lengths / push.norm(dim=-1))[:, None]
        pushes[name] = push
    return Instrument(backend, layers, pushes, temperature=0.7, top_p=0.95)


def requests():
    asked = [Request(f"story/{name}", PROMPT, name, OPTIONS, '{"', '"}') for name in NAMES]
    told = PROMPT.replace("<s>", "<s><|system|>You care.<|end|>")
    return [*asked, Request("story/prompted", told, None, OPTIONS, '{"', '"}')]


def scaled(factor):
    return lambda vectors: {layer: vector * factor for layer, vector in vectors.items()}


# What a fault makes of {layer: vectors}; the vectors are (rows, hidden) in the engine and (hidden,)
# in the reference.
CHANGES = {
    "unsteered": scaled(0),
    "halved": scaled(0.5),
    "doubled": scaled(2),
    "wrong layer": lambda vectors: {layer + 1: v for layer, v in vectors.items()},
    "only the first layer": lambda vectors: {k: vectors[k] for k in sorted(vectors)[:1]},
    "last layer dropped": lambda vectors: {k: vectors[k] for k in sorted(vectors)[:-1]},
}


def change_engine(monkeypatch, change):
    """Change the vectors of every pass of the engine; `change(vectors, is_answer)`."""
    honest = CachedRows.extend

    def broken(rows, *arguments):
        configured = rows.vectors
        rows.vectors = change(configured, rows.mask.shape[1] > 0)
        try:
            return honest(rows, *arguments)
        finally:
            rows.vectors = configured

    monkeypatch.setattr(CachedRows, "extend", broken)


def change_reference(monkeypatch, change):
    honest = reference.plain_logits
    monkeypatch.setattr(
        self_check, "plain_logits", lambda m, ids, pushes, *at: honest(m, ids, change(pushes), *at)
    )


def steer_reference_only_at(monkeypatch, chosen):
    """Let the reference add its push only at `chosen` positions."""
    honest = reference.add_push

    def broken(push, tokens, module, arguments, output):
        pushed = honest(push, tokens, module, arguments, output)
        old, new = (o[0] if isinstance(o, tuple) else o for o in (output, pushed))
        found = old.clone()
        found[:, chosen] = new[:, chosen]
        return (found, *output[1:]) if isinstance(output, tuple) else found

    monkeypatch.setattr(reference, "add_push", broken)


def swapped_rows(monkeypatch, case):
    change_engine(monkeypatch, lambda vectors, _: {k: v.flip(0) for k, v in vectors.items()})


def swapped_pushes_of_the_reference(monkeypatch, case):
    one, other = (case.pushes[name] for name in NAMES[1:])

    def swapped(pushes):
        found = {}
        for place, layer in enumerate(case.layers):
            push = pushes[layer]
            is_one = torch.cosine_similarity(push, one[place], dim=0) > 0.9
            wrong = (other if is_one else one)[place]
            found[layer] = wrong * push.norm() / wrong.norm()
        return found

    change_reference(monkeypatch, lambda pushes: swapped(pushes) if pushes else pushes)


def answer_unsteered(monkeypatch, case):
    change_engine(monkeypatch, lambda v, is_answer: scaled(0)(v) if is_answer else v)


def answer_unsteered_in_the_reference(monkeypatch, case):
    steer_reference_only_at(monkeypatch, slice(len(case.model.token_ids(PROMPT))))


def one_position_late(monkeypatch, case):
    """Each pass pushes the second position first."""
    honest = torch.addcmul

    def late(hidden, added, shown):
        return honest(hidden, added, torch.cat([torch.zeros_like(shown[:, :1]), shown[:, :-1]], 1))

    monkeypatch.setattr(torch, "addcmul", late)


def one_position_late_in_the_reference(monkeypatch, case):
    steer_reference_only_at(monkeypatch, slice(2, None))


def first_position_pushed(monkeypatch, case):
    monkeypatch.setattr(hooks, "pushed_positions", lambda mask: mask)


def first_position_pushed_in_the_reference(monkeypatch, case):
    honest = reference.add_push

    def broken(push, tokens, module, arguments, output):
        pushed = honest(push, tokens, module, arguments, output)
        hidden = pushed[0] if isinstance(pushed, tuple) else pushed
        hidden[:, 0] += push.to(hidden)
        return pushed

    monkeypatch.setattr(reference, "add_push", broken)


class Shifted:
    """A model that is told the wrong positions."""

    def __init__(self, honest):
        self.honest = honest

    def __call__(self, position_ids, **others):
        return self.honest(position_ids=position_ids + 1, **others)

    def __getattr__(self, name):
        return getattr(self.honest, name)


def positions_shifted(monkeypatch, case):
    honest = CachedRows.extend

    def broken(rows, *arguments):
        true_model = rows.backend.model
        if rows.mask.shape[1]:
            rows.backend.model = Shifted(true_model)
        try:
            return honest(rows, *arguments)
        finally:
            rows.backend.model = true_model

    monkeypatch.setattr(CachedRows, "extend", broken)


def positions_shifted_in_the_reference(monkeypatch, case):
    prompt = len(case.model.token_ids(PROMPT))

    @torch.inference_mode()
    def broken(model, ids, pushes, *at):
        positions = torch.arange(len(ids))[None]
        true_model, model.model = model.model, None
        model.model = lambda **k: true_model(position_ids=positions + (positions >= prompt), **k)
        try:
            return reference.plain_logits(model, ids, pushes, *at)
        finally:
            model.model = true_model

    monkeypatch.setattr(self_check, "plain_logits", broken)


def stale_cache(monkeypatch, case):
    """Answers follow the cache of an unsteered prompt."""
    twin = deepcopy(case.model)
    honest = TransformersBackend.read

    def broken(backend, prompts, vectors, *others, **named):
        found = honest(backend, prompts, vectors, *others, **named)
        if backend is not twin:
            stale = honest(twin, prompts, scaled(0)(vectors), *others, **named)
            found.cache.layers = stale.cache.layers
        return found

    monkeypatch.setattr(TransformersBackend, "read", broken)


def rows_taken_from_others(monkeypatch, case):
    honest = CachedRows.take

    def broken(rows, places, *others, **named):
        count = len(rows.mask)
        return honest(rows, [(int(place) + 1) % count for place in places], *others, **named)

    monkeypatch.setattr(CachedRows, "take", broken)


def vectors_changed(name, place):
    def inject(monkeypatch, case):
        change_engine(monkeypatch, lambda vectors, _: CHANGES[name](vectors))
        if place == "both paths":
            change_reference(monkeypatch, CHANGES[name])

    return inject


def both(engine, reference):
    def inject(monkeypatch, case):
        engine(monkeypatch, case)
        reference(monkeypatch, case)

    return inject


FAULTS = {
    **{(n, p): vectors_changed(n, p) for n in CHANGES for p in ("engine alone", "both paths")},
    ("swapped rows", "engine alone"): swapped_rows,
    ("swapped rows", "both paths"): both(swapped_rows, swapped_pushes_of_the_reference),
    ("answer unsteered", "engine alone"): answer_unsteered,
    ("answer unsteered", "both paths"): both(answer_unsteered, answer_unsteered_in_the_reference),
    ("push one position late", "engine alone"): one_position_late,
    ("push one position late", "both paths"): both(
        one_position_late, one_position_late_in_the_reference
    ),
    ("first position pushed", "engine alone"): first_position_pushed,
    ("first position pushed", "both paths"): both(
        first_position_pushed, first_position_pushed_in_the_reference
    ),
    ("positions shifted by one", "engine alone"): positions_shifted,
    ("positions shifted by one", "both paths"): both(
        positions_shifted, positions_shifted_in_the_reference
    ),
    # The reference has neither a cache nor rows.
    ("stale cache", "engine alone"): stale_cache,
    ("rows taken from others", "engine alone"): rows_taken_from_others,
}
# Of each fault, the place that is harder to see.
LAST_PLACES = {name: (name, place) for name, place in FAULTS}.values()


def name_of(value):
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else ", ".join(value)


def cells():
    """All cells of format x fault x place x model; the fast tests take a part of them."""
    for kind, dtype, fault in product(MODELS, FORMATS, FAULTS):
        is_fast = kind == "llama" and dtype == torch.bfloat16 and fault in LAST_PLACES
        marks = [] if is_fast else [pytest.mark.slow]
        yield pytest.param(
            kind, dtype, fault, id=f"{kind}, {name_of(dtype)}, {name_of(fault)}", marks=marks
        )


@pytest.mark.parametrize(("kind", "dtype", "fault"), list(cells()))
def test_every_fault_is_found_in_every_format(monkeypatch, kind, dtype, fault):
    case = instrument(kind, dtype)
    FAULTS[fault](monkeypatch, case)
    with pytest.raises(SteeringError) as caught:
        check_steering(case, requests(), print)
    assert "\n" not in str(caught.value)
    print(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", FORMATS, ids=name_of)
@pytest.mark.parametrize("kind", sorted(FAST))
def test_a_clean_model_raises_no_alarm_in_any_format(kind, dtype):
    if (kind, dtype) == ("mamba", torch.float16):
        pytest.skip("the states of this random model are at the limit of float16 by themselves")
    clean = tiny_causal_model(kind, FAST[kind]).to(dtype)
    backend = TransformersBackend(
        clean, byte_tokenizer(), decoder_layers(clean, PATHS.get(kind)), kind
    )
    questions = ["Do you help?", "Go?", "Do you wait for her?", "Pay?", "Who is first?", "Tell?"]
    questions += ["Split it?", "Stay here?", "Do you trust them now?", "Ask?"]
    asked = [
        Request(question, PROMPT.replace("Do you help?", question), name, OPTIONS, '{"', '"}')
        for question, name in zip(questions, NAMES[1:] * 5, strict=True)
    ]
    case = small_pushes(backend, [layer for layer in (1, 2) if layer < backend.depth])
    check_steering(case, asked, print)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", FORMATS, ids=name_of)
@pytest.mark.parametrize("kind", MODELS)
def test_the_noise_of_an_honest_engine_is_far_below_the_tolerance(kind, dtype):
    noise = max(differences(instrument(kind, dtype), requests()).values())
    print(f"{noise:.2g}")
    assert noise < TOLERANCE[dtype] / 5
