"""What the results of an experiment do and do not support, in sentences that a paper's reader understands.

Knows only the finished analysis; an effect is asserted in words only where the planned claim holds.
"""

from typing import Any


def describe(analysis: dict[str, Any]) -> str:
    """The text_description: what was done, then each emotion and history, then what weakens the whole."""
    meta, plan = analysis["meta"], analysis["plan"]
    lines = [_opening(meta, plan)]
    for emotion, records in analysis["emotion_analysis"].items():
        lines += [record["sentence"] for record in records]
        if not records:
            lines.append(
                f"{emotion.capitalize()}: no scenario has a readable answer with it and in neutral."
            )
    lines += [
        _position(analysis),
        _validity(analysis),
        _manipulation(analysis, plan),
        _power(analysis),
    ]
    return "\n".join(line for line in lines if line)


def sentence(
    record: dict[str, Any], plan: dict[str, Any], outcome: str, equivalence: list[dict[str, Any]]
) -> str:
    """One emotion at one history."""
    found = record["versus_neutral"]
    where = f"{record['emotion'].capitalize()} at intensity {record['intensity']:g}{at(record['history'], plan)}"
    change = f"{where}: {measured(record['measure'], outcome)} changed by {points(found['estimate'])} against neutral"
    if found["interval"] is None:
        return f"{change} ({_count(found)}); there is no interval, so this supports nothing."
    change += f" ({interval(found, plan)}; {_count(found)})."
    if record["damaged"]:
        reasons = "; ".join(record["damage_reasons"])
        return f"{change} No effect is reported, since the condition damages the model: {reasons}."
    if record["claim"]:
        return f"{change} {_claimed(record, plan)}"
    return f"{change} {_unclaimed(record, plan, equivalence)}"


def points(value: float) -> str:
    """A difference on the 0 to 1 scale as signed percentage points."""
    return f"{100 * value:+.1f} points"


def at(history: str, plan: dict[str, Any]) -> str:
    """` at history low`, or nothing where a game has only one."""
    return f" at history {history}" if len(plan["histories"]) > 1 else ""


def interval(found: dict[str, Any], plan: dict[str, Any]) -> str:
    """`95 % interval -7.2 to +3.1`."""
    low, high = found["interval"]
    return f"{100 * plan['confidence']:g} % interval {100 * low:+.1f} to {100 * high:+.1f}"


def measured(measure: str, outcome: str) -> str:
    """What a measure says, in words."""
    return {
        "chosen": f"{outcome} in the written choices",
        "scored": f"the expected {outcome} under the choice probabilities",
    }[measure]


def _claimed(record: dict[str, Any], plan: dict[str, Any]) -> str:
    random = record["versus_random"]
    low, high = record["versus_neutral"]["interval"]
    nearest = min(abs(low), abs(high)) if low * high > 0 else 0.0
    beside = f"{points(random['estimate'])} ({interval(random, plan)})"
    text = f"It also differs from random directions of the same size, by {beside}. "
    text += (
        f"This supports an effect of {record['emotion']} (corrected p {record['p_claim_holm']:.2g})"
    )
    text += f"; an effect smaller than {100 * nearest:.1f} points is excluded." if nearest else "."
    if record["branch_disagrees"]:
        text += " The sensitivity value over the branching tokens has the opposite sign, so treat it with caution."
    return text


def _unclaimed(
    record: dict[str, Any], plan: dict[str, Any], equivalence: list[dict[str, Any]]
) -> str:
    low, high = record["versus_neutral"]["interval"]
    text = (
        "No emotion effect is claimed: " + "; ".join(record["claim_reasons"]) + "."
        if record["claim_reasons"]
        else ""
    )
    if record["versus_neutral"]["n_scenarios"] < plan["minimum_scenarios"]:
        return text
    if low <= 0 <= high:
        text += f" A difference larger than {points(high)} or than {points(low)} is excluded; anything between is not."
    else:
        text += f" A difference beyond {points(high if high > 0 else low)} and one of the other sign are excluded"
        text += "; that it is this emotion's is not shown."
    same = ("emotion", "history", "measure")
    for test in equivalence:
        if test["equivalent"] and all(test[key] == record[key] for key in same):
            text += f" The effect is equivalent to none within the planned margin of {100 * test['margin']:g} points."
    return text.strip()


def _opening(meta: dict[str, Any], plan: dict[str, Any]) -> str:
    planned = f" of {meta['n_trials_planned']} planned" if meta["n_trials_planned"] else ""
    text = (
        f"{meta['model']} decided in {meta['n_scenarios']} scenarios of {meta['game']} "
        f"({meta['n_trials']}{planned} trials). Changes are in percentage points of {meta['outcome']}; the unit of "
        "inference is the scenario, and histories are kept apart."
    )
    asked = plan["planned"]["scenarios"]
    if asked and meta["n_scenarios"] < asked:
        text += f" {asked} scenarios were asked for, of which the others cannot be used."
    if meta["interim"]:
        text += " INTERIM: the experiment is not finished, so nothing here is a result yet."
    if meta["n_scenarios"] < plan["minimum_scenarios"]:
        text += f" With fewer than {plan['minimum_scenarios']} scenarios everything here is descriptive only."
    return text


def _position(analysis: dict[str, Any]) -> str:
    rows = [
        r for r in analysis["position_bias"] if r["arm"] == "neutral" and r["measure"] == "chosen"
    ]
    texts = [f"{points(r['estimate'])}{at(r['history'], analysis['plan'])}" for r in rows]
    if not texts:
        return ""
    return (
        "In neutral the option shown first was chosen more (+) or less (-) often than by equal shares: "
        + ", ".join(texts)
        + "; every option was shown in every place, so this does not enter the contrasts."
    )


def _validity(analysis: dict[str, Any]) -> str:
    rows = [row for row in analysis["validity"] if row["n_generated"]]
    lost = sum(row["n_generated"] - row["n_parsed"] for row in rows)
    total = sum(row["n_generated"] for row in rows)
    if not total:
        return "Nothing was generated: all results rest on choice probabilities."
    if not lost:
        return f"All {total} written answers could be read."
    worst = min(rows, key=lambda row: row["parse_rate"])
    return (
        f"{lost} of {total} written answers could not be read (most in {worst['condition']}: "
        f"{1 - worst['parse_rate']:.1%}); they count as missing, and each contrast carries the worst case."
    )


def _manipulation(analysis: dict[str, Any], plan: dict[str, Any]) -> str:
    parts = []
    for row in analysis["manipulation"]:
        at_headline = (
            row["arm"] == "steered" and abs(row["intensity"] - plan["headline_intensity"]) < 1e-9
        )
        if row["check"] == "self_report" and at_headline and row["estimate"] is not None:
            parts.append(f"{row['emotion']} {points(row['estimate'])}")
    if not parts:
        return "Whether the intended emotion was there was not measured."
    return (
        "Asked what it felt, the steered model named the intended emotion with a probability changed by "
        + ", ".join(parts)
        + "."
    )


def _power(analysis: dict[str, Any]) -> str:
    found = analysis["power"]["observed"]
    parts = [
        f"{100 * row['smallest_detectable_difference']:.0f} points ({100 * row['with_holm']:.0f} after correction)"
        f"{at(row['history'], analysis['plan'])}"
        for row in found
        if row["smallest_detectable_difference"] is not None
    ]
    if not parts:
        return ""
    return (
        "With the variation found between scenarios, an effect had to reach "
        + ", ".join(parts)
        + " to be found against neutral four times in five."
    )


def _count(found: dict[str, Any]) -> str:
    return f"{found['n_scenarios']} scenarios, {found['n_trials']} trials"
