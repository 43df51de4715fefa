"""What instructions and events do beside a push, in sentences."""

from collections.abc import Iterator

from emotion_games.analysis.secondary_records import CombinedEffect, InstructionEffect
from emotion_games.analysis.statistics_parts import Estimate
from emotion_games.analysis.statistics_records import Statistics
from emotion_games.analysis.wording import at, interval, measured, points
from emotion_games.experiment.spec import Plan

EXPLORATORY = (
    "What follows is exploratory. There are no null directions under an instruction or after an "
    "event, so that an emotion cannot be told from a push as such there; claims are those above."
)


def instruction_lines(statistics: Statistics) -> Iterator[str]:
    """Yield a sentence on each instruction, and on each emotion under it or in vector and words."""
    instructed, combined = statistics["instructions"], statistics["combined"]
    if instructed or combined:
        yield EXPLORATORY
    told: set[str] = set()
    for effect in instructed:
        if effect["instruction"] not in told:
            told.add(effect["instruction"])
            yield _alone(effect, statistics["plan"])
        yield _under(effect, statistics)
    for both in combined:
        yield _together(both, statistics["plan"])


def _alone(effect: InstructionEffect, plan: Plan) -> str:
    change = _shown(effect["alone"], plan)
    return (
        f"The instruction {effect['instruction']}, without a push, changed "
        f"{measured(effect['measure'], plan)}{at(effect['history'], plan)} by {change}."
    )


def _under(effect: InstructionEffect, statistics: Statistics) -> str:
    """Say whether an instruction changes the effect of an emotion, and how much of it is gone."""
    plan, change = statistics["plan"], effect["change"]
    text = (
        f"Under the instruction {effect['instruction']}, {effect['emotion']} at intensity "
        f"{effect['intensity']:g} changed it by {_shown(effect['under'], plan)}, and without the "
        f"instruction by {_shown(effect['without'], plan)}."
    )
    if effect["damaged"]:
        return f"{text} No difference is reported, since the push damages the model."
    text += f" The difference is {_shown(change, plan)}"
    if effect["p_corrected"] is None or statistics["meta"]["interim"]:
        return f"{text}; it is not tested."
    text += f"; corrected p {effect['p_corrected']:.2g} over {effect['n_tests']} tests."
    if effect["undone"] is None:
        return text
    text += f" {100 * effect['undone']:.0f} % of the effect is undone"
    if effect["undone_interval"] is None:
        return f"{text}, with no bounded interval."
    low, high = effect["undone_interval"]
    return (
        f"{text} ({100 * plan['confidence']:g} % interval {100 * low:.0f} to {100 * high:.0f} %)."
    )


def _together(effect: CombinedEffect, plan: Plan) -> str:
    """Compare vector and words together with each of them alone."""
    text = (
        f"The vector of {effect['emotion']} at intensity {effect['intensity']:g} changed "
        f"{measured(effect['measure'], plan)}{at(effect['history'], plan)} by "
        f"{_shown(effect['vector'], plan)}, an event in words by {_shown(effect['words'], plan)}, "
        f"and both together by {_shown(effect['both'], plan)}."
    )
    if effect["damaged"]:
        return f"{text} They are not compared, since the push damages the model."
    return (
        f"{text} Both less the vector is {_shown(effect['both_minus_vector'], plan)}, and both "
        f"less the words {_shown(effect['both_minus_words'], plan)}."
    )


def _shown(estimate: Estimate, plan: Plan) -> str:
    return f"{points(estimate['estimate'])} ({interval(estimate, plan)})"
