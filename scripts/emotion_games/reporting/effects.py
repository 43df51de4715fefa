"""The effects of one experiment as the page shows them, each with the checks of its claim.

Standard library only, because every job writes the page.
"""

from collections.abc import Iterator
from typing import Any

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import Estimate, first
from emotion_games.analysis.statistics_records import EmotionEffect, Statistics
from emotion_games.experiment.conditions import Arm
from emotion_games.prompts.stimuli import NEUTRAL
from emotion_games.reporting.outcomes import amounts_of
from emotion_games.reporting.transcripts import Shown, number


def effects_of(stats: Statistics) -> Iterator[Shown]:
    """Yield one row per emotion, at the headline intensity and the mean over histories."""
    rates = {}
    for r in stats["rates"]:
        place = (r["arm"], r["emotion"], r["intensity"], r["history"], r["measure"])
        rates[place] = r["estimate"]
    for record in stats["emotion_analysis"].values():
        emotion, intensity = record["emotion"], record["intensity"]
        history, measure = record["history"], record["measure"]
        versus = record["versus_neutral"]
        yield {
            "emotion": emotion,
            "outcome": stats["meta"]["outcome"],
            "history": history,
            "intensity": intensity,
            "measure": MEASURES[measure].label,
            "n_scenarios": versus["n_scenarios"],
            "neutral": number(rates.get((Arm.NEUTRAL, NEUTRAL, 0.0, history, measure))),
            "rate": number(rates.get((Arm.STEERED, emotion, intensity, history, measure))),
            "amounts": amounts_of(stats, emotion, history),
            "effect": estimate_of(versus),
            "corrected": ends_of(versus.get("interval_corrected")),
            "random": estimate_of(record["versus_random"]),
            "prompted": estimate_of(record["prompted"]),
            "moved": record["moved"],
            "claim": record["claim"],
            "damaged": record["damaged"],
            "failed_check": record["failed_check"] or "",
            "p": number(record["p_claim_corrected"]),
            "checklist": list(_checklist(record, stats)),
        } | _reach(record, stats)


def _reach(record: EmotionEffect, stats: Statistics) -> Shown:
    """Return the band of the null directions, and the smallest effects that 80 % power finds."""
    place = {key: record[key] for key in ("emotion", "history", "measure")}
    response = first(stats["dose_response"], **place)
    band = response["random_band"] if response else None
    power = stats["power"]["observed"] or stats["power"]["planned"]
    return {
        "band": [number(band["low"]), number(band["high"])] if band else None,
        "to_move": number(power["smallest_moved"]),
        "to_claim": number(power["smallest_claimed"]),
    }


def _checklist(record: EmotionEffect, stats: Statistics) -> Iterator[list[Any]]:
    """Yield what a claim needs, then what supports it: name, passed or None, and numbers."""
    plan = stats["plan"]
    alpha, random = round(1 - plan["confidence"], 9), record["versus_random"]
    versus, n_tests = record["versus_neutral"], record["n_tests"]
    moved, claimed = record["p_moved_corrected"], record["p_claim_corrected"]
    yield [
        "differs from neutral",
        _at_most(moved, alpha),
        f"{_change(versus)}; {_p(moved)}, corrected for {n_tests} emotions",
    ]
    if random is None:
        yield ["differs from null directions", None, "no null direction was measured"]
    else:
        same = (versus["estimate"] or 0) * (random["estimate"] or 0) > 0
        passed = _at_most(record["p_rank"], alpha)
        text = f"{_change(random)} beyond {record['n_nulls']} of them; {_p(record['p_rank'])}"
        if not same:
            text += "; with the opposite sign"
        yield ["differs from null directions in the same way", passed and same, text]
    by_holm = f"; by Holm {_p(record['p_claim_holm'])}" if claimed is not None else ""
    yield [
        f"both hold after correction for {n_tests} emotions",
        _at_most(claimed, alpha),
        f"{_p(claimed)}{by_holm}",
    ]
    yield ["the push does not damage the model", *_damage(record, stats)]
    yield ["enough stories and undamaged null directions, all trials done", *_enough(record, stats)]
    yield from _support(record, stats)


def _damage(record: EmotionEffect, stats: Statistics) -> tuple[bool | None, str]:
    dosed = {"emotion": record["emotion"], "intensity": record["intensity"]}
    found = first(stats["damage"], arm=Arm.STEERED, **dosed)
    if found is None:
        return None, "not measured"
    if found["damaged"]:
        return False, "; ".join(found["reasons"])
    if not found["complete"]:
        return None, f"incomplete: {found['reason']}" if found["reason"] else "incomplete"
    names = ", ".join(name.replace("_", " ") for name in found["checks"])
    return True, f"checked: {names}"


def _enough(record: EmotionEffect, stats: Statistics) -> tuple[bool, str]:
    n, meta = record["versus_neutral"]["n_scenarios"], stats["meta"]
    claim: Any = stats["plan"]["claim"]
    enough = n >= claim["scenarios"] and record["n_nulls"] >= claim["null_directions"]
    text = (
        f"{n} stories, {claim['scenarios']} needed; {record['n_nulls']} null directions, "
        f"{claim['null_directions']} needed"
    )
    return enough and not meta["interim"], text + ("; trials are missing" * meta["interim"])


def _support(record: EmotionEffect, stats: Statistics) -> Iterator[list[Any]]:
    """Yield what a claim does not need but a reader should know."""
    dosed = {"emotion": record["emotion"], "intensity": record["intensity"]}
    induced = first(stats["induced"], **dosed)
    came = induced["came_through"] if induced else None
    text = induced["reason"] if induced and induced["reason"] else "not measured"
    yield ["also: the push induces the emotion", came, text]
    halves = record["halves_agree"]
    if halves is not None:
        pair = " and ".join(
            points(half["estimate"])
            for half in (record["first_half"], record["second_half"])
            if half
        )
        yield ["also: directions of both halves of the texts agree", halves, pair]
    for other in record["other_measures"]:
        label = MEASURES[other["measure"]].label
        yield [f"also: the {label} agree", other["agrees"], _change(other)]


def _at_most(p: float | None, alpha: float) -> bool | None:
    return None if p is None else p <= alpha


def _p(p: float | None) -> str:
    if p is None:
        return "p not known"
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def points(value: float | None) -> str:
    """Return a difference with a true minus sign: `−31.2 points`."""
    return "unknown" if value is None else f"{signed(value)} points"


def signed(value: float) -> str:
    """Return a difference in percentage points with its sign, and 0.0 without one."""
    shown = f"{100 * value:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown.replace("-", "\N{MINUS SIGN}")


def _change(record: Estimate) -> str:
    text, interval = points(record["estimate"]), record["interval"]
    return text if interval is None else f"{text} [{signed(interval[0])}, {signed(interval[1])}]"


def estimate_of(record: Estimate | None) -> list[float | None] | None:
    """Return estimate, low and high."""
    if record is None or record["estimate"] is None:
        return None
    return [number(record["estimate"]), *(ends_of(record["interval"]) or (None, None))]


def ends_of(interval: list[float] | None) -> list[float | None] | None:
    """Return the rounded ends of an interval."""
    return None if interval is None else [number(end) for end in interval]
