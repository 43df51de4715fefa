"""Proof, at the start of every experiment, that this model under this engine is steered as asked.

A few real requests are measured twice: by the engine (batched, cached, lower layers shared) and by a reference that
reads each text alone, whole and without a cache. Hidden states show that the push arrives where it should, on its own
row, and nowhere before. A difference ends the experiment: there are no silently unsteered results.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.hooks import SteeringError, capture, steer
from emotion_games.engine.models import token_ids
from emotion_games.engine.scoring import Scores, continuation, scores

# Largest difference of an option's mean log-probability a token (nats) between engine and reference, by the bytes of a
# number. Choice probabilities would not do: one that is nearly 0 or 1 hides any difference.
LOGPROB_TOLERANCE = {4: 1e-3, 2: 0.1}
# Largest error of the added vector, relative to the hidden state that it is added to.
STATE_TOLERANCE = {4: 1e-4, 2: 2e-2}


def check_steering(instrument: Instrument, requests: Sequence[Request]) -> None:
    """Raise SteeringError unless engine and reference agree on every request."""
    # Scored and not written to, whatever the experiment does with them.
    questions = [
        Request(r.key, r.prompt, r.push, r.options, r.opening, r.closing) for r in requests
    ]
    for request in questions:
        _check_states(instrument, request)
    found = [m.scores for m in measure(instrument, questions)]
    for request, by_engine in zip(questions, found, strict=True):
        _compare(instrument, request, by_engine, reference_scores(instrument, request))


def reference_scores(instrument: Instrument, request: Request) -> Scores:
    """The scores of a request by one plain forward pass for each option: no batch, no cache, nothing shared."""
    loaded, logprobs = instrument.loaded, []
    prompt = token_ids(loaded.tokenizer, request.prompt)
    options = {
        label: continuation(
            loaded.tokenizer, request.prompt, request.opening, text, request.closing
        )
        for label, text in request.options.items()
    }
    for option in options.values():
        logits = _plain_pass(instrument, [*prompt, *option.ids], request.push)[0]
        steps = logits[len(prompt) - 1 : -1].float().log_softmax(-1)
        ids = torch.tensor(option.ids, device=steps.device)
        logprobs.append(steps.gather(-1, ids[:, None])[:, 0].tolist())
    return scores(options, logprobs)


@torch.inference_mode()
def _plain_pass(instrument: Instrument, ids: Sequence[int], push: str | None) -> Tensor:
    loaded = instrument.loaded
    with steer(loaded.model, loaded.layers, instrument.batch_pushes([push])):
        return loaded.model(
            input_ids=torch.tensor([ids], device=loaded.device), use_cache=False
        ).logits


@torch.inference_mode()
def _check_states(instrument: Instrument, request: Request) -> None:
    """The first steered layer moves by exactly its push, the layer before it by nothing."""
    loaded, first = instrument.loaded, instrument.layers[0]
    ids = torch.tensor([token_ids(loaded.tokenizer, request.prompt)], device=loaded.device)
    watched = [layer for layer in (first - 1, first) if layer >= 0]
    states = []
    pushes = instrument.batch_pushes([request.push])
    for added in ({k: torch.zeros_like(v) for k, v in pushes.items()}, pushes):
        with steer(loaded.model, loaded.layers, added), capture(loaded.layers, watched) as seen:
            loaded.model(input_ids=ids, use_cache=False)
        states.append(seen)
    plain, steered = states
    for layer in watched:
        expected = (pushes[first] if layer == first else torch.zeros_like(pushes[first])).to(
            plain[layer]
        )
        error = (steered[layer] - plain[layer] - expected[:, None]).norm(dim=-1) / plain[
            layer
        ].norm(dim=-1)
        if not float(error.max()) <= STATE_TOLERANCE[loaded.model.dtype.itemsize]:
            raise SteeringError(
                f"{request.key}: layer {layer} is off by {float(error.max()):.2g} of its norm"
            )


def _compare(instrument: Instrument, request: Request, found: Scores, expected: Scores) -> None:
    worst = max(
        abs(found.per_token[label] - logprob) for label, logprob in expected.per_token.items()
    )
    if not worst <= LOGPROB_TOLERANCE[instrument.loaded.model.dtype.itemsize]:
        raise SteeringError(
            f"{request.key}: the engine differs from the plain model by {worst:.2g} nats a token"
        )
