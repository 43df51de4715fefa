"""How small an effect an experiment of a given size can show, before it is run.

Knows Student's t, central and noncentral, by numerical integration; imports the standard library only, so that a dry
run stays quick. Says nothing about results.
"""

from functools import lru_cache
from math import erf, exp, lgamma, log, sqrt
from typing import Any

from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS

# How far an emotion's true effect varies between scenarios (sd), and how far a random direction pushes (sd over
# directions). Both are guesses on the safe side for planning; the results show the values found.
SD_OF_EFFECTS = 0.15
SD_OF_RANDOM_DIRECTIONS = 0.08
POWER = 0.8
_STEPS = 160


def smallest_detectable_difference(
    n_scenarios: int,
    trials_per_scenario: int,
    confidence: float = 0.95,
    tests: int = 1,
    sd_of_effects: float = SD_OF_EFFECTS,
    rate: float = 0.5,
) -> float:
    """Smallest mean paired difference that a two-sided t test over scenarios finds with 80 % power.

    The sd of a scenario's difference is sqrt(sd_of_effects**2 + 2 * rate * (1 - rate) / trials_per_scenario): true
    variation of the effect and the noise of so many independent answers in each condition. `tests` > 1 asks for
    Bonferroni's level, the hardest step of Holm's correction. Infinite under 12 scenarios, where nothing is tested.
    """
    sd = sqrt(sd_of_effects**2 + 2 * rate * (1 - rate) / trials_per_scenario)
    return detectable_with_sd(sd, n_scenarios, confidence, tests)


def detectable_with_sd(
    sd: float, n_scenarios: int, confidence: float = 0.95, tests: int = 1
) -> float:
    """The same for a known sd of the scenarios' differences."""
    if n_scenarios < MINIMUM_SCENARIOS:
        return float("inf")
    return _detectable_shift(n_scenarios - 1, (1 - confidence) / tests) * sd / sqrt(n_scenarios)


def smallest_detectable_from_random(
    k: int,
    confidence: float = 0.95,
    tests: int = 1,
    sd_of_directions: float = SD_OF_RANDOM_DIRECTIONS,
) -> float:
    """Smallest distance from the random directions' mean that k of them can show with 80 % power; unit: the outcome's.

    More scenarios do not lower it below this: the direction is the random factor."""
    if k < 2:
        return float("inf")
    return _detectable_shift(k - 1, (1 - confidence) / tests) * sd_of_directions * sqrt(1 + 1 / k)


def planned_power(plan: dict[str, Any], orders: int) -> dict[str, Any]:
    """The smallest detectable differences of a plan, in units of the outcome (0 to 1), with what they assume."""
    planned = plan["planned"]
    tests = len(plan["emotions"]) * len(plan["histories"])
    trials = orders * planned["repeat"]
    n = planned["scenarios"]
    directions = planned["random_directions"]
    return {
        "smallest_detectable_difference": smallest_detectable_difference(
            n, trials, plan["confidence"]
        )
        if n
        else None,
        "with_holm": smallest_detectable_difference(n, trials, plan["confidence"], tests)
        if n
        else None,
        "from_random": smallest_detectable_from_random(directions, plan["confidence"]),
        "from_random_with_holm": smallest_detectable_from_random(
            directions, plan["confidence"], tests
        ),
        "assumptions": {
            "power": POWER,
            "n_scenarios": n,
            "trials_per_scenario": trials,
            "tests": tests,
            "sd_of_effects": SD_OF_EFFECTS,
            "rate": 0.5,
            "random_directions": directions,
            "sd_of_random_directions": SD_OF_RANDOM_DIRECTIONS,
        },
        "unit": f"difference in expected {plan['outcome']}, 0 to 1",
        "method": "noncentral t, two-sided",
    }


@lru_cache
def _detectable_shift(df: int, alpha: float) -> float:
    critical = _critical(df, alpha)
    return _root(lambda shift: _beyond(critical, shift, df) - POWER, 0.0, critical + 10.0)


@lru_cache
def _critical(df: int, alpha: float) -> float:
    return _root(lambda t: alpha - _beyond(t, 0.0, df), 0.0, 2 / alpha)


def _beyond(critical: float, shift: float, df: int) -> float:
    """P(|T| > critical), T = (Z + shift) / U, by Simpson's rule over U = sqrt(chi-squared / df)."""
    spread = 12 / sqrt(2 * df)
    low, high = max(1e-9, 1 - spread), 1 + spread
    width = (high - low) / _STEPS
    constant = log(2) + df / 2 * log(df / 2) - lgamma(df / 2)
    total = 0.0
    for i in range(_STEPS + 1):
        u = low + i * width
        density = exp(constant + (df - 1) * log(u) - df * u * u / 2)
        tails = _normal(shift - critical * u) + _normal(-shift - critical * u)
        total += density * tails * (1 if i in (0, _STEPS) else 4 if i % 2 else 2)
    return total * width / 3


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def _root(rising: Any, low: float, high: float) -> float:
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
