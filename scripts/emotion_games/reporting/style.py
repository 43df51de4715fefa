"""How figures look: colours, frames, captions, files.

Knows matplotlib and no statistic. Colours are Okabe and Ito's; whatever a colour tells, a marker, a line or a word
tells too. The same figure gives the same SVG, byte for byte.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "emotion_games",
    # Text stays text: a third of the size, and it can be searched.
    "svg.fonttype": "none",
}
# Okabe and Ito without the yellow, which is too faint on white.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "0.45"


def draw(make: Callable[[], Figure | None], path: Path) -> list[Path]:
    """Make a figure in the project's style and write it as PNG and SVG; nothing where there is nothing to draw."""
    with matplotlib.rc_context(STYLE):
        figure = make()
        if figure is None:
            return []
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [path.with_suffix(".png"), path.with_suffix(".svg")]
        figure.savefig(files[0], dpi=150, metadata={"Software": None})
        # Laid out once; doing it again would double the time.
        figure.set_layout_engine("none")
        # A date in the file would make each drawing of the same numbers another file.
        figure.savefig(files[1], metadata={"Date": None})
    return files


def frame(
    rows: int, columns: int, width: float, height: float, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches and its panels, row by row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, list(axes.flat)


def finish(
    figure: Figure, title: str, caption: str, handles: Sequence[Any], columns: int = 4
) -> Figure:
    """Title above, legend and caption below; the figure grows by the height that these need."""
    width, height = figure.get_size_inches()
    title, caption = (
        textwrap.fill(title, int(width * 10.5)),
        textwrap.fill(caption, int(width * 15.5)),
    )
    lines = math.ceil(len(handles) / min(columns, max(1, int(width / 2.2))))
    above = 0.1 + 0.2 * len(title.splitlines())
    caption_height = 0.1 + 0.145 * len(caption.splitlines())
    below = caption_height + 0.19 * lines + 0.1
    total = height + above + below
    figure.set_size_inches(width, total)
    figure.set_layout_engine("constrained", rect=(0, below / total, 1, height / total))
    figure.text(0.1 / width, 1 - 0.06 / total, title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.1 / width, 0.05 / total, caption, va="bottom", fontsize=8, color="0.25")
    if handles:
        place = {
            "loc": "lower center",
            "bbox_to_anchor": (0.5, caption_height / total),
            "borderaxespad": 0,
        }
        figure.legend(
            handles=handles, ncols=math.ceil(len(handles) / lines), labelspacing=0.3, **place
        )
    return figure


def look(place: int) -> dict[str, Any]:
    """Colour, marker and line of the n-th of several series; no two of the first 63 are alike."""
    names = {"color": COLOURS, "marker": MARKERS, "linestyle": LINES}
    return {name: values[place % len(values)] for name, values in names.items()}


def reach(record: Mapping[str, Any]) -> list[list[float]] | None:
    """Length of the error bar below and above the estimate, in percent; None where there is no interval."""
    interval = record.get("interval")
    if not interval or None in interval:
        return None
    estimate = record["estimate"]
    return [[max(0.0, 100 * (estimate - interval[0]))], [max(0.0, 100 * (interval[1] - estimate))]]


def words(name: str) -> str:
    """A name of the files as people write it."""
    return name.replace("_", " ")


def span(numbers: Sequence[int]) -> str:
    """`60`, or `58 to 60` where they differ."""
    found = sorted(set(numbers))
    if not found:
        return "0"
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"
