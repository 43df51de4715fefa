"""The figures of the checks of a model: what its pushes raise, and the quality of its directions.

Every function computes no estimate and returns None if there are no numbers for its figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from emotion_games.analysis.check_results import Induced, OwnEffect
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.experiment.check_records import LEAST_NULLS, Check
from emotion_games.reporting.heat_map import COLOURS, rectangle
from emotion_games.reporting.selection import failure_mark, failure_note, model_of, select
from emotion_games.reporting.style import finish, frame, look, words

CHECKS = {
    Check.NAMED_EMOTION: "word from a list",
    Check.FELT_EMOTION: "own word",
    Check.HELD_OUT: "held-out sentences",
}


def manipulation_checks(stats: Statistics) -> Figure | None:
    """Draw what the push of each emotion raises: a panel per check, pushes × emotions."""
    judged = select(stats["induced"], intensity=stats["plan"]["headline_intensity"])
    checks = [check for check in CHECKS if any(check in one["checks"] for one in judged)]
    if not checks:
        return None
    named = {check: _emotions_of(check, judged) for check in checks}
    width = 1.6 + sum(0.6 + 0.5 * len(emotions) for emotions in named.values())
    figure, axes = frame(1, len(checks), width, 1.1 + 0.3 * len(judged), sharey=True)
    for axis, check in zip(axes, checks, strict=True):
        _rise_panel(axis, named[check], [one["checks"].get(check) for one in judged])
        axis.set_title(CHECKS[check])
    labels = [words(one["emotion"]) + failure_mark(one["came_through"]) for one in judged]
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylabel("push")
    number = min(effect["n_nulls"] for one in judged for effect in one["checks"].values())
    beyond = f" and beyond 2 sd of {number} null directions" if number >= LEAST_NULLS else ""
    caption = (
        "Rise from neutral, in nats; the largest of a row is bold, and that of the push's own "
        f"emotion has a frame. An emotion comes through if its own is the largest{beyond} in two "
        "checks."
    )
    caption += failure_note(stats, stats["plan"]["headline_intensity"])
    return finish(figure, f"What each push raises: {model_of(stats)}", caption, [])


def _emotions_of(check: str, judged: Sequence[Induced]) -> list[str]:
    """Return the emotions that a check compares: those with a push first."""
    found = [one["emotion"] for one in judged if check in one["checks"]]
    for one in judged:
        found += one["checks"][check]["rises"] if check in one["checks"] else []
    return list(dict.fromkeys(found))


def _rise_panel(axis: Axes, emotions: Sequence[str], effects: Sequence[OwnEffect | None]) -> None:
    top = max(abs(rise) for effect in effects if effect for rise in effect["rises"].values())
    for y, effect in enumerate(effects):
        for x, emotion in enumerate(emotions):
            if effect is None or emotion not in effect["rises"]:
                continue
            rise, is_highest = effect["rises"][emotion], emotion == effect["highest"]
            share = rise / top if top else 0.0
            axis.add_patch(rectangle((x, y), facecolor=COLOURS((share + 1) / 2)))
            ink = "white" if abs(share) > 0.6 else "black"
            weight = "bold" if is_highest else "normal"
            shown = f"{rise:+.1f}" if top >= 1 else f"{rise:+.2f}"
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": 8,
                "fontweight": weight,
            }
            axis.text(x, y, shown.replace("-", "\N{MINUS SIGN}"), color=ink, **style)
            if x == y:
                axis.add_patch(rectangle((x, y), facecolor="none", edgecolor="black"))
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.set(xlim=(-0.5, len(emotions) - 0.5), ylim=(len(effects) - 0.5, -0.5))
    axis.set_xticks(range(len(emotions)), list(map(words, emotions)), rotation=90)
    axis.tick_params(length=0)


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
    figure, axes = frame(1, 2, 7.5, 3.0)
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
