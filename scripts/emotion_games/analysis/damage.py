"""Whether a condition damages the model, so that a change of its choices is no emotion effect.

Each sign of damage has a tolerated change from the neutral condition, none of which favours a
direction in which an emotion may move a choice. A condition is damaged if a test rejects that one
of its changes is at most the tolerated one. It is cleared only if the interval of every change is
within twice the tolerated one: too few answers to find damage are no evidence of its absence. Texts
and items that the model does not understand without a push cannot show damage.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from emotion_games.analysis.cells import Cells, over_cells
from emotion_games.analysis.check_results import Damage, DamageCheck
from emotion_games.analysis.corrections import holm
from emotion_games.analysis.statistics_parts import Who
from emotion_games.experiment.check_records import DOMINANCE_READ, Check
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.spec import Plan
from emotion_games.prompts.stimuli import NEUTRAL as NO_EMOTION


class Sign(NamedTuple):
    """A sign of damage.

    Attributes:
        unit: That of its values.
        low: The lowest tolerated change.
        high: The highest tolerated change.
        is_factor: A change is a factor, and is tested as a difference of logarithms.
        least: Smaller values count as this one, so that each has a logarithm.
    """

    unit: str
    low: float = -np.inf
    high: float = np.inf
    is_factor: bool = False
    least: float = -np.inf


_SIGNS = {
    # One answer in ten lost can hide or make an effect of .1, the usual equivalence margin.
    "parse_rate": Sign("share of answers", low=-0.10),
    # With less than half of neutral's mass on the options, the probabilities of the options, which
    # are normalised, say little about what the model would answer. They have five digits.
    "valid_mass": Sign("probability", low=0.5, is_factor=True, least=1e-5),
    # Plain prose has almost no repeated 4-word sequences, a loop consists of them.
    "repetition": Sign("share of 4-word sequences", high=0.10),
    # Half or twice neutral's number of words: truncated or rambling answers.
    "output_length": Sign("words", low=0.5, high=2.0, is_factor=True, least=1.0),
    # One dominance item in ten lost ("10 or 5 euros"), which no emotion explains.
    Check.DOMINANCE: Sign("probability of the better option", low=-0.10),
    Check.PERPLEXITY: Sign("perplexity", low=0.0, high=1.5, is_factor=True),
}
# The measure of each sign that the trials contain.
_MEASURES = {
    "parse_rate": "parsed",
    "valid_mass": "valid_mass",
    "repetition": "repetition",
    "output_length": "words",
}
# Smaller differences are those of rounding.
_TINY = 1e-9
_NEUTRAL = (str(Arm.NEUTRAL), NO_EMOTION, 0.0)
# By check: the values of the same items in each condition (arm, emotion, intensity).
Items = dict[str, dict[tuple[str, str, float], np.ndarray]]
_METHOD = (
    "one-sided paired t tests that a change is at most the tolerated one, over stories (means over "
    "histories) or items; Holm over the signs of the condition; {:.0%} intervals"
)


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


def damage_records(cells: Cells, checks: pd.DataFrame, plan: Plan) -> list[Damage]:
    """Compare each condition with its neutral condition in every sign of damage.

    Null directions have no emotion and no dominance items: there are many of them.

    Args:
        cells: The trials.
        checks: One row per item of a check and condition; see `check_records`.
        plan: The plan, for its emotions and its confidence.
    """
    items = _items(checks)
    unread, guessed = _unread_texts(items, checks), _not_understood(items)
    if unread:
        items.pop(Check.PERPLEXITY, None)
    if guessed is not None:
        del items[Check.DOMINANCE]
    # A file may contain no dominance items.
    of_emotions = {Check.DOMINANCE} & set(items)
    records = []
    for position in range(len(cells.conditions)):
        who = cells.who(position)
        arm = Arm(who["arm"])
        if arm == arm.reference:
            continue
        found = _from_trials(cells, position, cells.reference(position), plan["confidence"])
        needed: set[str] = set()
        if arm.is_pushed:
            found |= _from_items(items, who, plan["confidence"])
            needed = {Check.PERPLEXITY}
            needed |= of_emotions if who["emotion"] in plan["emotions"] else set()
        _decide(found, plan["confidence"])
        damaged = [_sentence(name, c) for name, c in found.items() if c["passed"] is False]
        unclear = [_sentence(name, c) for name, c in found.items() if c["passed"] is None]
        unclear += [f"{name} was not measured" for name in sorted(needed - set(found))]
        records.append(
            Damage(
                **who,
                damaged=bool(damaged),
                complete=not unclear,
                reasons=damaged,
                reason=_cannot_judge(unclear, unread if arm.is_pushed else None),
                dominance_not_understood=guessed,
                checks=found,
                unit="given with each check",
                method=_METHOD.format(2 * plan["confidence"] - 1),
            )
        )
    return records


def _cannot_judge(unclear: list[str], unread: str | None) -> str | None:
    """Return why damage could be missed, or None."""
    return f"cannot judge: {unread or '; '.join(unclear)}" if unclear else None


def _unread_texts(items: Items, checks: pd.DataFrame) -> str | None:
    """Return why the neutral texts cannot show damage, or None.

    The model reads them if it is far from guessing: its perplexity is at most the square root of
    its number of tokens. It then knows at least half of what a guess among all tokens leaves open
    (in nats). Knowing only how frequent each token is saves less.
    """
    tokens = pd.to_numeric(checks["value"][checks["check"] == Check.VOCABULARY])
    if Check.PERPLEXITY not in items or tokens.empty:
        return "the perplexity of neutral texts without a push is unknown"
    if len(items[Check.PERPLEXITY][_NEUTRAL]) < 2:
        return "a single neutral text was read"
    texts = items[Check.PERPLEXITY][_NEUTRAL]
    perplexity, limit = float(np.exp(np.nanmean(texts))), float(np.sqrt(tokens.iloc[0]))
    if perplexity <= limit:
        return None
    return (
        "the model cannot read the neutral texts: without a push its perplexity is "
        f"{perplexity:.3g}, above {limit:.3g}, the square root of its {tokens.iloc[0]:.0f} tokens"
    )


def _not_understood(items: Items) -> float | None:
    """Return neutral's probability of the better options if it is hardly beyond guessing."""
    if Check.DOMINANCE not in items:
        return None
    share = float(np.nanmean(items[Check.DOMINANCE][_NEUTRAL]))
    return None if share >= DOMINANCE_READ else share


def _from_trials(
    cells: Cells, position: int, reference: list[int], confidence: float
) -> dict[str, DamageCheck]:
    """Return the checks that the trials contain, over the cells that both conditions have."""
    out: dict[str, DamageCheck] = {}
    for name, measure in _MEASURES.items() if reference else ():
        values = cells.means[measure][..., [position, *reference]]
        values[np.isnan(values).any(-1)] = np.nan
        own, neutral = over_cells(values).T
        check = _check(name, own, neutral, confidence)
        if check:
            out[name] = check
    return out


def _from_items(items: Items, who: Who, confidence: float) -> dict[str, DamageCheck]:
    """Return the checks with items, paired by item with neutral."""
    out: dict[str, DamageCheck] = {}
    for name, values in items.items():
        arm = Arm(who["arm"]).pushes_as
        own = values.get((arm, who["emotion"], who["intensity"]))
        check = None if own is None else _check(name, own, values[_NEUTRAL], confidence)
        if check:
            out[name] = check
    return out


def _items(checks: pd.DataFrame) -> Items:
    """Return the values of the items of each check that neutral made; NaN if one is missing."""
    rows = checks[checks["check"].isin([Check.DOMINANCE, Check.PERPLEXITY])]
    value, intensity = pd.to_numeric(rows["value"]), rows["intensity"].astype(float)
    # A dominance item was asked in both orders, which its name ends with.
    item = rows["item"].astype(str).str.rsplit("/", n=1).str[0]
    rows = rows.assign(value=value, intensity=intensity, item=item)
    found: Items = {}
    for check, own in rows.groupby("check"):
        table = own.pivot_table("value", ["arm", "emotion", "intensity"], "item")
        if _NEUTRAL in table.index:
            found[str(check)] = dict(zip(table.index, table.to_numpy(float), strict=True))
    return found


def _check(
    name: str, own: np.ndarray, neutral: np.ndarray, confidence: float
) -> DamageCheck | None:
    """Return the check of a sign, not yet decided, or None with fewer than two stories or items.

    Args:
        name: The sign.
        own: The values under the condition, `(stories,)` or `(items,)`; NaN if there is none.
        neutral: Those without it.
        confidence: The level of the interval.
    """
    sign = _SIGNS[name]
    scale, back = (np.log, np.exp) if sign.is_factor else (np.positive, np.positive)
    values = np.array([own, neutral])[:, ~np.isnan(own + neutral)]
    if values.shape[1] < 2:
        return None
    # Perplexity items hold negative log-likelihoods in nats per token.
    if name != Check.PERPLEXITY:
        values = scale(np.maximum(values, sign.least))
    change = values[0] - values[1]
    low, high = (scale(end) if end else -np.inf for end in (sign.low, sign.high))
    interval = _interval(change, 2 * confidence - 1)
    is_sound = 2 * low < interval[0] and interval[1] < 2 * high
    return DamageCheck(
        value=float(back(values[0].mean())),
        neutral=float(back(values[1].mean())),
        change=float(back(change.mean())),
        interval=[float(end) for end in back(interval)],
        tolerated=[sign.low, sign.high],
        p=_p_beyond(change, low, high),
        p_holm=None,
        passed=True if is_sound else None,
        n=len(change),
        unit=sign.unit,
    )


def _interval(change: np.ndarray, level: float) -> np.ndarray:
    """Return the ends of the t interval of the mean change, which is a point if all are equal."""
    n = len(change)
    reach = special.stdtrit(n - 1, 0.5 + level / 2) * change.std(ddof=1) / np.sqrt(n)
    return change.mean() + np.array([-reach, reach])


def _p_beyond(change: np.ndarray, low: float, high: float) -> float:
    """Return the p of the mean change being from `low` to `high`; each finite end is a test."""
    excesses = [e for e in (low - change, change - high) if np.isfinite(e).all()]
    return min(1.0, len(excesses) * min(map(_p_positive, excesses)))


def _p_positive(excess: np.ndarray) -> float:
    """Return the p of a one-sided t test of the mean being at most 0.

    Equal values have no t; then it is the p of a sign test.
    """
    n, sd = len(excess), excess.std(ddof=1)
    if sd <= _TINY:
        return 0.5**n if excess[0] > _TINY else 1.0
    # Not scipy.stats, which takes milliseconds for each of a thousand tests.
    return float(special.stdtr(n - 1, -excess.mean() / sd * np.sqrt(n)))


def _decide(found: dict[str, DamageCheck], confidence: float) -> None:
    """Correct the p values of a condition's signs, and find those that are damaged."""
    for check, p in zip(found.values(), holm([c["p"] for c in found.values()]), strict=True):
        check["p_holm"] = p
        if p is not None and p <= 1 - confidence:
            check["passed"] = False


def _sentence(name: str, check: DamageCheck) -> str:
    (low, high), change = check["interval"], check["change"]
    kind = "factor" if _SIGNS[name].is_factor else "change"
    limits = " to ".join(f"{end:g}" for end in check["tolerated"] if end and np.isfinite(end))
    return (
        f"{name.replace('_', ' ')} {check['value']:.3g} against {check['neutral']:.3g} in neutral "
        f"({kind} {change:.3g}, {low:.3g} to {high:.3g}; {limits} is tolerated)"
    )
