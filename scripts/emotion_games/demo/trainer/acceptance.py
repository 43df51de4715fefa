"""The gate of the demo model: does it answer in form, and do told and pushed-in emotions move its choices as planted?

Measures with the project's own engine, on the demo's own scenario and stimulus files. Knows figures and thresholds;
knows nothing of training.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emotion_games.demo.agreement import correlation, random_limit, slope
from emotion_games.demo.trainer.lessons import World
from emotion_games.demo.trainer.truth import NEUTRAL, GameTruth, planted_shift, prosocial, value
from emotion_games.engine.batches import Instrument, Measurement, Request, measure
from emotion_games.engine.directions import hidden_states, rotate
from emotion_games.engine.models import LoadedModel, chat_text, load_model, steered_layers
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.experiment.conditions import Condition
from emotion_games.experiment.trials import option_orders
from emotion_games.games.catalog import History
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts import messages
from emotion_games.prompts.situations import Situation

PARSE_RATE, CONTEXT_CORRELATION, STEERING_CORRELATION, FLAT_SLOPE = 0.95, 0.95, 0.9, 0.1
TEMPERATURE, ANSWER_TOKENS = 0.7, 48
CONTEXT_PROMPTS, STEERING_PROMPTS, ANSWERS_EACH = (
    24,
    12,
    24,
)  # a cell (game and history) and condition
RANDOM_DIRECTIONS = 20
SHOWN_INTENSITIES = (-0.5, 0.5, 1.5)  # beside 1.0, for the report
ROWS_AT_ONCE = 108


@dataclass(frozen=True)
class Material:
    """What is asked: the world with the taught table, the planted table, scenarios by game, stimuli by emotion."""

    world: World
    planted: Mapping[str, GameTruth]
    scenarios: Mapping[str, Sequence[Scenario]]
    stimuli: Mapping[str, Sequence[str]]
    seed: int

    @property
    def cells(self) -> list[tuple[str, History]]:
        """Every game with every history."""
        return [
            (name, history)
            for name in self.world.truth
            for history in self.world.games[name].histories
        ]


def gate_figures(folder: Path, material: Material, progress: Callable[[str], None]) -> dict:
    """Return the figures of the model saved in `folder`; correlations and slopes are over cells × emotions."""
    loaded = load_model({"id": "demo", "dtype": "float32"}, str(folder), {"device": "cpu"})
    progress("checking the demo model: answers")
    figures = {"parse_rate": _parse_rate(loaded, material)}
    progress("checking the demo model: choices under told emotions")
    figures |= _context_figures(loaded, material)
    progress("checking the demo model: choices under steering")
    return figures | _steering_figures(loaded, material)


def failures(figures: Mapping, variant: str) -> list[str]:
    """Return one line for each threshold that the figures of a variant miss."""
    null = figures["steering_null_95"]
    wanted = [("parse_rate", ">=", PARSE_RATE)]
    if variant == "flat":
        wanted += [
            ("context_slope_on_planted", "+-", FLAT_SLOPE),
            ("steering_slope_on_planted", "+-", FLAT_SLOPE),
        ]
    else:
        wanted += [("context_correlation", ">=", CONTEXT_CORRELATION)]
    if variant == "planted":
        wanted += [
            ("steering_correlation", ">=", STEERING_CORRELATION),
            ("steering_correlation", ">=", null),
        ]
    words = {">=": "at least", "+-": "between plus and minus"}
    return [
        f"{name} is {figures[name]:.3f}, must be {words[how]} {limit:.3f}"
        for name, how, limit in wanted
        if not (figures[name] >= limit if how == ">=" else abs(figures[name]) <= limit)
    ]


def _requests(
    loaded: LoadedModel,
    material: Material,
    cell: tuple[str, History],
    number: int,
    conditions: Sequence[Condition],
    emotion: str | None = None,
    written: bool = False,
) -> Iterator[tuple[Request, Scenario]]:
    """The first `number` prompts of a cell, orders and wordings balanced, under each condition; `emotion` is told."""
    world, (name, history) = material.world, cell
    orders = option_orders(world.games[name].labels)
    for place, scenario in enumerate(
        itertools.islice(itertools.cycle(material.scenarios[name]), number)
    ):
        context = (
            material.stimuli[emotion][place % len(material.stimuli[emotion])] if emotion else ""
        )
        order, wording = orders[place % len(orders)], place // len(orders)
        situation = Situation(world.games[name], scenario, history, order)
        chat = messages.render(world.templates, situation, wording, context)
        prompt = chat_text(loaded.tokenizer, chat)
        key = (name, history.name, place)
        for condition in conditions:
            request = Request(
                key="/".join(map(str, key)),
                prompt=prompt,
                push=condition.push,
                options={label: scenario.options[label] for label in order},
                opening=messages.decision_prefix(),
                closing='"}',
                scored=not written,
                uniforms=(trial_uniforms(key, material.seed, ANSWER_TOKENS),) if written else (),
            )
            yield request, scenario


def _measured(instrument: Instrument, requests: Sequence[Request]) -> list[Measurement]:
    """Measure in batches that keep the rows of a prompt together."""
    starts = range(0, len(requests), ROWS_AT_ONCE)
    return [
        found
        for start in starts
        for found in measure(instrument, requests[start : start + ROWS_AT_ONCE])
    ]


def _instrument(loaded: LoadedModel, pushes: Mapping[str, torch.Tensor]) -> Instrument:
    layers = steered_layers("middle_third", len(loaded.layers))
    return Instrument(loaded, layers, pushes, TEMPERATURE, 1.0, lambda _: None)


def _parse_rate(loaded: LoadedModel, material: Material) -> float:
    """Share of sampled answers that are JSON with a rationale and the exact text of an option; emotions take turns."""
    unsteered = [Condition(NEUTRAL, NEUTRAL, 0.0)]
    asked = []
    for cell, emotion in zip(
        material.cells, itertools.cycle([None, *material.world.emotions]), strict=False
    ):
        asked += list(
            _requests(loaded, material, cell, ANSWERS_EACH, unsteered, emotion, written=True)
        )
    measured = _measured(_instrument(loaded, {}), [request for request, _ in asked])
    parsed = [
        _is_answer(found.answers[0], scenario)
        for found, (_, scenario) in zip(measured, asked, strict=True)
    ]
    return float(np.mean(parsed))


def _is_answer(text: str, scenario: Scenario) -> bool:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return False
    return (
        isinstance(answer, dict)
        and "rationale" in answer
        and answer.get("decision") in scenario.options.values()
    )


def _context_figures(loaded: LoadedModel, material: Material) -> dict:
    """How choices follow the emotion that the system message tells."""
    world, unsteered = material.world, [Condition(NEUTRAL, NEUTRAL, 0.0)]
    means, first_shown, mass = {}, [], []
    for cell, emotion in itertools.product(material.cells, world.emotions):
        requests = [
            r for r, _ in _requests(loaded, material, cell, CONTEXT_PROMPTS, unsteered, emotion)
        ]
        measured = [found.scores for found in _measured(_instrument(loaded, {}), requests)]
        values = [value(world.truth[cell[0]], s.probabilities) for s in measured]
        means[cell[0], cell[1].name, emotion] = np.mean(values)
        first_shown += [
            next(iter(s.probabilities.values())) - 1 / len(s.probabilities) for s in measured
        ]
        mass += [s.mass for s in measured]
    keys = list(means)
    taught = np.array(
        [prosocial(world.truth[game], emotion, history) for game, history, emotion in keys]
    )
    found = np.array([means[key] for key in keys])
    felt = [key for key in keys if key[2] != NEUTRAL]
    planted = np.array(
        [planted_shift(material.planted[game], emotion, history) for game, history, emotion in felt]
    )
    shifts = np.array([means[key] - means[(*key[:2], NEUTRAL)] for key in felt])
    return {
        "context_correlation": correlation(taught, found),
        "context_mean_error": float(np.abs(found - taught).mean()),
        "context_slope_on_planted": slope(planted, shifts),
        "context_mass": float(np.mean(mass)),
        "first_shown_excess": float(np.mean(first_shown)),
    }


def _steering_figures(loaded: LoadedModel, material: Material) -> dict:
    """How choices follow a direction that is pushed in, with random directions of the same lengths beside them."""
    emotions = material.world.emotions[1:]
    conditions, pushes = _steered_conditions(loaded, material)
    means = np.zeros((len(conditions), len(material.cells)))
    mass = np.zeros_like(means)
    for column, cell in enumerate(material.cells):
        requests = [r for r, _ in _requests(loaded, material, cell, STEERING_PROMPTS, conditions)]
        scores = [found.scores for found in _measured(_instrument(loaded, pushes), requests)]
        values = [value(material.world.truth[cell[0]], s.probabilities) for s in scores]
        means[:, column] = np.reshape(values, (STEERING_PROMPTS, -1)).mean(0)
        mass[:, column] = np.reshape([s.mass for s in scores], (STEERING_PROMPTS, -1)).mean(0)
    shifts = means - means[0]
    rows = [(material.planted[name], history.name) for name, history in material.cells]
    planted = np.array(
        [[planted_shift(row, emotion, history) for row, history in rows] for emotion in emotions]
    )
    steered = shifts[1 : 1 + len(emotions)]
    random_shifts = shifts[1 + len(emotions) : 1 + len(emotions) + RANDOM_DIRECTIONS]
    return {
        "steering_correlation": correlation(planted, steered),
        "steering_null_95": random_limit(planted, random_shifts, f"{material.seed}/null"),
        "steering_slope_on_planted": slope(planted, steered),
        "random_shift_sd": float(random_shifts.mean(1).std(ddof=1)),
        "random_shift_largest": float(np.abs(random_shifts.mean(1)).max()),
        "steered_mass": float(mass[1 : 1 + len(emotions)].mean()),
        "steered_means": _by_condition(conditions, means),
        "steered_masses": _by_condition(conditions, mass),
    }


def _by_condition(conditions: Sequence[Condition], figures: np.ndarray) -> dict[str, float]:
    """Mean over the cells for every condition but the random ones."""
    means = zip(conditions, figures.mean(1), strict=True)
    return {
        condition.name: round(float(mean), 3)
        for condition, mean in means
        if condition.arm != "random"
    }


def _steered_conditions(
    loaded: LoadedModel, material: Material
) -> tuple[list[Condition], dict[str, torch.Tensor]]:
    """Neutral, every emotion at intensity 1, the random directions, then other intensities; and what each adds."""
    emotions = material.world.emotions[1:]
    layers = steered_layers("middle_third", len(loaded.layers))
    states = {
        emotion: hidden_states(loaded, material.world.templates, lines)
        for emotion, lines in material.stimuli.items()
    }
    gaps = {
        emotion: (states[emotion].mean(1) - states[NEUTRAL].mean(1))[layers] for emotion in emotions
    }
    conditions = [Condition(NEUTRAL, NEUTRAL, 0.0)] + [
        Condition("steered", emotion, 1.0) for emotion in emotions
    ]
    conditions += [Condition("random", f"random_{seed}", 1.0) for seed in range(RANDOM_DIRECTIONS)]
    conditions += [Condition("steered", e, dose) for e in emotions for dose in SHOWN_INTENSITIES]
    pushes = {}
    for condition in conditions[1:]:
        if condition.arm == "random":
            seed = int(condition.emotion.removeprefix("random_"))
            pushes[condition.name] = rotate(gaps[emotions[seed % len(emotions)]], seed)
        else:
            pushes[condition.name] = condition.intensity * gaps[condition.emotion]
    return conditions, pushes
