"""From hidden states to directions, null directions, and how good the directions are.

States are (layers, stimuli, hidden), directions (layers, hidden). A direction is as long as the
natural gap between its emotion and what the emotion is compared with. The emotions of the reference
are those against whose mean an emotion is measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from emotion_games.prompts.stimuli import NEUTRAL

CONTRAST, MEAN_DIFFERENCE, PAIRED_PCA = "contrast", "mean_difference", "paired_pca"
# The leading components within emotions that hold this share of the variance are taken out. Of
# 0, .3, .5 and .7, this share made the pushes of SmolLM2 raise their own emotions most.
WITHIN_SHARE = 0.3


def directions(
    states: Mapping[str, Tensor], reference: Sequence[str], method: str
) -> dict[str, Tensor]:
    """Return the direction of every emotion, {emotion: (layers, hidden)}.

    Args:
        states: {emotion: (layers, stimuli, hidden)}, with neutral for all methods but `contrast`.
        reference: The emotions of the reference.
        method: `contrast`: see there. `mean_difference`: difference of the means of emotional and
            neutral stimuli (Rimsky et al. 2024, arXiv:2312.06681, with unpaired texts).
            `paired_pca`: first principal component of the differences between stimuli of the same
            line (Zou et al. 2023, arXiv:2310.01405), as long as the gap along it.
    """
    emotional = {emotion: states[emotion] for emotion in states if emotion != NEUTRAL}
    if method == CONTRAST:
        return contrast(emotional, reference)
    make = {MEAN_DIFFERENCE: _mean_difference, PAIRED_PCA: _paired_axis}[method]
    return {emotion: make(own, states[NEUTRAL]) for emotion, own in emotional.items()}


def _mean_difference(states: Tensor, neutral: Tensor) -> Tensor:
    return states.mean(1) - neutral.mean(1)


def _paired_axis(states: Tensor, neutral: Tensor) -> Tensor:
    pairs = min(states.shape[1], neutral.shape[1])
    # Not centred: what all pairs have in common is the direction that is looked for.
    axis = torch.linalg.svd(states[:, :pairs] - neutral[:, :pairs], full_matrices=False).Vh[:, 0]
    return axis * (_mean_difference(states, neutral) * axis).sum(-1, keepdim=True)


def contrast(states: Mapping[str, Tensor], reference: Sequence[str]) -> dict[str, Tensor]:
    """Return what distinguishes each emotion from the others, {emotion: (layers, hidden)}.

    At each layer this is the mean state of the emotion less the mean of the reference, without the
    leading principal components of the states within emotions that hold .3 of their variance. The
    study of emotion concepts arXiv:2604.07729 takes out components of neutral states; those within
    emotions need no neutral stimuli.

    Args:
        states: {emotion: (layers, stimuli, hidden)}.
        reference: Two or more of the emotions.
    """
    means = {emotion: own.double().mean(1) for emotion, own in states.items()}
    middle = torch.stack([means[emotion] for emotion in reference]).mean(0)
    components = within_components(states, reference)
    return {
        emotion: _without(components, (mean - middle)[:, None])[:, 0].float()
        for emotion, mean in means.items()
    }


def null_directions(
    states: Mapping[str, Tensor],
    reference: Sequence[str],
    number: int,
    seed: int,
    method: str = CONTRAST,
) -> Tensor:
    """Return random directions with the covariance of states within emotions.

    A null direction is a sum of the states of the reference, each less the mean of its emotion,
    with random weights that are the same at every layer. So its layers belong together as those of
    an emotion do; those of independent noise would not. What the method takes out of the emotions'
    directions is taken out of it, too.

    Args:
        states: {emotion: (layers, stimuli, hidden)}.
        reference: The emotions of the reference.
        number: How many to return.
        seed: Of the weights. The first directions do not depend on their number.
        method: See `directions`.

    Returns:
        (number, layers, hidden) in float32.
    """
    stimuli = sum(states[emotion].shape[1] for emotion in reference)
    weights = torch.from_numpy(np.random.default_rng(seed).standard_normal((number, stimuli)))
    residuals = (_residuals(states, reference, layer) for layer in range(_depth(states)))
    found = torch.stack([weights @ within for within in residuals])
    if method == CONTRAST:
        found = _without(within_components(states, reference), found)
    return found.transpose(0, 1).float()


def isotropic_directions(shape: tuple[int, int], number: int, seed: int) -> Tensor:
    """Return random directions without any covariance, (number, layers, hidden) in float32.

    A direction is the same at every layer, as hidden states are sums of what the layers add.

    Args:
        shape: The numbers of layers and of components of a hidden state.
        number: How many to return.
        seed: The first directions do not depend on their number.
    """
    layers, hidden = shape
    drawn = np.random.default_rng([seed, 1]).standard_normal((number, hidden))
    return torch.from_numpy(drawn).float()[:, None].repeat(1, layers, 1)


def within_components(states: Mapping[str, Tensor], reference: Sequence[str]) -> list[Tensor]:
    """Return the leading principal components of the states within emotions, at each layer.

    Returns:
        For each layer (hidden, components) in float64, orthonormal: as few as hold .3 of the
        variance of the states around the means of their emotions.
    """
    return [_leading(_residuals(states, reference, layer)) for layer in range(_depth(states))]


def _depth(states: Mapping[str, Tensor]) -> int:
    return len(next(iter(states.values())))


def _residuals(states: Mapping[str, Tensor], reference: Sequence[str], layer: int) -> Tensor:
    """Return the states of the reference less the means of their emotions, (stimuli, hidden)."""
    layers = (states[emotion][layer].double() for emotion in reference)
    return torch.cat([own - own.mean(0) for own in layers])


def _leading(residuals: Tensor) -> Tensor:
    """Return the fewest principal components (hidden, components) with .3 of the variance."""
    # The smaller one of the two matrices with the same eigenvalues, which is much faster than a
    # singular value decomposition of a few hundred long states.
    few = len(residuals) < residuals.shape[1]
    square = residuals @ residuals.T if few else residuals.T @ residuals
    variances, vectors = (found.flip(-1) for found in torch.linalg.eigh(square))
    number = int((variances.cumsum(0) < WITHIN_SHARE * variances.sum()).sum()) + 1
    leading = vectors[:, :number]
    return torch.nn.functional.normalize(residuals.T @ leading, dim=0) if few else leading


def _without(components: Sequence[Tensor], vectors: Tensor) -> Tensor:
    """Return vectors (layers, number, hidden) without the components of each layer."""
    pairs = zip(components, vectors, strict=True)
    return torch.stack([own - own @ taken @ taken.T for taken, own in pairs])


def shuffled_directions(
    states: Mapping[str, Tensor], reference: Sequence[str], method: str, seed: int
) -> dict[str, Tensor]:
    """Return the directions of emotions whose stimuli were assigned to them at random.

    Args:
        states: See `directions`.
        reference: The emotions of the reference.
        method: See `directions`.
        seed: Of the assignment.
    """
    names = sorted(emotion for emotion in states if method != CONTRAST or emotion != NEUTRAL)
    pool = torch.cat([states[name] for name in names], 1)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(pool.shape[1]))
    parts = order.split([states[name].shape[1] for name in names])
    shuffled = {name: pool[:, part] for name, part in zip(names, parts, strict=True)}
    return directions(shuffled, reference, method)


def half_directions(
    states: Mapping[str, Tensor], reference: Sequence[str], method: str
) -> list[dict[str, Tensor]]:
    """Return the directions of two halves of the stimuli; see `directions`.

    Every second stimulus is in the second half.
    """
    return [
        directions({e: own[:, half::2] for e, own in states.items()}, reference, method)
        for half in (0, 1)
    ]


def agreement(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Return the cosines of two directions of each emotion, by layer."""
    return {e: rounded(torch.cosine_similarity(one[e], other[e], dim=-1)) for e in one}


def origin(states: Mapping[str, Tensor], reference: Sequence[str], method: str) -> Tensor:
    """Return the point from which directions lead to the means of emotions, (layers, hidden)."""
    compared = reference if method == CONTRAST else [NEUTRAL]
    return torch.stack([states[name].mean(1) for name in compared]).mean(0)


def accuracies(
    held_out: Mapping[str, Tensor], vectors: Mapping[str, Tensor], start: Tensor
) -> dict[str, Tensor]:
    """Return the share of an emotion's stimuli whose nearest mean is its own, by layer.

    Args:
        held_out: States that no direction was made from, {emotion: (layers, stimuli, hidden)}.
        vectors: The directions of the same emotions.
        start: See `origin`. The mean of an emotion is there plus its direction.

    Returns:
        {emotion: (layers,)}.
    """
    # Of ‖x - w‖², ‖x‖² is the same for all emotions. What was taken out of w does not count in x·w.
    stack = torch.stack(list(vectors.values()))
    lengths = stack.square().sum(-1).T[:, None]
    found = {}
    for number, emotion in enumerate(vectors):
        along = torch.einsum("lnd,eld->lne", held_out[emotion] - start[:, None], stack)
        found[emotion] = ((2 * along - lengths).argmax(-1) == number).float().mean(-1)
    return found


def cosines(vectors: Mapping[str, Tensor], layer: int) -> dict[str, dict[str, float]]:
    """Return the cosines between the emotions' directions at a layer."""
    unit = {e: v[layer] / v[layer].norm() for e, v in vectors.items()}
    return {a: {b: round(float(unit[a] @ unit[b]), 4) for b in unit} for a in unit}


def rounded(numbers: Tensor) -> list[float]:
    """Return numbers with four decimals."""
    return [round(number, 4) for number in numbers.tolist()]
