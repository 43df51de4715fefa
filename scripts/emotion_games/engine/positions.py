"""How long a text may be that a model reads."""

from collections.abc import Iterator
from typing import Any, TypeGuard

from transformers import PreTrainedConfig

# What architectures call the number of positions. Learned positions end there; rotary ones were
# not trained beyond it.
LENGTH_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
# Rotary positions whose frequencies change for a whole batch when its longest text grows beyond
# the original length.
BATCH_DEPENDENT = ("longrope", "dynamic")


def most_positions(config: PreTrainedConfig) -> int | None:
    """Return the largest number of tokens of a text for which answers do not depend on its batch.

    None means that the architecture has no limit, as with relative position biases.
    """
    text = config.get_text_config(decoder=True)
    named = (getattr(text, key, None) for key in LENGTH_KEYS)
    lengths = [length for length in named if _is_length(length)][:1]
    for rope in _ropes(getattr(text, "rope_parameters", None)):
        original = rope.get("original_max_position_embeddings")
        if rope.get("rope_type") in BATCH_DEPENDENT and _is_length(original):
            lengths.append(original)
    return min(lengths, default=None)


def _ropes(rope: Any) -> Iterator[dict[str, Any]]:
    """Yield the rotary settings; some architectures have one set for each kind of layer."""
    if isinstance(rope, dict):
        yield rope
        for nested in rope.values():
            yield from _ropes(nested)


def _is_length(value: object) -> TypeGuard[int]:
    # XLNet writes -1 for no limit.
    return isinstance(value, int) and value > 0
