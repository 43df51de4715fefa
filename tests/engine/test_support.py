"""Before an architecture is used, it is tried."""

import pytest
import torch

from architectures import tiny_architecture
from emotion_games.engine import support, transformers_backend
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.caches import CacheError, new_cache
from emotion_games.engine.hooks import row_axes
from emotion_games.engine.support import unsupported
from emotion_games.engine.transformers_backend import TransformersBackend
from tiny import tiny_model

torch.set_num_threads(1)


@pytest.fixture
def llama():
    return tiny_model("llama")


def test_a_model_that_sees_its_padding_is_not_supported(llama, monkeypatch):
    honest = CachedRows.extend

    def blind(rows, ids, real, keep, watched=()):
        return honest(rows, ids, torch.ones_like(real), keep, watched)

    monkeypatch.setattr(CachedRows, "extend", blind)
    assert "differs from what it reads alone" in unsupported(llama)


def test_a_model_whose_logits_are_not_numbers_is_not_supported(llama):
    llama.model.lm_head.weight[0] = torch.nan
    assert "by nan nats" in unsupported(llama)


def test_any_error_of_a_pass_is_a_reason_in_one_line_but_a_full_gpu_is_not(llama, monkeypatch):
    def fails(error):
        monkeypatch.setattr(TransformersBackend, "read", lambda *_, **__: raised(error))

    def raised(error):
        raise error

    fails(KeyError("no\nsuch layer"))
    assert unsupported(llama) == "it cannot read a batch: KeyError: 'no\\nsuch layer'"
    fails(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        unsupported(llama)


class Layer(torch.nn.Module):
    def forward(self, hidden, *, per_head, several, streams, doubled, mask=None):
        return hidden


def test_the_axis_of_the_rows_is_found_by_two_batches():
    layers = torch.nn.ModuleList([Layer()])

    def run(rows):
        layers[0](
            torch.zeros(rows, 3, 8),
            # As many heads as rows in one of the batches.
            per_head=torch.zeros(2, 1, 3),
            several=(torch.zeros(rows, 3), torch.zeros(1, 3)),
            streams=torch.zeros(4, rows, 3, 8),
            doubled=torch.zeros(rows * 2, 3),
        )

    assert row_axes(layers, run) == [
        {
            (0,): 0,
            ("per_head",): None,
            ("several", 0): 0,
            ("several", 1): None,
            ("streams",): 1,
            ("doubled",): -1,
        }
    ]


@pytest.mark.parametrize("kind, at_once", [("jamba", False), ("qwen3_next", True), ("lfm2", True)])
def test_layers_that_forget_their_state_in_a_long_pass_get_one_token_a_pass(kind, at_once):
    model = tiny_architecture(kind)
    sizes = []
    rows = model.read([model.token_ids("the meadow")], {})
    model.layers[0].register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[1]))
    rows.score([0], [[model.token_ids(" is")]])
    # What is asked once, and then the text without its last token.
    assert sizes[-2:] == ([1, 1] if not at_once else [len(transformers_backend.SAMPLE), 2])


def test_cache_layers_of_an_unknown_kind_are_refused():
    config = tiny_model("llama").model.config
    config.layer_types = ["compressed"] * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(support_types(), "compressed", type("Compressed", (), {}))
        with pytest.raises(CacheError, match="of type Compressed cannot be copied"):
            new_cache(config)


def support_types():
    from transformers.cache_utils import DYNAMIC_LAYER_TYPE_MAPPING

    return DYNAMIC_LAYER_TYPE_MAPPING


def test_windows_do_not_shorten_a_cache():
    gemma = tiny_model("gemma2")
    text = gemma.token_ids("a text that is longer than the window of sixteen tokens")
    cache = gemma.read([text], {}).cache
    assert [layer.keys.shape[2] for layer in cache.layers] == [len(text)] * 4


def test_tolerances_exist_for_every_number_format():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert dtype.itemsize in support.READING_TOLERANCE
