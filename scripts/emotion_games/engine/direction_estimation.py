"""From hidden states to directions: means and axes, their scale, and how well they separate.

States are (layers, stimuli, hidden), vectors (layers, hidden). The natural gap of an emotion is the
distance between its mean state and the neutral one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emotion_games.engine.backend import Backend
from emotion_games.engine.probes import PROBES_AT_ONCE, probe_batch
from emotion_games.errors import UserError
from emotion_games.prompts.stimuli import NEUTRAL
from emotion_games.prompts.templates import Templates

CALIBRATION_STEPS = 4
# Largest deviation of the dose of intensity 1 from 1. With one steered layer only the rounding of
# the number format makes a difference.
LARGEST_DOSE_ERROR = 0.1


@dataclass(frozen=True)
class Dose:
    """The scale of a push of intensity 1.

    Attributes:
        calibration: The factor of the vectors.
        realised: How far the push moves the last steered layer, in natural gaps.
        push_ratio: ‖push‖/‖h‖ at the steered layer where the push is largest.
    """

    calibration: float
    realised: float
    push_ratio: float


def direction(states: Tensor, neutral: Tensor, method: str) -> Tensor:
    """Return the direction (layers, hidden) of an emotion.

    Args:
        states: Of the emotion's stimuli, (layers, stimuli, hidden).
        neutral: Of neutral stimuli.
        method: `mean_difference`: difference of the means. `paired_pca`: first principal component
            of the differences between stimuli of the same line (Zou et al. 2023,
            arXiv:2310.01405), scaled to the same gap along itself.
    """
    gap = states.mean(1) - neutral.mean(1)
    if method == "mean_difference":
        return gap
    pairs = min(states.shape[1], neutral.shape[1])
    # Not centred: what all pairs have in common is the direction that is looked for.
    axis = torch.linalg.svd(states[:, :pairs] - neutral[:, :pairs], full_matrices=False).Vh[:, 0]
    return axis * (gap * axis).sum(-1, keepdim=True)


def calibrate(
    model: Backend,
    templates: Templates,
    stimuli: Sequence[str],
    vectors: Tensor,
    layers: list[int],
) -> Dose:
    """Find the scale at which a push moves the last steered layer by one natural gap.

    The dose ⟨mean(h_steered - h), d_last⟩ / ‖d_last‖² is measured on probes. A model answers a push
    almost in proportion, so the scale is divided by the dose until that is 1.

    Args:
        model: The model.
        templates: Texts of the probe.
        stimuli: Neutral stimuli.
        vectors: The direction, (layers, hidden).
        layers: The steered layers.

    Raises:
        UserError: If the dose is not positive, or not near 1 in the end.
    """
    texts, last = probe_batch(model, templates, stimuli[:PROBES_AT_ONCE])
    rows, final = torch.arange(len(last)), layers[-1]
    target = vectors[final]

    def states(scale: float) -> Tensor:
        push = {at: (vectors[at] * scale / len(layers)).expand(len(last), -1) for at in layers}
        found, _ = model.capture(texts, push, [final])
        return found[final][rows, last].float().cpu()

    def dose(scale: float) -> float:
        return float((states(scale) - plain).mean(0) @ target / (target @ target))

    plain = states(0.0)
    scale, realised = 1.0, dose(1.0)
    # With one steered layer the push is the dose, and nothing has to be found.
    for _ in range(CALIBRATION_STEPS if len(layers) > 1 else 0):
        if not realised > 0:
            raise UserError(
                f"calibration: the push moves layer {final} by {realised:.3g} gaps; "
                "choose other layers"
            )
        scale /= realised
        realised = dose(scale)
    if not abs(realised - 1) < LARGEST_DOSE_ERROR:
        raise UserError(
            f"calibration: intensity 1 moves layer {final} by {realised:.3g} gaps; "
            "choose other layers"
        )
    largest = (vectors[layers].norm(dim=-1) * scale / len(layers)).max()
    return Dose(scale, realised, float(largest / plain.norm(dim=-1).mean()))


def shuffled_directions(
    states: dict[str, Tensor], vectors: dict[str, Tensor], seed: int
) -> dict[str, Tensor]:
    """Return directions of emotions whose stimuli were assigned to them at random.

    Args:
        states: Of every emotion and of neutral, {emotion: (layers, stimuli, hidden)}.
        vectors: The true directions, {emotion: (layers, hidden)}, whose norms are kept.
        seed: Of the assignment.
    """
    emotions = sorted(states)
    pool = torch.cat([states[e] for e in emotions], 1)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(pool.shape[1]))
    parts = order.split([states[e].shape[1] for e in emotions])
    means = {e: pool[:, part].mean(1) for e, part in zip(emotions, parts, strict=True)}
    found = {}
    for emotion, true in vectors.items():
        raw = means[emotion] - means[NEUTRAL]
        found[emotion] = raw * (true.norm(dim=-1) / raw.norm(dim=-1))[:, None]
    return found


def separation(states: Tensor, neutral: Tensor, vectors: Tensor) -> list[float]:
    """Return for each layer the chance that an emotional stimulus lies beyond a neutral one.

    This is the area under the ROC curve of the projections on the direction. The stimuli should
    not be those that the direction was made from.
    """
    along = torch.einsum("lnd,ld->ln", states, vectors)
    neutral_along = torch.einsum("lnd,ld->ln", neutral, vectors)
    beyond = along[:, :, None] > neutral_along[:, None]
    return [round(share, 4) for share in beyond.float().mean((1, 2)).tolist()]


def cosines(vectors: dict[str, Tensor], layer: int) -> dict[str, dict[str, float]]:
    """Return the cosines between the emotions' directions at a layer."""
    unit = {e: v[layer] / v[layer].norm() for e, v in vectors.items()}
    return {a: {b: round(float(unit[a] @ unit[b]), 4) for b in unit} for a in unit}
