"""Questions about the architecture of a model, answered by trying it.

`unsupported` asks at loading whether the engine reads it correctly, `sharing_works` at the start of
an experiment whether rows can share its lower layers.
"""

from collections.abc import Sequence

import torch

from emotion_games.engine.backend import Backend, ByLayer, Ids
from emotion_games.engine.ragged import logprobs
from emotion_games.engine.transformers_backend import SAMPLE, TransformersBackend

# Largest difference, in nats a token, between what the engine reads and a plain pass, by the bytes
# of a number. It is wide: this asks whether an architecture works, not how exactly.
READING_TOLERANCE = {4: 0.01, 2: 1.0}
# What models raise if they do not take batches, caches or hooks as the engine gives them.
PASS_ERRORS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)
# Largest difference that sharing the lower layers may make, by the bytes of a number: of logits
# relative to the largest one, and of log-probabilities in nats.
SHARING_TOLERANCE = {4: 1e-3, 2: 0.1}


def unsupported(model: TransformersBackend) -> str | None:
    """Return why the engine cannot use the architecture of a model, or None if it can.

    A short text is read and scored in a padded batch with steered layers, and by a plain pass.
    """
    try:
        difference = _reading_difference(model)
    except torch.OutOfMemoryError:
        raise
    except PASS_ERRORS as error:
        return f"it cannot read a batch: {type(error).__name__}: {' '.join(str(error).split())}"
    # Written so that NaN fails, too.
    if not difference <= READING_TOLERANCE[model.dtype.itemsize]:
        return (
            "what it reads in a padded batch or from its cache differs from what it reads alone, "
            f"by {difference:.2g} nats a token"
        )
    return None


def _reading_difference(model: TransformersBackend) -> float:
    """Return by how much log-probabilities of two rows differ from those of a plain pass."""
    text = [*model.token_ids(SAMPLE), *model.token_ids(SAMPLE)]
    begins, width = [len(text) // 2, 1], model.hidden_size
    nothing = {layer: torch.zeros(2, width) for layer in range(model.depth)}
    rows = model.read([text[:begin] for begin in begins], nothing)
    # The shorter continuation makes the engine read one token alone, and then several at once.
    found = rows.score(range(2), [[text[begin:], text[begin : begin + 2]] for begin in begins])
    logits = model.capture([text], {}, [])[1]
    expected = logprobs(logits[:, :-1], [text[1:]])[0]
    differences = [
        torch.tensor(values) - torch.tensor(expected[begin - 1 :])
        for begin, (values, _) in zip(begins, found, strict=True)
    ]
    return float(torch.cat(differences).abs().max())


def sharing_works(model: Backend, prompts: Sequence[Ids], vectors: ByLayer) -> bool:
    """Return whether rows of one prompt can share the layers below the first vector.

    Args:
        model: The model.
        prompts: The text of each row; at least two rows must have the same one.
        vectors: What is added, {layer: (rows, hidden)}.

    Returns:
        True if what is read and scored is the same with and without sharing, up to rounding.
    """
    rows, endings = range(len(prompts)), [[list(prompt[:3])] for prompt in prompts]
    plain = model.read(prompts, vectors, share=False)
    try:
        shared = model.read(prompts, vectors, share=True)
        found = torch.tensor(shared.score(rows, endings))
    except torch.OutOfMemoryError:
        raise
    except PASS_ERRORS:
        return False
    expected = torch.tensor(plain.score(rows, endings))
    allowed = SHARING_TOLERANCE[model.dtype.itemsize]
    # Written so that NaN fails, too.
    states = (shared.logits - plain.logits).abs().max() <= allowed * plain.logits.abs().max()
    return bool(states) and bool((found - expected).abs().max() <= allowed)
