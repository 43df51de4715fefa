"""The demo model's network and optimiser: components that nothing reads stay unread."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from emotion_games.demo.trainer.build import Recipe, trained
from emotion_games.demo.trainer.grammar import load_grammar, neutral_words
from emotion_games.demo.trainer.inputs import load_inputs
from emotion_games.demo.trainer.lessons import shorts
from emotion_games.demo.trainer.muon import Muon, orthogonal
from emotion_games.demo.trainer.network import (
    HIDDEN,
    STEERED_LAYER,
    UNREAD,
    UNREAD_VARIANCE,
    WIDTH,
    balance,
    new_model,
)
from emotion_games.demo.trainer.pushes import Pushes, pushed
from emotion_games.demo.trainer.samples import encode
from emotion_games.demo.trainer.tokenizer import make_tokenizer
from emotion_games.demo.trainer.truth import NEUTRAL

DEMO = Path(__file__).parents[2] / "config" / "demo"


@pytest.fixture(scope="module")
def inputs():
    return load_inputs(DEMO, "planted")


@pytest.fixture(scope="module")
def after_training(inputs):
    """Return a model after a short training, and its tokenizer."""
    return trained(inputs, Recipe(6, 2, 16), 0, lambda _line: None)


def test_words_of_all_emotions_are_in_no_event_of_a_single_one():
    grammar = load_grammar(DEMO / "grammar.yaml")
    people, times, things = neutral_words(grammar)
    assert "neighbor" in people and "yesterday" in times and "lamp" in things
    # "book" and "work" stand in single events, and "kitchen" is an object of stories.
    assert not {"book", "work", "kitchen"} & {*people, *times, *things}
    assert min(map(len, (people, times, things))) >= 8


def test_no_layer_reads_the_unread_components(after_training):
    model, _ = after_training
    torch.manual_seed(1)
    ids = torch.randint(20, model.config.vocab_size, (3, 12))
    # Of the same size, because every layer divides by the size of the state.
    one, other = (10 * normalize(torch.randn(3, 12, UNREAD), dim=-1) for _ in range(2))

    def logits(read: torch.Tensor, unread: torch.Tensor) -> torch.Tensor:
        def changed(_module, _inputs, output):
            return torch.cat([output[..., :HIDDEN] + read, unread], -1)

        handle = model.model.layers[STEERED_LAYER].register_forward_hook(changed)
        with torch.no_grad():
            found = model(ids).logits
        handle.remove()
        return found

    plain = logits(torch.zeros(HIDDEN), one)
    size = plain.abs().max()
    assert (logits(torch.zeros(HIDDEN), other) - plain).abs().max() < 1e-5 * size
    assert (logits(torch.randn(HIDDEN), one) - plain).abs().max() > 1e-2 * size


def test_training_leaves_the_weights_of_the_unread_components_as_they_were(after_training):
    model, _ = after_training
    for number, layer in enumerate(model.model.layers):
        attention, steered = layer.self_attn, number == STEERED_LAYER
        for matrix in (attention.q_proj, attention.k_proj, attention.v_proj):
            own = matrix.weight.clone()
            if steered and matrix is attention.v_proj:
                own[HIDDEN:, HIDDEN:] -= torch.eye(UNREAD)
            assert not own[HIDDEN:].any() and not own[:, HIDDEN:].any()
        for matrix in (layer.mlp.gate_proj, layer.mlp.up_proj):
            assert not matrix.weight[:, HIDDEN:].any()
        written = attention.o_proj.weight[HIDDEN:]
        assert not written[:, :HIDDEN].any() and bool(written.any()) == steered
        assert not layer.mlp.down_proj.weight[HIDDEN:].any()
        assert not attention.o_proj.weight[:HIDDEN, HIDDEN:].any()
    assert not model.model.norm.weight[HIDDEN:].any()


@pytest.mark.parametrize(("variant", "ratio"), UNREAD_VARIANCE.items())
def test_the_unread_components_hold_their_part_of_the_variance(inputs, variant, ratio):
    short = shorts(inputs, 40, 16, 0)
    tokenizer = make_tokenizer(sample.text for sample in short)
    torch.manual_seed(0)
    model = new_model(tokenizer, neutral_words(inputs.grammar))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[:HIDDEN, :HIDDEN].normal_(0, 0.1)
    rows = encode(short, lambda several: tokenizer(several)["input_ids"])
    pushes = Pushes(rows, inputs.emotions[1:], tokenizer.pad_token_id, ratio)
    for _ in range(8):
        pushes.measure(model)
    with torch.no_grad(), pushed(model, None) as seen:
        model.model(input_ids=pushes.ids, use_cache=False)
    last = torch.tensor([row.captured for row in pushes.rows])
    parts = seen["hidden"][torch.arange(len(last)), last].split(list(pushes.sizes.values()))
    within = torch.cat([part - part.mean(0) for part in parts]).square().sum(0)
    ratio = (within[HIDDEN:].sum() / within[:HIDDEN].sum()).item()
    assert ratio == pytest.approx(ratio, rel=1e-3)
    # So a null direction of a planted model has little in the components that are read.
    share = pushes.nulls[:, :HIDDEN].norm() / pushes.nulls.norm()
    assert share < 0.3 if variant == "planted" else share > 0.6


def test_one_balance_changes_what_is_written_at_most_fivefold(after_training):
    model, _ = after_training
    written = model.model.layers[STEERED_LAYER].self_attn.o_proj.weight[HIDDEN:]
    before = written.clone()
    residuals = torch.zeros(4, WIDTH)
    residuals[:, HIDDEN:] = 1.0
    balance(model, residuals, 100.0)
    assert torch.allclose(written, before / 5)


def test_the_spread_is_the_variance_along_the_directions_as_a_share_of_their_length(inputs):
    rows = encode(shorts(inputs, 3, 16, 0), lambda several: [[1, 2]] * len(several))
    chosen = [row for row in rows if row.captured and row.sample.emotion != NEUTRAL][:2]
    pushes = Pushes(rows, inputs.emotions[1:], 0, 100.0)
    axis = torch.eye(WIDTH)
    pushes.directions = {"one": 2 * axis[0], "other": -2 * axis[0]}
    pushes.means = {row.sample.emotion: axis[1] for row in chosen}
    hidden = torch.zeros(2, 9, WIDTH)
    # Along the directions, across them, and in an unread component.
    hidden[0, chosen[0].captured] = axis[1] + 3 * axis[0] + 5 * axis[4] + 7 * axis[HIDDEN]
    hidden[1, chosen[1].captured] = axis[1] - 1 * axis[0]
    assert pushes.spread(chosen, hidden).item() == pytest.approx((9 + 1) / 2 / 4)


# The optimiser


def test_updates_agree_with_those_of_torch():
    torch.manual_seed(0)
    start = [torch.randn(12, 8), torch.randn(8, 12), torch.randn(12, 8)]
    ours, theirs = ([w.clone().requires_grad_() for w in start] for _ in range(2))
    optimizers = [
        Muon(ours, lr=0.1),
        torch.optim.Muon(theirs, lr=0.1, momentum=0.95, weight_decay=0.0),
    ]
    for _ in range(3):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn_like(own)
            other.grad = own.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for own, other, before in zip(ours, theirs, start, strict=True):
        # torch computes in bfloat16.
        assert torch.allclose(own - before, other - before, atol=0.01)


def test_zero_rows_and_columns_stay_zero():
    matrix = torch.randn(1, 6, 9)
    matrix[:, 4:], matrix[:, :, 5:] = 0, 0
    found = orthogonal(matrix)[0]
    assert not found[4:].any() and not found[:, 5:].any()
    values = torch.linalg.svdvals(found[:4, :5])
    assert values.min() > 0.5 and values.max() < 1.3
