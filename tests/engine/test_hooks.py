"""Steering acts on the right row, layer and position in every architecture, or fails loudly."""

import pytest
import torch

from emotion_games.engine.hooks import SteeringError, capture, pushed_positions, steer
from tiny import ARCHITECTURES, tiny_model

torch.set_num_threads(1)
TEXTS = ["the meadow is green", "a somewhat longer text about a river"]
STEERED = (1, 2)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def loaded(request):
    return tiny_model(request.param)


@pytest.fixture
def llama():
    return tiny_model("llama")


def padded(loaded, side):
    loaded.tokenizer.padding_side = side
    batch = loaded.tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {**batch, "position_ids": (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)}


def vectors(seed=1, rows=2, width=32):
    generator = torch.Generator().manual_seed(seed)
    return {layer: torch.randn(rows, width, generator=generator) for layer in STEERED}


def hooked(loaded):
    """Modules with hooks, but for the head, which keeps one (`make_contiguous`)."""
    head = loaded.model.get_output_embeddings()
    modules = [module for module in loaded.model.modules() if module is not head]
    return [m for m in modules if m._forward_hooks or m._forward_pre_hooks]


@torch.inference_mode()
def states(loaded, batch, pushes):
    everywhere = list(range(len(loaded.layers)))
    steering = steer(loaded.model, loaded.layers, pushes, batch["attention_mask"])
    with steering, capture(loaded.layers, everywhere) as seen:
        logits = loaded.model(**batch).logits
    return seen, logits


@torch.inference_mode()
def test_first_steered_layer_moves_by_exactly_the_vector_of_its_row(loaded):
    batch, pushes = padded(loaded, "left"), vectors()
    pushes = {layer: v * torch.tensor([[1.0], [0.0]]) for layer, v in pushes.items()}
    plain, plain_logits = states(
        loaded, batch, {layer: torch.zeros_like(v) for layer, v in pushes.items()}
    )
    pushed, logits = states(loaded, batch, pushes)
    assert torch.equal(pushed[0], plain[0]), "layers below the first steered one stay as they are"
    later = batch["attention_mask"].cumsum(-1) > 1
    expected = plain[1] + pushes[1][:, None] * later[..., None]
    assert torch.equal(pushed[1], expected), "exactly original + vector after the first token"
    assert torch.equal(logits[1], plain_logits[1]), "a zero row is an unsteered row"
    assert not torch.allclose(logits[0, -1], plain_logits[0, -1], atol=1e-3)


def test_the_first_token_that_the_mask_shows_is_not_pushed():
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]])
    pushed = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
    assert pushed_positions(mask).tolist() == pushed


@torch.inference_mode()
def test_tokens_after_a_cache_are_all_pushed(llama):
    batch, pushes = padded(llama, "left"), vectors()
    mask, ids = batch["attention_mask"], batch["input_ids"]
    whole, _ = states(llama, batch, pushes)
    with steer(llama.model, llama.layers, pushes, mask[:, :-3]):
        first = {"input_ids": ids[:, :-3], "attention_mask": mask[:, :-3]}
        places = batch["position_ids"]
        cache = llama.model(**first, position_ids=places[:, :-3]).past_key_values
    steering = steer(llama.model, llama.layers, pushes, mask)
    with steering, capture(llama.layers, list(STEERED)) as seen:
        rest = {"input_ids": ids[:, -3:], "attention_mask": mask, "past_key_values": cache}
        llama.model(**rest, position_ids=places[:, -3:])
    for layer in STEERED:
        torch.testing.assert_close(seen[layer], whole[layer][:, -3:], atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_two_vectors_in_one_batch_do_not_mix(loaded):
    pushes = vectors()
    together = states(loaded, padded(loaded, "left"), pushes)[1][:, -1]
    for row, text in enumerate(TEXTS):
        alone = states(
            loaded,
            loaded.tokenizer([text], return_tensors="pt"),
            {k: v[[row]] for k, v in pushes.items()},
        )[1]
        torch.testing.assert_close(together[row], alone[0, -1], atol=2e-5, rtol=1e-4)


@torch.inference_mode()
def test_left_and_right_padding_agree(loaded):
    pushes = vectors()
    left, right = padded(loaded, "left"), padded(loaded, "right")
    at_end = states(loaded, left, pushes)[1][:, -1]
    ends = right["attention_mask"].sum(-1) - 1
    found = states(loaded, right, pushes)[1][torch.arange(2), ends]
    torch.testing.assert_close(found, at_end, atol=2e-5, rtol=1e-4)


def test_nothing_is_left_behind(llama):
    batch = padded(llama, "left")
    before = llama.model(**batch).logits
    with pytest.raises(KeyError), steer(llama.model, llama.layers, vectors()):
        llama.model(**batch)
        raise KeyError("the body fails")
    assert torch.equal(llama.model(**batch).logits, before)
    assert not hooked(llama)


def test_wrong_number_of_rows_is_refused_and_hooks_are_removed(llama):
    with (
        pytest.raises(SteeringError, match="2 rows in the batch, 3 vectors"),
        steer(llama.model, llama.layers, vectors(rows=3)),
    ):
        llama.model(**padded(llama, "left"))
    assert not hooked(llama)


def test_a_missing_layer_leaves_no_hook(llama):
    with (
        pytest.raises(IndexError),
        steer(llama.model, llama.layers, {1: vectors()[1], 9: vectors()[1]}),
    ):
        pass
    assert not hooked(llama)


def test_a_hook_that_was_removed_is_an_error(llama):
    with (
        pytest.raises(SteeringError, match=r"acted on layers \[2\]"),
        steer(llama.model, llama.layers, vectors()),
    ):
        llama.layers[1]._forward_hooks.clear()
        llama.model(**padded(llama, "left"))


def test_a_body_that_never_runs_the_model_is_an_error(llama):
    with pytest.raises(SteeringError, match="not run"), steer(llama.model, llama.layers, vectors()):
        llama.model.model(**padded(llama, "left"))


def test_the_head_reads_one_block_of_memory_and_gives_the_same_logits(llama):
    read = []
    llama.model.lm_head.register_forward_hook(lambda _, args, out: read.append((args[0], out)))
    rows = llama.read([llama.token_ids(text) for text in TEXTS], {}, share=False)
    (states, logits) = read[-1]
    assert states.shape[:2] == (2, 1) and states.is_contiguous()
    assert torch.equal(
        rows.logits, torch.nn.functional.linear(states, llama.model.lm_head.weight)[:, 0]
    )
