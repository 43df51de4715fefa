"""Hidden states are those of the stimulus' last token, in any place of a padded batch."""

from pathlib import Path

import torch

from emotion_games.engine.hooks import capture
from emotion_games.engine.probes import hidden_states
from emotion_games.prompts.messages import probe
from emotion_games.prompts.templates import load_templates
from tiny import tiny_model

torch.set_num_threads(1)
TEMPLATES = load_templates(Path(__file__).parents[2] / "config" / "prompts.yaml")
STIMULI = [
    "You find a coin.",
    "Your train is late again.",
    "A dog barks at you from behind the gate.",
]


def test_states_are_read_at_the_last_token_of_the_stimulus():
    model = tiny_model("llama")
    counted = []
    found = hidden_states(model, TEMPLATES, STIMULI, counted.append)
    assert counted == [3]
    assert found.shape == (4, 3, 32)
    # A text that ends with the stimulus has it at its last position, whatever follows in the probe.
    text = model.chat_text(probe(TEMPLATES, STIMULI[2])[0])
    cut = text[: text.rindex(STIMULI[2]) + len(STIMULI[2])]
    with torch.inference_mode(), capture(model.layers, [0, 3]) as seen:
        model.model(torch.tensor([model.token_ids(cut)]))
    torch.testing.assert_close(found[0, 2], seen[0][0, -1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[3, 2], seen[3][0, -1], atol=1e-5, rtol=1e-4)
