"""The figures of an experiment's checks: the manipulation check and the separation by directions.

Every function computes no estimate and returns None if there are no numbers for its figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from emotion_games.analysis.statistics_records import Contrast, Manipulation, Statistics
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL
from emotion_games.experiment.conditions import Arm
from emotion_games.reporting.selection import (
    confidence,
    estimated,
    histories_of,
    measure_of,
    measure_words,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import error_bar, finish, frame, look, span, words

CHECKS = {"self_report": "as the model reports it", "blind_label": "label given to its words"}
CHANCE = 50


def manipulation_effect(stats: Statistics) -> Figure | None:
    """Draw the change of the choices over the change in the manipulation checks.

    Histories are columns, checks are rows.
    """
    measure = measure_of(stats)
    steered = select(stats["contrasts"], contrast=EMOTION_MINUS_NEUTRAL, arm=Arm.STEERED)
    effects = estimated(select(steered, measure=measure))
    felt = estimated(select(stats["manipulation"], arm=Arm.STEERED))
    histories = histories_of(stats, effects)
    checks = [name for name in CHECKS if select(felt, check=name)]
    if not effects or not checks:
        return None
    width, height = 3.2 + 2.6 * len(histories), 0.3 + 2.7 * len(checks)
    figure, axes = frame(len(checks), len(histories), width, height, sharey=True)
    # The panels come row by row.
    for place, axis in enumerate(axes):
        check, history = checks[place // len(histories)], histories[place % len(histories)]
        _manipulation_panel(
            axis, stats, select(felt, check=check), select(effects, history=history)
        )
        axis.set_xlabel(f"intended emotion, {CHECKS[check]},\npoints from neutral")
        axis.set_title(words(history) if len(histories) > 1 and place < len(histories) else "")
        if place % len(histories) == 0:
            axis.set_ylabel(f"{stats['meta']['outcome']},\npoints from neutral")
    handles = []
    # The look depends on the place in the plan, so an emotion looks the same in all experiments.
    for number, emotion in enumerate(stats["plan"]["emotions"]):
        if select(felt, emotion=emotion):
            handles.append(Line2D([], [], label=words(emotion), **look(number)))
    caption = (
        "Each line joins one emotion's intensities, the largest marker is the highest; "
        f"bars are {confidence(stats)} intervals. {measure_words(stats)}. "
        f"n = {span([c['n_scenarios'] for c in effects])} scenarios, "
        f"{span([m['n_items'] for m in felt])} check items."
    )
    title = f"Emotion check and effect: {title_of(stats)}"
    return finish(figure, title, caption, handles, columns=6)


def _manipulation_panel(
    axis: Axes, stats: Statistics, felt: Sequence[Manipulation], effects: Sequence[Contrast]
) -> None:
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.axvline(0, color="0.3", linewidth=0.8)
    for number, emotion in enumerate(stats["plan"]["emotions"]):
        by_dose = {record["intensity"]: record for record in select(effects, emotion=emotion)}
        shown = [m for m in select(felt, emotion=emotion) if m["intensity"] in by_dose]
        # In the order of the doses, so that the line shows the path.
        shown.sort(key=lambda record: record["intensity"])
        moved = [by_dose[record["intensity"]] for record in shown]
        xs, ys = list(map(percent, shown)), list(map(percent, moved))
        drawn = look(number)
        axis.plot(xs, ys, color=drawn["color"], linestyle=drawn["linestyle"], linewidth=1)
        points: dict[str, Any] = drawn | {"linestyle": "", "elinewidth": 0.6}
        for size, (x, y) in enumerate(zip(xs, ys, strict=True)):
            points |= {"xerr": error_bar(shown[size]), "yerr": error_bar(moved[size])}
            axis.errorbar(x, y, **points, ms=4 + 1.5 * size)


def direction_separation(stats: Statistics, directions: Mapping[str, Any]) -> Figure | None:
    """Draw how well each direction separates held-out emotional and neutral texts, layer by layer.

    Args:
        stats: The content of stats_analysis.json.
        directions: `separation` with a list of numbers from 0 to 1 per emotion, one per layer, and
            `layers`, the steered ones; from exp_config.yaml.
    """
    separation = directions.get("separation") or {}
    if not separation:
        return None
    figure, (axis,) = frame(1, 1, 7.0, 3.6)
    layers = directions.get("layers") or []
    if layers:
        axis.axvspan(min(layers) - 0.5, max(layers) + 0.5, color="0.93", zorder=0)
    # The axis always shows chance, and all points if some are below it.
    depth, lowest = 1, 45.0
    handles: list[Artist] = []
    for number, (emotion, values) in enumerate(separation.items()):
        percent = [100 * value for value in values]
        depth, lowest = max(depth, len(values)), min([lowest, *percent])
        handles += axis.plot(percent, label=words(emotion), ms=4, **look(number))
    axis.axhline(CHANCE, color="0.3", linewidth=0.8, linestyle="--")
    axis.set(xlim=(-0.6, depth - 0.4), ylim=(lowest - 3, 103))
    axis.set(xlabel="layer (0 is the first)", ylabel="emotional text lies further along, %")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if layers:
        handles.append(Patch(facecolor="0.93", label="steered layers"))
    caption = (
        "For each layer, the share of pairs of one held-out emotional and one held-out neutral "
        "text in which the emotional one lies further along the direction; "
        f"{CHANCE} % is chance. {len(separation)} emotions, {depth} layers."
    )
    title = f"Where emotional and neutral texts differ: {words(str(stats['meta']['model']))}"
    return finish(figure, title, caption, handles)
