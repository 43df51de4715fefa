"""The heat maps of a sweep: what each setting of a model does, and which one was chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from emotion_games.analysis.sweep import CLEARED, DAMAGED, UNCLEAR, Setting
from emotion_games.reporting.style import finish, frame, words

_MISSING: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.6", "linestyle": ":"}
_OUTLINE: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "linewidth": 2.2}
_HATCHES = {DAMAGED: "xxxx", UNCLEAR: "////"}
# Inches of a cell, and of a character of a label.
_CELL, _CHARACTER = (0.78, 0.34), 0.068


@dataclass(frozen=True)
class Panel:
    """A quantity of a setting.

    Attributes:
        title: Its name.
        unit: What its numbers are.
        number: What the colour of a cell stands for.
        text: The text of a cell.
        ends: The numbers of the lightest and the darkest colour; None is the largest number.
        by_dose: Whether it depends on the dose; if not, a row has one cell.
    """

    title: str
    unit: str
    number: Callable[[Setting], float | None]
    text: Callable[[Setting], str]
    ends: tuple[float, float | None]
    by_dose: bool = True


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _raised(setting: Setting) -> float | None:
    return setting["raised_most"] / setting["checked"] if setting["checked"] else None


def _manipulation(setting: Setting) -> str:
    if not setting["checked"]:
        return ""
    rise = _shown(setting["specific_rise"], "\n{:+.2f}").replace("-", "−")
    return f"{setting['raised_most']} of {setting['checked']}{rise}"


_PANELS = (
    Panel("Manipulation", "own emotion raised most", _raised, _manipulation, (0.0, 1.0)),
    Panel(
        "Damage",
        "perplexity",
        lambda s: s["perplexity_ratio"],
        lambda s: _shown(s["perplexity_ratio"], "× {:.2f}"),
        (1.0, None),
    ),
    Panel(
        "Stability",
        "cosine",
        lambda s: s["split_half"],
        lambda s: _shown(s["split_half"], "{:.2f}"),
        (0.0, 1.0),
        by_dose=False,
    ),
    Panel(
        "Outcome",
        "points, not used",
        lambda s: s["outcome_change"],
        lambda s: _shown(s["outcome_change"] and 100 * s["outcome_change"], "{:.1f}"),
        (0.0, None),
    ),
)


def sweep_map(settings: Sequence[Setting]) -> Figure:
    """Draw a panel for each quantity: a row for each place of the pushes, a column for each dose.

    Args:
        settings: The settings of one model.
    """
    rows = list(dict.fromkeys(map(_place, settings)))
    doses = sorted({setting["intensity"] for setting in settings})
    columns = [len(doses) if panel.by_dose else 1 for panel in _PANELS]
    width = 1.2 + _CHARACTER * max(map(len, rows)) + _CELL[0] * sum(columns)
    height = 0.95 + _CELL[1] * len(rows)
    size = max(6.5, width), height
    figure, axes = frame(1, len(_PANELS), *size, sharey=True, width_ratios=columns)
    for panel, axis in zip(_PANELS, axes, strict=True):
        _draw_panel(axis, panel, settings, rows, doses)
    axes[0].set_yticks(range(len(rows)), rows)
    handles: list[Any] = [
        Patch(facecolor="0.9", edgecolor="0.35", hatch=_HATCHES[kind], linewidth=0, label=label)
        for kind, label in ((DAMAGED, "damages the model"), (UNCLEAR, "not cleared of damage"))
        if any(setting["damage"] == kind for setting in settings)
    ]
    if any(setting["chosen"] for setting in settings):
        handles.append(Patch(**_OUTLINE, label="chosen"))
    title = f"Layers, positions and doses of {settings[0]['model']}"
    return finish(figure, title, _caption(settings), handles)


def _place(setting: Setting) -> str:
    """Return the label of a row."""
    layers = setting["layers"]
    # A set may have gaps.
    is_range = layers == list(range(layers[0], layers[-1] + 1)) and len(layers) > 1
    numbers = f"{layers[0]}–{layers[-1]}" if is_range else ", ".join(map(str, layers))
    name = words(setting["layer_set"])
    where = f"{name} ({numbers})" if name else numbers
    return f"{where} · {setting['position']}"


def _draw_panel(
    axis: Axes, panel: Panel, settings: Sequence[Setting], rows: list[str], doses: list[float]
) -> None:
    numbers = [n for n in map(panel.number, settings) if n is not None]
    low, high = panel.ends
    scale = Normalize(low, high or max([*numbers, low + 0.01]), clip=True)
    axis.set_title(f"{panel.title}\n{panel.unit}")
    axis.tick_params(length=0)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    if panel.by_dose:
        axis.set_xlabel("dose")
    else:
        settings, doses = _of_places(settings), [settings[0]["intensity"]]
    ticks = [f"{dose:g}" if panel.by_dose else "" for dose in doses]
    axis.set_xticks(range(len(doses)), ticks)
    axis.set(xlim=(-0.5, len(doses) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    for setting in settings:
        place = doses.index(setting["intensity"]), rows.index(_place(setting))
        _draw_cell(axis, place, panel, setting, scale)


def _of_places(settings: Sequence[Setting]) -> list[Setting]:
    """Return one setting for each place, which is chosen if any of its doses is."""
    found: dict[Any, Setting] = {}
    for setting in settings:
        one = found.setdefault(_place(setting), {**setting, "intensity": settings[0]["intensity"]})
        one["chosen"] |= setting["chosen"]
    return list(found.values())


def _draw_cell(
    axis: Axes, place: tuple[int, int], panel: Panel, setting: Setting, scale: Normalize
) -> None:
    number, text = panel.number(setting), panel.text(setting)
    middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7.5, "linespacing": 0.95}
    if number is None:
        axis.add_patch(_cell(place, **_MISSING))
        axis.text(*place, "–", color="0.4", **middle)
    else:
        shade = 0.75 * float(scale(number))
        axis.add_patch(_cell(place, facecolor=colormaps["Blues"](shade), edgecolor="white"))
        box = None
        if setting["damage"] != CLEARED and panel.title == "Damage":
            hatch = _HATCHES[setting["damage"]]
            hatched = {"facecolor": "none", "edgecolor": "0.35", "hatch": hatch, "linewidth": 0}
            axis.add_patch(_cell(place, **hatched))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.9}
        ink = "white" if shade > 0.68 and box is None else "black"
        axis.text(*place, text, color=ink, bbox=box, **middle)
    if setting["chosen"]:
        axis.add_patch(_cell(place, **_OUTLINE, zorder=5))


def _cell(place: tuple[int, int], **style: Any) -> Rectangle:
    x, y = place
    return Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, **style)


def _caption(settings: Sequence[Setting]) -> str:
    nulls = [s["null_change"] for s in settings if s["null_change"] is not None]
    text = (
        "Manipulation: pairs of an emotion and a check in which the push raises its own emotion "
        "most; below, how far above the mean of the other emotions, in nats. Damage: perplexity of "
        "neutral texts, relative to no push, of the worst emotion. Stability: cosine between the "
        "directions of two halves of the stimuli, which no dose changes. Outcome: mean size of "
        "emotion minus neutral, in percentage points; it is not used for the choice."
    )
    if nulls:
        ends = " to ".join(f"{100 * end:.1f}" for end in dict.fromkeys((min(nulls), max(nulls))))
        text += f" Null directions, at the one dose that has them, move it by {ends} points."
    return text
