"""The gates that a trained demo model must pass before it is used.

It must answer in the required form, and described and steered emotions must move its choices as
planted. This is measured with the project's own engine, on the demo's shipped scenarios and
stimuli, which are not among the training texts.
"""

import datetime
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from emotion_games.analysis.manipulation import induced_records
from emotion_games.analysis.rises import rises
from emotion_games.demo.correlations import correlation, plain, random_limit, slope
from emotion_games.demo.trainer.inputs import Inputs
from emotion_games.demo.trainer.subject import Subject, load_subject
from emotion_games.demo.trainer.truth import WHOLE_INTENSITY, planted_shift, prosocial, value
from emotion_games.engine.batches import Request
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.experiment.check_records import Check, check_rows
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.push_check_requests import Material, push_check_requests
from emotion_games.experiment.spec import Record
from emotion_games.experiment.trials import option_orders
from emotion_games.games.records import History
from emotion_games.prompts import messages
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.stimuli import split_stimuli

ANSWER_TOKENS = 48
# Prompts per cell (game and history) and emotion or push.
CONTEXT_PROMPTS, STEERING_PROMPTS, ANSWERS_EACH = 24, 12, 24


@dataclass(frozen=True)
class Gate:
    """The limits of one figure."""

    figure: str
    least: float = -np.inf
    most: float = np.inf

    @property
    def limits(self) -> str:
        """The limits in words."""
        if np.isinf(self.most):
            return f"at least {self.least:.3f}"
        if np.isinf(self.least):
            return f"at most {self.most:.3f}"
        return f"from {self.least:.3f} to {self.most:.3f}"


READABLE = Gate("parse_rate", least=0.95)
FELT = Gate("emotions_induced", least=4)
# The vocabulary has more than 1,000 tokens: so large is the perplexity of a model that guesses.
FLUENT = Gate("neutral_perplexity", most=20)
# A twentieth of the largest planted shift.
STILL = Gate("null_shift_sd", most=0.02)
GATES: dict[str, tuple[Gate, ...]] = {
    "planted": (
        READABLE,
        FELT,
        FLUENT,
        STILL,
        Gate("context_correlation", least=0.95),
        Gate("context_slope_on_planted", 0.85, 1.15),
        Gate("steering_correlation", least=0.93),
        Gate("steering_slope_on_planted", 0.85, 1.15),
        Gate("steering_wrong_signs", most=0),
    ),
    "flat": (
        READABLE,
        FELT,
        FLUENT,
        STILL,
        Gate("context_slope_on_planted", -0.03, 0.03),
        Gate("steering_slope_on_planted", -0.03, 0.03),
    ),
}


def gate_figures(
    folder: Path, demo_dir: Path, inputs: Inputs, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Measure the model saved in `folder`.

    Args:
        folder: The model.
        demo_dir: The folder that the inputs were loaded from.
        inputs: The data of the model's variant.
        seed: That of the model.
        progress: Called with each line of progress.

    Returns:
        The figures by name. Correlations and slopes are over cells and emotions.
    """
    progress("checking the demo model: directions")
    subject = load_subject(folder, demo_dir, inputs, seed)
    progress("checking the demo model: answers")
    figures: dict[str, Any] = {"parse_rate": _parse_rate(subject)}
    progress("checking the demo model: choices under described emotions")
    figures |= _context_figures(subject)
    progress("checking the demo model: choices under steering")
    figures |= _steering_figures(subject)
    progress("checking the demo model: feelings under steering")
    return figures | _feeling_figures(subject)


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
            lines.append(f"{gate.figure} is {figure:.3f}, must be {gate.limits}")
    return lines


def _requests(
    subject: Subject,
    cell: tuple[str, History],
    number: int,
    emotion: str | None = None,
    pushes: Sequence[str | None] = (None,),
    written: bool = False,
) -> list[Request]:
    """Make the first `number` prompts of a cell, each under every push.

    Option orders and wordings are balanced; `emotion` is described before the story.
    """
    inputs, (name, history) = subject.inputs, cell
    # A wording is kept for a whole round of orders, so that every order occurs with every wording.
    orders, scenarios = option_orders(inputs.games[name].labels), inputs.scenarios[name]
    events = inputs.stimuli[emotion] if emotion else [""]
    requests, seed = [], subject.settings["seed"]
    for place in range(number):
        scenario, context = scenarios[place % len(scenarios)], events[place % len(events)]
        order, wording = orders[place % len(orders)], place // len(orders)
        situation = Situation(inputs.games[name], scenario, history, order)
        chat = messages.render(inputs.templates, situation, wording, context)
        prompt = subject.model.chat_text(chat)
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
                uniforms=(trial_uniforms(key, seed, ANSWER_TOKENS),) if written else (),
            )
            requests.append(request)
    return requests


def _parse_rate(subject: Subject) -> float:
    """Return the share of sampled answers in the required form; emotions take turns over cells."""
    # None stands for a prompt without any event.
    emotions = itertools.cycle([None, *subject.inputs.emotions])
    requests = []
    for cell, emotion in zip(subject.inputs.cells, emotions, strict=False):
        requests += _requests(subject, cell, ANSWERS_EACH, emotion, written=True)
    parsed = [
        _is_answer(found.answers[0], request.options.values())
        for found, request in zip(subject.measured(requests), requests, strict=True)
    ]
    return float(np.mean(parsed))


def _is_answer(text: str, options: Collection[str]) -> bool:
    """Whether a text is JSON with a rationale and the exact text of an option."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(answer, dict) and "rationale" in answer and answer.get("decision") in options


def _context_figures(subject: Subject) -> dict[str, Any]:
    """Measure how choices follow an emotion that the system message describes."""
    inputs = subject.inputs
    taught = np.zeros((len(inputs.cells), len(inputs.emotions)))
    means, planted = np.zeros_like(taught), np.zeros_like(taught)
    first_shown, mass = [], []
    for row, cell in enumerate(inputs.cells):
        name, history = cell[0], cell[1].name
        for column, emotion in enumerate(inputs.emotions):
            scores = subject.scores(_requests(subject, cell, CONTEXT_PROMPTS, emotion))
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


def _steering_figures(subject: Subject) -> dict[str, Any]:
    """Measure how choices follow the pushes of emotions and of null directions."""
    inputs, conditions = subject.inputs, subject.conditions
    names = [condition.push for condition in conditions]
    means = np.zeros((len(conditions), len(inputs.cells)))
    mass = np.zeros_like(means)
    for column, cell in enumerate(inputs.cells):
        scores = subject.scores(_requests(subject, cell, STEERING_PROMPTS, pushes=names))
        values = [value(inputs.taught[cell[0]], s.probabilities) for s in scores]
        means[:, column] = np.reshape(values, (STEERING_PROMPTS, -1)).mean(0)
        mass[:, column] = np.reshape([s.mass for s in scores], (STEERING_PROMPTS, -1)).mean(0)
    # Neutral is the first condition.
    shifts = means - means[0]
    headline = np.array([c.intensity == WHOLE_INTENSITY for c in conditions])
    of_emotion = np.array([c.arm == Arm.STEERED for c in conditions])
    of_null = np.array([c.arm == Arm.RANDOM for c in conditions])
    planted = np.array(
        [
            [planted_shift(inputs.planted[name], e, history.name) for name, history in inputs.cells]
            for e in inputs.emotions[1:]
        ]
    )
    steered, null_shifts = shifts[headline & of_emotion], shifts[of_null]
    shown = {c.name: row for row, c in enumerate(conditions) if c.arm != Arm.RANDOM}
    return {
        "steering_correlation": correlation(planted, steered),
        "steering_null_95": random_limit(planted, null_shifts, f"{subject.settings['seed']}/null"),
        "steering_slope_on_planted": slope(planted, steered),
        "steering_wrong_signs": int((plain(planted) & (planted * steered < 0)).sum()),
        "null_shift_sd": float(null_shifts.mean(1).std(ddof=1)),
        "null_shift_sd_of_a_cell": float(null_shifts.std(0, ddof=1).mean()),
        "null_shift_largest": float(np.abs(null_shifts.mean(1)).max()),
        "steered_mass": float(mass[headline & of_emotion].mean()),
        "steered_means": {name: round(float(means[row].mean()), 3) for name, row in shown.items()},
        "steered_masses": {name: round(float(mass[row].mean()), 3) for name, row in shown.items()},
    }


def _feeling_figures(subject: Subject) -> dict[str, Any]:
    """Measure how many pushes pass the workflow's own check that they induce their emotion."""
    material = Material(
        # The null directions are compared at this intensity only.
        settings=subject.settings | {"intensity": [WHOLE_INTENSITY]},
        date=datetime.date.min,
        templates=subject.inputs.templates,
        items=subject.inputs.checks,
        held_out={e: split_stimuli(list(texts))[1] for e, texts in subject.inputs.stimuli.items()},
    )
    requests = list(push_check_requests(material, subject.model))
    measured = zip(requests, subject.measured(requests), strict=True)
    records = {r.key: cast(Record, {"key": r.key, **asdict(found)}) for r, found in measured}
    checks = pd.DataFrame(check_rows(records, subject.conditions))
    about = subject.directions.about
    found = induced_records(rises(checks), checks, about, WHOLE_INTENSITY)
    is_text = (checks["check"] == Check.PERPLEXITY) & (checks["arm"] == Arm.NEUTRAL)
    return {
        "neutral_perplexity": float(np.exp(checks["value"][is_text].astype(float).mean())),
        "emotions_induced": sum(one["came_through"] is True for one in found),
        "largest_perplexity_ratio": max(one["perplexity_ratio"] or np.nan for one in found),
        "induced": {one["emotion"]: one["reason"] for one in found},
    }
