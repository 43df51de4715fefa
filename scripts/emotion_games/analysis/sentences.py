"""The results of an experiment in sentences.

An effect is stated as an effect only if the planned claim holds.
"""

from collections.abc import Iterator

from emotion_games.analysis.instruction_sentences import instruction_lines
from emotion_games.analysis.limits import limits
from emotion_games.analysis.statistics_parts import failed
from emotion_games.analysis.statistics_records import EmotionEffect, Statistics
from emotion_games.analysis.wording import at, interval, measured, points
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, Plan


def describe(statistics: Statistics) -> str:
    """Return the text_description: the experiment, each emotion, instructions, and the limits."""
    lines, effects = [_opening(statistics)], statistics["emotion_analysis"]
    for emotion in statistics["plan"]["emotions"]:
        if emotion in effects:
            lines.append(effects[emotion]["sentence"])
        else:
            text = "no scenario has answers both with this emotion and in neutral."
            lines.append(f"{emotion.capitalize()}: {text}")
    lines += [*instruction_lines(statistics), *limits(statistics)]
    return "\n".join(line for line in lines if line)


def sentence(effect: EmotionEffect, statistics: Statistics) -> str:
    """Describe the effect of one emotion."""
    plan, versus = statistics["plan"], effect["versus_neutral"]
    subject = measured(effect["measure"], plan)
    who = f"{effect['emotion'].capitalize()} at intensity {effect['intensity']:g}"
    if effect["failed_check"]:
        who += f" ({failed(effect['failed_check'])})"
    change = f"{subject} changed by {points(versus['estimate'])} against neutral"
    change = f"{who}{at(effect['history'], plan)}: {change}"
    count = f"{versus['n_scenarios']} scenarios, {versus['n_trials']} trials"
    if versus["interval"] is None:
        return f"{change} ({count}); there is no interval, so no conclusion is possible."
    change += f" ({interval(versus, plan)}; {count})."
    if effect["damaged"]:
        reasons = "; ".join(effect["damage_reasons"])
        return (
            f"{change} The effect is not interpreted, because the condition damages the model: "
            f"{reasons}."
        )
    parts = [change, *_decision(effect, plan), *_bounds(effect, statistics)]
    return " ".join([*parts, *_agreement(effect, plan)])


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
        f"by {points(random['estimate'])} in {measured(effect['measure'], plan)} "
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
    outside = [_increase(high), _decrease(low)]
    if any(outside):
        text = (
            f"The data rule out {' and '.join(filter(None, outside))} in "
            f"{measured(effect['measure'], plan)} (interval corrected for "
            f"{len(plan['emotions'])} emotions)"
        )
        if not effect["claim"] and (high <= 0 or low >= 0):
            text += (
                f", but do not show that {effect['emotion']}, rather than any push of this size, "
                "caused the change"
            )
        yield f"{text}."
    for test in statistics["equivalence"]:
        same = all(test[key] == effect[key] for key in ("emotion", "history", "measure"))
        if same and test["equivalent"]:
            shown = " to ".join(points(end) for end in test["interval"])
            yield (
                f"The effect is equivalent to none within the planned margin of "
                f"{100 * test['margin']:g} points (two one-sided tests, corrected; "
                f"{100 * (2 * plan['confidence'] - 1):g} % interval {shown})."
            )


def _increase(high: float) -> str:
    """Return which increases an interval with this upper end rules out."""
    if high <= 0:
        return "any increase"
    return f"an increase of more than {100 * high:.1f} points" if high < 1 else ""


def _decrease(low: float) -> str:
    """Return which decreases an interval with this lower end rules out."""
    if low >= 0:
        return "any decrease"
    return f"a decrease of more than {-100 * low:.1f} points" if low > -1 else ""


def _agreement(effect: EmotionEffect, plan: Plan) -> Iterator[str]:
    """Yield where other measures or halves of the stimuli do not support a claim."""
    if not effect["claim"]:
        return
    for other in effect["other_measures"]:
        if other["agrees"] is False:
            subject = measured(other["measure"], plan)
            change = points(other["estimate"])
            yield f"However, {subject} changed in the opposite direction, by {change}."
    if effect["emotion"] in plan.get("given_directions", []):
        yield "Its vectors were given, so no halves of stimuli test it."
    if effect["halves_agree"] is False:
        yield (
            "The effects of the directions from the two halves of its stimuli do not both have "
            "this sign, so treat it with caution."
        )
    if effect["branch_disagrees"]:
        yield (
            "The tokens at which the options first differ, taken alone, show the opposite sign, "
            "so treat it with caution."
        )


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
