"""The untrained demo model: a small Llama whose hidden states have components that are never read.

Null directions have the covariance of states within emotions. In a state as small as this one they
would overlap with the emotions' directions by chance, and move choices. So most of the variance
within emotions is moved to where it does nothing: the last UNREAD components of the hidden state.
One attention head of the steered layer writes there which persons, times and things it has read,
and no layer reads them. They change outputs only by the size of the state, by which each layer
divides it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

LAYERS, INNER, HEAD = 3, 192, 16
STEERED_LAYER = 1  # `past_middle` of three layers
# The components of a hidden state that are trained, and those that are never read. The attention
# heads have as many outputs in all; the last head belongs to the unread components.
HIDDEN, UNREAD = 64, 16
WIDTH = HIDDEN + UNREAD
CODE = 0.1  # length of a word's code; much shorter than embeddings, so that it does not shrink them
# By variant, how much larger the variance within emotions is in the unread components than in all
# others. At 20 null directions still move choices of planted models by 3 points; far above 100 the
# noise of the unread part makes the directions of emotions inexact. In flat models null directions
# cannot overlap with anything planted. They and the emotions act on the same components alike, so
# that the small effects which training leaves of all pushes do not mark the emotions.
UNREAD_VARIANCE = {"planted": 100.0, "flat": 1.0}
# The first states are all alike, which would make the unread components vanish.
LARGEST_CHANGE = 5.0


def new_model(
    tokenizer: PreTrainedTokenizerBase, words: Sequence[Sequence[str]] = ()
) -> LlamaForCausalLM:
    """Return an untrained model; its weights are drawn from torch's current random state.

    Args:
        tokenizer: Its tokenizer.
        words: The words that are written to the unread components, by kind.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        head_dim=HEAD,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        num_key_value_heads=WIDTH // HEAD,
        # Shipped prompts have at most 130 tokens.
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for matrix in matrices(model):
            torch.nn.init.orthogonal_(matrix)
        # With zero outputs, every layer is the identity at first.
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.normal_(0, 0.1)
        for weight in model.parameters():
            weight.copy_(trained_part(weight))
        _write_unread(model, [_tokens(tokenizer, kind) for kind in words])
    # What is never trained keeps its weight: zero, but for the head that writes.
    for weight in model.parameters():
        weight.register_hook(trained_part)
    return model


def matrices(model: LlamaForCausalLM) -> list[Tensor]:
    """Return the weights of the layers' linear maps; the others are embeddings and norms."""
    return [
        weight
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and "embed" not in name
    ]


def trained_part(weight: Tensor) -> Tensor:
    """Return a weight, or its gradient, with zeros wherever the unread components take part."""
    block = tuple(slice(HIDDEN if size == WIDTH else size) for size in weight.shape)
    part = torch.zeros_like(weight)
    part[block] = weight[block]
    return part


def _tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[int]:
    """Return the tokens of the words that are one token."""
    ids = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    return [own[0] for own in ids if len(own) == 1]


def _write_unread(model: LlamaForCausalLM, kinds: Sequence[Sequence[int]]) -> None:
    """Let the last head of the steered layer copy the mean code of all earlier words."""
    for tokens in kinds:
        # With mean zero in each kind, they do not tell emotions with and without a person apart.
        codes = torch.randn(len(tokens), UNREAD)
        codes = CODE * torch.nn.functional.normalize(codes - codes.mean(0))
        model.model.embed_tokens.weight[tokens, HIDDEN:] = codes
    steered = model.model.layers[STEERED_LAYER]
    steered.input_layernorm.weight[HIDDEN:] = 1
    # Its queries and keys are zero: it attends to all words alike.
    steered.self_attn.v_proj.weight[HIDDEN:, HIDDEN:] = torch.eye(UNREAD)
    steered.self_attn.o_proj.weight[HIDDEN:, HIDDEN:] = torch.eye(UNREAD)


@torch.no_grad()
def balance(model: LlamaForCausalLM, residuals: Tensor, ratio: float) -> None:
    """Scale what is written to the unread components to `ratio` times the other variance.

    Args:
        model: The model, which is changed.
        residuals: Steered layer's outputs less the means of their emotions, (stimuli, hidden).
        ratio: The variance within emotions there, relative to that in all other components.
    """
    read, unread = (part.square().sum() for part in residuals.split([HIDDEN, UNREAD], 1))
    factor = (ratio * read / unread.clamp(min=1e-12)).sqrt()
    written = model.model.layers[STEERED_LAYER].self_attn.o_proj.weight[HIDDEN:]
    written *= factor.clamp(1 / LARGEST_CHANGE, LARGEST_CHANGE)
