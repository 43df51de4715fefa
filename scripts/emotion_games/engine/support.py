"""Whether the engine can read an architecture, answered by trying it when a model is loaded."""

import torch

from emotion_games.engine.ragged import logprobs
from emotion_games.engine.transformers_backend import SAMPLE, TransformersBackend

# Largest difference, in nats a token, between what the engine reads and a plain pass, by the bytes
# of a number. It is wide: this asks whether an architecture works, not how exactly.
READING_TOLERANCE = {4: 0.01, 2: 1.0}
# What models raise if they do not take batches, caches or hooks as the engine gives them.
PASS_ERRORS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


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
