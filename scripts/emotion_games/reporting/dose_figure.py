"""The figure of the dose-response curves of one experiment.

It is made of the content of stats_analysis.json; no estimate is computed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Dose, DoseResponse, Statistics
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.reporting.selection import (
    INTENSITIES,
    MARK,
    confidence,
    estimated,
    failed_emotions,
    failure_note,
    histories_of,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import (
    CROSS,
    VERMILLION,
    WRITTEN_LINE,
    error_bar,
    finish,
    frame,
    span,
    words,
)

BAND: dict[str, Any] = {
    "facecolor": "0.88",
    "edgecolor": "0.5",
    "hatch": "////",
    "linewidth": 0.6,
}
SCORED_LINE: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "s",
    "linestyle": "--",
    "markerfacecolor": "white",
}


def dose_response(stats: Statistics) -> Figure | None:
    """Draw the difference from neutral over the intensity, one panel per emotion.

    With several histories, each has a row of panels.
    """
    records = [r for r in stats["dose_response"] if estimated(r["doses"])]
    emotions = [e for e in stats["plan"]["emotions"] if select(records, emotion=e)]
    histories = histories_of(stats, records)
    if not records:
        return None
    # With one history there is no second dimension, and the emotions are wrapped.
    columns = len(emotions) if len(histories) > 1 else min(3, len(emotions))
    panels = [(history, emotion) for history in histories for emotion in emotions]
    lines = math.ceil(len(panels) / columns)
    width, height = max(6.5, 1.0 + 1.9 * columns), 0.5 + 1.9 * lines
    figure, axes = frame(lines, columns, width, height, sharex=True, sharey=True)
    for axis in axes[len(panels) :]:
        axis.remove()
    largest = max(map(abs, stats["plan"]["intensities"]))
    for place, (history, emotion) in enumerate(panels):
        axis = axes[place]
        _dose_panel(axis, select(records, history=history, emotion=emotion), largest)
        failed = emotion in failed_emotions(stats, stats["plan"]["headline_intensity"])
        name = words(emotion) + (MARK if failed else "")
        axis.set_title(name + (f"\n({words(history)})" if len(histories) > 1 else ""))
        if place % columns == 0:
            axis.set_ylabel("points from neutral")
        if place + columns >= len(panels):
            axis.set_xlabel("intensity")
            axis.tick_params(labelbottom=True)
    axes[0].set_ylim(_dose_limits(records))
    title = f"Dose and response: {title_of(stats)}"
    return finish(figure, title, _dose_caption(stats, records), _dose_handles(records))


def _dose_limits(records: Iterable[DoseResponse]) -> tuple[float, float]:
    """Return the range of the y axis that shows all intervals, in points."""
    ends = [-10.0, 10.0]
    for record in records:
        for dose in estimated(record["doses"]):
            ends += [percent(dose), *(100 * end for end in dose["interval"] or [])]
    return max(-105, 1.15 * min(ends)), min(105, 1.15 * max(ends))


def _dose_panel(axis: Axes, records: Sequence[DoseResponse], largest: float) -> None:
    """Draw the curves of both measures; `largest` is the largest intensity."""
    axis.axhline(0, color="0.3", linewidth=0.8)
    # Not all null directions write answers.
    banded = [*select(records, measure=SCORED), *select(records, measure=CHOSEN)]
    band = banded[0]["random_band"] if banded else None
    if band:
        sides = [band["intensity"] - 0.09 * largest, band["intensity"] + 0.09 * largest]
        axis.fill_between(sides, 100 * band["low"], 100 * band["high"], **BAND)
    # A small shift keeps the error bars of both measures apart.
    apart = 0.013 * largest
    for measure, shift, style in ((CHOSEN, -apart, WRITTEN_LINE), (SCORED, apart, SCORED_LINE)):
        for record in select(records, measure=measure):
            _dose_curve(axis, estimated(record["doses"]), shift, style)


def _dose_curve(axis: Axes, doses: Iterable[Dose], shift: float, style: Mapping[str, Any]) -> None:
    # At intensity 0 nothing is added, so the difference from neutral is 0.
    points = [(0.0, 0.0)]
    for dose in doses:
        x, y = dose["intensity"] + shift, percent(dose)
        points.append((x, y))
        bar = {"color": style["color"], "capsize": 2, "linewidth": 1}
        axis.errorbar(x, y, error_bar(dose), fmt="none", **bar)
        if dose["damaged"]:
            axis.plot(x, y, **CROSS, color="black", markersize=9, zorder=5)
    xs, ys = zip(*sorted(points), strict=True)
    axis.plot(xs, ys, ms=4, **style)


def _dose_caption(stats: Statistics, records: Sequence[DoseResponse]) -> str:
    numbers: list[int] = []
    directions: dict[str, list[int]] = {}
    for record in records:
        numbers += [dose["n_scenarios"] for dose in record["doses"] if dose["n_scenarios"]]
        if record["random_band"]:
            number = record["random_band"]["n_directions"]
            directions.setdefault(record["measure"], []).append(number)
    # The same choice as in the panels.
    bands = directions.get(SCORED) or directions.get(CHOSEN)
    text = (
        f"Change of {stats['meta']['outcome']} in percentage points, steered minus neutral. "
        f"{INTENSITIES[stats['plan']['intensity_unit']]} "
        f"Bars are {confidence(stats)} intervals over scenarios. "
    )
    if bands:
        text += (
            "Hatched: where one more null direction would fall, "
            f"estimated from {span(bands)} of them. "
        )
    note = failure_note(stats, stats["plan"]["headline_intensity"])
    return f"{text}n = {span(numbers)} scenarios.{note}"


def _dose_handles(records: Sequence[DoseResponse]) -> list[Artist]:
    measures = {record["measure"] for record in records}
    handles: list[Artist] = []
    if CHOSEN in measures:
        handles.append(Line2D([], [], **WRITTEN_LINE, label=MEASURES[CHOSEN].label))
    if SCORED in measures:
        handles.append(Line2D([], [], **SCORED_LINE, label=MEASURES[SCORED].label))
    if any(record["random_band"] for record in records):
        handles.append(Patch(**BAND, label="null directions"))
    if any(dose["damaged"] for record in records for dose in record["doses"]):
        label = "damages the model"
        handles.append(Line2D([], [], **CROSS, color="black", markersize=8, label=label))
    return handles
