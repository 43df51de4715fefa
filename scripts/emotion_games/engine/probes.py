"""Hidden states at the last token of a stimulus, inside a neutral probe."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.prompts.messages import probe
from emotion_games.prompts.templates import Templates

PROBES_AT_ONCE = 32


def hidden_states(
    model: Backend,
    templates: Templates,
    stimuli: Sequence[str],
    count: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """Return the residual stream after every layer at the last token of each stimulus.

    Args:
        model: The model.
        templates: Texts of the probe.
        stimuli: One text each.
        count: Called with the number of stimuli that have been read since the last call.

    Returns:
        (layers, stimuli, hidden) in float32.
    """
    texts, layers = probe_batch(model, templates, stimuli), range(model.depth)
    # Those that are equally long need little padding.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = torch.empty(model.depth, len(texts), model.hidden_size)
    for start in range(0, len(order), PROBES_AT_ONCE):
        places = order[start : start + PROBES_AT_ONCE]
        states = model.last_states([texts[place] for place in places], layers)
        found[:, places] = torch.stack([states[layer].float().cpu() for layer in layers])
        count(len(places))
    return found


def probe_batch(model: Backend, templates: Templates, stimuli: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each probe up to the last one of its stimulus.

    Raises:
        ModelError: If the chat template alters a stimulus, so that it cannot be found.
    """
    texts = []
    for stimulus in stimuli:
        messages, shown = probe(templates, stimulus)
        text = model.chat_text(messages)
        before, found, _ = text.rpartition(shown)
        if not found:
            raise ModelError(
                f"model {model.name}: its chat template alters the stimulus {shown!r}, so that "
                "its last token cannot be found; use another stimulus, or a model with another "
                "template"
            )
        ids, spans = model.token_spans(text)
        end = len(before) + len(shown)
        # The last token of the stimulus holds its last character, and perhaps some that follow.
        # Special tokens may claim to stand anywhere, without any characters.
        last = max(i for i, (start, stop) in enumerate(spans) if start < min(stop, end))
        texts.append(ids[: last + 1])
    return texts
