"""New tokens in half precision on a CPU: the same attention, in which the keys are read once."""

import pytest
import torch
from torch.nn import functional

from emotion_games.engine import attention
from emotion_games.engine.models import load_model
from tiny import tiny_model

ROWS, HEADS, KEY_HEADS, LENGTH, WIDTH = 3, 6, 2, 40, 8


class Layer(torch.nn.Module):
    num_key_value_groups = HEADS // KEY_HEADS


@pytest.fixture
def seen(monkeypatch):
    """The query heads, and whether torch shares the keys, of each call of the attention."""
    calls = []
    plain = functional.scaled_dot_product_attention

    def spy(query, key, value, **settings):
        calls.append((query.shape[1], settings.get("enable_gqa", False)))
        return plain(query, key, value, **settings)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    return calls


def inputs(dtype, new=1):
    generator = torch.Generator().manual_seed(0)
    shapes = (HEADS, new), (KEY_HEADS, LENGTH), (KEY_HEADS, LENGTH)
    return [torch.randn(ROWS, *s, WIDTH, generator=generator).to(dtype) for s in shapes]


def by_hand(query, key, value):
    """Attention in float64, head by head: (rows, new, heads, width)."""
    shared = HEADS // KEY_HEADS
    found = []
    for head in range(HEADS):
        keys, values = key[:, head // shared].double(), value[:, head // shared].double()
        scores = query[:, head].double() @ keys.mT / WIDTH**0.5
        found.append(scores.softmax(-1) @ values)
    return torch.stack(found, 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_head_attends_to_its_own_keys(dtype):
    query, key, value = inputs(dtype)
    found, _ = attention.attend(Layer(), query, key, value, None)
    tolerance = 4 * torch.finfo(dtype).eps
    expected = by_hand(query, key, value)
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_new_token_in_half_precision_reads_the_keys_once(seen, dtype):
    attention.attend(Layer(), *inputs(dtype), None)
    assert seen == [(KEY_HEADS, False)]


def test_elsewhere_the_attention_is_that_of_transformers(seen):
    attention.attend(Layer(), *inputs(torch.float32), None)
    attention.attend(Layer(), *inputs(torch.bfloat16, new=2), None)
    assert seen == [(HEADS, True)] * 2


def test_a_mask_is_kept(seen):
    query, key, value = inputs(torch.bfloat16)
    mask = torch.ones(ROWS, 1, 1, LENGTH, dtype=torch.bool)
    mask[..., : LENGTH // 2] = False
    found, _ = attention.attend(Layer(), query, key, value, mask)
    expected = by_hand(query, key[:, :, LENGTH // 2 :], value[:, :, LENGTH // 2 :])
    torch.testing.assert_close(found.double(), expected, atol=0.04, rtol=0.04)


def test_a_loaded_model_writes_its_answers_with_it(seen, tmp_path):
    torch.backends.cuda.enable_cudnn_sdp(True)
    tiny = tiny_model("llama")
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    model = load_model({"id": "tiny", "dtype": "bfloat16"}, str(tmp_path), {"device": "cpu"})
    config = model.model.config
    assert config.num_key_value_heads < config.num_attention_heads
    rows = model.read([model.token_ids("the meadow is green")] * 2, {})
    seen.clear()
    rows.generate([0, 1], torch.zeros(2, 5, dtype=torch.float64), 0, 1, lambda _: False)
    assert set(seen) == {(config.num_key_value_heads, False)}
    assert not torch.backends.cuda.cudnn_sdp_enabled()
