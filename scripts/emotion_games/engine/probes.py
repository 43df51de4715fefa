"""Reading the hidden states that a stimulus leaves behind, at its last token, inside a neutral probe.

Knows probes, tokens and layers; what the states are used for is settled in `directions`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from emotion_games.engine.hooks import capture
from emotion_games.engine.models import LoadedModel, ModelError, chat_text, token_ids
from emotion_games.prompts.messages import probe
from emotion_games.prompts.templates import Templates

PROBES_AT_ONCE = 32


@torch.inference_mode()
def hidden_states(
    loaded: LoadedModel,
    templates: Templates,
    stimuli: Sequence[str],
    count: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """Residual stream after every layer at the last token of each stimulus: (layers, stimuli, hidden), float32.

    `count` hears how many more have been read.
    """
    found = []
    for start in range(0, len(stimuli), PROBES_AT_ONCE):
        batch, last = probe_batch(loaded, templates, stimuli[start : start + PROBES_AT_ONCE])
        everywhere = list(range(len(loaded.layers)))
        with capture(loaded.layers, everywhere) as states:
            loaded.model(**batch, use_cache=False)
        rows = torch.arange(len(last))
        found.append(torch.stack([states[layer][rows, last].float().cpu() for layer in everywhere]))
        count(len(last))
    return torch.cat(found, 1)


def probe_batch(
    loaded: LoadedModel, templates: Templates, stimuli: Sequence[str]
) -> tuple[dict, list[int]]:
    """Right-padded probes and the position of each stimulus' last token."""
    ids, last = [], []
    for stimulus in stimuli:
        messages, shown = probe(templates, stimulus)
        text = chat_text(loaded.tokenizer, messages)
        before, found, _ = text.rpartition(shown)
        if not found:
            raise ModelError(
                f"model {loaded.name}: its chat template alters the stimulus {shown!r}, so that its last token cannot "
                "be found; use another stimulus, or a model with another template"
            )
        ids.append(token_ids(loaded.tokenizer, text))
        last.append(_last_token(loaded.tokenizer, text, len(before) + len(shown)))
    width = max(map(len, ids))
    pad = loaded.tokenizer.pad_token_id
    batch = {
        "input_ids": torch.tensor(
            [row + [pad] * (width - len(row)) for row in ids], device=loaded.device
        ),
        "attention_mask": torch.tensor(
            [[1] * len(row) + [0] * (width - len(row)) for row in ids], device=loaded.device
        ),
    }
    return batch, last


def _last_token(tokenizer: object, text: str, end: int) -> int:
    """Index of the token that holds the character before `end`."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return max(i for i, (start, _) in enumerate(encoded["offset_mapping"]) if start < end)
