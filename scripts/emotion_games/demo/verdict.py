"""The verdict on the instrument: what was measured on demo models against thresholds, one line a check.

Knows the thresholds and their reasons; knows nothing of files, figures, or the words of the page.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from emotion_games.analysis.inference import against_random
from emotion_games.demo.agreement import (
    NULL_DRAWS,
    correlation,
    correlations,
    draws,
    random_limit,
    slope,
)
from emotion_games.demo.measured import Measured

# An emotion that points the wrong way brings a perfect table to .86 or less (but for surprise, of which little is
# planted); an error of .1 a cell, more than scored probabilities have, leaves it above .9.
LEAST_CORRELATION = 0.9
# On the planted table itself half the dose gives a slope of .56, one and a half times the dose 1.28.
SLOPE = (0.6, 1.25)
# A cell has about a hundred written answers, each 0 or 1. Their sampling error, about .1, takes a perfect model to a
# correlation of .93 and moves its slope by .05 up or down.
LEAST_WRITTEN_CORRELATION = 0.75
WRITTEN_SLOPE = (0.5, 1.4)
# Of smaller planted shifts no direction is asked for: any push moves a model this small a little.
PLAIN_SHIFT = 0.1
# A dose curve may fall back by a rounding, and must rise by half of the smallest plain shift.
STEP_BACK, LEAST_RISE = 0.01, 0.05
# A seventh of the planted size: a trace that chance can leave, and no effect to speak of.
FLAT_SLOPE = 0.15
# The level of the tests whose error rate is looked at.
ERROR_RATE = 0.05
# What rests on chance alone may fail a sound installation once in a hundred runs.
CHANCE = 0.01
# A tenth of the largest preference that two options leave room for.
POSITION_BIAS = 0.05
# The analysis itself calls a tenth of the answers lost damage; steering may lose another tenth.
NEUTRAL_PARSE_RATE, STEERED_PARSE_RATE = 0.9, 0.8

# A check's name, its figure (NaN where the series has none), the least and the most allowed, and a detail.
Figure = tuple[str, float, float | None, float | None, str]


@dataclass(frozen=True)
class Line:
    """A check of one model, or of all models of a variant together; `measured` is None where there is no figure."""

    check: str
    variant: str
    model: str
    measured: float | None
    least: float | None
    most: float | None
    detail: str

    @property
    def passed(self) -> bool:
        """True where there is a figure, within its limits."""
        if self.measured is None:
            return False
        return (self.least is None or self.measured >= self.least) and (
            self.most is None or self.measured <= self.most
        )


def verdict(models: Sequence[Measured]) -> list[Line]:
    """Every line, variant by variant; checks of claims and of error rates pool a variant's models."""
    lines = []
    for variant in dict.fromkeys(model.variant for model in models):
        own = [model for model in models if model.variant == variant]
        for model in own:
            lines += [
                _line(variant, model.name, figure)
                for figure in (*_OF_VARIANT[variant](model), *_form(model))
            ]
        pooled = [*_OF_ALL_MODELS.get(variant, lambda _: ())(own), _random_contrast(own)]
        lines += [
            _line(variant, ", ".join(model.name for model in own), figure) for figure in pooled
        ]
    return lines


def _line(variant: str, model: str, figure: Figure) -> Line:
    check, measured, least, most, detail = figure
    return Line(
        check,
        variant,
        model,
        float(measured) if np.isfinite(measured) else None,
        least,
        most,
        detail,
    )


def _planted(model: Measured) -> Iterator[Figure]:
    """Does steering move choices as planted, in direction, size, and order of doses?"""
    table, scored, written = (
        model.planted[model.headline],
        model.shifts("scored"),
        model.shifts("chosen"),
    )
    size = f"{table.size} shifts: {len(model.emotions)} emotions, {len(model.cells)} pairs of game and history"
    yield "steering_correlation", correlation(table, scored), LEAST_CORRELATION, None, size
    yield "steering_slope", slope(table, scored), *SLOPE, size
    null, told = _random_null(model, table)
    yield "above_random", correlation(table, scored), null, None, told
    yield "written_correlation", correlation(table, written), LEAST_WRITTEN_CORRELATION, None, size
    yield "written_slope", slope(table, written), *WRITTEN_SLOPE, size
    yield _dose_order(model)
    yield from _prompted(model)


def _flat(model: Measured) -> Iterator[Figure]:
    """Does the planted table turn up where it is not?"""
    limits, detail = (-FLAT_SLOPE, FLAT_SLOPE), "on the table of the planted model"
    yield (
        "flat_steering",
        slope(model.planted[model.headline], model.shifts("scored")),
        *limits,
        detail,
    )
    yield "flat_prompted", slope(model.told, model.prompted), *limits, detail


def _prompted(model: Measured) -> Iterator[Figure]:
    size = f"{model.told.size} shifts"
    yield (
        "prompted_correlation",
        correlation(model.told, model.prompted),
        LEAST_CORRELATION,
        None,
        size,
    )
    yield "prompted_slope", slope(model.told, model.prompted), *SLOPE, size


_OF_VARIANT: dict[str, Callable[[Measured], Iterator[Figure]]] = {
    "planted": _planted,
    "emergent": _prompted,  # steering was never taught
    "flat": _flat,
}


def _random_null(model: Measured, table: np.ndarray) -> tuple[float, str]:
    """What the correlation must exceed, and how that limit comes about; infinite where it cannot be known."""
    directions, emotions = len(model.random), len(model.emotions)
    if directions < emotions:
        return np.inf, f"{directions} random directions are too few for {emotions} emotions"
    told = (
        f"the limit: 95 % of {NULL_DRAWS:,} draws from {directions} random directions stay under it"
    )
    return random_limit(table, model.random, "null"), told


def _dose_order(model: Measured) -> Figure:
    """Dose curves of each emotion, turned so that up is the planted direction, over cells with a plain one."""
    curves = dose_curves(model, model.steered["scored"])
    rising = {emotion: _rises(curve) for emotion, curve in curves.items()}
    against = [emotion for emotion, rises in rising.items() if not rises]
    detail = f"not in order: {', '.join(against)}" if against else f"in order: {', '.join(rising)}"
    known = bool(curves) and all(np.isfinite(curve).all() for curve in curves.values())
    return "dose_order", np.mean(list(rising.values())) if known else np.nan, 1.0, None, detail


def dose_curves(model: Measured, shifts: np.ndarray) -> dict[str, np.ndarray]:
    """Mean shift in the planted direction at dose 0 and each dose, over the cells in which the table moves plainly.

    `shifts` is (dose, emotion, cell). An emotion without such a cell has no curve.
    """
    table = model.planted[model.headline]
    plain = np.abs(table) > PLAIN_SHIFT + 1e-9
    return {
        emotion: np.append(
            0.0, (shifts[:, row, plain[row]] * np.sign(table[row, plain[row]])).mean(1)
        )
        for row, emotion in enumerate(model.emotions)
        if plain[row].any()
    }


def _rises(curve: np.ndarray) -> bool:
    return bool(np.diff(curve).min() >= -STEP_BACK and curve[-1] - curve[0] >= LEAST_RISE)


def _planted_pooled(models: Sequence[Measured]) -> Iterator[Figure]:
    """Not model by model: where random directions move a model much, only the largest effects stand out from them."""
    table = np.hstack([model.planted[model.headline] for model in models])
    claims = np.hstack([model.claims for model in models])
    plain = np.abs(table) > PLAIN_SHIFT + 1e-9
    claimed = plain & (claims != 0)
    right = claimed & (claims == np.sign(table))
    detail = f"{claimed.sum()} of {plain.sum()} planted effects over {PLAIN_SHIFT:g} are claimed"
    yield "claims", right.sum() / max(1, claimed.sum()), 1.0, None, detail


def _form(model: Measured) -> Iterator[Figure]:
    """Order of options and readable answers, for any variant."""
    largest = np.abs(model.position).max()
    detail = f"largest in a single game and history: {largest:.2f}"
    yield "position_bias", model.position.mean(), -POSITION_BIAS, POSITION_BIAS, detail
    for arm, least in (("neutral", NEUTRAL_PARSE_RATE), ("steered", STEERED_PARSE_RATE)):
        parsed, generated = model.parsed[arm], model.generated[arm]
        share = parsed / generated if generated else np.nan
        yield f"{arm}_parse_rate", share, least, None, f"{parsed:,} of {generated:,} answers"


def _random_contrast(models: Sequence[Measured]) -> Figure:
    """Each random direction against the others of its model, a test whose null holds by how they are drawn."""
    p_values = [
        against_random(column[place], np.delete(column, place))["p"]
        for model in models
        for column in model.random.T
        for place in range(len(column))
    ]
    directions = sum(len(model.random) for model in models)
    # The same direction in another game is no new draw: the binomial interval counts directions, not tests.
    least, most = binom.ppf([CHANCE / 2, 1 - CHANCE / 2], directions, ERROR_RATE) / max(
        1, directions
    )
    detail = f"{len(p_values):,} tests of {directions} directions; {1 - CHANCE:.0%} of binomial draws lie within"
    return "random_contrast", _share_under(p_values), float(least), float(most), detail


def _flat_pooled(models: Sequence[Measured]) -> Iterator[Figure]:
    table = np.hstack([model.planted[model.headline] for model in models])
    shifts = np.hstack([model.shifts("scored") for model in models])
    own, emotions = correlation(table, shifts), len(table)
    exchanged = correlations(shifts, table[draws(emotions, emotions, "labels")])
    # The right names are one more draw.
    p = (1 + (exchanged >= abs(own) - 1e-12).sum()) / (1 + NULL_DRAWS)
    detail = f"correlation {own:.2f}; {NULL_DRAWS:,} exchanges of the emotions' names"
    yield "flat_pattern", p if np.isfinite(own) else np.nan, CHANCE, None, detail
    rejected = _share_under(np.concatenate([model.random_p.ravel() for model in models]))
    yield (
        "flat_contrast",
        rejected,
        None,
        *_most_by_chance(emotions * len(models), "emotions in models"),
    )
    claims = [claimed for model in models for claimed in _games_with_claims(model)]
    yield "flat_claims", np.mean(claims), None, *_most_by_chance(len(claims), "experiments")


_OF_ALL_MODELS: dict[str, Callable[[Sequence[Measured]], Iterator[Figure]]] = {
    "planted": _planted_pooled,
    "flat": _flat_pooled,
}


def _most_by_chance(number: int, of_what: str) -> tuple[float, str]:
    most = float(binom.ppf(1 - CHANCE, number, ERROR_RATE) / number)
    return (
        most,
        f"{number} {of_what}; the limit: {1 - CHANCE:.0%} of binomial draws at {ERROR_RATE:g} stay under it",
    )


def _games_with_claims(model: Measured) -> list[bool]:
    """For each game, whether anything is claimed in it after any history."""
    games = np.array([cell.game for cell in model.cells])
    return [bool((model.claims[:, games == game] != 0).any()) for game in dict.fromkeys(games)]


def _share_under(p_values: Sequence[float]) -> float:
    """Share of tests under the error rate; NaN where a test has no p, since what is missing is not passed."""
    found = np.asarray(p_values, float)
    return float((found < ERROR_RATE).mean()) if found.size and np.isfinite(found).all() else np.nan
