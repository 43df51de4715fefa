"""The check, at the start of every experiment, that the engine steers this model correctly.

A few real requests are measured twice: by the engine (batched, cached, lower layers shared) and by
a reference that reads each text alone, whole and without a cache. In the reference, the hidden
states of the first steered layer move by exactly the push, and those of the layer before do not
move. The scores of the engine's rows must equal those of the reference. Any difference ends the
experiment.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.scoring import Scores, scores, whole_texts

# Largest difference of an option's mean log-probability (nats per token) between engine and
# reference, by the bytes of a number. Choice probabilities would not do: one that is nearly 0 or 1
# hides any difference.
LOGPROB_TOLERANCE = {4: 1e-3, 2: 0.1}
# Largest error of the added vector, relative to the hidden state that it is added to.
STATE_TOLERANCE = {4: 1e-4, 2: 2e-2}


def check_steering(instrument: Instrument, requests: Sequence[Request]) -> None:
    """Compare engine and reference on every request.

    Raises:
        SteeringError: If they differ.
    """
    # All of them are scored, and none is written, even if the experiment does otherwise.
    questions = [replace(request, scored=True, uniforms=()) for request in requests]
    for request in questions:
        _check_states(instrument, request)
    tolerance = LOGPROB_TOLERANCE[instrument.model.dtype.itemsize]
    for request, measured in zip(questions, measure(instrument, questions), strict=True):
        assert measured.scores is not None
        found = measured.scores.per_token
        expected = reference_scores(instrument, request).per_token
        worst = max(abs(found[label] - logprob) for label, logprob in expected.items())
        # Written so that NaN fails, too.
        if not worst <= tolerance:
            raise SteeringError(
                f"{request.key}: the engine differs from the plain model "
                f"by {worst:.2g} nats a token"
            )


def reference_scores(instrument: Instrument, request: Request) -> Scores:
    """Score a request by one plain forward pass per option: no batch, no cache, nothing shared."""
    model, logprobs = instrument.model, []
    pushes, texts = instrument.batch_pushes([request.push]), list(request.options.values())
    wholes = whole_texts(model, request.prompt, request.opening, texts, request.closing)
    for whole in wholes:
        _, logits = model.capture([whole.ids], pushes, [])
        steps = logits[0, :-1].float().log_softmax(-1)
        ids = torch.tensor(whole.ids[1:], device=steps.device)
        logprobs.append(steps.gather(-1, ids[:, None])[:, 0].tolist())
    # The first token of a text has no probability.
    options = dict(zip(request.options, (whole.after(1) for whole in wholes), strict=True))
    return scores(options, logprobs)


def _check_states(instrument: Instrument, request: Request) -> None:
    """Check that the first steered layer moves by exactly its push, the layer before by nothing."""
    model, first = instrument.model, instrument.layers[0]
    watched = [layer for layer in (first - 1, first) if layer >= 0]
    text, pushes = [model.token_ids(request.prompt)], instrument.batch_pushes([request.push])
    # The reference is steered, too, with zeros: both passes run the same operations.
    zeros = {layer: torch.zeros_like(push) for layer, push in pushes.items()}
    plain, _ = model.capture(text, zeros, watched)
    steered, _ = model.capture(text, pushes, watched)
    for layer in watched:
        added = pushes[first] if layer == first else zeros[first]
        error = _relative_error(plain[layer], steered[layer], added)
        if not error <= STATE_TOLERANCE[model.dtype.itemsize]:
            raise SteeringError(f"{request.key}: layer {layer} is off by {error:.2g} of its norm")


def _relative_error(plain: Tensor, steered: Tensor, added: Tensor) -> float:
    """Largest ‖steered - plain - added‖ / ‖plain‖ over the positions of one row."""
    difference = steered - plain - added.to(plain)[:, None]
    return float((difference.norm(dim=-1) / plain.norm(dim=-1)).max())
