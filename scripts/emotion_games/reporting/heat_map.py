"""The games x models heat map of emotion - neutral, one panel an emotion.

Knows the rows of series_results.csv and what is missing from them; computes nothing. Before every planned experiment is
there, no cell is marked as supported or not.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from emotion_games.reporting.style import BLUE, VERMILLION, finish, frame, span, words

# Both ends are equally dark in grey: the sign is written in the cell.
COLOURS = LinearSegmentedColormap.from_list("fall_and_rise", [BLUE, "#F7F7F7", VERMILLION])
Row = Mapping[str, Any]


def contrast_heat_map(rows: Sequence[Row], missing: Sequence[Row]) -> Figure | None:
    """Estimates in percentage points at the headline intensity; `missing` are experiments without statistics."""
    if not rows:
        return None
    emotions = _unique(row["emotion"] for row in rows)
    models = _unique([*(row["model"] for row in rows), *(row["model_name"] for row in missing)])
    cells = _unique((row["game"], row["history"]) for row in rows)
    games = _unique([*(game for game, _ in cells), *(row["game_name"] for row in missing)])
    # A game of which nothing is finished has no known histories: one line stands for it.
    lines = [
        cell for game in games for cell in ([c for c in cells if c[0] == game] or [(game, "")])
    ]
    interim = bool(missing) or any(row["interim"] == "True" for row in rows)
    absent = {(row["game_name"], row["model_name"]) for row in missing}
    top = max([10.0, *(abs(100 * float(row["estimate"])) for row in rows if row["estimate"])])
    scale = Normalize(-top, top)
    columns = min(3, len(emotions))
    panels = math.ceil(len(emotions) / columns)
    names = max(len(_label(line, cells)) for line in lines)
    width = max(6.5, 1.2 + 0.07 * names + columns * max(1.5, 0.58 * len(models)))
    height = 1.3 + panels * (0.45 + 0.27 * len(lines))
    figure, axes = frame(panels, columns, width, height, sharex=True, sharey=True)
    for axis in axes[len(emotions) :]:
        axis.remove()
    for place, emotion in enumerate(emotions):
        found = {(r["game"], r["history"], r["model"]): r for r in rows if r["emotion"] == emotion}
        _panel(axes[place], found, lines, models, scale, interim)
        axes[place].set_title(words(emotion))
        axes[place].set_yticks(range(len(lines)), [_label(line, cells) for line in lines])
        turn = {"rotation": 90} if max(map(len, models)) > 6 else {}
        axes[place].set_xticks(
            range(len(models)), [textwrap.fill(m, 22, max_lines=2) for m in models], **turn
        )
        axes[place].tick_params(length=0, labelbottom=place + columns >= len(emotions), labelsize=8)
    bar = {"shrink": 0.6, "aspect": 30, "label": "points from neutral"}
    figure.colorbar(ScalarMappable(scale, COLOURS), ax=axes[: len(emotions)], **bar)
    title = "How each emotion moves the outcome" + (
        " (INTERIM: no significance marks)" if interim else ""
    )
    return finish(figure, title, _caption(rows, absent, interim), _handles(interim), columns=3)


def _panel(
    axis: Axes,
    found: Mapping[tuple, Row],
    lines: Sequence[tuple],
    models: Sequence[str],
    scale: Normalize,
    interim: bool,
) -> None:
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.set(xlim=(-0.5, len(models) - 0.5), ylim=(len(lines) - 0.5, -0.5))
    for y, (game, history) in enumerate(lines):
        for x, model in enumerate(models):
            row = found.get((game, history, model))
            if row is None or row["estimate"] in ("", None):
                axis.add_patch(_cell(x, y, facecolor="white", edgecolor="0.6", linestyle=":"))
                axis.text(x, y, "–", ha="center", va="center", color="0.5", fontsize=8)
                continue
            value, damaged = 100 * float(row["estimate"]), row["damaged"] == "True"
            supported = not interim and row["series_claim"] == "True"
            axis.add_patch(
                _cell(
                    x, y, facecolor="0.85" if damaged else COLOURS(scale(value)), edgecolor="white"
                )
            )
            if not interim and not supported:
                axis.add_patch(
                    _cell(x, y, facecolor="none", edgecolor="0.55", hatch="////", linewidth=0)
                )
            _write(
                axis,
                x,
                y,
                _points(value) + ("†" if damaged else ""),
                supported,
                abs(value) > 0.6 * scale.vmax,
            )


def _write(axis: Axes, x: float, y: float, text: str, supported: bool, on_dark: bool) -> None:
    middle = {"ha": "center", "va": "center", "fontsize": 8}
    if supported:
        axis.text(x, y, text, fontweight="bold", color="white" if on_dark else "black", **middle)
        return
    # On hatching a number needs ground of its own.
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    axis.text(x, y, text, color="black", bbox=ground, **middle)


def _points(value: float) -> str:
    return "0" if round(value) == 0 else f"{value:+.0f}".replace("-", "−")


def _cell(x: int, y: int, **look: Any) -> Rectangle:
    return Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, **look)


def _handles(interim: bool) -> list[Patch]:
    handles = [Patch(facecolor="white", edgecolor="0.6", linestyle=":", label="–  no result")]
    if interim:
        return handles
    return [
        Patch(facecolor="0.95", edgecolor="0.55", hatch="////", label="effect not supported"),
        *handles,
    ]


def _caption(rows: Sequence[Row], absent: set, interim: bool) -> str:
    n = span([int(row["n_scenarios"]) for row in rows if row["n_scenarios"]])
    text = (
        "Emotion less neutral at the headline intensity, percentage points of each game's outcome. "
        f"n = {n} scenarios a cell, experiments with results: {len({r['exp_id'] for r in rows})}"
    )
    text += f", without: {len(absent)}." if absent else "."
    if any(row["damaged"] == "True" for row in rows):
        text += " † The dose damages the model: no effect is reported."
    if interim:
        return (
            text + " Not every planned experiment is complete, so no cell says what is supported."
        )
    text += " Bold without hatching: the planned claim holds, and its false-discovery rate over the series is within"
    return text + " the level."


def _label(line: tuple[str, str], cells: Sequence[tuple[str, str]]) -> str:
    game, history = line
    return words(game) + (f": {words(history)}" if sum(g == game for g, _ in cells) > 1 else "")


def _unique(values: Any) -> list:
    return list(dict.fromkeys(values))
