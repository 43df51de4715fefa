"""How models attend, where the way that torch chooses is slow for new tokens.

On a CPU in half precision: if several query heads share their keys and nothing is padding,
transformers passes no mask and leaves the sharing to torch, which then reads the keys once for each
query head. This takes about five times as long as reading them once for all, which transformers
does if there is a mask.

On a GPU: the attention of cuDNN plans each new shape before it runs (pytorch/pytorch#155958), and
every new token makes one.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Return what transformers' `sdpa` attention returns; give it a mask where that is faster.

    Args:
        module: The attention layer.
        query: (rows, heads, new, width).
        key: (rows, key heads, length, width).
        value: (rows, key heads, length, width).
        attention_mask: True where a token is seen, (rows, 1, new, length); None if all are.
        settings: What else the attention layer gives.
    """
    is_half_on_cpu = query.device.type == "cpu" and query.element_size() < torch.float32.itemsize
    if attention_mask is None and query.shape[2] == 1 and is_half_on_cpu:
        attention_mask = torch.ones(1, 1, 1, key.shape[2], dtype=torch.bool)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)


def install() -> None:
    """Let all models with `sdpa` attention use `attend`, and none of them cuDNN."""
    AttentionInterface.register("sdpa", attend)
    torch.backends.cuda.enable_cudnn_sdp(False)
