"""The figures of the checks of a model: what its pushes raise, and the quality of its directions.

Every function computes no estimate and returns None if there are no numbers for its figure.
"""

from collections.abc import Mapping
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from emotion_games.analysis.check_results import OwnEffect
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.experiment.check_records import LEAST_NULLS, Check
from emotion_games.reporting.selection import failure_mark, failure_note, model_of, select
from emotion_games.reporting.style import BLUE, finish, frame, look, words

CHECKS = {
    Check.NAMED_EMOTION: "word from a list",
    Check.FELT_EMOTION: "own word",
    Check.HELD_OUT: "held-out sentences",
}
OWN: dict[str, Any] = {"marker": "o", "color": BLUE, "markersize": 7, "linestyle": ""}
OTHER: dict[str, Any] = {"marker": "|", "color": "0.35", "markersize": 7, "linestyle": ""}


def emotions_landed(stats: Statistics) -> Figure | None:
    """Draw what the push of each emotion raises: a row per push, a panel per check."""
    judged = select(stats["induced"], intensity=stats["plan"]["headline_intensity"])
    checks = [check for check in CHECKS if any(check in one["checks"] for one in judged)]
    if not checks:
        return None
    figure, axes = frame(1, len(checks), 6.5, 0.5 + 0.3 * len(judged), sharey=True)
    for axis, check in zip(axes, checks, strict=True):
        for y, one in enumerate(judged):
            if check in one["checks"]:
                _landed(axis, y, one["emotion"], one["checks"][check])
        axis.axvline(0, color="0.3", linewidth=0.8, zorder=1)
        axis.set(xlabel="rise from neutral, nats", ylim=(len(judged) - 0.5, -0.5))
        axis.set_title(CHECKS[check])
        axis.margins(x=0.12)
    labels = [words(one["emotion"]) + failure_mark(one["came_through"]) for one in judged]
    axes[0].set_yticks(range(len(labels)), labels)
    number = min(effect["n_nulls"] for one in judged for effect in one["checks"].values())
    compared = number >= LEAST_NULLS
    beyond = f" and beyond 2 sd of {number} null directions (grey)" if compared else ""
    caption = (
        "How far the push towards each emotion raises this emotion and the others. An emotion "
        f"lands if its own rises most{beyond} in two checks."
    )
    caption += failure_note(stats, stats["plan"]["headline_intensity"])
    handles: list[Artist] = [
        Line2D([], [], **OWN, markerfacecolor=BLUE, label="own emotion, rises most"),
        Line2D([], [], **OWN, markerfacecolor="white", label="own emotion, another rises more"),
        Line2D([], [], **OTHER, label="other emotions"),
    ]
    if any(effect["null_sd"] is not None for one in judged for effect in one["checks"].values()):
        handles.append(Patch(fc="0.87", ec="0.55", lw=0.5, label="null directions, mean ± 2 sd"))
    return finish(figure, f"Did the emotion land? {model_of(stats)}", caption, handles, 2)


def _landed(axis: Axes, y: int, emotion: str, effect: OwnEffect) -> None:
    mean, sd = effect["null_mean"], effect["null_sd"]
    if mean is not None and sd is not None:
        axis.fill_between(
            [mean - 2 * sd, mean + 2 * sd], y - 0.35, y + 0.35, fc="0.87", ec="0.55", lw=0.5
        )
    others = [rise for name, rise in effect["rises"].items() if name != emotion]
    axis.plot(others, [y] * len(others), **OTHER, zorder=3)
    face = BLUE if effect["highest"] == emotion else "white"
    axis.plot(effect["rise"], y, **OWN, markerfacecolor=face, zorder=4)


def direction_quality(stats: Statistics, directions: Mapping[str, Any]) -> Figure | None:
    """Draw how stable the directions are, and how well they tell emotions apart, by layer.

    Args:
        stats: The content of stats_analysis.json.
        directions: How the directions were made, from exp_config.yaml; see
            `engine.directions.About`.
    """
    split_half = directions.get("split_half") or {}
    if not split_half:
        return None
    figure, axes = frame(1, 2, 6.5, 2.8)
    layers, accuracy = directions["layers"], directions["accuracy"]
    for axis in axes:
        axis.axvspan(min(layers) - 0.5, max(layers) + 0.5, color="0.93", zorder=0)
        axis.set(xlim=(-0.6, len(accuracy) - 0.4), xlabel="layer (0 is the first)")
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    handles: list[Artist] = []
    for number, (emotion, cosines) in enumerate(split_half.items()):
        handles += axes[0].plot(cosines, label=words(emotion), ms=3, **look(number))
    axes[0].set_ylabel("cosine of two halves")
    chance = 100 / len(directions["reference"])
    axes[1].plot([100 * share for share in accuracy], color="black", marker=".")
    axes[1].axhline(chance, color="0.3", linewidth=0.8, linestyle="--")
    axes[1].set(ylabel="held-out texts told apart, %", ylim=(0, 103))
    handles.append(Patch(facecolor="0.93", label="steered layers"))
    caption = (
        "Left: cosine between the directions that two halves of the texts make. Right: share of "
        "held-out texts whose state is nearest to the mean of their emotion, among "
        f"{len(directions['reference'])} emotions; the dashed line is chance ({chance:.0f} %)."
    )
    return finish(figure, f"Quality of the directions: {model_of(stats)}", caption, handles)
