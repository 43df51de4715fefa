"""The verdict on the instrument: measurements of demo models against limits, one result per check.

A planted model must show the planted effects, and a flat model must show none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from emotion_games.demo.correlations import (
    NULL_DRAWS,
    PLAIN,
    absolute_correlations,
    correlation,
    draw_rows,
    plain,
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
SLOPE: Limits = (0.85, 1.15)
# A cell has 48 to 144 written answers, each 0 or 1. Their sampling error of about .1 lowers the
# correlation of a perfect model to .93 and moves its slope by .05 in either direction.
WRITTEN_CORRELATION: Limits = (0.75, None)
WRITTEN_SLOPE: Limits = (0.5, 1.4)
# The planted effects that must be found, and the share of them that must be claimed.
LARGE = 0.15
POWER: Limits = (0.8, None)
NONE: Limits = (None, 0.0)
# A seventh of the planted size: chance can produce such a slope, but it is no relevant effect.
FLAT_SLOPE: Limits = (-0.15, 0.15)
# From here on a planted effect must be found with its sign, so that nothing may seem so large.
FLAT_SIZE: Limits = (None, PLAIN)
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
        results += [replace(each, variant=variant, model=names) for each in of_all(own)]
    return results


def _planted(model: Measured) -> Iterator[CheckResult]:
    """Whether steering moves choices as planted, in direction and size."""
    table, scored, written = model.planted, model.steered[SCORED], model.steered[CHOSEN]
    pairs = f"{len(model.emotions)} emotions, {len(model.cells)} pairs of game and history"
    detail = f"{table.size} shifts: {pairs}"
    r = correlation(table, scored)
    yield CheckResult("steering_correlation", r, *CORRELATION, detail)
    yield CheckResult("steering_slope", slope(table, scored), *SLOPE, detail)
    yield _above_random(model, table, r)
    r = correlation(table, written)
    yield CheckResult("written_correlation", r, *WRITTEN_CORRELATION, detail)
    yield CheckResult("written_slope", slope(table, written), *WRITTEN_SLOPE, detail)
    detail, whole = f"{model.planted_whole.size} shifts", model.planted_whole
    r = correlation(whole, model.prompted)
    yield CheckResult("prompted_correlation", r, *CORRELATION, detail)
    yield CheckResult("prompted_slope", slope(whole, model.prompted), *SLOPE, detail)


def _flat(model: Measured) -> Iterator[CheckResult]:
    """Whether the planted table shows in a model without it."""
    detail = "compared with the table of the planted model"
    steering = slope(model.planted, model.steered[SCORED])
    yield CheckResult("flat_steering", steering, *FLAT_SLOPE, detail)
    prompted = slope(model.planted_whole, model.prompted)
    yield CheckResult("flat_prompted", prompted, *FLAT_SLOPE, detail)
    largest, detail = float(np.abs(model.effects).max()), f"{model.effects.size} effects"
    yield CheckResult("flat_size", largest, *FLAT_SIZE, detail)


def _above_random(model: Measured, table: np.ndarray, r: float) -> CheckResult:
    """Whether the correlation exceeds the limit of null directions; not if there are too few."""
    directions, emotions = len(model.random), len(model.emotions)
    if directions < emotions:
        detail = f"{directions} null directions are too few for {emotions} emotions"
        return CheckResult("above_random", r, np.inf, None, detail)
    draws = f"{NULL_DRAWS:,} draws from {directions} null directions"
    limit = random_limit(table, model.random, "null")
    return CheckResult("above_random", r, limit, None, f"limit: 95 % of {draws} are below it")


def _planted_pooled(models: Sequence[Measured]) -> Iterator[CheckResult]:
    """Whether planted effects are claimed, and with the planted sign, over all planted models."""
    planted = np.hstack([model.planted_effects for model in models])
    effects = np.hstack([model.effects for model in models])
    claimed = np.hstack([model.claimed for model in models])
    large = np.abs(planted) > LARGE - 1e-9
    found = (claimed & large).sum()
    detail = f"{found} of {large.sum()} planted effects of {LARGE:g} or more"
    yield CheckResult("power", found / max(1, large.sum()), *POWER, detail)
    # Claims about smaller planted effects are not judged.
    judged = claimed & plain(planted)
    wrong = judged & (effects * planted < 0)
    detail = f"{wrong.sum()} of {judged.sum()} claims of planted effects of {PLAIN:g} or more"
    yield CheckResult("wrong_sign", wrong.sum() / max(1, judged.sum()), *NONE, detail)


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


def _flat_pooled(models: Sequence[Measured]) -> Iterator[CheckResult]:
    """Whether the shifts are unrelated to the table, and no more is claimed than by chance."""
    table = np.hstack([model.planted for model in models])
    shifts = np.hstack([model.steered[SCORED] for model in models])
    r, emotions = correlation(table, shifts), len(table)
    exchanged = absolute_correlations(shifts, table[draw_rows(emotions, emotions, "labels")])
    # The true names count as one more draw.
    p = (1 + (exchanged >= abs(r) - 1e-12).sum()) / (1 + NULL_DRAWS)
    detail = f"correlation {r:.2f}; {NULL_DRAWS:,} permutations of the emotions' names"
    yield CheckResult("flat_pattern", p if np.isfinite(r) else np.nan, CHANCE, None, detail)
    yield _false_claims(models)


def _false_claims(models: Sequence[Measured]) -> CheckResult:
    """Whether no more experiments without effects have claims, of any size, than chance allows.

    Without effects, an experiment has any claim with a probability of at most 1 - confidence
    (Benjamini and Hochberg 1995: the false discovery rate is then the probability of any). So the
    number of experiments with a claim is taken as binomial.
    """
    claimed = np.hstack([model.claimed for model in models])
    measured = np.isfinite(np.hstack([model.effects for model in models])).all()
    false, experiments = claimed.any(0), claimed.shape[1]
    rate = max(1 - model.confidence for model in models)
    # The check of a single experiment must be able to fail, too.
    allowed = min(int(stats.binom.ppf(1 - CHANCE, experiments, rate)), experiments - 1)
    detail = (
        f"{claimed.sum()} of {claimed.size} effects, in {false.sum()} of {experiments} "
        f"experiments; chance allows {rate * experiments:.2g} such experiments on average, and "
        f"more than {allowed} at most once in a hundred runs"
    )
    share = float(false.mean()) if measured else np.nan
    return CheckResult("flat_claims", share, None, allowed / experiments, detail)


_CHECKS: dict[
    str,
    tuple[
        Callable[[Measured], Iterator[CheckResult]],
        Callable[[Sequence[Measured]], Iterator[CheckResult]],
    ],
] = {"planted": (_planted, _planted_pooled), "flat": (_flat, _flat_pooled)}
