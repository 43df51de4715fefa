"""The power of an experiment as data and as lines of text: for the dry run and the plan file."""

from functools import lru_cache
from math import inf, sqrt
from typing import Any, NamedTuple

from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, SCORED
from emotion_games.experiment.power import (
    ENDLESS,
    MEASURED,
    MEASURED_DAMAGED,
    MEASURED_ON,
    POWER,
    Design,
    Variation,
    claim_power,
    moved_power,
    not_testable,
    smallest_claimable,
    smallest_moving,
    stories_for,
)
from emotion_games.experiment.spec import Plan

# The effects whose power is shown, in units of the outcome.
EFFECTS = (0.05, 0.10, 0.20)
# The rate of a written choice at which its variance is largest.
RATE = 0.5


class Known(NamedTuple):
    """What is known of the effects of a model before an experiment.

    Attributes:
        variation: How far effects vary.
        damaged: The share of null directions that damage the model.
        source: Where both were measured.
    """

    variation: Variation
    damaged: float
    source: str


def planned_power(
    plan: Plan, scenarios: int, orders: int, known: Known | None = None
) -> dict[str, Any]:
    """Return the power of a plan as plain data; see `statistics_records.PowerFigures`.

    Args:
        plan: The analysis plan.
        scenarios: The number of stories, which may be smaller than planned.
        orders: The number of option orders of a story.
        known: What earlier experiments show, if there are any.
    """
    known = known or assumed(plan, orders)
    return expected_figures(expected_design(plan, scenarios, known), known)


def expected_figures(design: Design, known: Known) -> dict[str, Any]:
    """Return the power of a planned experiment and its assumptions as plain data."""
    return power_figures(design, known.variation) | {
        "damaged": known.damaged,
        "source": known.source,
    }


def assumed(plan: Plan, orders: int) -> Known:
    """Return what is known of a small real model; see `planned_power`."""
    variation = MEASURED
    # That was measured in choice probabilities. Written choices, and rationales, add noise.
    if plan["claim"]["measure"] != SCORED:
        answers = orders * plan["planned"]["repeat"] * len(plan["histories"])
        variation = _with_answers(variation, answers)
    return Known(variation, MEASURED_DAMAGED, MEASURED_ON)


def expected_design(plan: Plan, scenarios: int, known: Known) -> Design:
    """Return the size of a planned experiment without the null directions that will be damaged.

    Args:
        plan: The analysis plan.
        scenarios: The number of stories.
        known: What is known of the model.
    """
    return design_of(plan, scenarios, int(plan["planned"]["null_directions"] * (1 - known.damaged)))


def design_of(plan: Plan, scenarios: int, null_directions: int) -> Design:
    """Return the size of an experiment with so many undamaged null directions."""
    return Design(scenarios, null_directions, len(plan["emotions"]), alpha=1 - plan["confidence"])


@lru_cache(maxsize=64)
def power_figures(design: Design, variation: Variation) -> dict[str, Any]:
    """Return the power of an experiment as plain data; see `statistics_records.PowerFigures`."""
    reason, several = not_testable(design), max(1, design.n_emotions // 2)
    effects = [
        {
            "effect": effect,
            "moved": moved_power(effect, design, variation),
            "claimed": claim_power(effect, design, variation),
        }
        for effect in EFFECTS
    ]
    together, endless = design._replace(n_real=several), design._replace(n_stories=ENDLESS)
    # What would have to change so that the smallest of these effects is claimed.
    least = None if reason else stories_for(EFFECTS[0], design, variation)
    floor = None if reason or least else _known(smallest_claimable(endless, variation))
    return {
        "n_scenarios": design.n_stories,
        "n_null_directions": design.n_nulls,
        "n_emotions": design.n_emotions,
        "sds": variation._asdict(),
        "effects": effects,
        "smallest_moved": _known(smallest_moving(design, variation)),
        "smallest_claimed": _known(smallest_claimable(design, variation)),
        "n_together": several,
        "smallest_claimed_together": _known(smallest_claimable(together, variation)),
        "scenarios_needed": least,
        "smallest_with_endless_scenarios": floor,
        "not_testable": reason,
    }


def power_lines(figures: dict[str, Any]) -> list[str]:
    """Return what `planned_power` found as lines of text, in points of the outcome."""
    sds, source, reason = figures["sds"], figures["source"], figures["not_testable"]
    lines = [reason] if reason else [_claimed_line(figures), _lever(figures)]
    assumed = (
        f"assumed: sds of {_points(sds['effects'])} points between stories and "
        f"{_points(sds['directions'])} points between null directions"
    )
    # Plans of earlier versions expected no damage.
    if (damaged := figures.get("damaged")) is not None:
        assumed += f", {100 * damaged:.0f} % of null directions damaged"
    return [*lines, _moved_line(figures), f"{assumed} (source: {source})"]


def _claimed_line(figures: dict[str, Any]) -> str:
    text = f"power to claim {_power_of(figures, 'claimed')}"
    together, number = figures["smallest_claimed_together"], figures["n_together"]
    if together is not None and number > 1:
        text += f" ({_points(together)} if {number} of {figures['n_emotions']} emotions have it)"
    return text


def _moved_line(figures: dict[str, Any]) -> str:
    if figures["n_scenarios"] < MINIMUM_SCENARIOS:
        return f"no effect is tested with fewer than {MINIMUM_SCENARIOS} stories"
    return f"power to find choices moved by {_power_of(figures, 'moved')}"


def _power_of(figures: dict[str, Any], kind: str) -> str:
    effects = " / ".join(_points(row["effect"]) for row in figures["effects"])
    powers = " / ".join(f"{row[kind]:.2f}" for row in figures["effects"])
    smallest = figures[f"smallest_{kind}"]
    least = "none" if smallest is None else f"{_points(smallest)} points"
    return f"{effects} points: {powers}; smallest effect with power {POWER:.2f}: {least}"


def _lever(figures: dict[str, Any]) -> str:
    """Return what would have to change so that the smallest of the shown effects is claimed."""
    target, needed = f"to claim {_points(EFFECTS[0])} points:", figures["scenarios_needed"]
    if needed is None:
        floor, own = figures["smallest_with_endless_scenarios"], figures["sds"]["directions"]
        least = "nothing can be claimed" if floor is None else f"{_points(floor)} points at best"
        return (
            f"{target} more stories are not enough ({least}), because null directions themselves "
            f"move choices by {_points(own)} points"
        )
    if needed <= figures["n_scenarios"]:
        return f"{target} nothing has to change"
    return f"{target} about {needed:,} stories are needed"


def _with_answers(variation: Variation, answers: int) -> Variation:
    """Add the noise of drawn answers, `answers` for each story and condition, to a variation."""
    noise = RATE * (1 - RATE) / answers
    # Each direction has its own answers, and all are compared with the same ones of neutral.
    effects, null_effects = (
        sqrt(sd**2 + 2 * noise) for sd in (variation.effects, variation.null_effects)
    )
    shared = sqrt(variation.shared**2 + noise)
    return Variation(effects, null_effects, shared, variation.directions)


def _points(number: float) -> str:
    """Return a share in points, with a decimal below ten unless it is a whole number."""
    points = round(100 * number, 1)
    return f"{points:.1f}" if points < 10 and points % 1 else f"{points:.0f}"


def _known(number: float) -> float | None:
    return None if number == inf else number
