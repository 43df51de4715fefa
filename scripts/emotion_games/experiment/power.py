"""How small an effect an experiment of a given size can show, computed before it is run."""

from functools import lru_cache
from math import inf, sqrt
from typing import Any

from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, SCORED
from emotion_games.experiment.spec import Plan

# How far an emotion's true effect varies between scenarios (sd), and how far a null direction
# pushes (sd over directions, freed of the scenarios' noise). Measured with SmolLM2-135M-Instruct at
# the default dose: six emotions and 20 null directions in 12 stories of the prisoner's dilemma,
# choice probabilities averaged over both option orders. The sd over stories was .09 to .20, with a
# median of .12; that of the means of the null directions was .039, of which the stories explain
# .033. Results contain the values of their own model.
SD_OF_EFFECTS = 0.12
SD_OF_RANDOM_DIRECTIONS = 0.02
POWER = 0.8
# The rate of a choice at which its variance is largest.
RATE = 0.5


def smallest_detectable_difference(
    n_scenarios: int,
    trials_per_scenario: int,
    confidence: float = 0.95,
    tests: int = 1,
    rate: float = RATE,
) -> float:
    """Return the smallest mean paired difference that a two-sided t test finds with 80 % power.

    The test is over scenarios. The sd of a scenario's difference is made of the true variation of
    the effect and the noise of independent answers in each of the two conditions.

    Args:
        n_scenarios: The number of scenarios.
        trials_per_scenario: The number of answers per scenario in each condition.
        confidence: 1 minus the level of the test.
        tests: The number of tests; above 1, Bonferroni's level, which is that of the hardest step
            of Holm's correction.
        rate: The rate of the answers.

    Returns:
        The difference, or infinity below the smallest number of scenarios that is tested.
    """
    sd = sqrt(SD_OF_EFFECTS**2 + 2 * rate * (1 - rate) / trials_per_scenario)
    return detectable_with_sd(sd, n_scenarios, confidence, tests)


def detectable_with_sd(
    sd: float, n_scenarios: int, confidence: float = 0.95, tests: int = 1
) -> float:
    """Return the same for a known sd of the scenarios' differences."""
    if n_scenarios < MINIMUM_SCENARIOS:
        return inf
    return _detectable_shift(n_scenarios - 1, (1 - confidence) / tests) * sd / sqrt(n_scenarios)


def smallest_detectable_from_random(k: int, confidence: float = 0.95, tests: int = 1) -> float:
    """Return the smallest distance from the mean of k random directions that has 80 % power.

    More scenarios do not lower it, because the direction is the random factor.
    """
    if k < 2:
        return inf
    shift = _detectable_shift(k - 1, (1 - confidence) / tests)
    return shift * SD_OF_RANDOM_DIRECTIONS * sqrt(1 + 1 / k)


def planned_power(plan: Plan, orders: int) -> dict[str, Any]:
    """Return the smallest detectable differences of a plan, with what they assume.

    They are in units of the outcome (0 to 1); infinite ones cannot be tested. Those that depend on
    all scenarios of a file are None.

    Args:
        plan: The analysis plan.
        orders: The number of option orders of a scenario.
    """
    planned, confidence = plan["planned"], plan["confidence"]
    n, directions = planned["scenarios"], planned["random_directions"]
    tests = len(plan["emotions"]) * len(plan["histories"])
    trials = orders * planned["repeat"]
    # Choice probabilities are free of the noise of drawn choices.
    is_scored = plan["claim"]["requires"][0]["measure"] == SCORED

    def difference(tests: int) -> float | None:
        if not n:
            return None
        if is_scored:
            return detectable_with_sd(SD_OF_EFFECTS, n, confidence, tests)
        return smallest_detectable_difference(n, trials, confidence, tests)

    return {
        "smallest_detectable_difference": difference(1),
        "with_holm": difference(tests),
        "from_random": smallest_detectable_from_random(directions, confidence),
        "from_random_with_holm": smallest_detectable_from_random(directions, confidence, tests),
        "assumptions": {
            "power": POWER,
            "n_scenarios": n,
            "trials_per_scenario": trials,
            "tests": tests,
            "sd_of_effects": SD_OF_EFFECTS,
            "rate": None if is_scored else RATE,
            "random_directions": directions,
            "sd_of_random_directions": SD_OF_RANDOM_DIRECTIONS,
        },
        "unit": f"difference in expected {plan['outcome']}, 0 to 1",
        "method": "noncentral t, two-sided",
    }


@lru_cache
def _detectable_shift(df: int, alpha: float) -> float:
    """The noncentrality at which a two-sided t test has 80 % power."""
    # The Snakefile imports this module, and SciPy takes a second to load.
    from scipy.optimize import brentq
    from scipy.special import ncfdtr, stdtrit

    critical = -float(stdtrit(df, alpha / 2))

    def lacking(shift: float) -> float:
        # A squared noncentral t is a noncentral F. SciPy's noncentral t, `nctdtr`, is NaN in its
        # far lower tail.
        return float(ncfdtr(1, df, shift**2, critical**2)) - (1 - POWER)

    return brentq(lacking, 0.0, 3.0 + 1.5 * critical)
