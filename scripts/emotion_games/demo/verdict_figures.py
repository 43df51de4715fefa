"""The figures of the verdict: measured against planted shifts, and claimed effects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emotion_games.demo.measured import Measured
from emotion_games.demo.verdict import LARGE
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.reporting.style import finish, frame, look, span, words

EXPECTED: dict[str, Any] = {
    "color": "0.78",
    "linewidth": 4,
    "solid_capstyle": "butt",
    "zorder": 1,
}
NOT_CLAIMED: dict[str, Any] = {
    "color": "0.4",
    "marker": "o",
    "linestyle": "",
    "ms": 4,
    "markerfacecolor": "none",
}
HEADINGS = {SCORED: "choice probabilities", CHOSEN: "written choices"}


def shifts_figure(models: Sequence[Measured]) -> Figure:
    """Draw measured against planted shifts at the headline intensity.

    There is a row per measure, a column per model, and a point per emotion and cell.
    """
    width = 0.9 + 2.1 * len(models)
    figure, axes = frame(len(HEADINGS), len(models), width, 4.6, sharex=True, sharey=True)
    for row, (measure, heading) in enumerate(HEADINGS.items()):
        panels = axes[row * len(models) : (row + 1) * len(models)]
        panels[0].set_ylabel(f"{heading},\npoints from neutral")
        for axis, model in zip(panels, models, strict=True):
            _shifts_panel(axis, model, measure)
    for axis, model in zip(axes, models, strict=False):
        axis.set_title(model.name)
    for axis in axes[-len(models) :]:
        axis.set_xlabel("planted, points")
    number = span([len(model.cells) for model in models])
    caption = (
        "Steered minus neutral at the headline intensity, in percentage points of each game's "
        "outcome, against the planted shift. Each point is one emotion in one game after one "
        f"history ({number} for each emotion)."
    )
    return finish(figure, "Measured and planted shifts", caption, _legend(models))


def claims_figure(models: Sequence[Measured]) -> Figure:
    """Draw measured against planted effects of games, and which of them are claimed."""
    width = 0.9 + 2.1 * len(models)
    figure, axes = frame(1, len(models), width, 2.6, sharex=True, sharey=True)
    axes[0].set_ylabel("choice probabilities,\npoints from neutral")
    for axis, model in zip(axes, models, strict=True):
        axis.set_title(model.name)
        axis.set_xlabel("planted, points")
        planted, effects = 100 * model.planted_effects, 100 * model.effects
        _expectation(axis, model, planted)
        for end in (-100 * LARGE, 100 * LARGE):
            axis.axvline(end, color="0.6", linewidth=0.6, linestyle=":")
        for row in range(len(model.emotions)):
            for claimed, filled in ((True, {}), (False, {"markerfacecolor": "none"})):
                chosen = model.claimed[row] == claimed
                axis.plot(planted[row, chosen], effects[row, chosen], **_point(row) | filled)
    handles = _legend(models)
    handles.append(Line2D([], [], **NOT_CLAIMED, label="not claimed"))
    caption = (
        "Steered minus neutral at the headline intensity, at the mean over histories, against the "
        "planted effect. Each point is one emotion in one game; filled ones are claimed. Planted "
        f"effects beyond the dotted lines ({100 * LARGE:g} points) must be found."
    )
    return finish(figure, "Claimed effects", caption, handles)


def _shifts_panel(axis: Axes, model: Measured, measure: str) -> None:
    _expectation(axis, model, 100 * model.planted)
    for row in range(len(model.emotions)):
        axis.plot(100 * model.planted[row], 100 * model.steered[measure][row], **_point(row))


def _expectation(axis: Axes, model: Measured, planted: np.ndarray) -> None:
    """Draw both axes, and the line on which the points of the model should lie."""
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.axvline(0, color="0.6", linewidth=0.6)
    ends = np.array([planted.min(), planted.max()])
    # A flat model is expected to show no shift.
    axis.plot(ends, 0 * ends if model.variant == "flat" else ends, **EXPECTED)


def _legend(models: Sequence[Measured]) -> list[Line2D]:
    emotions = dict.fromkeys(emotion for model in models for emotion in model.emotions)
    handles = [
        Line2D([], [], **_point(row), label=words(emotion)) for row, emotion in enumerate(emotions)
    ]
    return [*handles, Line2D([], [], **EXPECTED, label="expected of the model")]


def _point(place: int) -> dict[str, Any]:
    return look(place) | {"linestyle": "", "ms": 4, "alpha": 0.85}
