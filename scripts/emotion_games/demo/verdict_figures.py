"""The figures of the verdict: measured against planted shifts, and dose curves beside the planted ones.

Knows the measured tables of demo models; judges nothing.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emotion_games.demo.measured import MEASURES, Measured
from emotion_games.demo.verdict import PLAIN_SHIFT, dose_curves
from emotion_games.reporting.style import finish, frame, look, span, words

TRUTH = {"color": "0.78", "linewidth": 4, "solid_capstyle": "butt", "zorder": 1}
HEADINGS = {"scored": "choice probabilities", "chosen": "written choices"}


def shifts_figure(models: Sequence[Measured]) -> Figure:
    """Measured against planted shifts at the headline intensity: a panel a model and measure, a point a cell."""
    figure, axes = frame(
        len(MEASURES), len(models), 0.9 + 2.1 * len(models), 4.6, sharex=True, sharey=True
    )
    for place, (measure, model) in enumerate(
        (measure, model) for measure in MEASURES for model in models
    ):
        _shifts_panel(axes[place], model, measure)
        if place < len(models):
            axes[place].set_title(model.name)
        else:
            axes[place].set_xlabel("planted, points")
        if place % len(models) == 0:
            axes[place].set_ylabel(f"{HEADINGS[measure]},\npoints from neutral")
    emotions = list(dict.fromkeys(emotion for model in models for emotion in model.emotions))
    handles = [
        Line2D([], [], **_point(place), label=words(emotion))
        for place, emotion in enumerate(emotions)
    ]
    handles.append(Line2D([], [], **TRUTH, label="what the model should show"))
    number = span([len(model.cells) for model in models])
    caption = (
        "Steered less neutral at the headline intensity, in percentage points of each game's outcome, against the "
        f"planted shift. A point is one emotion in one game after one history ({number} of them for each emotion)."
    )
    return finish(figure, "Measured and planted shifts", caption, handles)


def doses_figure(models: Sequence[Measured]) -> Figure | None:
    """Dose curves of the planted models, a panel an emotion, with the table's own; None without a planted model."""
    planted = [model for model in models if model.variant == "planted"]
    curves = [dose_curves(model, model.steered["scored"]) for model in planted]
    if not curves or not curves[0]:
        return None
    truth = dose_curves(planted[0], planted[0].planted)
    columns = min(3, len(truth))
    rows = -(-len(truth) // columns)
    figure, axes = frame(
        rows, columns, 1.2 + 2.1 * columns, 0.4 + 1.9 * rows, sharex=True, sharey=True
    )
    for axis in axes[len(truth) :]:
        axis.remove()
    for place, (emotion, expected) in enumerate(truth.items()):
        axis, doses = axes[place], (0.0, *planted[0].doses)
        axis.plot(doses, 100 * expected, **TRUTH)
        for number, curve in enumerate(curves):
            axis.plot(doses, 100 * curve[emotion], ms=4, linewidth=1.2, **look(number))
        axis.set_title(words(emotion))
        axis.tick_params(labelbottom=place + columns >= len(truth))
        if place % columns == 0:
            axis.set_ylabel("points as planted")
        if place + columns >= len(truth):
            axis.set_xlabel("intensity")
    handles = [
        Line2D([], [], ms=4, linewidth=1.2, **look(n), label=model.name)
        for n, model in enumerate(planted)
    ]
    handles.append(Line2D([], [], **TRUTH, label="planted"))
    caption = (
        "Choice probabilities, steered less neutral, turned so that up is the planted direction: mean over the games "
        f"and histories for which more than {100 * PLAIN_SHIFT:g} points are planted. Emotions without any are absent."
    )
    return finish(figure, "Dose and response beside the planted curves", caption, handles)


def _shifts_panel(axis: Axes, model: Measured, measure: str) -> None:
    table, shifts = model.planted[model.headline], model.shifts(measure)
    axis.axhline(0, color="0.6", linewidth=0.6)
    axis.axvline(0, color="0.6", linewidth=0.6)
    ends = 100 * np.array([table.min(), table.max()])
    # Of a model without planted effects nothing is expected.
    axis.plot(ends, 0 * ends if model.variant == "flat" else ends, **TRUTH)
    for row in range(len(model.emotions)):
        axis.plot(100 * table[row], 100 * shifts[row], **_point(row))


def _point(place: int) -> dict:
    style = look(place)
    return {
        "color": style["color"],
        "marker": style["marker"],
        "linestyle": "",
        "ms": 4,
        "alpha": 0.85,
    }
