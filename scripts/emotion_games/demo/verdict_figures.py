"""The figures of the verdict: measured against planted shifts, and dose curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emotion_games.demo.measured import Measured
from emotion_games.demo.verdict import PLAIN_SHIFT, dose_curves
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.reporting.style import finish, frame, look, span, words

EXPECTED: dict[str, Any] = {
    "color": "0.78",
    "linewidth": 4,
    "solid_capstyle": "butt",
    "zorder": 1,
}
CURVE: dict[str, Any] = {"ms": 4, "linewidth": 1.2}
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
    emotions = dict.fromkeys(emotion for model in models for emotion in model.emotions)
    handles = [
        Line2D([], [], **_point(row), label=words(emotion)) for row, emotion in enumerate(emotions)
    ]
    handles.append(Line2D([], [], **EXPECTED, label="expected of the model"))
    number = span([len(model.cells) for model in models])
    caption = (
        "Steered minus neutral at the headline intensity, in percentage points of each game's "
        "outcome, against the planted shift. Each point is one emotion in one game after one "
        f"history ({number} for each emotion)."
    )
    return finish(figure, "Measured and planted shifts", caption, handles)


def doses_figure(models: Sequence[Measured]) -> Figure | None:
    """Draw measured and planted dose curves, a panel per emotion; None without a planted model."""
    planted = [model for model in models if model.variant == "planted"]
    expected = dose_curves(planted[0], planted[0].planted) if planted else {}
    if not expected:
        return None
    columns = min(3, len(expected))
    rows = -(-len(expected) // columns)
    width, height = 1.2 + 2.1 * columns, 0.4 + 1.9 * rows
    figure, axes = frame(rows, columns, width, height, sharex=True, sharey=True)
    # The last row may have places without a panel.
    for axis in axes[len(expected) :]:
        axis.remove()
    for axis, (emotion, curve) in zip(axes, expected.items(), strict=False):
        axis.plot((0.0, *planted[0].doses), 100 * curve, **EXPECTED)
        axis.set_title(words(emotion))
    for number, model in enumerate(planted):
        curves = dose_curves(model, model.steered[SCORED])
        for axis, emotion in zip(axes, expected, strict=False):
            axis.plot((0.0, *model.doses), 100 * curves[emotion], **CURVE, **look(number))
    for axis in axes[: len(expected) : columns]:
        axis.set_ylabel("points as planted")
    # A panel above an empty place has the tick labels of its column.
    for place, axis in enumerate(axes[: len(expected)]):
        lowest = place + columns >= len(expected)
        axis.tick_params(labelbottom=lowest)
        axis.set_xlabel("intensity" if lowest else "")
    handles = [
        Line2D([], [], **CURVE, **look(number), label=model.name)
        for number, model in enumerate(planted)
    ]
    handles.append(Line2D([], [], **EXPECTED, label="planted"))
    caption = (
        "Choice probabilities, steered minus neutral, with the planted direction upwards: mean "
        f"over the games and histories with a planted shift of more than {100 * PLAIN_SHIFT:g} "
        "points. Emotions without such a shift are left out."
    )
    return finish(figure, "Measured and planted dose curves", caption, handles)


def _shifts_panel(axis: Axes, model: Measured, measure: str) -> None:
    table, shifts = model.planted[model.headline], model.shifts(measure)
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.axvline(0, color="0.6", linewidth=0.6)
    ends = 100 * np.array([table.min(), table.max()])
    # A flat model is expected to show no shift.
    axis.plot(ends, 0 * ends if model.variant == "flat" else ends, **EXPECTED)
    for row in range(len(model.emotions)):
        axis.plot(100 * table[row], 100 * shifts[row], **_point(row))


def _point(place: int) -> dict[str, Any]:
    return look(place) | {"linestyle": "", "ms": 4, "alpha": 0.85}
