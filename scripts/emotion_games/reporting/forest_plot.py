"""The forest plot of a series: the effect of every emotion in every game and model.

It computes no estimate. Until every planned experiment is complete, no effect is marked as moved or
claimed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from emotion_games.reporting.style import BLUE, finish, frame, span, words

# A printed page holds so many lines at a size that can be read.
MOST_LINES = 42
LINE_HEIGHT = 0.175  # inches
NULL: dict[str, Any] = {"facecolor": "0.87", "edgecolor": "0.55", "linewidth": 0.5}
SEEN: dict[str, Any] = {"color": "black", "marker": "|", "linestyle": "", "markersize": 6}
DAMAGED: dict[str, Any] = {"color": "0.4", "marker": "x", "linestyle": "", "markersize": 5}
MARKERS: dict[str, dict[str, Any]] = {
    "claimed": {"marker": "D", "markerfacecolor": BLUE, "markeredgecolor": "black"},
    "moved, not claimed": {"marker": "o", "markerfacecolor": BLUE, "markeredgecolor": BLUE},
    "not moved": {"marker": "o", "markerfacecolor": "white", "markeredgecolor": BLUE},
}
INTERIM = {"interim estimate": MARKERS["not moved"]}
Row = Mapping[str, Any]
Line = tuple[str, str | None]  # a game, and a model or None for the line that names the game


def forest_pages(rows: Sequence[Row], missing: Sequence[Row]) -> list[tuple[list[Line], str]]:
    """Return the lines of each figure, and which of how many it is.

    Args:
        rows: The rows of series_results.json.
        missing: The experiments without statistics, from the same file.
    """
    models: dict[str, None] = {row["model_name"]: None for row in rows}
    models |= {row["model_name"]: None for row in missing}
    games = {row["game_name"]: None for row in rows} | {row["game_name"]: None for row in missing}
    planned = {(row["game_name"], row["model_name"]) for row in rows}
    planned |= {(row["game_name"], row["model_name"]) for row in missing}
    pages: list[list[Line]] = [[]]
    for game in games:
        own: list[Line] = [(game, model) for model in models if (game, model) in planned]
        if len(models) > 1:
            own.insert(0, (game, None))
        for start in range(0, len(own), MOST_LINES):
            part = own[start : start + MOST_LINES]
            if pages[-1] and len(pages[-1]) + len(part) > MOST_LINES:
                pages.append([])
            pages[-1] += part
    if not rows:
        return []
    number = len(pages)
    return [(page, f" ({n} of {number})" * (number > 1)) for n, page in enumerate(pages, 1)]


def forest_plot(
    rows: Sequence[Row], missing: Sequence[Row], lines: Sequence[Line], part: str
) -> Figure:
    """Draw the effects at the headline intensity, in percentage points: a panel per emotion.

    Args:
        rows: The rows of series_results.json.
        missing: The experiments without statistics, from the same file.
        lines: The lines of this figure, see `forest_pages`.
        part: Which of several figures it is, for the title.
    """
    emotions = list(dict.fromkeys(row["emotion"] for row in rows))
    interim = bool(missing) or any(row["interim"] for row in rows)
    figure, axes = frame(
        1, len(emotions), 6.5, 0.45 + LINE_HEIGHT * len(lines), sharex=True, sharey=True
    )
    places = {line: y for y, line in enumerate(lines)}
    for axis, emotion in zip(axes, emotions, strict=True):
        for row in rows:
            line = (row["game_name"], row["model_name"])
            if row["emotion"] == emotion and line in places:
                _draw_effect(axis, places[line], row, interim)
        axis.axvline(0, color="0.3", linewidth=0.8, zorder=1)
        axis.set_title(words(emotion))
        axis.grid(False)
        axis.tick_params(axis="y", length=0)
        axis.tick_params(axis="x", labelsize=7)
        axis.xaxis.set_major_locator(MaxNLocator(3, integer=True, symmetric=True))
        axis.spines["left"].set_visible(False)
    _name_lines(axes[0], lines)
    reach = _reach(rows)
    axes[0].set(xlim=(-reach, reach), ylim=(len(lines) - 0.4, -0.6))
    model = {row["model_name"] for row in rows}
    of = f" of {next(iter(model))}" if len(model) == 1 else ""
    title = f"Effect of each emotion on the choices{of}{part}" + " (INTERIM)" * interim
    return finish(figure, title, _caption(rows, missing, interim), _handles(rows, interim), 3)


def _draw_effect(axis: Axes, y: int, row: Row, interim: bool) -> None:
    if row["null_low"] is not None:
        low, high = 100 * row["null_low"], 100 * row["null_high"]
        axis.fill_between([low, high], y - 0.38, y + 0.38, **NULL, zorder=0)
    if row["smallest_claimed"] is not None:
        for side in (-100, 100):
            axis.plot(side * row["smallest_claimed"], y, **SEEN, zorder=2)
    if row["estimate"] is None:
        return
    x = 100 * row["estimate"]
    if row["damaged"]:
        axis.plot(x, y, **DAMAGED, zorder=4)
        return
    for low, high, width in (("low_corrected", "high_corrected", 0.8), ("low", "high", 2.2)):
        if row[low] is not None:
            axis.plot([100 * row[low], 100 * row[high]], [y, y], color=BLUE, linewidth=width)
    axis.plot(x, y, markersize=4.5, zorder=5, **marker_of(row, interim))
    if row["failed_check"]:
        axis.annotate("‡", (x, y), (3, 1), textcoords="offset points", fontsize=7)


def marker_of(row: Row, interim: bool) -> dict[str, Any]:
    """Return the marker of an effect that does not damage the model."""
    if interim:
        return INTERIM["interim estimate"]
    if row["claim"]:
        return MARKERS["claimed"]
    return MARKERS["moved, not claimed" if row["moved"] else "not moved"]


def _name_lines(axis: Axes, lines: Sequence[Line]) -> None:
    """Write games and models to the left of the first panel, and a shade behind each game."""
    several = any(model is None for _, model in lines)
    names = [words(game) if model is None or not several else model for game, model in lines]
    axis.set_yticks(range(len(lines)), names)
    for label, (_, model) in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_fontsize(7.5)
        if model is None:
            label.set_fontweight("bold")


def _reach(rows: Sequence[Row]) -> float:
    """Return the end of the axis, in points, which shows all effects and most sizes to claim."""
    reach = max([5.0, *(100 * abs(end) for row in rows for end in _ends(row))])
    sizes = [100 * row["smallest_claimed"] for row in rows if row["smallest_claimed"] is not None]
    reach = max([reach, *(size for size in sizes if size <= 1.6 * reach)])
    return min(105.0, 1.08 * reach)


def _ends(row: Row) -> Iterator[float]:
    keys = ("estimate", "low", "high", "null_low", "null_high")
    yield from (row[key] for key in keys if row[key] is not None)


def _handles(rows: Sequence[Row], interim: bool) -> list[Artist]:
    handles: list[Artist] = []
    for label, style in (INTERIM if interim else MARKERS).items():
        handles.append(Line2D([], [], color=BLUE, linewidth=2.2, ms=4.5, **style, label=label))
    if any(row["damaged"] for row in rows):
        handles.append(Line2D([], [], **DAMAGED, label="damages the model"))
    if any(row["null_low"] is not None for row in rows):
        handles.append(Patch(**NULL, label="one more null direction"))
    if any(row["smallest_claimed"] is not None for row in rows):
        handles.append(Line2D([], [], **SEEN, label="claimed with 80 % power"))
    return handles


def _caption(rows: Sequence[Row], missing: Sequence[Row], interim: bool) -> str:
    n = span([row["n_scenarios"] for row in rows if row["n_scenarios"]])
    without = f", {len(missing)} without" if missing else ""
    text = (
        "Emotion minus neutral at the headline intensity, mean over stories and histories, in "
        "percentage points of each game's outcome. Thick lines are "
        f"{100 * rows[0]['confidence']:g} % intervals, thin ones are corrected for the emotions of "
        f"an experiment. n = {n} stories; {len({row['exp_id'] for row in rows})} experiments with "
        f"results{without}."
    )
    if any(row["null_low"] is not None for row in rows):
        text += " Grey: where one more null direction would fall."
    if any(row["damaged"] for row in rows):
        text += " ×: the push damages the model, so its effect is not interpreted."
    if any(row["failed_check"] for row in rows):
        text += " ‡ Manipulation check failed: the push does not induce the emotion."
    if interim:
        return f"{text} Not every planned experiment is complete, so nothing is marked as claimed."
    return text
