"""Measure the directions of a model on stimuli and write them to a file."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion_games.engine import direction_estimation as estimation
from emotion_games.engine.backend import Backend, Ids, Layers, ModelError
from emotion_games.engine.batches import LARGEST_BATCH
from emotion_games.engine.directions import (
    DIRECTION,
    HALVES,
    ISOTROPIC,
    MATCHED,
    SHUFFLED,
    About,
    Directions,
    save,
)
from emotion_games.engine.given_vectors import load_given
from emotion_games.engine.models import load_model, steered_layers, weights_hash, weights_state
from emotion_games.engine.probes import PROBES_AT_ONCE, hidden_states, probe_batch
from emotion_games.engine.vector_files import Target
from emotion_games.errors import shown
from emotion_games.escapes import say
from emotion_games.hashing import digest
from emotion_games.progress import Report, ignore
from emotion_games.prompts.messages import probe
from emotion_games.prompts.stimuli import NEUTRAL, load_stimuli, reference_emotions, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates


def extract(
    entry: dict[str, Any],
    path: str,
    settings: Mapping[str, Any],
    files: Mapping[str, Path],
    output: Path,
    runtime: dict[str, Any],
    check: Callable[[Backend], None] = lambda _: None,
    log: Callable[[str], None] = say,
    progress: Report = ignore,
) -> None:
    """Measure the directions of a model and write them to a file.

    Args:
        entry: The model's entry of the config.
        path: Its folder or hub id.
        settings: See `conditions.direction_settings`.
        files: The paths of `stimuli` (a folder), of `prompts` (the texts of the probe), and of
            given vectors (see `vector_files.file_key`).
        output: The file, which appears when it is complete.
        runtime: See `models.load_model`.
        check: Raises an error if the model cannot be used, before anything is measured.
        log: Receives a line now and then.
        progress: Called with how many `stimuli` are read and planned, and the seconds that are
            left.

    Raises:
        UserError: If the stimuli or the model cannot be used.
    """
    stimuli = load_stimuli(files["stimuli"], settings["emotions"], log)
    # Nothing is compared with neutral.
    if settings["direction_method"] == estimation.CONTRAST:
        stimuli.pop(NEUTRAL, None)
    templates = load_templates(files["prompts"])
    model = load_model(entry, path, runtime)
    layers = steered_layers(settings["layers"], model.depth)
    check(model)
    shape, weights = (model.depth, model.hidden_size), weights_hash(entry, path)
    target = Target(entry["id"], *shape, model.architecture, weights, layers)
    given = load_given(settings["directions"], files, target)
    _check_lengths(model, templates, stimuli)
    log(f"directions of {entry['id']}: {len(stimuli)} stimulus files, {model.depth} layers")
    count = _counter(sum(map(len, stimuli.values())), progress)
    parts = {name: split_stimuli(texts) for name, texts in stimuli.items()}
    states, held_out = (
        {name: hidden_states(model, templates, part[use], count) for name, part in parts.items()}
        for use in (0, 1)
    )
    reference, method = reference_emotions(files["stimuli"]), settings["direction_method"]
    every = estimation.directions(states, reference, method)
    norms = torch.cat([states[emotion] for emotion in reference], 1).norm(dim=-1).mean(1)
    start = estimation.origin(states, reference, method)
    right = estimation.accuracies(held_out, {e: every[e] for e in reference}, start)
    halves = estimation.half_directions(states, reference, method)
    agreement = estimation.agreement(*halves)
    named = {DIRECTION: every, **dict(zip(HALVES, halves, strict=True))}
    named[SHUFFLED] = estimation.shuffled_directions(states, reference, method, settings["seed"])
    measured = [emotion for emotion in settings["emotions"] if emotion not in given]
    named = {kind: {e: own[e] for e in measured} for kind, own in named.items()}
    named[DIRECTION] |= {emotion: own.vectors for emotion, own in given.items()}
    about: About = {
        "model": entry["id"],
        "revision": entry.get("revision"),
        "architecture": model.architecture,
        "dtype": str(model.dtype).removeprefix("torch."),
        "weights_hash": weights,
        "weights_state": weights_state(path),
        "stimuli_hash": digest(stimuli),
        "method": method,
        "reference": reference,
        "given": {e: own.record(every.get(e), layers) for e, own in given.items()},
        "layers": layers,
        "depth": model.depth,
        "hidden_norm": norms.tolist(),
        "natural_gap": {e: (w.norm(dim=-1) / norms).tolist() for e, w in every.items()},
        "split_half": {emotion: agreement[emotion] for emotion in measured},
        "accuracy": estimation.rounded(torch.stack(list(right.values())).mean(0)),
        "accuracy_by_emotion": {
            e: round(float(r[layers[-1]]), 4) for e, r in right.items() if e not in given
        },
        "cosines": estimation.cosines(named[DIRECTION], layers[-1]),
        "realised_gap": {},
    }
    number, seed = settings["nulls"], settings["seed"]
    nulls = {
        MATCHED: estimation.null_directions(states, reference, number[MATCHED], seed, method),
        ISOTROPIC: estimation.isotropic_directions(shape, number[ISOTROPIC], seed),
    }
    found = Directions(named, nulls, about)
    texts = [text for emotion in reference for text in parts[emotion][1]]
    about["realised_gap"] = _realised_gaps(model, templates, texts, found, settings)
    save(found, output)
    log(f"directions of {entry['id']}: written to {output}")


def _realised_gaps(
    model: Backend,
    templates: Templates,
    stimuli: Sequence[str],
    directions: Directions,
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Return how far the headline pushes move the last steered layer, {emotion: natural gaps}.

    It is the mean of (h_steered - h) · w / ‖w‖² over some stimuli, evenly spread.
    """
    chosen = stimuli[:: -(-len(stimuli) // PROBES_AT_ONCE)]
    texts, layers = probe_batch(model, templates, chosen), directions.layers
    dose, unit = settings["headline_intensity"], settings["intensity_unit"]
    # The length of given vectors is no natural gap.
    measured = [e for e in directions.vectors if e not in directions.about["given"]]
    named = {emotion: directions.push(emotion, dose, unit) for emotion in measured}
    stack = torch.stack([torch.zeros(len(layers), model.hidden_size), *named.values()])
    at_once = max(1, LARGEST_BATCH // len(stack))
    states = torch.cat(
        [
            _last_states(model, texts[start : start + at_once], layers, stack)
            for start in range(0, len(texts), at_once)
        ],
        dim=1,
    )
    plain, *pushed = states.mean(1)
    found = {}
    for emotion, state in zip(named, pushed, strict=True):
        target = directions.vectors[emotion][layers[-1]]
        found[emotion] = round(float((state - plain) @ target / (target @ target)), 4)
    return found


def _last_states(model: Backend, texts: Sequence[Ids], layers: Layers, pushes: Tensor) -> Tensor:
    """Return the last steered layer's states after each text, (pushes, texts, hidden).

    The texts are read under all pushes at once, so that layers below the first one are shared.

    Args:
        model: The model.
        texts: The tokens of each text.
        layers: The steered layers.
        pushes: What is added, (pushes, layers, hidden).
    """
    by_row = pushes.repeat_interleave(len(texts), 0)
    vectors = {layer: by_row[:, place] for place, layer in enumerate(layers)}
    states = model.read([*texts] * len(pushes), vectors, watched=layers[-1:]).states[layers[-1]]
    return states.float().cpu().view(len(pushes), len(texts), -1)


def _check_lengths(
    model: Backend, templates: Templates, stimuli: Mapping[str, Sequence[str]]
) -> None:
    """Raise an error if a stimulus with the text around it does not fit the model's context."""
    if model.positions is None:
        return
    for emotion, stimulus in ((e, text) for e, lines in stimuli.items() for text in lines):
        length = len(model.token_ids(model.chat_text(probe(templates, stimulus)[0])))
        if length > model.positions:
            raise ModelError(
                f"model {model.name}: its context of {model.positions:,} tokens is too short "
                f"for a stimulus of {emotion}: {shown(stimulus)} needs {length:,} with the "
                "text around it; shorten it, or choose a model with a longer context"
            )


def _counter(total: int, progress: Report) -> Callable[[int], None]:
    """Return a function that counts the stimuli that have been read and reports the progress."""
    start, done = time.monotonic(), 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        pace = (time.monotonic() - start) / done
        progress({"stimuli": (done, total)}, (total - done) * pace)

    return count
