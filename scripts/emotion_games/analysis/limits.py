"""What limits the conclusions from an experiment, in sentences."""

from emotion_games.analysis.statistics_parts import first
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.analysis.wording import at, interval, measured, percent, points
from emotion_games.experiment.analysis_plan import CHOSEN
from emotion_games.experiment.check_records import LEAST_NULLS
from emotion_games.experiment.conditions import Arm


def limits(statistics: Statistics) -> list[str]:
    """Return a text about each limit; it is empty if there is nothing to say."""
    kinds = [_position, _validity, _mass, _format, _manipulation, _given, _damage, _events]
    kinds += [_power, needed]
    return [limit(statistics) for limit in kinds]


def _position(statistics: Statistics) -> str:
    parts = []
    for row in statistics["position_bias"]:
        if (row["arm"], row["measure"]) == (Arm.NEUTRAL, CHOSEN):
            parts.append(_than_chance(row["estimate"]) + at(row["history"], statistics["plan"]))
    if not parts:
        return ""
    return (
        f"In neutral, the first option was chosen {', '.join(parts)}, in the written choices. "
        "Every option was shown in every position, so this does not affect the contrasts."
    )


def _than_chance(difference: float | None) -> str:
    """Return `12.5 points less often than chance` for -0.125."""
    if difference is None:
        return "an unknown number of times"
    shown = f"{100 * abs(difference):.1f}"
    if shown == "0.0":
        return "as often as chance"
    return f"{shown} points {'more' if difference > 0 else 'less'} often than chance"


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
        "At the decision, the options together had "
        f"{', '.join(parts) or 'an unknown share'} of the model's probability in neutral, and "
        f"{100 * min(shares):.1f} to {100 * max(shares):.1f} % over all conditions. Other texts "
        "had the rest."
    )


def _format(statistics: Statistics) -> str:
    """Say how the free answers beside guided ones compare with them."""
    rows = [row for row in statistics["format_check"] if row["arm"] == Arm.NEUTRAL]
    others = [row for row in statistics["format_check"] if row["arm"] != Arm.NEUTRAL]
    if not rows:
        return ""
    (neutral,) = rows
    text = (
        f"When the model wrote the whole answer, {percent(neutral['readable'])} of "
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
            f" {nulls['passed']} of {nulls['n_directions']} null directions raise one of the "
            "emotions most in two checks."
        )
    if not nulls or nulls["n_directions"] < LEAST_NULLS:
        text += f" No rise was compared with null directions: {LEAST_NULLS} are needed."
    return text


def _given(statistics: Statistics) -> str:
    """Say what is not known of emotions whose vectors were given."""
    emotions = statistics["plan"].get("given_directions", [])
    if not emotions:
        return ""
    return (
        f"The vectors of {', '.join(emotions)} were given, not measured on stimuli, so they have "
        "no halves, no accuracy on held-out stimuli and no natural gap that show how reliable they "
        "are. The null directions were made from the stimuli."
    )


def _damage(statistics: Statistics) -> str:
    shares = [record["dominance_not_understood"] for record in statistics["damage"]]
    if not shares or shares[0] is None:
        return ""
    return (
        "The dominance items cannot show damage: without a push the model chooses the better "
        f"option with a probability of {shares[0]:.2f}, where guessing gives 0.50. Damage is "
        "judged by the other signs."
    )


def _events(statistics: Statistics) -> str:
    """Say whether scenarios share an event of a prompted arm."""
    n, events = statistics["meta"]["n_scenarios"], statistics["meta"]["n_events"]
    if not events or min(events.values()) >= n:
        return ""
    return (
        f"The prompted arms describe {min(events.values())} different events in {n} scenarios. "
        "Scenarios that share an event are not independent, so the intervals of the prompted "
        "contrasts are too narrow."
    )


def _power(statistics: Statistics) -> str:
    found = statistics["power"]["observed"]
    if found is None or found["smallest_moved"] is None:
        return ""
    subject = measured(statistics["power"]["measure"], statistics["plan"])
    moved, claimed = (found["smallest_moved"], found["smallest_claimed"])
    parts = [f"{100 * moved:.1f} points to differ from neutral"]
    if claimed is not None:
        parts.append(f"{100 * claimed:.1f} points to be claimed")
    return (
        f"With the observed variation, an effect on {subject} needed "
        f"{' and '.join(parts)}, with 80 % power."
    )


def needed(statistics: Statistics) -> str:
    """Return what an experiment lacks to claim any effect, or an empty text."""
    needs, lacking = statistics["plan"]["claim"], []
    nulls = first(statistics["null_directions"], arm=Arm.RANDOM, measure=needs["measure"])
    sound = nulls["n_directions"] if nulls else 0
    if sound < needs["null_directions"]:
        lacking.append(f"{needs['null_directions']} undamaged null directions instead of {sound}")
    if statistics["meta"]["n_scenarios"] < needs["scenarios"]:
        n = statistics["meta"]["n_scenarios"]
        lacking.append(f"{needs['scenarios']} scenarios instead of {n}")
    pushed = [r["complete"] for r in statistics["damage"] if r["arm"] == Arm.STEERED]
    if not pushed or not all(pushed):
        lacking.append("a complete damage check")
    if not lacking:
        return ""
    *others, last = lacking
    every = f"{', '.join(others)} and {last}" if others else last
    return f"Claims are not testable: they need {every}."
