"""The look of figures: colours, panels, titles, legends, captions, names and counts.

The colours are those of Okabe and Ito (2008). Colour never stands alone: a marker, a line style or
a label carries the same information, so that figures can be read in grey.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito without the yellow, which is too faint on white.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "0.45"
# Written choices, and single points.
WRITTEN_LINE: dict[str, Any] = {"color": BLUE, "marker": "o"}
CROSS: dict[str, Any] = {"marker": "x", "linestyle": ""}


def frame(
    rows: int, columns: int, width: float, height: float, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `width` x `height` inches and its panels, row by row.

    `shared` are further arguments of `Figure.subplots`, such as `sharex`.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, list(axes.flat)


def finish(
    figure: Figure, title: str, caption: str, handles: Sequence[Artist], columns: int = 4
) -> Figure:
    """Add a title above and a legend and a caption below, and return the figure.

    The figure grows by the height of these texts, so the panels keep their size.

    Args:
        figure: The figure with its panels.
        title: Wrapped to the width of the figure.
        caption: Wrapped to the width of the figure.
        handles: The entries of the legend; none means no legend.
        columns: The largest number of legend entries in a line.
    """
    width, height = figure.get_size_inches()
    # Characters per inch at the font sizes below.
    title = textwrap.fill(title, int(width * 10.5))
    caption = textwrap.fill(caption, int(width * 15.5))
    lines = math.ceil(len(handles) / min(columns, max(1, int(width / 2.2))))
    # Heights in inches.
    above = 0.1 + 0.2 * len(title.splitlines())
    caption_height = 0.1 + 0.145 * len(caption.splitlines())
    below = caption_height + 0.19 * lines + 0.1
    total = height + above + below
    figure.set_size_inches(width, total)
    figure.set_layout_engine("constrained", rect=(0, below / total, 1, height / total))
    figure.text(0.1 / width, 1 - 0.06 / total, title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.1 / width, 0.05 / total, caption, va="bottom", fontsize=8, color="0.25")
    if handles:
        figure.legend(
            handles=handles,
            ncols=math.ceil(len(handles) / lines),
            loc="lower center",
            bbox_to_anchor=(0.5, caption_height / total),
            borderaxespad=0,
            labelspacing=0.3,
        )
    return figure


def look(place: int) -> dict[str, Any]:
    """Return colour, marker and line style of the n-th of several data series.

    No two of the first 63 are alike.
    """
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place % len(LINES)],
    }


def error_bar(record: Mapping[str, Any]) -> list[list[float]] | None:
    """Return the lengths of an error bar below and above the estimate, in percentage points.

    Args:
        record: A statistic with `estimate` and `interval`, as fractions from -1 to 1.

    Returns:
        The lengths as matplotlib's `errorbar` takes them, or None if there is no interval.
    """
    interval = record.get("interval")
    if not interval or None in interval:
        return None
    estimate = record["estimate"]
    return [[max(0.0, 100 * (estimate - interval[0]))], [max(0.0, 100 * (interval[1] - estimate))]]


def words(name: str) -> str:
    """Return a name with spaces in place of underscores."""
    return name.replace("_", " ")


def span(numbers: Sequence[int]) -> str:
    """Return `60`, or `58 to 60` if the numbers differ."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low}" if low == high else f"{low} to {high}"
