"""The figures of one experiment, each made from the content of its stats_analysis.json.

Knows what stands in which table of statistics and what a reader wants to see of it; computes no estimate. A figure for
which there are no numbers is None.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emotion_games.reporting.style import BLUE, GREY, VERMILLION, finish, frame, reach, span, words

Stats = Mapping[str, Any]
Record = Mapping[str, Any]
BAND = {"facecolor": "0.88", "edgecolor": "0.5", "hatch": "////", "linewidth": 0.6}
WRITTEN = {"color": BLUE, "marker": "o"}
SCORED = {"color": VERMILLION, "marker": "s", "linestyle": "--", "markerfacecolor": "white"}


def choice_rates(stats: Stats) -> Figure | None:
    """Outcome of every condition at the headline intensity, one panel a history."""
    rates, meta = _headline_rates(stats), stats["meta"]
    histories = histories_of(stats, rates)
    if not rates:
        return None
    rows = _rate_rows(stats, rates)
    figure, axes = frame(1, len(histories), 3.6 + 2.4 * len(histories), 0.8 + 0.34 * len(rows))
    for axis, history in zip(axes, histories, strict=True):
        heading = words(history) if len(histories) > 1 else ""
        _rate_panel(axis, rows, [r for r in rates if r["history"] == history], heading)
        axis.set_xlabel(f"{meta['outcome']}, %")
    text = f"{_rate_caption(stats, rates)} Each cross is one random direction."
    return finish(figure, f"What the model chose: {title_of(stats)}", text, _arm_handles(rates))


def choice_shares(stats: Stats) -> Figure | None:
    """Share of each choice at the headline intensity, for games with three and more choices; histories are rows."""
    rates = _headline_rates(stats)
    labels = [choice["label"] for choice in stats["meta"]["choices"]]
    histories = histories_of(stats, rates)
    if len(labels) < 3 or not rates:
        return None
    rows = _rate_rows(stats, rates)
    size = (2.2 + 2.1 * len(labels), 0.5 + (0.5 + 0.3 * len(rows)) * len(histories))
    figure, axes = frame(len(histories), len(labels), *size)
    for place, axis in enumerate(axes):
        history, label = histories[place // len(labels)], labels[place % len(labels)]
        here = [rate for rate in rates if rate["history"] == history]
        shares = [
            {**rate, **share}
            for rate in here
            for share in rate["shares"] or ()
            if share["choice"] == label
        ]
        _rate_panel(
            axis,
            rows,
            shares,
            words(label) + (f" ({words(history)})" if len(histories) > 1 else ""),
        )
        axis.set_xlabel("share of answers, %")
        axis.label_outer()
    title = f"How often each option was chosen: {title_of(stats)}"
    return finish(figure, title, _rate_caption(stats, rates), _arm_handles(rates))


def _headline_rates(stats: Stats) -> list[dict[str, Any]]:
    headline, measure = stats["plan"]["headline_intensity"], measure_of(stats)
    return [
        rate
        for rate in stats["rates"]
        if rate["measure"] == measure and rate["estimate"] is not None and rate["arm"] != "shuffled"
        if rate["arm"] != "steered" or rate["intensity"] == headline
    ]


def _rate_rows(stats: Stats, rates: Iterable[Record]) -> list[str]:
    random = any(rate["arm"] == "random" for rate in rates)
    return ["neutral", *stats["plan"]["emotions"], *(["random directions"] if random else [])]


def _rate_panel(axis: Axes, rows: list[str], rates: Iterable[Record], title: str) -> None:
    for rate in rates:
        value, prompted = 100 * rate["estimate"], rate["arm"].startswith("prompted")
        if rate["arm"] == "random":
            axis.plot(value, rows.index("random directions"), "x", color=GREY, markersize=5)
            continue
        place = rows.index(rate["emotion"]) + (0.17 if prompted else -0.17)
        colour, marker = (VERMILLION, "s") if prompted else (BLUE, "o")
        face = "white" if prompted else colour
        axis.errorbar(
            value,
            place,
            xerr=reach(rate),
            fmt=marker,
            color=colour,
            mfc=face,
            ms=5,
            capsize=2,
            linewidth=1.2,
        )
        if rate["arm"] == "neutral":
            axis.axvline(value, color="0.3", linewidth=0.8, linestyle="--")
    axis.set(xlim=(-3, 103), ylim=(len(rows) - 0.5, -0.5))
    axis.set_title(textwrap.fill(title, 30))
    axis.set_yticks(range(len(rows)), [words(row) for row in rows])
    axis.label_outer()


def _rate_caption(stats: Stats, rates: Sequence[Record]) -> str:
    return (
        f"{measure_words(stats)} at intensity {stats['plan']['headline_intensity']:g}; bars are {confidence(stats)} "
        "intervals with scenarios as clusters, the dashed line is neutral. "
        f"n = {span([r['n_scenarios'] for r in rates])} scenarios, "
        f"{span([r['n_trials'] for r in rates])} trials a condition."
    )


def _arm_handles(rates: Iterable[Record]) -> list[Line2D]:
    arms = {rate["arm"] for rate in rates}
    handles = [Line2D([], [], color=BLUE, marker="o", label="steered (row neutral: unsteered)")]
    if arms & {"prompted", "prompted_neutral"}:
        handles.append(
            Line2D([], [], color=VERMILLION, marker="s", mfc="white", label="told in the prompt")
        )
    if "random" in arms:
        handles.append(
            Line2D([], [], color=GREY, marker="x", linestyle="", label="random direction")
        )
    return handles


def dose_response(stats: Stats) -> Figure | None:
    """Difference from neutral over the intensity, one panel an emotion; with several histories, histories are rows."""
    records = [
        r for r in stats["dose_response"] if any(d["estimate"] is not None for d in r["doses"])
    ]
    emotions = [e for e in stats["plan"]["emotions"] if any(r["emotion"] == e for r in records)]
    histories = histories_of(stats, records)
    if not records:
        return None
    columns = len(emotions) if len(histories) > 1 else min(3, len(emotions))
    panels = [(history, emotion) for history in histories for emotion in emotions]
    lines = math.ceil(len(panels) / columns)
    figure, axes = frame(
        lines, columns, max(6.5, 1.0 + 1.9 * columns), 0.5 + 1.9 * lines, sharex=True, sharey=True
    )
    for axis in axes[len(panels) :]:
        axis.remove()
    for place, (history, emotion) in enumerate(panels):
        _dose_panel(
            axes[place], [r for r in records if (r["history"], r["emotion"]) == (history, emotion)]
        )
        axes[place].set_title(
            words(emotion) + (f"\n({words(history)})" if len(histories) > 1 else "")
        )
        if place % columns == 0:
            axes[place].set_ylabel("points from neutral")
        if place + columns >= len(panels):
            axes[place].set_xlabel("intensity")
            axes[place].tick_params(labelbottom=True)
    doses = [dose for record in records for dose in record["doses"] if dose["estimate"] is not None]
    ends = [100 * end for dose in doses for end in dose["interval"] or [dose["estimate"]]]
    axes[0].set_ylim(max(-105, 1.15 * min(-10, *ends)), min(105, 1.15 * max(10, *ends)))
    title = f"Dose and response: {title_of(stats)}"
    return finish(figure, title, _dose_caption(stats, records), _dose_handles(records))


def _dose_panel(axis: Axes, records: Iterable[Record]) -> None:
    axis.axhline(0, color="0.3", linewidth=0.8)
    by_measure = {record["measure"]: record for record in records}
    band = (by_measure.get("scored") or by_measure.get("chosen") or {}).get("random_band")
    if band:
        sides = [band["intensity"] - 0.13, band["intensity"] + 0.13]
        axis.fill_between(sides, 100 * band["low"], 100 * band["high"], **BAND)
    for measure, shift, style in (("chosen", -0.02, WRITTEN), ("scored", 0.02, SCORED)):
        doses = [
            d for d in by_measure.get(measure, {}).get("doses", ()) if d["estimate"] is not None
        ]
        if not doses:
            continue
        places, values = [0.0], [0.0]
        for dose in doses:
            places.append(dose["intensity"] + shift)
            values.append(100 * dose["estimate"])
            axis.errorbar(
                places[-1],
                values[-1],
                reach(dose),
                fmt="none",
                color=style["color"],
                capsize=2,
                linewidth=1,
            )
            if dose["damaged"]:
                axis.plot(places[-1], values[-1], "x", color="black", markersize=9, zorder=5)
        order = sorted(range(len(places)), key=places.__getitem__)
        axis.plot([places[i] for i in order], [values[i] for i in order], ms=4, **style)


def _dose_caption(stats: Stats, records: Sequence[Record]) -> str:
    banded = [r for r in records if r["random_band"]]
    bands = [r["random_band"]["n_directions"] for r in banded if r["measure"] == "scored"]
    bands = bands or [r["random_band"]["n_directions"] for r in banded]
    n = span([d["n_scenarios"] for r in records for d in r["doses"] if d["n_scenarios"]])
    text = (
        f"Change of {stats['meta']['outcome']} in percentage points, steered less neutral. Intensity 1 is the distance "
        f"between emotional and neutral texts inside the model. Bars are {confidence(stats)} intervals over scenarios. "
    )
    if bands:
        text += f"Hatched: where one more random direction would fall, judged from {span(bands)} of them. "
    return f"{text}n = {n} scenarios."


def _dose_handles(records: Sequence[Record]) -> list[Any]:
    found = {record["measure"] for record in records}
    handles: list[Any] = []
    if "chosen" in found:
        handles.append(Line2D([], [], **WRITTEN, label="written choices"))
    if "scored" in found:
        handles.append(Line2D([], [], **SCORED, label="choice probabilities"))
    if any(record["random_band"] for record in records):
        handles.append(Patch(**BAND, label="random directions"))
    if any(dose["damaged"] for record in records for dose in record["doses"]):
        handles.append(
            Line2D(
                [],
                [],
                color="black",
                marker="x",
                linestyle="",
                markersize=8,
                label="damages the model",
            )
        )
    return handles


def measure_of(stats: Stats) -> str:
    """The measure that is drawn: what was written, or the choice probabilities where no answer could be read."""
    return "chosen" if stats["meta"]["n_parsed"] else "scored"


def measure_words(stats: Stats) -> str:
    """What that measure is, for a caption."""
    return "Written choices" if measure_of(stats) == "chosen" else "Choice probabilities"


def histories_of(stats: Stats, records: Sequence[Record]) -> list[str]:
    """The histories that the records have, in the game's order."""
    return [h for h in stats["meta"]["histories"] if any(r["history"] == h for r in records)]


def title_of(stats: Stats) -> str:
    """Game and model, for a title."""
    interim = " (INTERIM)" if stats["meta"]["interim"] else ""
    return f"{words(stats['meta']['game'])}, {stats['meta']['model']}{interim}"


def confidence(stats: Stats) -> str:
    """The level of the intervals, `95 %`."""
    return f"{100 * stats['meta']['confidence']:g} %"
