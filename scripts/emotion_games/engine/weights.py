"""Checks of loaded weights: all come from the files, none is left over, all hold numbers.

The library fills in what a file lacks with random numbers and drops what it does not know.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from emotion_games.engine.backend import ModelError

# How many tensors a message names.
NAMED = 3
# What older versions of the library stored in decoder layers: rotary frequencies and masks.
STORED_BUFFERS = re.compile(r"(inv_freq|masked_bias|causal_mask|position_ids|(cos|sin)_cached)$")


def check_weights(
    model: PreTrainedModel, layers: nn.ModuleList, report: dict[str, Any], name: str
) -> None:
    """Refuse a model whose weights are not those of its files, or are no weights.

    Args:
        model: The loaded model.
        layers: Its decoder layers.
        report: What `from_pretrained` returns with `output_loading_info`. The library has taken
            out what it ties or ignores for this architecture.
        name: The model's id, for the message.

    Raises:
        ModelError: If tensors are missing, have another shape than the config says or belong to
            decoder layers that the config does not have; or if they hold NaN or only zeros.
    """
    wrong_shapes = (f"{key} {list(a)} for {list(b)}" for key, a, b in report["mismatched_keys"])
    faults = {
        "missing in the files": report["missing_keys"],
        "of another shape than the config says": wrong_shapes,
        "not in the model": _left_over(model, layers, report["unexpected_keys"]),
    }
    _refuse(faults, f"model {name}: its weights do not fit its config")
    _refuse(_no_numbers(model, layers), f"model {name}: its weights are damaged")


def _refuse(faults: Mapping[str, Iterable[str]], begin: str) -> None:
    found = {fault: sorted(keys) for fault, keys in faults.items()}
    texts = [f"{fault}: {_some(keys)}" for fault, keys in found.items() if keys]
    if texts:
        raise ModelError(f"{begin}; {'; '.join(texts)}")


def _some(keys: list[str]) -> str:
    more = len(keys) - NAMED
    return ", ".join(keys[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _left_over(model: PreTrainedModel, layers: nn.ModuleList, keys: Iterable[str]) -> Iterator[str]:
    """Yield the tensors of decoder layers that the model has no place for."""
    modules = dict(model.named_modules())
    path = next(path for path, module in modules.items() if module is layers)
    # A file may leave out the name of the model without a head.
    paths = {path, path.removeprefix(f"{model.base_model_prefix}.")}
    in_layers = re.compile(rf"({'|'.join(map(re.escape, paths))})\.(\d+)\.")
    # Layers that predict further tokens stand after the decoder layers.
    predictors = getattr(model.config.get_text_config(), "num_nextn_predict_layers", None) or 0
    for key in keys:
        found = in_layers.match(key)
        if not found or len(layers) <= int(found[2]) < len(layers) + predictors:
            continue
        # The bias of an attention module, not of one of its projections, is a stored mask.
        place = modules.get(path + key[found.end(1) :].removesuffix(".bias"))
        is_mask = place is not None and any(place.children())
        if not is_mask and not STORED_BUFFERS.search(key):
            yield key


def _no_numbers(model: PreTrainedModel, layers: nn.ModuleList) -> dict[str, list[str]]:
    """Return the names of damaged tensors by what is wrong with them."""
    heads = (model.get_input_embeddings(), model.get_output_embeddings())
    used = {id(weight) for part in (layers, *heads) if part for weight in part.parameters()}
    faults: dict[str, list[str]] = {"NaN or infinite": [], "all zero": []}
    for name, weight in model.named_parameters():
        # Quantized weights are whole numbers or bytes; offloaded ones are not here.
        is_number = weight.is_floating_point() and weight.itemsize > 1
        if not is_number or weight.is_meta or not weight.numel():
            continue
        low, high = (float(bound) for bound in weight.aminmax())
        if not torch.isfinite(torch.tensor([low, high])).all():
            faults["NaN or infinite"].append(name)
        elif low == high == 0 and id(weight) in used and _is_matrix(name, weight):
            faults["all zero"].append(name)
    return faults


def _is_matrix(name: str, weight: Tensor) -> bool:
    """Return False for biases, norms and gates, which may begin and stay at zero."""
    return weight.ndim > 1 and min(weight.shape[-2:]) > 1 and not name.endswith("bias")
