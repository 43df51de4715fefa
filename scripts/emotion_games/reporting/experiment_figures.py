"""The figures of what the model chose in one experiment: rates of the outcome and of each option.

Every function takes the content of stats_analysis.json, computes no estimate, and returns None if
there are no numbers for its figure.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emotion_games.analysis.statistics_records import Rate, Statistics
from emotion_games.experiment.conditions import Arm
from emotion_games.reporting.selection import (
    MARK,
    confidence,
    failed_emotions,
    failure_note,
    histories_of,
    measure_of,
    measure_words,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import (
    BLUE,
    CROSS,
    GREY,
    VERMILLION,
    WRITTEN_LINE,
    error_bar,
    finish,
    frame,
    span,
    words,
)

NULL_ROW = "null directions"
# A new arm needs a row or a marker of its own before its rates can be drawn.
ARMS_SHOWN = (Arm.NEUTRAL, Arm.STEERED, Arm.PROMPTED, Arm.PROMPTED_NEUTRAL)


def choice_rates(stats: Statistics) -> Figure | None:
    """Draw the outcome of every condition at the headline intensity, one panel per history."""
    rates = _headline_rates(stats)
    histories = histories_of(stats, rates)
    if not rates:
        return None
    nulls = select(stats["null_directions"], arm=Arm.RANDOM, measure=measure_of(stats))
    rows = [*_rate_rows(stats), *[NULL_ROW] * bool(nulls)]
    figure, axes = frame(
        1, len(histories), max(6.5, 3.6 + 2.4 * len(histories)), 0.8 + 0.34 * len(rows)
    )
    for axis, history in zip(axes, histories, strict=True):
        heading = words(history) if len(histories) > 1 else ""
        own = select(rates, history=history)
        _rate_panel(axis, rows, own, heading)
        for neutral, record in product(
            select(own, arm=Arm.NEUTRAL), select(nulls, history=history)
        ):
            _null_crosses(axis, rows.index(NULL_ROW), percent(neutral), record["effects"])
        _mark_damage(axis, stats, rows, own)
        axis.set_xlabel(f"{stats['meta']['outcome']}, %")
    _mark_failures(axes[0], stats, rows)
    caption, handles = _rate_caption(stats, rates), _arm_handles(rates)
    if nulls:
        caption += " Each cross is one null direction."
        handles.append(Line2D([], [], **CROSS, color=GREY, label="null direction"))
    if any(effect["damaged"] for effect in stats["emotion_analysis"].values()):
        handles.append(Line2D([], [], **CROSS, color="black", label="damages the model"))
    return finish(figure, f"What the model chose: {title_of(stats)}", caption, handles)


def _null_crosses(axis: Axes, y: int, neutral: float, effects: Mapping[str, float]) -> None:
    """Draw null directions, at four heights in turn so that they can be told apart."""
    values = [neutral + 100 * effect for effect in effects.values()]
    heights = [y + 0.14 * (number % 4 - 1.5) for number in range(len(values))]
    axis.plot(values, heights, **CROSS | {"color": GREY, "markersize": 3.5, "mew": 0.7})


def _mark_damage(axis: Axes, stats: Statistics, rows: list[str], rates: Iterable[Rate]) -> None:
    """Cross out the emotions whose push at the headline intensity damages the model."""
    damaged = {e["emotion"] for e in stats["emotion_analysis"].values() if e["damaged"]}
    for rate in select(rates, arm=Arm.STEERED):
        if rate["emotion"] in damaged:
            place = percent(rate), rows.index(rate["emotion"]) - 0.17
            axis.plot(*place, **CROSS | {"color": "black", "markersize": 9, "zorder": 5})


def choice_shares(stats: Statistics) -> Figure | None:
    """Draw the share of each option at the headline intensity, one row of panels per history.

    A game with two options has no such figure, because its choice rates show the same numbers.
    """
    rates = _headline_rates(stats)
    labels = [choice["label"] for choice in stats["meta"]["choices"]]
    histories = histories_of(stats, rates)
    if len(labels) < 3 or not rates:
        return None
    rows = _rate_rows(stats)
    width, height = 2.2 + 2.1 * len(labels), 0.5 + (0.5 + 0.3 * len(rows)) * len(histories)
    figure, axes = frame(len(histories), len(labels), width, height)
    for place, axis in enumerate(axes):
        history, label = histories[place // len(labels)], labels[place % len(labels)]
        shares = _shares(select(rates, history=history), label)
        heading = words(label) + (f" ({words(history)})" if len(histories) > 1 else "")
        _rate_panel(axis, rows, shares, heading)
        axis.set_xlabel("share of answers, %")
        axis.label_outer()
    for axis in axes[:: len(labels)]:
        _mark_failures(axis, stats, rows)
    title = f"How often each option was chosen: {title_of(stats)}"
    return finish(figure, title, _rate_caption(stats, rates), _arm_handles(rates))


def _headline_rates(stats: Statistics) -> list[Rate]:
    headline, measure = stats["plan"]["headline_intensity"], measure_of(stats)
    rates = []
    for rate in stats["rates"]:
        other_dose = rate["arm"] == Arm.STEERED and rate["intensity"] != headline
        is_estimated = rate["measure"] == measure and rate["estimate"] is not None
        if is_estimated and rate["arm"] in ARMS_SHOWN and not other_dose:
            rates.append(rate)
    return rates


def _shares(rates: Iterable[Rate], label: str) -> list[Rate]:
    """Return the rates with the estimate and interval of one option in place of the outcome's."""
    shares: list[Rate] = []
    for rate in rates:
        for share in select(rate["shares"] or [], choice=label):
            shares.append({**rate, "estimate": share["estimate"], "interval": share["interval"]})
    return shares


def _rate_rows(stats: Statistics) -> list[str]:
    return [Arm.NEUTRAL, *stats["plan"]["emotions"]]


def _rate_panel(axis: Axes, rows: list[str], rates: Iterable[Rate], title: str) -> None:
    for rate in rates:
        value = percent(rate)
        # Steered and prompted share the row of their emotion, one above the other.
        if Arm(rate["arm"]).has_event:
            shift, colour, marker, face = 0.17, VERMILLION, "s", "white"
        else:
            shift, colour, marker, face = -0.17, BLUE, "o", BLUE
        axis.errorbar(
            value,
            rows.index(rate["emotion"]) + shift,
            xerr=error_bar(rate),
            fmt=marker,
            color=colour,
            mfc=face,
            ms=5,
            capsize=2,
            linewidth=1.2,
        )
        if rate["arm"] == Arm.NEUTRAL:
            axis.axvline(value, color="0.3", linewidth=0.8, linestyle="--")
    axis.set(xlim=(-3, 103), ylim=(len(rows) - 0.5, -0.5))
    axis.set_title(textwrap.fill(title, 30))
    axis.set_yticks(range(len(rows)), [words(row) for row in rows])
    axis.label_outer()


def _mark_failures(axis: Axes, stats: Statistics, rows: list[str]) -> None:
    """Mark the emotions that their push at the headline intensity does not induce."""
    failed = failed_emotions(stats, stats["plan"]["headline_intensity"])
    labels = [words(row) + (MARK if row in failed else "") for row in rows]
    axis.set_yticks(range(len(rows)), labels)


def _rate_caption(stats: Statistics, rates: Sequence[Rate]) -> str:
    return (
        f"{measure_words(stats)} at intensity {stats['plan']['headline_intensity']:g}; bars are "
        f"{confidence(stats)} intervals with scenarios as clusters, the dashed line is neutral. "
        f"n = {span([r['n_scenarios'] for r in rates])} scenarios, "
        f"{span([r['n_trials'] for r in rates])} trials per condition."
        f"{failure_note(stats, stats['plan']['headline_intensity'])}"
    )


def _arm_handles(rates: Iterable[Rate]) -> list[Artist]:
    arms = {rate["arm"] for rate in rates}
    handles: list[Artist] = [
        Line2D([], [], **WRITTEN_LINE, label="steered (row neutral: unsteered)")
    ]
    if arms & {Arm.PROMPTED, Arm.PROMPTED_NEUTRAL}:
        label = "event in the prompt"
        handles.append(Line2D([], [], color=VERMILLION, marker="s", mfc="white", label=label))
    return handles
