"""Hidden states are those of the stimulus' last token, in any place of a padded batch."""

from pathlib import Path

import pytest
import torch

from architectures import FAST, tiny_architecture
from emotion_games.engine.hooks import capture
from emotion_games.engine.probes import hidden_states, probe_batch
from emotion_games.prompts.messages import probe
from emotion_games.prompts.templates import load_templates
from tiny import tiny_model
from vocabularies import merging_tokenizer

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


@pytest.mark.parametrize("architecture", FAST)
def test_states_are_those_of_reading_each_probe_alone(architecture):
    model = tiny_architecture(architecture)
    found = hidden_states(model, TEMPLATES, STIMULI)
    for number, ids in enumerate(probe_batch(model, TEMPLATES, STIMULI)):
        alone, _ = model.capture([ids], {}, range(model.depth))
        plain = torch.stack([alone[layer][0, -1].float() for layer in range(model.depth)])
        torch.testing.assert_close(found[:, number], plain, atol=1e-5, rtol=1e-3)


def last_token(model, stimulus):
    """The text of the probe up to its last token of the stimulus."""
    (ids,) = probe_batch(model, TEMPLATES, [stimulus])
    return model.tokenizer.decode(ids)


def test_the_last_token_of_a_stimulus_may_hold_what_follows_it():
    model = tiny_model("llama")
    # A base model, where a line break follows the stimulus.
    model.tokenizer = merging_tokenizer([". \n"])
    assert last_token(model, "You find a coin.").endswith("You find a coin.\n")
    assert last_token(model, "You find a coin").endswith("You find a coin")
    assert last_token(model, "Déjà").endswith("Déjà"), "all bytes of the last character are read"


def test_special_tokens_without_characters_are_no_part_of_a_stimulus():
    model = tiny_model("llama")
    spans = model.token_spans

    def with_end(text):
        ids, places = spans(text)
        return [*ids, 2], [*places, (0, 0)]

    expected = last_token(model, STIMULI[0])
    model.token_spans = with_end
    assert last_token(model, STIMULI[0]) == expected
