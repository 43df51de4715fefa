"""The figures of single stories, and of written choices beside choice probabilities.

Every function takes the content of stats_analysis.json, computes no estimate, and returns None if
there are no numbers for its figure.
"""

import hashlib

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import first
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.experiment.analysis_plan import CHOSEN, EMOTION_MINUS_NEUTRAL, SCORED
from emotion_games.reporting.selection import (
    MARK,
    confidence,
    estimated,
    failed_emotions,
    failure_note,
    measure_words,
    percent,
    select,
    title_of,
)
from emotion_games.reporting.style import (
    BLUE,
    CROSS,
    VERMILLION,
    error_bar,
    finish,
    frame,
    look,
    span,
    words,
)


def story_spread(stats: Statistics) -> Figure | None:
    """Draw the effect of each emotion in each story, with the mean and its interval."""
    effects = [effect for effect in stats["emotion_analysis"].values() if effect["scenarios"]]
    if not effects:
        return None
    figure, (axis,) = frame(1, 1, 6.5, 0.5 + 0.42 * len(effects))
    for y, effect in enumerate(effects):
        heights = [y + 0.3 * _shift(name) for name in effect["scenarios"]]
        values = [100 * value for value in effect["scenarios"].values()]
        axis.plot(values, heights, "o", ms=3.5, mfc="none", mec="0.4", mew=0.8)
        mean = effect["versus_neutral"]
        colour = VERMILLION if effect["damaged"] else BLUE
        marker = "X" if effect["damaged"] else "D"
        axis.errorbar(
            percent(mean),
            y,
            xerr=error_bar(mean),
            fmt=marker,
            ms=6,
            color=colour,
            lw=2.2,
            mec="black",
            zorder=4,
        )
    failed = failed_emotions(stats, stats["plan"]["headline_intensity"])
    names = [words(e["emotion"]) + (MARK if e["emotion"] in failed else "") for e in effects]
    axis.set_yticks(range(len(names)), names)
    axis.axvline(0, color="0.3", linewidth=0.8)
    axis.set(ylim=(len(effects) - 0.5, -0.5))
    axis.set_xlabel(f"change of {stats['meta']['outcome']}, percentage points")
    n = span([len(effect["scenarios"]) for effect in effects])
    caption = (
        f"{measure_words(stats)}, emotion minus neutral at intensity "
        f"{stats['plan']['headline_intensity']:g}, mean over histories. Each ring is one of {n} "
        f"stories; the height within a row has no meaning. Bars are {confidence(stats)} intervals "
        "of the mean."
    )
    caption += failure_note(stats, stats["plan"]["headline_intensity"])
    handles: list[Artist] = [
        Line2D([], [], marker="o", mfc="none", mec="0.4", ls="", ms=4, label="one story"),
        Line2D([], [], marker="D", color=BLUE, mec="black", lw=2.2, label="mean"),
    ]
    if any(effect["damaged"] for effect in effects):
        label = "mean, the push damages the model"
        handles.append(Line2D([], [], marker="X", color=VERMILLION, mec="black", label=label))
    return finish(figure, f"The effect in each story: {title_of(stats)}", caption, handles)


def written_against_scored(stats: Statistics) -> Figure | None:
    """Draw effects on written choices against those on choice probabilities, at all intensities."""
    found = select(stats["contrasts"], contrast=EMOTION_MINUS_NEUTRAL, measure=SCORED)
    pairs = []
    for scored in estimated(found):
        same = {key: scored[key] for key in ("contrast", "emotion", "intensity", "history")}
        written = first(stats["contrasts"], measure=CHOSEN, **same)
        if written and written["estimate"] is not None:
            pairs.append((scored, written))
    # The mean over histories, or the only history.
    history = pairs[0][0]["history"] if pairs else ""
    pairs = [pair for pair in pairs if pair[0]["history"] == history]
    if not pairs:
        return None
    emotions = list(dict.fromkeys(scored["emotion"] for scored, _ in pairs))
    figure, (axis,) = frame(1, 1, 4.4, 3.9)
    reach = 5.0
    for scored, written in pairs:
        x, y, headline = percent(scored), percent(written), stats["plan"]["headline_intensity"]
        style = look(emotions.index(scored["emotion"])) | {"linestyle": ""}
        size = 6.5 if scored["intensity"] == headline else 4
        bars = error_bar(written), error_bar(scored)
        axis.errorbar(x, y, *bars, fmt="none", ecolor="0.7", lw=0.8, zorder=1)
        axis.plot(x, y, **style, ms=size, zorder=3)
        if scored["damaged"]:
            axis.plot(x, y, **CROSS, color="black", ms=10, zorder=4)
        reach = max(
            reach, *(abs(100 * end) for r in (scored, written) for end in r["interval"] or ())
        )
    reach = min(105, 1.05 * reach)
    axis.plot([-reach, reach], [-reach, reach], color="0.3", lw=0.8, ls="--", zorder=0)
    axis.axhline(0, color="0.3", lw=0.8)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axis.set_xlabel(f"{MEASURES[SCORED].label}, points from neutral")
    axis.set_ylabel(f"{MEASURES[CHOSEN].label}, points from neutral")
    caption = (
        f"Effect on {stats['meta']['outcome']} by both measures, at every intensity; large markers "
        f"are the headline intensity, bars {confidence(stats)} intervals. On the dashed line the "
        "measures agree."
    )
    handles: list[Artist] = [
        Line2D([], [], **(look(n) | {"linestyle": ""}), label=words(emotion))
        for n, emotion in enumerate(emotions)
    ]
    if any(scored["damaged"] for scored, _ in pairs):
        handles.append(Line2D([], [], **CROSS, color="black", ms=8, label="damages the model"))
    return finish(figure, f"Written and scored: {title_of(stats)}", caption, handles)


def _shift(name: str) -> float:
    """Return a number from -1 to 1 that depends on the name of a story only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") / 32767.5 - 1
