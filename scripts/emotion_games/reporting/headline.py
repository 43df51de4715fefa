"""The verdict of a series in plain sentences: what is claimed, what moved, what is excluded.

Standard library only, because every job writes the page.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from emotion_games.reporting.transcripts import Shown

MOST_NAMED = 3


def headline(effects: Sequence[Shown]) -> str:
    """Return the first sentence of a finished series.

    Args:
        effects: The rows of series_results.json, or others with their keys `game_name`,
            `model_name`, `emotion`, `outcome`, `estimate`, `moved` and `claim`.
    """
    if not effects:
        return "No effect could be computed."
    claimed = sorted((e for e in effects if e["claim"]), key=lambda e: -abs(e["estimate"]))
    moved = [e for e in effects if e["moved"]]
    n = len(effects)
    if not claimed:
        if moved:
            return f"No effect is claimed, but {len(moved)} of {n} moved the choices."
        return f"No effect is claimed, and none of {n} measurably moved the choices."
    named = "; ".join(_named(effect, effects) for effect in claimed[:MOST_NAMED])
    rest = len(claimed) - MOST_NAMED
    more = f"; and {rest} more" if rest > 0 else ""
    verb = "is" if len(claimed) == 1 else "are"
    return f"{len(claimed)} of {n} {_plural('effect', n)} {verb} claimed: {named}{more}."


def findings(effects: Sequence[Shown]) -> list[str]:
    """Return what follows the headline of a finished series, one sentence each.

    Args:
        effects: The rows of `effects.effects_of`.
    """
    lines = []
    only = [e for e in effects if e["moved"] and not e["claim"] and not e["damaged"]]
    if only:
        lines.append(
            f"Moved but not claimed: {len(only)}. Choices differ from neutral, but it is not "
            "shown that the emotion did this rather than any push of this size."
        )
    unmoved = [e for e in effects if not e["moved"] and not e["damaged"] and e["corrected"]]
    if unmoved:
        widest = max(abs(end) for e in unmoved for end in e["corrected"])
        if widest < 1:
            lines.append(
                f"Excluded: changes of more than {100 * widest:.0f} points by any of the "
                f"{len(unmoved)} that did not move choices (intervals corrected for the emotions "
                "of each experiment)."
            )
    damaged = Counter(e["emotion"] for e in effects if e["damaged"])
    if damaged:
        names = ", ".join(f"{emotion} {number}" for emotion, number in damaged.items())
        lines.append(f"Not interpreted, because the push damages the model: {names}.")
    return lines


def detectable(effects: Iterable[Shown]) -> str:
    """Return how large an effect had to be to be found, with 80 % power."""
    rows = list(effects)
    moved = [e["to_move"] for e in rows if e["to_move"] is not None]
    claims = [e["to_claim"] for e in rows if e["to_claim"] is not None]
    parts = []
    if moved:
        parts.append(f"{_range(moved)} points to count as moved")
    if claims:
        parts.append(f"{_range(claims)} points to be claimed")
    if not parts:
        return ""
    return f"What this series could see: an effect needed {' and '.join(parts)} (80 % power)."


def _range(values: Iterable[float]) -> str:
    low, high = (f"{100 * value:.0f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _named(effect: Shown, effects: Iterable[Shown]) -> str:
    """Return an effect in words, with the model if the series has several."""
    estimate = effect["estimate"]
    verb = "raises" if estimate > 0 else "lowers"
    where = effect["game_name"].replace("_", " ")
    if len({one["model_name"] for one in effects}) > 1:
        where += f", {effect['model_name']}"
    size = f"{100 * abs(estimate):.0f} points"
    return f"{effect['emotion']} {verb} {effect['outcome']} by {size} ({where})"


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
