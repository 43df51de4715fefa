"""The figures of one experiment: choice rates, shares of the options, and dose-response curves.

Every function takes the content of stats_analysis.json, computes no estimate, and returns None if
there are no numbers for its figure.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Dose, DoseResponse, Rate, Statistics
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.experiment.conditions import Arm
from emotion_games.reporting.selection import (
    INTENSITIES,
    MARK,
    confidence,
    estimated,
    failed_emotions,
    failure_note,
    histories_of,
    measure_of,
    measure_words,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import (
    BLUE,
    GREY,
    VERMILLION,
    error_bar,
    finish,
    frame,
    span,
    words,
)

RANDOM_ROW = "random directions"
# A new arm needs a row or a marker of its own before its rates can be drawn.
ARMS_SHOWN = (Arm.NEUTRAL, Arm.STEERED, Arm.RANDOM, Arm.PROMPTED, Arm.PROMPTED_NEUTRAL)
BAND: dict[str, Any] = {
    "facecolor": "0.88",
    "edgecolor": "0.5",
    "hatch": "////",
    "linewidth": 0.6,
}
WRITTEN_LINE: dict[str, Any] = {"color": BLUE, "marker": "o"}
SCORED_LINE: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "s",
    "linestyle": "--",
    "markerfacecolor": "white",
}
CROSS: dict[str, Any] = {"marker": "x", "linestyle": ""}


def choice_rates(stats: Statistics) -> Figure | None:
    """Draw the outcome of every condition at the headline intensity, one panel per history."""
    rates = _headline_rates(stats)
    histories = histories_of(stats, rates)
    if not rates:
        return None
    rows = _rate_rows(stats, rates)
    figure, axes = frame(1, len(histories), 3.6 + 2.4 * len(histories), 0.8 + 0.34 * len(rows))
    for axis, history in zip(axes, histories, strict=True):
        heading = words(history) if len(histories) > 1 else ""
        _rate_panel(axis, rows, select(rates, history=history), heading)
        axis.set_xlabel(f"{stats['meta']['outcome']}, %")
    _mark_failures(axes[0], stats, rows)
    caption = f"{_rate_caption(stats, rates)} Each cross is one random direction."
    return finish(figure, f"What the model chose: {title_of(stats)}", caption, _arm_handles(rates))


def choice_shares(stats: Statistics) -> Figure | None:
    """Draw the share of each option at the headline intensity, one row of panels per history.

    A game with two options has no such figure, because its choice rates show the same numbers.
    """
    rates = _headline_rates(stats)
    labels = [choice["label"] for choice in stats["meta"]["choices"]]
    histories = histories_of(stats, rates)
    if len(labels) < 3 or not rates:
        return None
    rows = _rate_rows(stats, rates)
    width, height = 2.2 + 2.1 * len(labels), 0.5 + (0.5 + 0.3 * len(rows)) * len(histories)
    figure, axes = frame(len(histories), len(labels), width, height)
    for place, axis in enumerate(axes):
        history, label = histories[place // len(labels)], labels[place % len(labels)]
        shares = _shares(select(rates, history=history), label)
        heading = words(label) + (f" ({words(history)})" if len(histories) > 1 else "")
        _rate_panel(axis, rows, shares, heading)
        axis.set_xlabel("share of answers, %")
        axis.label_outer()
    for axis in axes[:: len(labels)]:
        _mark_failures(axis, stats, rows)
    title = f"How often each option was chosen: {title_of(stats)}"
    return finish(figure, title, _rate_caption(stats, rates), _arm_handles(rates))


def _headline_rates(stats: Statistics) -> list[Rate]:
    headline, measure = stats["plan"]["headline_intensity"], measure_of(stats)
    rates = []
    for rate in stats["rates"]:
        other_dose = rate["arm"] == Arm.STEERED and rate["intensity"] != headline
        is_estimated = rate["measure"] == measure and rate["estimate"] is not None
        if is_estimated and rate["arm"] in ARMS_SHOWN and not other_dose:
            rates.append(rate)
    return rates


def _shares(rates: Iterable[Rate], label: str) -> list[Rate]:
    """Return the rates with the estimate and interval of one option in place of the outcome's."""
    shares: list[Rate] = []
    for rate in rates:
        for share in select(rate["shares"] or [], choice=label):
            shares.append({**rate, "estimate": share["estimate"], "interval": share["interval"]})
    return shares


def _rate_rows(stats: Statistics, rates: Iterable[Rate]) -> list[str]:
    random = [RANDOM_ROW] if select(rates, arm=Arm.RANDOM) else []
    return [Arm.NEUTRAL, *stats["plan"]["emotions"], *random]


def _rate_panel(axis: Axes, rows: list[str], rates: Iterable[Rate], title: str) -> None:
    for rate in rates:
        value = percent(rate)
        if rate["arm"] == Arm.RANDOM:
            axis.plot(value, rows.index(RANDOM_ROW), **CROSS, color=GREY, markersize=5)
            continue
        # Steered and prompted share the row of their emotion, one above the other.
        if Arm(rate["arm"]).has_event:
            shift, colour, marker, face = 0.17, VERMILLION, "s", "white"
        else:
            shift, colour, marker, face = -0.17, BLUE, "o", BLUE
        axis.errorbar(
            value,
            rows.index(rate["emotion"]) + shift,
            xerr=error_bar(rate),
            fmt=marker,
            color=colour,
            mfc=face,
            ms=5,
            capsize=2,
            linewidth=1.2,
        )
        if rate["arm"] == Arm.NEUTRAL:
            axis.axvline(value, color="0.3", linewidth=0.8, linestyle="--")
    axis.set(xlim=(-3, 103), ylim=(len(rows) - 0.5, -0.5))
    axis.set_title(textwrap.fill(title, 30))
    axis.set_yticks(range(len(rows)), [words(row) for row in rows])
    axis.label_outer()


def _mark_failures(axis: Axes, stats: Statistics, rows: list[str]) -> None:
    """Mark the emotions that their push at the headline intensity does not induce."""
    failed = failed_emotions(stats, stats["plan"]["headline_intensity"])
    labels = [words(row) + (MARK if row in failed else "") for row in rows]
    axis.set_yticks(range(len(rows)), labels)


def _rate_caption(stats: Statistics, rates: Sequence[Rate]) -> str:
    return (
        f"{measure_words(stats)} at intensity {stats['plan']['headline_intensity']:g}; bars are "
        f"{confidence(stats)} intervals with scenarios as clusters, the dashed line is neutral. "
        f"n = {span([r['n_scenarios'] for r in rates])} scenarios, "
        f"{span([r['n_trials'] for r in rates])} trials per condition."
        f"{failure_note(stats, stats['plan']['headline_intensity'])}"
    )


def _arm_handles(rates: Iterable[Rate]) -> list[Artist]:
    arms = {rate["arm"] for rate in rates}
    handles: list[Artist] = [
        Line2D([], [], **WRITTEN_LINE, label="steered (row neutral: unsteered)")
    ]
    if arms & {Arm.PROMPTED, Arm.PROMPTED_NEUTRAL}:
        label = "event in the prompt"
        handles.append(Line2D([], [], color=VERMILLION, marker="s", mfc="white", label=label))
    if Arm.RANDOM in arms:
        handles.append(Line2D([], [], **CROSS, color=GREY, label="random direction"))
    return handles


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
    # More random directions are scored than write answers, so the band of the scores is firmer.
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
            "Hatched: where one more random direction would fall, "
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
        handles.append(Patch(**BAND, label="random directions"))
    if any(dose["damaged"] for record in records for dose in record["doses"]):
        label = "damages the model"
        handles.append(Line2D([], [], **CROSS, color="black", markersize=8, label=label))
    return handles
