"""The figure of the dose-response curves of one experiment.

It is made of the content of stats_analysis.json; no estimate is computed.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Dose, DoseResponse, Statistics
from emotion_games.reporting.selection import (
    INTENSITIES,
    MARK,
    confidence,
    estimated,
    failed_emotions,
    failure_note,
    histories_of,
    measure_of,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import (
    BLUE,
    CROSS,
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
LINE: dict[str, Any] = {"color": BLUE, "marker": "o"}


def dose_response(stats: Statistics) -> Figure | None:
    """Draw the difference from neutral over the intensity in the primary measure, by emotion.

    With several histories, each has a row of panels.
    """
    primary = select(stats["dose_response"], measure=measure_of(stats))
    records = [r for r in primary if estimated(r["doses"])]
    emotions = [e for e in stats["plan"]["emotions"] if select(records, emotion=e)]
    histories = histories_of(stats, records)
    if not records:
        return None
    # With one history there is no second dimension, and the emotions are wrapped.
    columns = len(emotions) if len(histories) > 1 else min(3, len(emotions))
    panels = [(history, emotion) for history in histories for emotion in emotions]
    lines = math.ceil(len(panels) / columns)
    width, height = 6.5, 0.5 + 1.9 * lines
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
        band = record["random_band"]
        ends += [100 * band["low"], 100 * band["high"]] if band else []
        for dose in estimated(record["doses"]):
            ends += [percent(dose), *(100 * end for end in dose["interval"] or [])]
    return max(-105, 1.15 * min(ends)), min(105, 1.15 * max(ends))


def _dose_panel(axis: Axes, records: Sequence[DoseResponse], largest: float) -> None:
    """Draw the curve and the band of the null directions; `largest` is the largest intensity."""
    axis.axhline(0, color="0.3", linewidth=0.8)
    for record in records:
        band = record["random_band"]
        if band:
            sides = [band["intensity"] - 0.09 * largest, band["intensity"] + 0.09 * largest]
            axis.fill_between(sides, 100 * band["low"], 100 * band["high"], **BAND)
        _dose_curve(axis, estimated(record["doses"]))


def _dose_curve(axis: Axes, doses: Iterable[Dose]) -> None:
    # At intensity 0 nothing is added, so the difference from neutral is 0.
    points = [(0.0, 0.0)]
    for dose in doses:
        x, y = dose["intensity"], percent(dose)
        points.append((x, y))
        bar = {"color": LINE["color"], "capsize": 2, "linewidth": 1.2}
        axis.errorbar(x, y, error_bar(dose), fmt="none", **bar)
        if dose["damaged"]:
            axis.plot(x, y, **CROSS, color="black", markersize=9, zorder=5)
    xs, ys = zip(*sorted(points), strict=True)
    axis.plot(xs, ys, ms=4, **LINE)


def _dose_caption(stats: Statistics, records: Sequence[DoseResponse]) -> str:
    numbers = [d["n_scenarios"] for r in records for d in r["doses"] if d["n_scenarios"]]
    bands = [record["random_band"] for record in records if record["random_band"]]
    measure = MEASURES[measure_of(stats)]
    text = (
        f"Change of {measure.of(stats['meta']['outcome'])} in percentage points, steered minus "
        f"neutral. {INTENSITIES[stats['plan']['intensity_unit']]} "
        f"Bars are {confidence(stats)} intervals over stories. "
    )
    if bands:
        n = span([band["n_directions"] for band in bands])
        text += (
            f"Hatched: {confidence(stats)} prediction interval of one more null direction in the "
            f"same measure, from {n} of them. "
        )
    note = failure_note(stats, stats["plan"]["headline_intensity"])
    return f"{text}n = {span(numbers)} stories.{note}"


def _dose_handles(records: Sequence[DoseResponse]) -> list[Artist]:
    handles: list[Artist] = [Line2D([], [], **LINE, label="steered minus neutral")]
    if any(record["random_band"] for record in records):
        handles.append(Patch(**BAND, label="null directions"))
    if any(dose["damaged"] for record in records for dose in record["doses"]):
        label = "damages the model"
        handles.append(Line2D([], [], **CROSS, color="black", markersize=8, label=label))
    return handles
