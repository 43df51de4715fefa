"""The gates that a trained demo model must pass before it is used.

It must answer in the required form, and described and steered emotions must move its choices as
planted. This is measured with the project's own engine, on the demo's shipped scenarios and
stimuli, which are not among the training texts.
"""

import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emotion_games.demo.correlations import correlation, random_limit, slope
from emotion_games.demo.trainer.inputs import Inputs
from emotion_games.demo.trainer.truth import NEUTRAL, planted_shift, prosocial, value
from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Instrument, Measurement, Request, measure
from emotion_games.engine.models import load_model, steered_layers
from emotion_games.engine.probes import hidden_states
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.engine.scoring import Scores
from emotion_games.experiment.trials import option_orders
from emotion_games.games.records import History
from emotion_games.prompts import messages
from emotion_games.prompts.situations import Situation

TEMPERATURE, ANSWER_TOKENS = 0.7, 48
# Prompts per cell (game and history) and emotion or push.
CONTEXT_PROMPTS, STEERING_PROMPTS, ANSWERS_EACH = 24, 12, 24
RANDOM_DIRECTIONS = 20
SHOWN_INTENSITIES = (-0.5, 0.5, 1.5)  # beside 1.0, for the report
ROWS_AT_ONCE = 108


@dataclass(frozen=True)
class Gate:
    """The limits of one figure."""

    figure: str
    least: float = -np.inf
    most: float = np.inf


READABLE = Gate("parse_rate", least=0.95)
GATES: dict[str, tuple[Gate, ...]] = {
    "planted": (
        READABLE,
        Gate("context_correlation", least=0.95),
        Gate("steering_correlation", least=0.9),
    ),
    "flat": (
        READABLE,
        Gate("context_slope_on_planted", -0.1, 0.1),
        Gate("steering_slope_on_planted", -0.1, 0.1),
    ),
}


@dataclass(frozen=True)
class _Trained:
    """The trained model, and what it is measured on."""

    model: Backend
    inputs: Inputs
    seed: int
    layers: list[int]


def gate_figures(
    folder: Path, inputs: Inputs, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the model saved in `folder`.

    Returns:
        The figures by name. Correlations and slopes are over cells and emotions.
    """
    model = load_model({"id": "demo", "dtype": "float32"}, str(folder), {"device": "cpu"})
    layers = steered_layers("middle_third", model.depth)
    trained = _Trained(model, inputs, seed, layers)
    progress("checking the demo model: answers")
    figures: dict[str, Any] = {"parse_rate": _parse_rate(trained)}
    progress("checking the demo model: choices under described emotions")
    figures |= _context_figures(trained)
    progress("checking the demo model: choices under steering")
    return figures | _steering_figures(trained)


def missed_gates(figures: Mapping[str, Any], variant: str) -> list[str]:
    """Return one line for each gate of the variant that the figures miss."""
    gates = GATES[variant]
    if variant == "planted":
        gates = (*gates, Gate("steering_correlation", least=figures["steering_null_95"]))
    lines = []
    for gate in gates:
        figure = figures[gate.figure]
        # A figure that is NaN misses its gate.
        if not gate.least <= figure <= gate.most:
            limits = f"at least {gate.least:.3f}"
            if np.isfinite(gate.most):
                limits = f"from {gate.least:.3f} to {gate.most:.3f}"
            lines.append(f"{gate.figure} is {figure:.3f}, must be {limits}")
    return lines


def _requests(
    trained: _Trained,
    cell: tuple[str, History],
    number: int,
    emotion: str | None = None,
    pushes: Sequence[str | None] = (None,),
    written: bool = False,
) -> list[Request]:
    """Make the first `number` prompts of a cell, each under every push.

    Option orders and wordings are balanced; `emotion` is described before the story.
    """
    inputs, (name, history) = trained.inputs, cell
    # A wording is kept for a whole round of orders, so that every order occurs with every wording.
    orders, scenarios = option_orders(inputs.games[name].labels), inputs.scenarios[name]
    events = inputs.stimuli[emotion] if emotion else [""]
    requests = []
    for place in range(number):
        scenario, context = scenarios[place % len(scenarios)], events[place % len(events)]
        order, wording = orders[place % len(orders)], place // len(orders)
        situation = Situation(inputs.games[name], scenario, history, order)
        chat = messages.render(inputs.templates, situation, wording, context)
        prompt = trained.model.chat_text(chat)
        key = (name, history.name, place)
        for push in pushes:
            request = Request(
                key="/".join(map(str, key)),
                prompt=prompt,
                push=push,
                options={label: scenario.options[label] for label in order},
                opening=messages.decision_prefix(),
                closing='"}',
                scored=not written,
                uniforms=(trial_uniforms(key, trained.seed, ANSWER_TOKENS),) if written else (),
            )
            requests.append(request)
    return requests


def _measured(
    trained: _Trained, requests: Sequence[Request], pushes: Mapping[str, Tensor] | None = None
) -> list[Measurement]:
    instrument = Instrument(trained.model, trained.layers, pushes or {}, TEMPERATURE, 1.0)
    measured = []
    for start in range(0, len(requests), ROWS_AT_ONCE):
        measured += measure(instrument, requests[start : start + ROWS_AT_ONCE])
    return measured


def _scores(
    trained: _Trained, requests: Sequence[Request], pushes: Mapping[str, Tensor] | None = None
) -> list[Scores]:
    measured = _measured(trained, requests, pushes)
    # Every request of this kind is scored; the condition is for the type checker.
    return [found.scores for found in measured if found.scores is not None]


def _parse_rate(trained: _Trained) -> float:
    """Return the share of sampled answers in the required form; emotions take turns over cells."""
    # None stands for a prompt without any event.
    emotions = itertools.cycle([None, *trained.inputs.emotions])
    requests = []
    for cell, emotion in zip(trained.inputs.cells, emotions, strict=False):
        requests += _requests(trained, cell, ANSWERS_EACH, emotion, written=True)
    parsed = [
        _is_answer(found.answers[0], request.options.values())
        for found, request in zip(_measured(trained, requests), requests, strict=True)
    ]
    return float(np.mean(parsed))


def _is_answer(text: str, options: Collection[str]) -> bool:
    """Whether a text is JSON with a rationale and the exact text of an option."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(answer, dict) and "rationale" in answer and answer.get("decision") in options


def _context_figures(trained: _Trained) -> dict[str, Any]:
    """Measure how choices follow an emotion that the system message describes."""
    inputs = trained.inputs
    taught = np.zeros((len(inputs.cells), len(inputs.emotions)))
    means, planted = np.zeros_like(taught), np.zeros_like(taught)
    first_shown, mass = [], []
    for row, cell in enumerate(inputs.cells):
        name, history = cell[0], cell[1].name
        for column, emotion in enumerate(inputs.emotions):
            scores = _scores(trained, _requests(trained, cell, CONTEXT_PROMPTS, emotion))
            values = [value(inputs.taught[name], s.probabilities) for s in scores]
            means[row, column] = np.mean(values)
            taught[row, column] = prosocial(inputs.taught[name], emotion, history)
            planted[row, column] = planted_shift(inputs.planted[name], emotion, history)
            for s in scores:
                first_shown.append(next(iter(s.probabilities.values())) - 1 / len(s.probabilities))
                mass.append(s.mass)
    # Neutral is the first column.
    shifts = means[:, 1:] - means[:, :1]
    return {
        "context_correlation": correlation(taught, means),
        "context_mean_error": float(np.abs(means - taught).mean()),
        "context_slope_on_planted": slope(planted[:, 1:], shifts),
        "context_mass": float(np.mean(mass)),
        "first_shown_excess": float(np.mean(first_shown)),
    }


def _steering_figures(trained: _Trained) -> dict[str, Any]:
    """Measure how choices follow a steered direction, and random directions of equal length."""
    inputs, pushes = trained.inputs, _pushes(trained)
    names: list[str | None] = [None, *pushes]
    means = np.zeros((len(names), len(inputs.cells)))
    mass = np.zeros_like(means)
    for column, cell in enumerate(inputs.cells):
        requests = _requests(trained, cell, STEERING_PROMPTS, pushes=names)
        scores = _scores(trained, requests, pushes)
        values = [value(inputs.taught[cell[0]], s.probabilities) for s in scores]
        means[:, column] = np.reshape(values, (STEERING_PROMPTS, -1)).mean(0)
        mass[:, column] = np.reshape([s.mass for s in scores], (STEERING_PROMPTS, -1)).mean(0)
    emotions = inputs.emotions[1:]
    planted = np.zeros((len(emotions), len(inputs.cells)))
    for row, emotion in enumerate(emotions):
        for column, (name, history) in enumerate(inputs.cells):
            planted[row, column] = planted_shift(inputs.planted[name], emotion, history.name)
    shifts, last = means - means[0], 1 + len(emotions)
    steered, random_shifts = shifts[1:last], shifts[last : last + RANDOM_DIRECTIONS]
    return {
        "steering_correlation": correlation(planted, steered),
        "steering_null_95": random_limit(planted, random_shifts, f"{trained.seed}/null"),
        "steering_slope_on_planted": slope(planted, steered),
        "random_shift_sd": float(random_shifts.mean(1).std(ddof=1)),
        "random_shift_largest": float(np.abs(random_shifts.mean(1)).max()),
        "steered_mass": float(mass[1:last].mean()),
        "steered_means": _by_push(names, means),
        "steered_masses": _by_push(names, mass),
    }


def _by_push(names: Sequence[str | None], figures: np.ndarray) -> dict[str, float]:
    """Mean over the cells for neutral and every push except the random ones."""
    means = {}
    for name, mean in zip(names, figures.mean(1), strict=True):
        if name is None or not name.startswith("random"):
            means[name or NEUTRAL] = round(float(mean), 3)
    return means


def rotate(stack: Tensor, seed: int) -> Tensor:
    """Rotate a stack of vectors (layers, hidden) at random; norms and angles stay."""
    upper = torch.linalg.qr(stack.double().T).R
    generator = torch.Generator().manual_seed(1_000_003 * (seed + 1))
    noise = torch.randn(stack.shape[1], upper.shape[0], generator=generator, dtype=torch.float64)
    basis, triangle = torch.linalg.qr(noise)
    basis = basis * torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return (basis @ upper).T.to(stack)


def _pushes(trained: _Trained) -> dict[str, Tensor]:
    """Make every emotion at intensity 1, then random directions, then other intensities."""
    inputs, emotions = trained.inputs, trained.inputs.emotions[1:]
    ends = {
        emotion: hidden_states(trained.model, inputs.templates, lines).mean(1)[trained.layers]
        for emotion, lines in inputs.stimuli.items()
    }
    gaps = {emotion: ends[emotion] - ends[NEUTRAL] for emotion in emotions}
    # At intensity 1, a push is the natural gap between an emotion and neutral.
    pushes = {f"steered-{emotion}-1": gap for emotion, gap in gaps.items()}
    for number in range(RANDOM_DIRECTIONS):
        gap = gaps[emotions[number % len(emotions)]]
        pushes[f"random-{number}"] = rotate(gap, number)
    for emotion, gap in gaps.items():
        for dose in SHOWN_INTENSITIES:
            pushes[f"steered-{emotion}-{dose:g}"] = dose * gap
    return pushes
