"""The results of an experiment in sentences.

An effect is stated as an effect only if the planned claim holds.
"""

from collections.abc import Iterator

from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_parts import Estimate, failed
from emotion_games.analysis.statistics_records import EmotionEffect, Statistics
from emotion_games.experiment.analysis_plan import CHOSEN, MEAN, MINIMUM_SCENARIOS, Plan
from emotion_games.experiment.check_records import LEAST_NULLS
from emotion_games.experiment.conditions import Arm


def describe(statistics: Statistics) -> str:
    """Return the text_description: the experiment, each emotion, and the limits."""
    lines, effects = [_opening(statistics)], statistics["emotion_analysis"]
    for emotion in statistics["plan"]["emotions"]:
        if emotion in effects:
            lines.append(effects[emotion]["sentence"])
        else:
            text = "no scenario has answers both with this emotion and in neutral."
            lines.append(f"{emotion.capitalize()}: {text}")
    limits = (_position, _validity, _mass, _format, _manipulation, _damage, _power, needed)
    lines += [limit(statistics) for limit in limits]
    return "\n".join(line for line in lines if line)


def sentence(effect: EmotionEffect, statistics: Statistics) -> str:
    """Describe the effect of one emotion."""
    plan, versus = statistics["plan"], effect["versus_neutral"]
    measured = _measured(effect, plan)
    who = f"{effect['emotion'].capitalize()} at intensity {effect['intensity']:g}"
    if effect["failed_check"]:
        who += f" ({failed(effect['failed_check'])})"
    change = f"{measured} changed by {points(versus['estimate'])} against neutral"
    change = f"{who}{at(effect['history'], plan)}: {change}"
    count = f"{versus['n_scenarios']} scenarios, {versus['n_trials']} trials"
    if versus["interval"] is None:
        return f"{change} ({count}); there is no interval, so no conclusion is possible."
    change += f" ({interval(versus, plan)}; {count})."
    if effect["damaged"]:
        reasons = "; ".join(effect["damage_reasons"])
        return f"{change} No effect is reported, since the condition damages the model: {reasons}."
    parts = [change, *_decision(effect, plan), *_bounds(effect, statistics)]
    return " ".join([*parts, *_agreement(effect)])


def _measured(effect: EmotionEffect, plan: Plan) -> str:
    return MEASURES[effect["measure"]].of(plan["outcome"])


def points(value: float | None) -> str:
    """Return a difference on the 0 to 1 scale as signed percentage points."""
    return "an unknown number of points" if value is None else f"{100 * value:+.1f} points"


def at(history: str, plan: Plan) -> str:
    """Return ` at history low`, or nothing if a game has only one history."""
    if history == MEAN:
        return ", mean over histories"
    return f" at history {history}" if len(plan["histories"]) > 1 else ""


def interval(versus: Estimate, plan: Plan) -> str:
    """Return `95 % interval -7.2 to +3.1`."""
    if versus["interval"] is None:
        return "no interval"
    low, high = versus["interval"]
    return f"{100 * plan['confidence']:g} % interval {100 * low:+.1f} to {100 * high:+.1f}"


def _decision(effect: EmotionEffect, plan: Plan) -> Iterator[str]:
    """Yield whether the choices have moved, and whether the emotion is claimed to move them."""
    random, corrected = effect["versus_random"], effect["p_moved_corrected"]
    if effect["moved"]:
        yield f"The choices moved (corrected p {corrected:.2g})."
    if not effect["claim"]:
        if effect["claim_reasons"]:
            yield f"No emotion effect is claimed: {'; '.join(effect['claim_reasons'])}."
        return
    assert random is not None, "a claim requires the contrast with null directions"
    yield (
        f"They also moved more than under {effect['n_nulls']} null directions of the same size, "
        f"by {points(random['estimate'])} in {_measured(effect, plan)} "
        f"({interval(random, plan)}). An effect of {effect['emotion']} is claimed (corrected p "
        f"{effect['p_claim_corrected']:.2g}, by Holm {effect['p_claim_holm']:.2g})."
    )


def _bounds(effect: EmotionEffect, statistics: Statistics) -> Iterator[str]:
    """Yield what the interval that is corrected for all emotions excludes."""
    versus, plan = effect["versus_neutral"], statistics["plan"]
    ends = versus.get("interval_corrected")
    if versus["n_scenarios"] < MINIMUM_SCENARIOS or not ends:
        return
    low, high = ends
    outside = [
        f"above {points(high)}" if high < 1 else "",
        f"below {points(low)}" if low > -1 else "",
    ]
    if any(outside):
        yield (
            f"Changes of {_measured(effect, plan)} {' and '.join(filter(None, outside))} are "
            f"excluded (interval corrected for {len(plan['emotions'])} emotions)."
        )
    for test in statistics["equivalence"]:
        same = all(test[key] == effect[key] for key in ("emotion", "history", "measure"))
        if same and test["equivalent"]:
            margin = f"the planned margin of {100 * test['margin']:g} points"
            yield f"The effect is equivalent to none within {margin}."


def _agreement(effect: EmotionEffect) -> Iterator[str]:
    """Yield where other measures or halves of the stimuli do not support a claim."""
    if not effect["claim"]:
        return
    for other in effect["other_measures"]:
        if other["agrees"] is False:
            label = MEASURES[other["measure"]].label
            yield f"The {label} changed the other way, by {points(other['estimate'])}."
    if effect["halves_agree"] is False:
        yield (
            "The directions of the two halves of its stimuli do not both have this sign, so treat "
            "it with caution."
        )
    if effect["branch_disagrees"]:
        yield "The branching tokens alone have the opposite sign, so treat it with caution."


def _opening(statistics: Statistics) -> str:
    meta, plan = statistics["meta"], statistics["plan"]
    n, requested = meta["n_scenarios"], plan["planned"]["scenarios"]
    planned = f" of {meta['n_trials_planned']} planned" if meta["n_trials_planned"] else ""
    text = (
        f"{meta['model']} decided in {n} scenarios of {meta['game']} ({meta['n_trials']}{planned} "
        f"trials). Changes are in percentage points of {meta['outcome']}; the unit of inference is "
        "the scenario."
    )
    if requested and n < requested:
        text += f" {requested} scenarios were requested, but only {n} have trials."
    if meta["interim"]:
        text += " INTERIM: the experiment is not finished, so none of this is a result yet."
    if n < MINIMUM_SCENARIOS:
        text += f" With fewer than {MINIMUM_SCENARIOS} scenarios all numbers are descriptive only."
    return text


def _position(statistics: Statistics) -> str:
    parts = []
    for row in statistics["position_bias"]:
        if (row["arm"], row["measure"]) == (Arm.NEUTRAL, CHOSEN):
            parts.append(points(row["estimate"]) + at(row["history"], statistics["plan"]))
    if not parts:
        return ""
    return (
        "In neutral the option shown first was chosen more (+) or less (-) often than an equal "
        f"share: {', '.join(parts)}; every option was shown in every position, so this does not "
        "affect the contrasts."
    )


def _validity(statistics: Statistics) -> str:
    rows = [row for row in statistics["validity"] if row["n_generated"]]
    total = sum(row["n_generated"] for row in rows)
    lost = total - sum(row["n_parsed"] for row in rows)
    if not total:
        return "Nothing was generated: all results come from choice probabilities."
    if statistics["plan"]["decoding"] == "guided":
        return (
            f"All {total} answers were guided: their form was given, and the option was drawn from "
            "the model's probabilities."
        )
    if not lost:
        return f"All {total} written answers could be parsed."
    worst = min(rows, key=lambda row: row["parse_rate"] or 0.0)
    share = 1 - (worst["parse_rate"] or 0.0)
    return (
        f"{lost} of {total} written answers could not be parsed (most in {worst['condition']}: "
        f"{share:.1%}); they count as missing, and each contrast of written choices includes the "
        "worst case."
    )


def _mass(statistics: Statistics) -> str:
    """Say how much of the model's probability the options had, where the choices come from."""
    rows = statistics["validity"]
    is_after = statistics["plan"]["decoding"] == "guided" and any(
        row["valid_mass_after"] for row in rows
    )
    masses = [(row, row["valid_mass_after" if is_after else "valid_mass"]) for row in rows]
    shares = [mass["estimate"] for _, mass in masses if mass and mass["estimate"] is not None]
    if not shares:
        return ""
    parts = [
        f"{percent(mass)}{at(row['history'], statistics['plan'])}"
        for row, mass in masses
        if mass and row["arm"] == Arm.NEUTRAL
    ]
    return (
        "Of the model's probability at the place of the decision, the options together had "
        f"{', '.join(parts) or 'an unknown share'} in neutral, and {100 * min(shares):.1f} to "
        f"{100 * max(shares):.1f} % over all conditions; other texts had the rest."
    )


def _format(statistics: Statistics) -> str:
    """Say how the free answers beside guided ones compare with them."""
    rows = [row for row in statistics["format_check"] if row["arm"] == Arm.NEUTRAL]
    others = [row for row in statistics["format_check"] if row["arm"] != Arm.NEUTRAL]
    if not rows:
        return ""
    (neutral,) = rows
    text = (
        f"Without the form of a guided answer, {percent(neutral['readable'])} of "
        f"{neutral['n_answers']} neutral answers could be read"
    )
    if others:
        read = [bool(answer["choice"]) for row in others for answer in row["answers"]]
        text += f", and {100 * sum(read) / len(read):.1f} % of {len(read)} steered ones"
    if neutral["as_guided"]["estimate"] is None:
        return f"{text}, so the guided answers cannot be compared with free ones."
    difference, plan = neutral["free_minus_guided"], statistics["plan"]
    return (
        f"{text}. Of the neutral ones that could be read, {percent(neutral['as_guided'])} named "
        f"the likeliest guided option, and {plan['outcome']} differed from the guided answers by "
        f"{points(difference['estimate'])} ({interval(difference, plan)})."
    )


def percent(share: Estimate) -> str:
    """Return a share with its interval: `61.2 % (50.1 to 71.0 %)`."""
    if share["estimate"] is None:
        return "an unknown share"
    text = f"{100 * share['estimate']:.1f} %"
    if share["interval"] is None:
        return text
    low, high = share["interval"]
    return f"{text} ({100 * low:.1f} to {100 * high:.1f} %)"


def _manipulation(statistics: Statistics) -> str:
    """Say which emotions are induced, and how often a null direction would pass."""
    dose = statistics["plan"]["headline_intensity"]
    judged = [one for one in statistics["induced"] if one["intensity"] == dose]
    judged = [one for one in judged if one["came_through"] is not None]
    if not judged:
        return "It was not measured whether the intended emotion was present."
    parts = []
    for one in judged:
        verdict = "came through" if one["came_through"] else "failed"
        parts.append(f"{one['emotion']} {verdict} ({one['reason']})")
    text = f"In the manipulation checks at intensity {dose:g}, {'; '.join(parts)}."
    nulls = statistics["null_passes"]
    if nulls:
        text += (
            f" {nulls['passed']} of {nulls['n_directions']} null directions raise some one emotion "
            "most in two checks."
        )
    if not nulls or nulls["n_directions"] < LEAST_NULLS:
        text += f" No rise was compared with null directions, of which {LEAST_NULLS} are needed."
    return text


def _damage(statistics: Statistics) -> str:
    shares = [record["dominance_not_understood"] for record in statistics["damage"]]
    if not shares or shares[0] is None:
        return ""
    return (
        "The dominance items cannot show damage: without a push the model chooses the better "
        f"option with a probability of {shares[0]:.2f}, where guessing gives 0.50. Damage is "
        "judged by the other signs."
    )


def _power(statistics: Statistics) -> str:
    found = statistics["power"]["observed"]
    if found is None or found["smallest_moved"] is None:
        return ""
    measured = MEASURES[statistics["power"]["measure"]].of(statistics["plan"]["outcome"])
    moved, claimed = (found["smallest_moved"], found["smallest_claimed"])
    parts = [f"{100 * moved:.1f} points to be found different from neutral"]
    if claimed is not None:
        parts.append(f"{100 * claimed:.1f} points to be claimed")
    return (
        f"With the observed variation, an effect on {measured} had to reach "
        f"{' and '.join(parts)} with 80 % power."
    )


def needed(statistics: Statistics) -> str:
    """Return what an experiment lacks to claim any effect, or an empty text."""
    plan, lacking = statistics["plan"], []
    needs, planned = plan["claim"], plan["planned"]["null_directions"]
    if planned < needs["null_directions"]:
        lacking.append(f"{needs['null_directions']} null directions instead of {planned}")
    if statistics["meta"]["n_scenarios"] < needs["scenarios"]:
        n = statistics["meta"]["n_scenarios"]
        lacking.append(f"{needs['scenarios']} scenarios instead of {n}")
    pushed = [r["complete"] for r in statistics["damage"] if r["arm"] == Arm.STEERED]
    if not pushed or not all(pushed):
        lacking.append("a complete damage check")
    return f"Claims are not testable: they need {', '.join(lacking)}." if lacking else ""
