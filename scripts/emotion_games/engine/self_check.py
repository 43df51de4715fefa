"""The check, at the start of every experiment, that the engine steers this model correctly.

A few real requests are measured without a push, with their pushes, and with pushes that add up to
three times the length of a hidden state. Three things must hold:

- In every pass of the engine, exactly the push of the request is added to the output of each
  steered layer at every position of its window but the first of the text, and nothing elsewhere
  (`observer`).
- The engine reads exactly the tokens of each text, and its scores are those of the logits that it
  found for them.
- Logits are those of a plain reading of the whole text (`reference`), and pushes change them in the
  same way. A small push changes them less than a two-byte number format rounds them; the long ones
  change them far more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import cast

import torch
from torch import Tensor

from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.reference import Text, plain_logits
from emotion_games.engine.self_check_cases import Case, Found, ask, expected_pushes, make_cases
from emotion_games.engine.support import PASS_ERRORS
from emotion_games.engine.transformers_backend import TransformersBackend

# Largest difference between engine and reference, relative to the size of what is compared.
# Rounding made at most 1e-5, .13 (Mamba; .064 in SmolLM2-135M) and .012 in 30 architectures. The
# smallest fault that only this finds, answers after the cache of an unsteered prompt, made .28.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.05}
# Largest difference between a score and the engine's own logits, in nats per token. Only the last
# digits of float32 and of the rounded score can differ, whatever the format of the weights.
SCORE_TOLERANCE = 1e-4
# How long the amplified pushes of all layers are together, in lengths of a hidden state. Shorter
# ones are tried where float16 cannot hold the states.
AMPLIFIED = (3.0, 1.0, 0.3)
# A rationale, after which the options are scored again in experiments that do so.
RATIONALE = "I see. "
# Of a text, enough to see whether a push changes anything.
FEW_TOKENS = 16
# So high that all tokens are equally likely, and that the random numbers alone choose them.
EQUAL_CHANCES = 1e30

# Returns the logits before each scored token of a text under a push: (tokens, vocabulary).
Reference = Callable[[Text, str | None], Tensor]


def check_steering(
    instrument: Instrument, requests: Sequence[Request], log: Callable[[str], None]
) -> Instrument:
    """Compare the engine with the reference on every request.

    Returns:
        The instrument to measure with: one whose rows share nothing if this model cannot.

    Raises:
        SteeringError: If the engine does not steer this model correctly.
    """
    if not instrument.share:
        _compare(instrument, requests)
        return instrument
    try:
        _compare(instrument, requests)
    except torch.OutOfMemoryError:
        raise
    except PASS_ERRORS as error:
        # A fault that has nothing to do with sharing is raised here.
        alone = replace(instrument, share=False)
        _compare(alone, requests)
        log(
            "self-check: rows of this model cannot share what they read; each row is read alone, "
            f"which takes longer ({' '.join(str(error).split())})"
        )
        return alone
    return instrument


def _compare(instrument: Instrument, requests: Sequence[Request]) -> None:
    allowed = TOLERANCE[instrument.model.dtype]
    for what, difference in differences(instrument, requests).items():
        # Written so that NaN fails, too.
        if not difference <= allowed:
            raise SteeringError(
                f"{what} differ between the engine and a plain reading of the whole text, "
                f"by {difference:.2g} of their size; rounding explains at most {allowed:g}"
            )


def differences(instrument: Instrument, requests: Sequence[Request]) -> dict[str, float]:
    """Compare the engine with the reference.

    Returns:
        {what is compared: its difference, relative to its size}.

    Raises:
        SteeringError: If the engine adds something else than the pushes, reads other tokens, or
            returns other scores than those of its own logits.
    """
    # All requests of an experiment have the same openings.
    first, opening = requests[0], None
    if first.lead or instrument.reopen:
        opening = first.lead + RATIONALE + (first.link or first.opening)
    instrument = replace(
        instrument, temperature=EQUAL_CHANCES, top_p=1.0, reopen=lambda _: opening, seconds={}
    )
    model = cast(TransformersBackend, instrument.model)
    # Before the passes are watched.
    model.explore()
    cases = make_cases(model, requests, opening)
    questions = [case.request for case in cases]
    _check_that_pushes_matter(instrument, cases)
    ask(instrument, questions)
    plain = ask(instrument, [replace(question, push=None) for question in questions])
    strong, changed = _amplified(instrument, questions, plain.observer.norms)

    @cache
    def reference(text: Text, push: str | None) -> Tensor:
        pushes = {layer: rows[0] for layer, rows in expected_pushes(strong, [push]).items()}
        logits = plain_logits(model, text.ids, pushes, text.pushed)
        return logits[text.start - 1 : -1].float().cpu()

    found: dict[str, float] = {}
    for place, case in enumerate(cases):
        for measured in (plain, changed):
            _check_scores(place, case, measured)
        # Answers are written in the same way after every prompt: one under each push is enough.
        is_new = case.request.push not in [other.request.push for other in cases[:place]]
        texts = case.texts(is_written=is_new)
        found |= _differences_of(place, case.request, texts, (plain, changed), reference)
    return found


def _check_that_pushes_matter(instrument: Instrument, cases: Sequence[Case]) -> None:
    model = cast(TransformersBackend, instrument.model)
    for case in cases:
        key, push, begin = case.request.key, case.request.push, case.written.ids[:FEW_TOKENS]
        pushes = {layer: rows[0] for layer, rows in expected_pushes(instrument, [push]).items()}
        if push and torch.equal(plain_logits(model, begin, pushes), plain_logits(model, begin, {})):
            raise SteeringError(
                f"{key}: its push changes no logit; it may be smaller than the rounding of "
                f"{model.dtype}"
            )


def _amplified(
    instrument: Instrument, questions: Sequence[Request], norms: dict[int, float]
) -> tuple[Instrument, Found]:
    """Return an instrument with long pushes, and what it finds."""
    lengths = torch.tensor([norms[layer] for layer in instrument.layers])
    for length in AMPLIFIED:
        longer = {}
        for name in {question.push for question in questions if question.push is not None}:
            push = instrument.pushes[name].float()
            share = float((push.norm(dim=-1) / lengths).sum())
            longer[name] = push * max(1.0, length / share)
        strong = replace(instrument, pushes=longer)
        try:
            return strong, ask(strong, questions)
        except ModelError:
            if length == AMPLIFIED[-1]:
                raise
    raise AssertionError("there is a last length")


def _differences_of(
    place: int,
    request: Request,
    texts: Mapping[str, Text],
    measured: tuple[Found, Found],
    reference: Reference,
) -> dict[str, float]:
    """Return the differences of the logits of a request, and of their changes by its push."""
    plain, changed = measured
    found = {}
    for what, text in texts.items():
        before, engine = reference(text, None), plain.logits(place, text)
        center = before.where(before.isfinite(), torch.nan).nanmean(-1, keepdim=True)
        name = f"{request.key}: the logits for {what}"
        found[name] = _typical(engine - before, before - center)
        if request.push is not None:
            change = reference(text, request.push) - before
            error = changed.logits(place, text) - engine - change
            # The push acts on the logits of the tokens that follow the first pushed one.
            acts = max(0, text.pushed[0] - text.start + 1)
            name = f"{request.key}: the changes of the logits for {what}"
            if acts < len(change):
                found[name] = _typical(error[acts:], change[acts:])
            if acts:
                size = (before - center)[:acts]
                found[f"{name} before the push begins"] = _typical(error[:acts], size)
    return found


def _check_scores(place: int, case: Case, found: Found) -> None:
    pairs = [(pair, False) for pair in case.options.items()]
    pairs += [(pair, True) for pair in case.reopened.items()]
    for (label, text), is_reopened in pairs:
        scored = found.score(place, label, is_reopened)
        difference = abs(_score(found.logits(place, text), text) - scored)
        if not difference <= SCORE_TOLERANCE:
            where = " after a rationale" if is_reopened else ""
            raise SteeringError(
                f"{case.request.key}: the score of {label}{where} is {difference:.2g} nats a token "
                "off that of the logits"
            )


def _score(logits: Tensor, text: Text) -> float:
    ids = torch.tensor(text.ids[text.start :])
    return float(logits.log_softmax(-1).gather(-1, ids[:, None]).mean())


def _typical(error: Tensor, size: Tensor) -> float:
    """Return the median over tokens of the length of an error, relative to that of `size`."""
    possible = size.isfinite().all(0)
    lengths = error[:, possible].norm(dim=-1) / size[:, possible].norm(dim=-1)
    return median(lengths.tolist())
