"""Whether a condition damages the model, so that a change of its choices is no emotion effect.

Each sign of damage has a fixed limit relative to the neutral condition, none of which favours a
direction in which an emotion may move a choice. A condition beyond one limit is damaged. A
condition is cleared only if perplexity and the dominance items of neutral were measured. Items that
the model cannot answer without a push cannot show damage, and are not used.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import Cells, mean_of_present
from emotion_games.analysis.statistics_parts import Who
from emotion_games.analysis.statistics_records import Damage, DamageCheck
from emotion_games.experiment.check_records import Check
from emotion_games.experiment.conditions import Arm
from emotion_games.prompts.stimuli import NEUTRAL as NO_EMOTION

# One answer in ten lost can hide or make an effect of .1, the usual equivalence margin.
PARSE_RATE_DROP = 0.10
# With less than half of neutral's mass on the options, the probabilities of the options, which
# are normalised, say little about what the model would answer.
VALID_MASS_RATIO = 0.5
# Share of repeated 4-word sequences: plain prose has almost none, a loop consists of them.
REPETITION_RISE = 0.10
# Half or twice neutral's number of words: truncated or rambling answers.
LENGTH_RATIO = 2.0
# One dominance item in ten lost ("10 or 5 euros"), which no emotion explains.
DOMINANCE_DROP = 0.10
# Neutral must choose the better option with this probability; guessing gives 0.5.
DOMINANCE_READ = 0.7
# Perplexity on neutral texts: 1.5 times neutral's.
PERPLEXITY_RATIO = 1.5

# The measure of each check that the trials contain.
_TRIAL_CHECKS = {
    "parse_rate": "parsed",
    "valid_mass": "valid_mass",
    "repetition": "repetition",
    "output_length": "words",
}
# The unit of each check, and the range that is allowed for a given value of neutral.
_LIMITS: dict[str, tuple[str, Callable[[float], tuple[float, float]]]] = {
    "parse_rate": ("share of answers", lambda n: (n - PARSE_RATE_DROP, np.inf)),
    "valid_mass": ("probability", lambda n: (n * VALID_MASS_RATIO, np.inf)),
    "repetition": ("share of 4-word sequences", lambda n: (-np.inf, n + REPETITION_RISE)),
    "output_length": ("words", lambda n: (n / LENGTH_RATIO, n * LENGTH_RATIO)),
    Check.DOMINANCE: ("probability of the better option", lambda n: (n - DOMINANCE_DROP, np.inf)),
    Check.PERPLEXITY: ("perplexity", lambda n: (-np.inf, n * PERPLEXITY_RATIO)),
}


def text_measures(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Count the words and the share of repeated 4-word sequences of each text, `(trials,)`.

    It is the output or, of a guided answer, what the model itself wrote: its rationale, if any.
    """
    words, repetition = np.full(len(table), np.nan), np.full(len(table), np.nan)
    is_guided = table["extraction_method"] == "guided"
    texts = table["output"].where(~is_guided, table["rationale"]).to_numpy()
    written = table["generated"] & (~is_guided | (table["rationale_end"] != ""))
    for row in np.flatnonzero(written):
        split = texts[row].split()
        grams = list(zip(split, split[1:], split[2:], split[3:], strict=False))
        words[row] = len(split)
        repetition[row] = 1 - len(set(grams)) / len(grams) if grams else 0.0
    return {"words": words, "repetition": repetition}


def damage_records(cells: Cells, checks: pd.DataFrame) -> list[Damage]:
    """Compare each condition with its neutral condition in every sign of damage.

    Args:
        cells: The trials.
        checks: One row per item of a check and condition; see `check_records`.
    """
    records = []
    items = _items(checks)
    unread = _not_understood(items)
    if unread is not None:
        items = {key: values for key, values in items.items() if key[0] != Check.DOMINANCE}
    # Dominance is required only if neutral has dominance items: a file may contain none.
    needed = {Check.PERPLEXITY} | {name for name, arm, *_ in items if arm == Arm.NEUTRAL}
    for position in range(len(cells.conditions)):
        who = cells.who(position)
        arm = Arm(who["arm"])
        if arm in (Arm.NEUTRAL, Arm.PROMPTED_NEUTRAL):
            continue
        reference = cells.find(arm.reference)
        found = _from_trials(cells, position, reference[0]) if reference else {}
        found |= _from_items(items, who)
        reasons = [_sentence(name, check) for name, check in found.items() if not check["passed"]]
        damage = Damage(
            **who,
            damaged=bool(reasons),
            complete=needed <= set(found),
            reasons=reasons,
            dominance_not_understood=unread,
            checks=found,
            unit="given with each check",
            method="worst history against neutral; a fixed limit on the estimate, no test",
        )
        records.append(damage)
    return records


def _not_understood(items: dict[Any, pd.Series]) -> float | None:
    """Return neutral's probability of the better options if it is hardly beyond guessing."""
    neutral = items.get((Check.DOMINANCE, Arm.NEUTRAL, NO_EMOTION, 0.0))
    if neutral is None or neutral.mean() >= DOMINANCE_READ:
        return None
    return float(neutral.mean())


def _from_trials(cells: Cells, position: int, reference: int) -> dict[str, DamageCheck]:
    """The checks that the trials contain, each at its worst history."""
    excesses: dict[str, float] = {}
    worst: dict[str, DamageCheck] = {}
    for history in cells.histories:
        for name, measure in _TRIAL_CHECKS.items():
            levels = (cells.level(measure, history, c) for c in (position, reference))
            value, neutral = (float(mean_of_present(level, axis=0)) for level in levels)
            if np.isnan(value) or np.isnan(neutral):
                continue
            n = cells.trials(measure, history, position)
            excess, check = _check(name, value, neutral, n)
            if excess > excesses.get(name, -np.inf):
                check["history"] = history if len(cells.histories) > 1 else None
                excesses[name], worst[name] = excess, check
    return worst


def _from_items(items: dict[Any, pd.Series], who: Who) -> dict[str, DamageCheck]:
    """The checks with items, paired by item with neutral; prompted arms have none."""
    out: dict[str, DamageCheck] = {}
    for name in (Check.DOMINANCE, Check.PERPLEXITY):
        own = items.get((name, who["arm"], who["emotion"], who["intensity"]))
        neutral = items.get((name, Arm.NEUTRAL, NO_EMOTION, 0.0))
        if own is None or neutral is None:
            continue
        paired = pd.concat([own, neutral], axis=1, join="inner").dropna()
        if paired.empty:
            continue
        means = paired.mean().to_list()
        # Perplexity items hold negative log-likelihoods in nats per token.
        value, base = np.exp(means) if name == Check.PERPLEXITY else means
        _, out[name] = _check(name, value, base, len(paired))
    return out


def _items(checks: pd.DataFrame) -> dict[Any, pd.Series]:
    """The value of each item, by (check, arm, emotion, intensity)."""
    rows = checks[checks["check"].isin([Check.DOMINANCE, Check.PERPLEXITY])]
    value, intensity = pd.to_numeric(rows["value"]), rows["intensity"].astype(float)
    rows = rows.assign(value=value, intensity=intensity)
    groups = rows.groupby(["check", "arm", "emotion", "intensity"])
    return {key: group.groupby("item")["value"].mean() for key, group in groups}


def _check(name: str, value: float, neutral: float, n: int) -> tuple[float, DamageCheck]:
    """How far the value is beyond the limit (negative within it), and the record."""
    unit, allowed = _LIMITS[name]
    low, high = allowed(neutral)
    below, above = low - value, value - high
    excess, limit = max(below, above), low if below > above else high
    # Rounding must not decide about a value at the limit.
    passed = bool(excess <= 1e-9)
    check = DamageCheck(value=value, neutral=neutral, limit=limit, passed=passed, n=n, unit=unit)
    return excess, check


def _sentence(name: str, check: DamageCheck) -> str:
    where = f" at history {check['history']}" if check.get("history") else ""
    against = f"{check['value']:.3g} against {check['neutral']:.3g} in neutral{where}"
    return f"{name.replace('_', ' ')} {against} (limit {check['limit']:.3g})"
