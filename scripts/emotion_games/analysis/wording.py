"""The words for numbers in sentences."""

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import Estimate
from emotion_games.experiment.analysis_plan import MEAN, Plan


def measured(measure: str, plan: Plan) -> str:
    """Return what is measured, for example `cooperation in the written choices`."""
    return MEASURES[measure].of(plan["outcome"])


def points(value: float | None) -> str:
    """Return a difference on the 0 to 1 scale as signed percentage points."""
    return "an unknown number of points" if value is None else f"{100 * value:+.1f} points"


def at(history: str, plan: Plan) -> str:
    """Return ` at history low`, or nothing if a game has only one history."""
    if history == MEAN:
        return ", mean over histories"
    return f" at history {history}" if len(plan["histories"]) > 1 else ""


def interval(versus: Estimate, plan: Plan) -> str:
    """Return `95 % interval -7.2 to +3.1`."""
    if versus["interval"] is None:
        return "no interval"
    low, high = versus["interval"]
    return f"{100 * plan['confidence']:g} % interval {100 * low:+.1f} to {100 * high:+.1f}"


def percent(share: Estimate) -> str:
    """Return a share with its interval: `61.2 % (50.1 to 71.0 %)`."""
    if share["estimate"] is None:
        return "an unknown share"
    text = f"{100 * share['estimate']:.1f} %"
    if share["interval"] is None:
        return text
    low, high = share["interval"]
    return f"{text} ({100 * low:.1f} to {100 * high:.1f} %)"
