"""The games x models heat map of emotion minus neutral, one panel per emotion.

It computes no estimate. Until every planned experiment is complete, no cell is marked as claimed
or not claimed.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from emotion_games.reporting.style import BLUE, VERMILLION, finish, frame, span, words

# Both ends are equally dark in grey, because the sign is also written in the cell.
COLOURS = LinearSegmentedColormap.from_list("fall_and_rise", [BLUE, "#F7F7F7", VERMILLION])
NO_RESULT: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.6", "linestyle": ":"}
HATCH = "////"
Row = Mapping[str, Any]


def contrast_heat_map(rows: Sequence[Row], missing: Sequence[Row]) -> Figure | None:
    """Draw the effects at the headline intensity, in percentage points.

    Args:
        rows: The rows of series_results.json.
        missing: The experiments without statistics, from the same file.

    Returns:
        The figure, or None if there are no rows.
    """
    if not rows:
        return None
    emotions = _unique(row["emotion"] for row in rows)
    models = _unique([row["model_name"] for row in rows] + [row["model_name"] for row in missing])
    games = _unique([row["game_name"] for row in rows] + [row["game_name"] for row in missing])
    labels = [words(game) for game in games]
    interim = bool(missing) or any(row["interim"] for row in rows)
    # The scale is symmetric, so that neutral has the colour of no effect.
    top = max([10.0] + [abs(100 * (row["estimate"] or 0.0)) for row in rows])
    columns = min(3, len(emotions))
    panels = math.ceil(len(emotions) / columns)
    # Inches: a character of a label is 0.07 wide.
    width = 1.2 + 0.07 * max(map(len, labels)) + columns * max(1.5, 0.58 * len(models))
    height = 1.3 + panels * (0.45 + 0.27 * len(games))
    figure, axes = frame(panels, columns, max(6.5, width), height, sharex=True, sharey=True)
    for axis in axes[len(emotions) :]:
        axis.remove()
    for place, emotion in enumerate(emotions):
        axis = axes[place]
        cells = {(r["game_name"], r["model_name"]): r for r in rows if r["emotion"] == emotion}
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.set(xlim=(-0.5, len(models) - 0.5), ylim=(len(games) - 0.5, -0.5))
        for y, game in enumerate(games):
            for x, model in enumerate(models):
                _draw_cell(axis, (x, y), cells.get((game, model)), top, interim)
        axis.set_title(words(emotion))
        axis.set_yticks(range(len(games)), labels)
        names = [textwrap.fill(model, 22, max_lines=2) for model in models]
        axis.set_xticks(range(len(models)), names, rotation=90 if max(map(len, models)) > 6 else 0)
        axis.tick_params(length=0, labelbottom=place + columns >= len(emotions), labelsize=8)
    colours, shown = ScalarMappable(Normalize(-top, top), COLOURS), axes[: len(emotions)]
    figure.colorbar(colours, ax=shown, shrink=0.6, aspect=30, label="points from neutral")
    marks = " (INTERIM: no significance marks)" if interim else ""
    caption = _caption(rows, missing, interim)
    title = f"How each emotion moves the outcome{marks}"
    return finish(figure, title, caption, _handles(interim), columns=3)


def _draw_cell(
    axis: Axes, place: tuple[int, int], row: Row | None, top: float, interim: bool
) -> None:
    """Draw one effect. Full colour stands for `top` points."""
    middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
    if row is None or row["estimate"] is None:
        axis.add_patch(rectangle(place, **NO_RESULT))
        axis.text(*place, "–", color="0.5", **middle)
        return
    points = 100 * row["estimate"]
    colour = "0.85" if row["damaged"] else COLOURS((points / top + 1) / 2)
    axis.add_patch(rectangle(place, facecolor=colour, edgecolor="white"))
    number = "0" if round(points) == 0 else f"{points:+.0f}".replace("-", "−")
    number += "†" if row["damaged"] else ""
    number += "‡" if row["failed_check"] else ""
    if row["claim"] and not interim:
        ink = "white" if abs(points) > 0.6 * top else "black"
        axis.text(*place, number, fontweight="bold", color=ink, **middle)
        return
    if not interim:
        hatched = {"facecolor": "none", "edgecolor": "0.55", "hatch": HATCH, "linewidth": 0}
        axis.add_patch(rectangle(place, **hatched))
    # A number on hatching needs a background to be readable.
    background = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    axis.text(*place, number, color="black", bbox=background, **middle)


def rectangle(place: tuple[int, int], **style: Any) -> Rectangle:
    """Return the background of a cell."""
    x, y = place
    return Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, **style)


def _handles(interim: bool) -> list[Artist]:
    no_result = Patch(**NO_RESULT, label="–  no result")
    if interim:
        return [no_result]
    label = "effect not claimed"
    return [Patch(facecolor="0.95", edgecolor="0.55", hatch=HATCH, label=label), no_result]


def _caption(rows: Sequence[Row], missing: Sequence[Row], interim: bool) -> str:
    n = span([row["n_scenarios"] for row in rows if row["n_scenarios"]])
    without = f", without: {len(missing)}" if missing else ""
    text = (
        "Emotion minus neutral at the headline intensity, mean over histories, in percentage "
        f"points of each game's outcome. n = {n} scenarios per cell, "
        f"experiments with results: {len({row['exp_id'] for row in rows})}{without}."
    )
    if any(row["damaged"] for row in rows):
        text += " † The dose damages the model: no effect is reported."
    if any(row["failed_check"] for row in rows):
        text += " ‡ Manipulation check failed: the push does not induce the emotion."
    if interim:
        return f"{text} Not every planned experiment is complete, so no cell is marked as claimed."
    return f"{text} Bold without hatching: the effect is claimed."


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
