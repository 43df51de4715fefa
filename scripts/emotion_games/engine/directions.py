"""Directions: one vector a layer for each emotion in a model, measured on stimuli and calibrated to natural units.

An emotion's direction is the mean hidden state at the last token of its stimuli less the mean over neutral stimuli.
Knows stimuli and vectors; knows nothing of games. One safetensors file a model, with everything about its making.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emotion_games.engine.hooks import capture, steer
from emotion_games.engine.models import LoadedModel, load_model, steered_layers, weights_hash
from emotion_games.engine.probes import PROBES_AT_ONCE, hidden_states, probe_batch
from emotion_games.errors import UserError
from emotion_games.hashing import digest
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates

CALIBRATION_STEPS = 4
# Of the dose that intensity 1 is to have. With one steered layer it is 1 but for the rounding of the number format.
LARGEST_DOSE_ERROR = 0.1
# How often the reading of stimuli says how far it is.
TELL_SECONDS = 15.0


@dataclass(frozen=True)
class Directions:
    """The directions of a model. `vectors` and `shuffled` are {emotion: (layers, hidden)} over all decoder layers."""

    vectors: dict[str, Tensor]
    shuffled: dict[str, Tensor]
    about: dict

    @property
    def layers(self) -> list[int]:
        """The steered layers."""
        return self.about["layers"]

    @property
    def content_hash(self) -> str:
        """The same for files with equal vectors and calibration, whenever and wherever they were made."""
        exact = {f"{kind}/{e}": v.numpy().tobytes().hex() for kind, e, v in self._tensors()}
        return digest(
            [
                exact,
                {k: self.about.get(k) for k in ("layers", "calibration", "dtype", "weights_hash")},
            ]
        )

    def _tensors(self) -> list[tuple[str, str, Tensor]]:
        pairs = (("direction", self.vectors), ("shuffled", self.shuffled))
        return [
            (kind, emotion, tensor)
            for kind, group in pairs
            for emotion, tensor in sorted(group.items())
        ]

    def push(self, emotion: str, intensity: float, shuffled: bool = False) -> Tensor:
        """What is added at the steered layers, (steered layers, hidden): intensity · c · d_l / K over K layers."""
        stack = (self.shuffled if shuffled else self.vectors)[emotion][self.layers]
        return stack * (intensity * self.about["calibration"][emotion] / len(self.layers))

    def random_push(self, seed: int, intensity: float) -> Tensor:
        """An emotion's push turned by a random rotation, (steered layers, hidden).

        The rotation keeps the norm of every layer's push and the angles between layers, so the pushes of the layers
        add up as those of an emotion do.
        """
        return rotate(self.push(self.turned_emotion(seed), intensity), seed)

    def turned_emotion(self, seed: int) -> str:
        """The emotion that a random direction is turned from: seeds take them in turn, so that norms are theirs."""
        return sorted(self.vectors)[seed % len(self.vectors)]


def rotate(stack: Tensor, seed: int) -> Tensor:
    """Turn a stack of vectors (layers, hidden) at random: with stackᵀ = Q·R, the result is (U·R)ᵀ, U orthonormal."""
    upper = torch.linalg.qr(stack.double().T).R
    generator = torch.Generator().manual_seed(1_000_003 * (seed + 1))
    noise = torch.randn(stack.shape[1], upper.shape[0], generator=generator, dtype=torch.float64)
    basis, triangle = torch.linalg.qr(noise)
    # QR alone prefers one sign; with these signs every rotation is equally likely (Mezzadri 2007, math-ph/0609050).
    basis = basis * torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (basis @ upper).T.to(stack)


def extract(
    entry: dict,
    path: str,
    settings: dict,
    stimuli_folder: Path,
    templates_path: Path,
    output: Path,
    runtime: dict,
    log: Callable[[str], None] = print,
) -> None:
    """Measure the directions of a model and write them to `output` (safetensors) by rename.

    `settings` gives emotions, layers, direction_method and seed. Raises UserError for unusable stimuli or models.
    """
    stimuli = load_stimuli(stimuli_folder, settings["emotions"])
    templates = load_templates(templates_path)
    loaded = load_model(entry, path, runtime)
    emotions = [*settings["emotions"], "neutral"]
    parts = {e: split_stimuli(stimuli[e]) for e in emotions}
    log(f"directions of {entry['id']}: {len(emotions)} emotions, {len(loaded.layers)} layers")
    count = _counter(sum(len(stimuli[e]) for e in emotions), log)
    states = {e: hidden_states(loaded, templates, parts[e][0], count) for e in emotions}
    held_out = {e: hidden_states(loaded, templates, parts[e][1], count) for e in emotions}
    vectors = {
        e: direction(states[e], states["neutral"], settings["direction_method"])
        for e in settings["emotions"]
    }
    layers = steered_layers(settings["layers"], len(loaded.layers))
    doses = {
        e: calibrate(loaded, templates, parts["neutral"][1], v, layers) for e, v in vectors.items()
    }
    about = {
        "model": entry["id"],
        "revision": entry.get("revision"),
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "weights_hash": weights_hash(entry, path),
        "stimuli_hash": digest({e: stimuli[e] for e in emotions}),
        "method": settings["direction_method"],
        "layers": layers,
        "depth": len(loaded.layers),
        "calibration": {e: dose["calibration"] for e, dose in doses.items()},
        "realised_dose": {e: dose["realised"] for e, dose in doses.items()},
        "push_ratio": {e: dose["push_ratio"] for e, dose in doses.items()},
        "separation": {
            e: separation(held_out[e], held_out["neutral"], v) for e, v in vectors.items()
        },
        "cosines": cosines(vectors, layers[-1]),
    }
    save(Directions(vectors, shuffled_directions(states, vectors, settings), about), output)
    log(f"directions of {entry['id']}: written to {output}")


def _counter(total: int, log: Callable[[str], None]) -> Callable[[int], None]:
    """A function that counts the stimuli that have been read, and now and then says how far the reading is."""
    start = told = time.monotonic()
    done = 0

    def count(more: int) -> None:
        nonlocal told, done
        done, now = done + more, time.monotonic()
        if now - told >= TELL_SECONDS or done == total:
            rate = done / max(now - start, 1e-9)
            log(
                f"{done} of {total} stimuli read, {rate:.1f} a second, {(total - done) / rate:.0f} s left"
            )
            told = now

    return count


def direction(states: Tensor, neutral: Tensor, method: str) -> Tensor:
    """Direction (layers, hidden) from states (layers, stimuli, hidden) of an emotion and of neutral.

    `mean_difference`: difference of the means. `paired_pca`: first principal component of the differences between
    stimuli of the same line (Zou et al. 2023, arXiv:2310.01405), scaled to the same gap along itself.
    """
    gap = states.mean(1) - neutral.mean(1)
    if method == "mean_difference":
        return gap
    pairs = min(states.shape[1], neutral.shape[1])
    # Not centred: what all pairs have in common is the direction that is looked for.
    axis = torch.linalg.svd(states[:, :pairs] - neutral[:, :pairs], full_matrices=False).Vh[:, 0]
    return axis * (gap * axis).sum(-1, keepdim=True)


@torch.inference_mode()
def calibrate(
    loaded: LoadedModel,
    templates: Templates,
    stimuli: Sequence[str],
    vectors: Tensor,
    layers: list[int],
) -> dict[str, float]:
    """Find the c with which a push moves the last steered layer along its direction by one natural gap.

    The dose ⟨mean(h_steered − h), d_last⟩ / ‖d_last‖² is measured on neutral probes. A model answers a push almost in
    proportion, so c = 1/dose(1), divided again by the dose that it realises until that is 1. Returns c, the realised
    dose in natural gaps, and ‖push‖/‖h‖ where it is largest. With one steered layer c = 1.
    """
    batch, last = probe_batch(loaded, templates, stimuli[:PROBES_AT_ONCE])
    rows, final = torch.arange(len(last)), layers[-1]
    target = vectors[final]

    def states(scale: float) -> Tensor:
        push = {
            at: (vectors[at] * scale / len(layers)).expand(len(last), -1).to(loaded.device)
            for at in layers
        }
        with steer(loaded.model, loaded.layers, push), capture(loaded.layers, [final]) as found:
            loaded.model(**batch, use_cache=False)
        return found[final][rows, last].float().cpu()

    def dose(scale: float) -> float:
        return float((states(scale) - plain).mean(0) @ target / (target @ target))

    plain = states(0.0)
    scale, realised = 1.0, dose(1.0)
    for _ in range(CALIBRATION_STEPS if len(layers) > 1 else 0):
        if not realised > 0:
            raise UserError(
                f"calibration: the push moves layer {final} by {realised:.3g} gaps; choose other layers"
            )
        scale /= realised
        realised = dose(scale)
    if not abs(realised - 1) < LARGEST_DOSE_ERROR:
        raise UserError(
            f"calibration: intensity 1 moves layer {final} by {realised:.3g} gaps; choose other layers"
        )
    ratio = float(
        (vectors[layers].norm(dim=-1) * scale / len(layers)).max() / plain.norm(dim=-1).mean()
    )
    return {"calibration": scale, "realised": realised, "push_ratio": ratio}


def shuffled_directions(
    states: dict[str, Tensor], vectors: dict[str, Tensor], settings: dict
) -> dict[str, Tensor]:
    """Directions of emotions whose stimuli were dealt out anew at random, with the norms of the true ones."""
    pool = torch.cat([states[e] for e in sorted(states)], 1)
    deal = torch.from_numpy(np.random.default_rng(settings["seed"]).permutation(pool.shape[1]))
    dealt, start = {}, 0
    for emotion in sorted(states):
        size = states[emotion].shape[1]
        dealt[emotion] = pool[:, deal[start : start + size]]
        start += size
    result = {}
    for emotion, true in vectors.items():
        raw = dealt[emotion].mean(1) - dealt["neutral"].mean(1)
        result[emotion] = raw * (true.norm(dim=-1) / raw.norm(dim=-1))[:, None]
    return result


def separation(states: Tensor, neutral: Tensor, vectors: Tensor) -> list[float]:
    """For each layer, the chance that a held-out emotional stimulus lies further along than a neutral one."""
    along = torch.einsum("lnd,ld->ln", states, vectors)
    neutral_along = torch.einsum("lnd,ld->ln", neutral, vectors)
    return [
        round(float((a[:, None] > b[None]).float().mean()), 4)
        for a, b in zip(along, neutral_along, strict=True)
    ]


def cosines(vectors: dict[str, Tensor], layer: int) -> dict[str, dict[str, float]]:
    """Cosines between the emotions' directions at a layer."""
    unit = {e: v[layer] / v[layer].norm() for e, v in vectors.items()}
    return {a: {b: round(float(unit[a] @ unit[b]), 4) for b in unit} for a in unit}


def save(directions: Directions, output: Path) -> None:
    """Write one safetensors file, complete or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    tensors = {
        f"{kind}/{emotion}": tensor.contiguous() for kind, emotion, tensor in directions._tensors()
    }
    save_file(tensors, part, metadata={"about": json.dumps(directions.about)})
    os.replace(part, output)


def load(path: Path) -> Directions:
    """Read a directions file. Raises UserError when it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            about = json.loads(file.metadata()["about"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a readable directions file ({error}); delete it and run again"
        ) from error
    groups = {
        kind: {n.split("/")[1]: t for n, t in tensors.items() if n.startswith(kind)}
        for kind in ("direction", "shuffled")
    }
    return Directions(groups["direction"], groups["shuffled"], about)
