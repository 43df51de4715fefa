"""The verdict on the instrument: measurements of demo models against limits, one result per check.

A planted model must show the planted effects, and a flat model must show none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom

from emotion_games.analysis.inference import against_random
from emotion_games.demo.correlations import (
    NULL_DRAWS,
    absolute_correlations,
    correlation,
    draw_rows,
    random_limit,
    slope,
)
from emotion_games.demo.measured import Measured
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.experiment.conditions import Arm

Limits = tuple[float | None, float | None]  # the least and the most allowed, None if unlimited

# A perfect table in which one emotion points the wrong way has a correlation of .86 or less
# (except surprise, which has small planted effects). An error of .1 per cell, more than scored
# probabilities have, leaves it above .9.
CORRELATION: Limits = (0.9, None)
# The slope of the planted table itself is .56 at half the dose and 1.28 at one and a half times.
SLOPE: Limits = (0.6, 1.25)
# A cell has about a hundred written answers, each 0 or 1. Their sampling error of about .1 lowers
# the correlation of a perfect model to .93 and moves its slope by .05 in either direction.
WRITTEN_CORRELATION: Limits = (0.75, None)
WRITTEN_SLOPE: Limits = (0.5, 1.4)
# No direction is required of smaller planted shifts, because any push moves a model a little.
PLAIN_SHIFT = 0.1
# A dose curve may fall by a rounding error, and must rise by half of the smallest plain shift.
STEP_BACK, LEAST_RISE = 0.01, 0.05
# A seventh of the planted size: chance can produce such a slope, but it is no relevant effect.
FLAT_SLOPE: Limits = (-0.15, 0.15)
# The significance level of the tests whose error rate is checked.
ERROR_RATE = 0.05
# A check that depends on chance alone may fail on a correct installation once in a hundred runs.
CHANCE = 0.01
# A tenth of the largest possible preference between two options.
POSITION_BIAS: Limits = (-0.05, 0.05)
# The analysis calls a loss of a tenth of the answers damage; steering may lose another tenth.
READABLE: dict[str, Limits] = {Arm.NEUTRAL: (0.9, None), Arm.STEERED: (0.8, None)}
# Two of six emotions may fail: null directions also move the words of a model this small.
INDUCED: Limits = (0.6, None)


@dataclass(frozen=True)
class CheckResult:
    """One check of a model, or of all models of a variant together.

    `measured` is NaN if the series has no such number; the check has then failed.
    """

    check: str
    measured: float
    least: float | None
    most: float | None
    detail: str
    variant: str = ""
    model: str = ""

    @property
    def passed(self) -> bool:
        """Whether the number exists and lies within its limits."""
        least = -np.inf if self.least is None else self.least
        most = np.inf if self.most is None else self.most
        return bool(least <= self.measured <= most)


def verdict(models: Sequence[Measured]) -> list[CheckResult]:
    """Return every check of every variant; claims and error rates pool the models of a variant."""
    results = []
    for variant in dict.fromkeys(model.variant for model in models):
        own = [model for model in models if model.variant == variant]
        of_one, of_all = _CHECKS[variant]
        for model in own:
            checks = [*of_one(model), *_form(model)]
            results += [replace(each, variant=variant, model=model.name) for each in checks]
        names = ", ".join(model.name for model in own)
        checks = [*of_all(own), _random_contrast(own)]
        results += [replace(each, variant=variant, model=names) for each in checks]
    return results


def _planted(model: Measured) -> Iterator[CheckResult]:
    """Whether steering moves choices as planted: direction, size, and order of doses."""
    table = model.planted[model.headline]
    scored, written = model.shifts(SCORED), model.shifts(CHOSEN)
    pairs = f"{len(model.emotions)} emotions, {len(model.cells)} pairs of game and history"
    detail = f"{table.size} shifts: {pairs}"
    r = correlation(table, scored)
    yield CheckResult("steering_correlation", r, *CORRELATION, detail)
    yield CheckResult("steering_slope", slope(table, scored), *SLOPE, detail)
    yield _above_random(model, table, r)
    r = correlation(table, written)
    yield CheckResult("written_correlation", r, *WRITTEN_CORRELATION, detail)
    yield CheckResult("written_slope", slope(table, written), *WRITTEN_SLOPE, detail)
    yield _dose_order(model)
    detail, whole = f"{model.planted_whole.size} shifts", model.planted_whole
    r = correlation(whole, model.prompted)
    yield CheckResult("prompted_correlation", r, *CORRELATION, detail)
    yield CheckResult("prompted_slope", slope(whole, model.prompted), *SLOPE, detail)


def _flat(model: Measured) -> Iterator[CheckResult]:
    """Whether the planted table shows in a model without it."""
    detail = "compared with the table of the planted model"
    steering = slope(model.planted[model.headline], model.shifts(SCORED))
    yield CheckResult("flat_steering", steering, *FLAT_SLOPE, detail)
    prompted = slope(model.planted_whole, model.prompted)
    yield CheckResult("flat_prompted", prompted, *FLAT_SLOPE, detail)


def _above_random(model: Measured, table: np.ndarray, r: float) -> CheckResult:
    """Whether the correlation exceeds the limit of null directions; not if there are too few."""
    directions, emotions = len(model.random), len(model.emotions)
    if directions < emotions:
        detail = f"{directions} null directions are too few for {emotions} emotions"
        return CheckResult("above_random", r, np.inf, None, detail)
    draws = f"{NULL_DRAWS:,} draws from {directions} null directions"
    limit = random_limit(table, model.random, "null")
    return CheckResult("above_random", r, limit, None, f"limit: 95 % of {draws} are below it")


def _dose_order(model: Measured) -> CheckResult:
    """The share of emotions whose dose curve rises with every dose."""
    curves = dose_curves(model, model.steered[SCORED])
    rising = {emotion: _rises(curve) for emotion, curve in curves.items()}
    against = [emotion for emotion, rises in rising.items() if not rises]
    detail = f"not in order: {', '.join(against)}" if against else f"in order: {', '.join(rising)}"
    known = bool(curves) and bool(np.isfinite(np.concatenate(list(curves.values()))).all())
    share = float(np.mean(list(rising.values()))) if known else np.nan
    return CheckResult("dose_order", share, 1.0, None, detail)


def dose_curves(model: Measured, shifts: np.ndarray) -> dict[str, np.ndarray]:
    """Return each emotion's mean shift in the planted direction, at dose 0 and each dose.

    The mean is over the cells with a planted shift above PLAIN_SHIFT; an emotion without such a
    cell has no curve.

    Args:
        model: Gives the planted table and the names of the emotions.
        shifts: Measured or planted shifts, `(doses, emotions, cells)`.
    """
    table = model.planted[model.headline]
    # A planted shift of exactly PLAIN_SHIFT may be above it by a rounding error.
    plain = np.abs(table) > PLAIN_SHIFT + 1e-9
    curves = {}
    for row, emotion in enumerate(model.emotions):
        if plain[row].any():
            turned = shifts[:, row, plain[row]] * np.sign(table[row, plain[row]])
            curves[emotion] = np.append(0.0, turned.mean(1))
    return curves


def _rises(curve: np.ndarray) -> bool:
    return bool(np.diff(curve).min() >= -STEP_BACK and curve[-1] - curve[0] >= LEAST_RISE)


def _planted_pooled(models: Sequence[Measured]) -> Iterator[CheckResult]:
    """The share of claims with the planted sign, over all planted models.

    If null directions move a model strongly, only its largest effects are claimed. So a single
    model may have too few claims.
    """
    table = np.hstack([model.planted[model.headline] for model in models])
    claims = np.hstack([model.claims for model in models])
    plain = np.abs(table) > PLAIN_SHIFT + 1e-9
    # Claims about smaller planted effects are not judged.
    claimed = plain & (claims != 0)
    right = claimed & (claims == np.sign(table))
    detail = f"{claimed.sum()} of {plain.sum()} planted effects over {PLAIN_SHIFT:g} are claimed"
    yield CheckResult("claims", right.sum() / max(1, claimed.sum()), 1.0, None, detail)


def _form(model: Measured) -> Iterator[CheckResult]:
    """Whether pushes induce emotions, and answers have the right form, for any variant."""
    failed = [emotion for emotion, came_through in model.induced.items() if not came_through]
    share = float(np.mean(list(model.induced.values()))) if model.induced else np.nan
    detail = f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(model.induced)}"
    yield CheckResult("induced", share, *INDUCED, detail)
    detail = f"largest in a single game and history: {np.abs(model.position).max():.2f}"
    yield CheckResult("position_bias", float(model.position.mean()), *POSITION_BIAS, detail)
    for arm, limits in READABLE.items():
        readable, asked = model.readable[arm], model.asked[arm]
        share = readable / asked if asked else np.nan
        detail = f"{readable:,} of {asked:,} free answers"
        yield CheckResult(f"{arm}_readable", share, *limits, detail)


def _random_contrast(models: Sequence[Measured]) -> CheckResult:
    """The error rate of the test of one null direction against the others of its model.

    Its null hypothesis is true, because all directions are drawn alike.
    """
    p_values = []
    for model in models:
        for column in model.random.T:
            for place, effect in enumerate(column):
                p_values.append(against_random(effect, np.delete(column, place))["p"])
    directions = sum(len(model.random) for model in models)
    # A direction is the same in every game, so the binomial interval counts directions, not tests.
    ends = np.array([CHANCE / 2, 1 - CHANCE / 2])
    least, most = np.asarray(binom.ppf(ends, directions, ERROR_RATE)) / max(1, directions)
    interval = f"limits: {1 - CHANCE:.0%} of binomial draws lie between them"
    detail = f"{len(p_values):,} tests of {directions} directions; {interval}"
    return CheckResult("random_contrast", _rejected(p_values), float(least), float(most), detail)


def _flat_pooled(models: Sequence[Measured]) -> Iterator[CheckResult]:
    """Whether the shifts are unrelated to the table, and effects are found only by chance."""
    table = np.hstack([model.planted[model.headline] for model in models])
    shifts = np.hstack([model.shifts(SCORED) for model in models])
    r, emotions = correlation(table, shifts), len(table)
    exchanged = absolute_correlations(shifts, table[draw_rows(emotions, emotions, "labels")])
    # The true names count as one more draw.
    p = (1 + (exchanged >= abs(r) - 1e-12).sum()) / (1 + NULL_DRAWS)
    detail = f"correlation {r:.2f}; {NULL_DRAWS:,} permutations of the emotions' names"
    yield CheckResult("flat_pattern", p if np.isfinite(r) else np.nan, CHANCE, None, detail)
    rejected = _rejected(np.concatenate([model.random_p.ravel() for model in models]))
    limits = _by_chance(emotions * len(models), "emotions in models")
    yield CheckResult("flat_contrast", rejected, None, *limits)
    claims = np.concatenate([_games_with_claims(model) for model in models])
    limits = _by_chance(len(claims), "experiments")
    yield CheckResult("flat_claims", float(claims.mean()), None, *limits)


_CHECKS: dict[
    str,
    tuple[
        Callable[[Measured], Iterator[CheckResult]],
        Callable[[Sequence[Measured]], Iterator[CheckResult]],
    ],
] = {"planted": (_planted, _planted_pooled), "flat": (_flat, _flat_pooled)}


def _by_chance(number: int, kind: str) -> tuple[float, str]:
    """Return the largest share of rejections that chance allows, and the origin of this limit."""
    most = float(binom.ppf(1 - CHANCE, number, ERROR_RATE) / number)
    draws = f"{1 - CHANCE:.0%} of binomial draws at {ERROR_RATE:g}"
    return most, f"{number} {kind}; limit: {draws} are below it"


def _games_with_claims(model: Measured) -> list[bool]:
    """For each game, whether an effect is claimed in it after any history."""
    games = np.array([cell.game for cell in model.cells])
    return [bool((model.claims[:, games == game] != 0).any()) for game in dict.fromkeys(games)]


def _rejected(p_values: Sequence[float] | np.ndarray) -> float:
    """Return the share of tests with p < ERROR_RATE, NaN if a p-value is missing."""
    p = np.asarray(p_values, float)
    return float((p < ERROR_RATE).mean()) if p.size and np.isfinite(p).all() else np.nan
