"""The figure of effects against the number of parameters of the models; no estimate is computed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from emotion_games.reporting.forest_plot import DAMAGED, INTERIM, MARKERS, marker_of
from emotion_games.reporting.style import BLUE, error_bar, finish, frame, words

Row = Mapping[str, Any]


def effect_by_model_size(rows: Sequence[Row], missing: Sequence[Row]) -> Figure | None:
    """Draw the effects over the models' sizes on a log axis, with a column for each emotion.

    There is a row of panels for each game, or for each game and place of the pushes.

    Args:
        rows: The rows of series_results.json.
        missing: The experiments without statistics, from the same file.

    Returns:
        The figure, or None unless two models differ in their number of parameters.
    """
    known = [row for row in rows if row["n_parameters"] and row["estimate"] is not None]
    if len({row["n_parameters"] for row in known}) < 2:
        return None
    interim = bool(missing) or any(row["interim"] for row in rows)
    lines = list(dict.fromkeys(map(_line, known)))
    emotions = list(dict.fromkeys(row["emotion"] for row in known))
    height = 0.35 + 1.05 * len(lines)
    figure, axes = frame(len(lines), len(emotions), 6.5, height, sharex=True, sharey=True)
    for place, axis in enumerate(axes):
        line, emotion = lines[place // len(emotions)], emotions[place % len(emotions)]
        own = [row for row in known if (_line(row), row["emotion"]) == (line, emotion)]
        _panel(axis, own, interim)
        if place < len(emotions):
            axis.set_title(words(emotion))
        if place % len(emotions) == 0:
            axis.set_ylabel(_name(line, lines), fontsize=7.5)
    _size_axis(axes[0], known)
    caption = (
        "Emotion minus neutral at the headline intensity, in percentage points of each game's "
        f"outcome, by number of parameters; bars are {100 * rows[0]['confidence']:g} % intervals "
        "over stories. "
    )
    lost = {row["model_name"] for row in rows} - {row["model_name"] for row in known}
    caption += f"Without {len(lost)} models of unknown size. " * bool(lost)
    caption += (
        "Models of different sizes also differ in other ways, so this is a comparison, not an "
        "effect of size."
    )
    styles = (INTERIM if interim else MARKERS).items()
    handles = [Line2D([], [], linestyle="", ms=4.5, **style, label=name) for name, style in styles]
    if any(row["damaged"] for row in known):
        handles.append(Line2D([], [], **DAMAGED, label="damages the model"))
    title = "Size of the effect and size of the model" + " (INTERIM)" * interim
    return finish(figure, title, caption, handles)


def _line(row: Row) -> tuple[str, ...]:
    """Return the game, the layer set and the position, which share a line of panels."""
    return row["game_name"], row["layer_set"] or "", row["position"]


def _name(line: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    game, *place = line
    several = len({tuple(rest) for _, *rest in lines}) > 1
    parts = [
        words(game).replace(" ", "\n", 1),
        *(words(part) for part in place if several and part),
    ]
    return "\n".join(parts)


def _panel(axis: Axes, rows: Sequence[Row], interim: bool) -> None:
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.tick_params(labelsize=7)
    for row in rows:
        x, y = row["n_parameters"], 100 * row["estimate"]
        if row["damaged"]:
            axis.plot(x, y, **DAMAGED)
            continue
        bar = {"estimate": row["estimate"], "interval": [row["low"], row["high"]]}
        axis.errorbar(x, y, error_bar(bar), fmt="none", color=BLUE, linewidth=1)
        axis.plot(x, y, linestyle="", markersize=4, zorder=5, **marker_of(row, interim))


def _size_axis(axis: Axes, rows: Sequence[Row]) -> None:
    sizes = [row["n_parameters"] for row in rows]
    low, high = min(sizes) / 1.6, max(sizes) * 1.6
    axis.set(xscale="log", xlim=(low, high))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10.0**power for power in decades if low <= 10.0**power <= high]
    if len(ticks) < 2:
        ticks = [min(sizes), max(sizes)]
    axis.set_xticks(ticks)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda size, _: size_words(size)))
    axis.xaxis.set_minor_formatter(NullFormatter())


def size_words(parameters: float) -> str:
    """Return a number of parameters such as `135M` or `1.5B`."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{name}"
    return f"{parameters:g}"
