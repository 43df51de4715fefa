"""How far emotions move decisions, and whether they move them as they move people: NDM and NAD.

The normalized decision magnitude (NDM) is the mean of |emotion - neutral| over the range of the
outcome. The normalized alignment deviation (NAD) is the mean of (emotion - neutral) over the range
times the sign of the emotion's effect among people (1, 0 or -1; `human_effects` of a game). Both
are means over pairs of one decision under an emotion and in neutral. They were published in "On
Emotion-Sensitive Decision Making of Small Language Model Agents" (2026, arXiv:2604.06562).

A pair has the same scenario, history, option order and wording; repeats are averaged inside it.
The published numbers pool all doses; these are of the headline dose. Drawn answers differ by
chance, too, so that the NDM of written choices is far above 0 without any effect.
"""

from collections.abc import Sequence

import numpy as np

from emotion_games.analysis.cells import Cells, mean_of_present
from emotion_games.analysis.inference import drawn_weights
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.secondary_records import EmotionAlignment, HumanAlignment, Index
from emotion_games.analysis.statistics_parts import Interval
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, Plan
from emotion_games.experiment.conditions import Arm
from emotion_games.games.records import Game

_TINY = 1e-12
_METHOD = (
    "mean over scenarios of the mean over pairs at the headline intensity (arXiv:2604.06562): NDM "
    "of |emotion - neutral| / range, NAD of sign among people * (emotion - neutral) / range; "
    "equal-tailed bootstrap-t interval over scenarios; exploratory"
)
_CHANCE = "; drawn answers differ by chance, too, which raises NDM"


def alignment_records(
    cells: Cells, game: Game, plan: Plan, damaged: set[str]
) -> list[HumanAlignment]:
    """Compute the indices in each measure of the plan.

    Args:
        cells: The trials.
        game: The game with the choices on offer.
        plan: The plan.
        damaged: Names of the conditions that damage the model. Emotions among them are marked, and
            do not count in the indices over emotions; null directions are left out.
    """
    if not cells.find(Arm.NEUTRAL):
        return []
    records = [_record(cells, game, plan, measure, damaged) for measure in plan["measures"]]
    return [record for record in records if record["emotions"]]


def bootstrap_t_interval(values: np.ndarray, confidence: float) -> Interval:
    """Compute the equal-tailed bootstrap-t interval of a mean (Efron and Tibshirani 1993, ch. 12).

    Magnitudes are skewed: over 24 scenarios, intervals of percentiles cover .90 to .94, not .95.

    Args:
        values: `(scenarios,)`, not all equal.
        confidence: The level of the interval.

    Returns:
        Both ends. One is infinite if many resamples consist of one value.
    """
    n, mean, weights = len(values), values.mean(), drawn_weights(len(values))
    centred = values - mean
    means = weights @ centred / n
    sds = np.sqrt(np.maximum(weights @ centred**2 / n - means**2, 0.0))
    # A resample of one value has no t: its mean is infinitely far from the observed one.
    sds[sds < _TINY] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.nan_to_num(means / sds, nan=0.0, posinf=np.inf, neginf=-np.inf)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return [float(mean - high * values.std()), float(mean - low * values.std())]


def _record(
    cells: Cells, game: Game, plan: Plan, measure: str, damaged: set[str]
) -> HumanAlignment:
    names, dose = cells.conditions["condition"], plan["headline_intensity"]
    outcomes = [choice.value for choice in game.choices]
    # Choices of one value have no range, and so no pairs.
    span = max(outcomes) - min(outcomes) or np.nan
    steered = _pairs(cells, measure, cells.find(Arm.STEERED, intensity=dose), span)
    nulls = _pairs(cells, measure, cells.find(Arm.RANDOM, intensity=dose), span)
    emotions, magnitudes, agreements, signs = [], [], [], []
    for c, pairs in steered.items():
        emotion, is_damaged = cells.who(c)["emotion"], names[c] in damaged
        effect = game.human_effects.get(emotion)
        magnitude = _magnitude(pairs)
        agreement = [effect.sign * _shift(pairs) + 0.0] if effect else []
        if not is_damaged:
            magnitudes.append(magnitude)
            agreements += agreement
            signs += [effect.sign] if effect else []
        one = EmotionAlignment(
            emotion=emotion,
            damaged=is_damaged,
            n_pairs=int((~np.isnan(pairs)).sum()),
            ndm=_index([magnitude], 0.0, plan["confidence"]),
            nad=_index(agreement, -1.0, plan["confidence"], "no sign among people is known"),
            human_sign=effect.sign if effect else None,
            text=effect.text if effect else None,
            source=effect.source if effect else None,
        )
        emotions.append(one)
    sound = [pairs for c, pairs in nulls.items() if names[c] not in damaged]
    no_sign = "the sign among people is known of no undamaged emotion"
    return HumanAlignment(
        measure=measure,
        intensity=dose,
        ndm=_index(magnitudes, 0.0, plan["confidence"], "every emotion damages the model"),
        nad=_index(agreements, -1.0, plan["confidence"], no_sign),
        null_ndm=_mean([_magnitude(pairs) for pairs in sound]),
        null_nad=_mean([np.mean(signs) * _shift(pairs) for pairs in sound if signs]),
        n_directions=len(sound),
        emotions=emotions,
        unit=f"share of the range of {MEASURES[measure].of(plan['outcome'])}",
        method=_METHOD + _CHANCE * MEASURES[measure].is_sampled,
    )


def _pairs(
    cells: Cells, measure: str, positions: Sequence[int], span: float
) -> dict[int, np.ndarray]:
    """Return conditions minus neutral, over the range of the outcome, for those with any pair.

    Returns:
        By position: `(scenarios, pairs)`, NaN for a pair that lacks one of its decisions.
    """
    (neutral,) = cells.find(Arm.NEUTRAL)
    means = cells.means[measure]
    found = {}
    for c in positions:
        shifts = np.moveaxis((means[..., c] - means[..., neutral]) / span, 1, 0)
        pairs = shifts.reshape(len(shifts), -1)
        if not np.isnan(pairs).all():
            found[c] = pairs
    return found


def _magnitude(pairs: np.ndarray) -> np.ndarray:
    return mean_of_present(np.abs(pairs), axis=1)


def _shift(pairs: np.ndarray) -> np.ndarray:
    return mean_of_present(pairs, axis=1)


def _mean(columns: Sequence[np.ndarray]) -> float | None:
    return float(np.mean([np.nanmean(column) for column in columns])) if columns else None


def _index(
    columns: Sequence[np.ndarray], least: float, confidence: float, without: str = ""
) -> Index:
    """Return the mean with its interval, which ends at `least` and 1.

    Args:
        columns: A number of each scenario, `(scenarios,)`, for each emotion.
        least: The least possible value.
        confidence: The level of the interval.
        without: The reason if there is no emotion.
    """
    if not columns:
        return Index(estimate=None, interval=None, n_scenarios=0, reason=without)
    values = mean_of_present(np.stack(columns), axis=0)
    values = values[~np.isnan(values)]
    n = len(values)
    index = Index(estimate=float(values.mean()), interval=None, n_scenarios=n, reason=None)
    if n < MINIMUM_SCENARIOS:
        index["reason"] = f"fewer than {MINIMUM_SCENARIOS} scenarios: no interval"
    elif np.ptp(values) < _TINY:
        index["reason"] = "every scenario has the same value: no interval"
    else:
        low, high = bootstrap_t_interval(values, confidence)
        index["interval"] = [max(least, low), min(1.0, high)]
    return index
