"""The figures of what lies beneath an experiment's effects: the manipulation check and the directions.

Knows which statistics tell whether the emotion is there; computes no estimate. A figure for which there are no
numbers is None.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emotion_games.reporting.experiment_figures import (
    Record,
    Stats,
    confidence,
    histories_of,
    measure_of,
    measure_words,
    title_of,
)
from emotion_games.reporting.style import finish, frame, look, reach, span, words

CHECKS = {"self_report": "asked what it feels", "blind_label": "label given to its words"}


def manipulation_effect(stats: Stats) -> Figure | None:
    """How far the emotion is there, against how far the choices move; one column a history, one row a check."""
    measure = measure_of(stats)
    effects = [
        c
        for c in stats["contrasts"]
        if c["contrast"] == "emotion_minus_neutral"
        and c["arm"] == "steered"
        and c["measure"] == measure
        if c["estimate"] is not None
    ]
    felt = [m for m in stats["manipulation"] if m["arm"] == "steered" and m["estimate"] is not None]
    histories, checks = (
        histories_of(stats, effects),
        [name for name in CHECKS if any(m["check"] == name for m in felt)],
    )
    if not effects or not checks:
        return None
    figure, axes = frame(
        len(checks),
        len(histories),
        3.2 + 2.6 * len(histories),
        0.3 + 2.7 * len(checks),
        sharey=True,
    )
    for place, axis in enumerate(axes):
        check, history = checks[place // len(histories)], histories[place % len(histories)]
        mine = [m for m in felt if m["check"] == check]
        _manipulation_panel(axis, stats, mine, [c for c in effects if c["history"] == history])
        axis.set_xlabel(f"intended emotion, {CHECKS[check]},\npoints from neutral")
        axis.set_title(words(history) if len(histories) > 1 and place < len(histories) else "")
        if place % len(histories) == 0:
            axis.set_ylabel(f"{stats['meta']['outcome']},\npoints from neutral")
    names = [e for e in stats["plan"]["emotions"] if any(m["emotion"] == e for m in felt)]
    handles = [
        Line2D([], [], label=words(e), **look(stats["plan"]["emotions"].index(e))) for e in names
    ]
    text = (
        "Each line joins one emotion's intensities, the largest marker is the highest; "
        f"bars are {confidence(stats)} intervals. {measure_words(stats)}. "
        f"n = {span([c['n_scenarios'] for c in effects])} scenarios, {span([m['n_items'] for m in felt])} check items."
    )
    return finish(figure, f"Emotion check and effect: {title_of(stats)}", text, handles, columns=6)


def _manipulation_panel(
    axis: Axes, stats: Stats, felt: Sequence[Record], effects: Sequence[Record]
) -> None:
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.axvline(0, color="0.3", linewidth=0.8)
    for number, emotion in enumerate(stats["plan"]["emotions"]):
        by_dose = {c["intensity"]: c for c in effects if c["emotion"] == emotion}
        found = sorted(
            (m["intensity"], m)
            for m in felt
            if m["emotion"] == emotion and m["intensity"] in by_dose
        )
        drawn = look(number)
        xs, ys = (
            [100 * m["estimate"] for _, m in found],
            [100 * by_dose[dose]["estimate"] for dose, _ in found],
        )
        axis.plot(xs, ys, color=drawn["color"], linestyle=drawn["linestyle"], linewidth=1)
        for size, (dose, m) in enumerate(found):
            bars = {"xerr": reach(m), "yerr": reach(by_dose[dose]), "elinewidth": 0.6}
            axis.errorbar(
                xs[size], ys[size], **bars, **drawn | {"linestyle": ""}, ms=4 + 1.5 * size
            )


def direction_separation(stats: Stats, directions: Mapping[str, Any]) -> Figure | None:
    """How well each direction tells held-out emotional from neutral texts, layer by layer."""
    separation = directions.get("separation") or {}
    if not separation:
        return None
    figure, (axis,) = frame(1, 1, 7.0, 3.6)
    layers = directions.get("layers") or []
    if layers:
        axis.axvspan(min(layers) - 0.5, max(layers) + 0.5, color="0.93", zorder=0)
    depth = 1
    for number, (emotion, values) in enumerate(separation.items()):
        depth = max(depth, len(values))
        axis.plot(
            range(len(values)),
            [100 * v for v in values],
            label=words(emotion),
            ms=4,
            **look(number),
        )
    axis.axhline(50, color="0.3", linewidth=0.8, linestyle="--")
    lowest = min([45, *(100 * v for values in separation.values() for v in values)])
    axis.set(xlim=(-0.6, depth - 0.4), ylim=(lowest - 3, 103))
    axis.set(xlabel="layer (0 is the first)", ylabel="emotional text lies further along, %")
    axis.xaxis.get_major_locator().set_params(integer=True)
    handles = axis.get_legend_handles_labels()[0]
    if layers:
        handles.append(Patch(facecolor="0.93", label="steered layers"))
    text = (
        "For each layer, the share of pairs of one held-out emotional and one held-out neutral text in which the "
        f"emotional one lies further along the direction; 50 % is chance. {len(separation)} emotions, {depth} layers."
    )
    return finish(
        figure,
        f"Where the emotions can be told apart: {words(stats['meta']['model'])}",
        text,
        handles,
    )
