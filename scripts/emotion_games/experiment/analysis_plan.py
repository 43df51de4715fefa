"""The planned analysis of one experiment, fixed and hashed before its first trial.

It depends on the settings and the game only, never on an answer.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from emotion_games.experiment.conditions import (
    Arm,
    Position,
    given,
    nulls_needed,
    plan_conditions,
    position_of,
)
from emotion_games.experiment.spec import Plan, Settings
from emotion_games.experiment.trials import count_trials, longest_answer, longest_thoughts
from emotion_games.games.records import Game

# Fewer scenarios are described without a test, or without a claim.
MINIMUM_SCENARIOS, CLAIM_SCENARIOS = 12, 24
# The history of a mean over all histories of a game.
MEAN = "mean"

# Measures of a decision.
CHOSEN, SCORED, SCORED_AFTER, BRANCH = "chosen", "scored", "scored_after", "branch"
# The measure of each value of `statistics.primary`.
PRIMARY = {"direct": SCORED, "after_rationale": SCORED_AFTER, "written": CHOSEN}

EMOTION_MINUS_NEUTRAL = "emotion_minus_neutral"
EMOTION_MINUS_RANDOM = "emotion_minus_random"
EMOTION_MINUS_ISOTROPIC = "emotion_minus_isotropic"
EMOTION_MINUS_OTHERS = "emotion_minus_other_emotions"
FIRST_HALF_MINUS_NEUTRAL = "first_half_minus_neutral"
SECOND_HALF_MINUS_NEUTRAL = "second_half_minus_neutral"
PROMPTED_MINUS_NEUTRAL = "prompted_minus_prompted_neutral"
SHUFFLED_MINUS_NEUTRAL = "shuffled_minus_neutral"


@dataclass(frozen=True)
class Contrast:
    """A comparison of two arms.

    Attributes:
        name: Its name in every file.
        arm: The arm of interest.
        reference: The arm that is subtracted. If it is `arm` itself, that is the mean of the other
            emotions of the arm.
        is_planned: Whether it belongs to the plan of an experiment with the given settings; any
            other contrast is exploratory.
    """

    name: str
    arm: Arm
    reference: Arm
    is_planned: Callable[[Settings], bool]

    @property
    def is_paired(self) -> bool:
        """Return True if a condition is compared with one condition without an emotion."""
        return self.reference == self.arm.reference


def _has(arm: Literal["shuffled", "prompted"]) -> Callable[[Settings], bool]:
    return lambda settings: settings["arms"][arm]


def _nulls(kind: Literal["matched", "isotropic"]) -> Callable[[Settings], bool]:
    return lambda settings: settings["arms"]["random"][kind] > 1


def _has_halves(settings: Settings) -> bool:
    return any(condition.arm == Arm.FIRST_HALF for condition in plan_conditions(settings))


# In the order in which a plan lists them.
CONTRASTS = (
    Contrast(EMOTION_MINUS_NEUTRAL, Arm.STEERED, Arm.NEUTRAL, lambda _: True),
    Contrast(EMOTION_MINUS_RANDOM, Arm.STEERED, Arm.RANDOM, _nulls("matched")),
    Contrast(EMOTION_MINUS_ISOTROPIC, Arm.STEERED, Arm.ISOTROPIC, _nulls("isotropic")),
    Contrast(EMOTION_MINUS_OTHERS, Arm.STEERED, Arm.STEERED, lambda s: len(s["emotions"]) > 1),
    Contrast(FIRST_HALF_MINUS_NEUTRAL, Arm.FIRST_HALF, Arm.NEUTRAL, _has_halves),
    Contrast(SECOND_HALF_MINUS_NEUTRAL, Arm.SECOND_HALF, Arm.NEUTRAL, _has_halves),
    Contrast(PROMPTED_MINUS_NEUTRAL, Arm.PROMPTED, Arm.PROMPTED_NEUTRAL, _has("prompted")),
    Contrast(SHUFFLED_MINUS_NEUTRAL, Arm.SHUFFLED, Arm.NEUTRAL, _has("shuffled")),
)

CLAIM_RULE = (
    "For each emotion at the headline intensity, the mean over histories of emotion - neutral in "
    "the primary measure is tested. p_moved is the larger p of a sign-flip and an equal-tailed "
    "bootstrap-t test over scenarios; p_rank is the share of the emotion and the undamaged matched "
    "null directions that are at least as far from their common mean; p_claim is the larger of "
    "both, or 1 if emotion - neutral and emotion - null directions differ in sign. An emotion has "
    "moved choices if p_moved, and its effect is claimed if p_claim, is at most 1 - confidence "
    "after Benjamini and Hochberg's correction over the emotions of the experiment. A claim also "
    "needs the minimum of scenarios and of undamaged null directions, a passed damage check, and "
    "every planned trial."
)


def the_plan(settings: Settings, game: Game) -> Plan:
    """Return what will be tested in an experiment; all its other results are exploratory."""
    statistics, primary = settings["statistics"], PRIMARY[settings["statistics"]["primary"]]
    labels = [choice.label for choice in game.choices]
    scenarios, trials = settings["num_scenarios"], None
    # If scenarios offer only some of the choices, the number of option orders is not known here.
    if scenarios is not None and not game.subset:
        trials = count_trials(labels, len(game.histories), settings, scenarios)["total"]
    plan: Plan = {
        "game": game.name,
        "outcome": game.outcome,
        "choices": {choice.label: choice.value for choice in game.choices},
        "histories": [history.name for history in game.histories],
        "emotions": list(settings["emotions"]),
        "intensities": list(settings["intensity"]),
        "headline_intensity": settings["headline_intensity"],
        "intensity_unit": settings["intensity_unit"],
        "layers": settings["layers"],
        "direction_method": settings["direction_method"],
        "decoding": settings["decoding"],
        "arms": settings["arms"],
        "contrasts": [contrast.name for contrast in CONTRASTS if contrast.is_planned(settings)],
        "measures": [primary, *(m for m in _measured(settings) if m != primary)],
        "claim": {
            "measure": primary,
            "scenarios": CLAIM_SCENARIOS,
            "null_directions": nulls_needed(len(settings["emotions"]), statistics["confidence"]),
            "rule": CLAIM_RULE,
        },
        "confidence": statistics["confidence"],
        "equivalence_margin": statistics["equivalence_margin"],
        "minimum_scenarios": MINIMUM_SCENARIOS,
        "planned": {
            "scenarios": scenarios,
            "repeat": settings["repeat"],
            "null_directions": settings["arms"]["random"]["matched"],
            "trials": trials,
        },
    }
    if settings.get("sweep"):
        plan["sweep"] = True
    if source := settings.get("settings_from"):
        plan["settings_from"] = source
    if given(settings):
        plan["given_directions"] = sorted(given(settings))
    if "layer_set" in settings:
        plan["layer_set"] = settings["layer_set"]
    if position_of(settings) != Position.ALL:
        plan["position"] = str(position_of(settings))
    if budget := longest_thoughts(settings):
        plan["thinking_budget"] = budget
    return plan


def _measured(settings: Settings) -> Iterator[str]:
    """Yield the measures that the settings ask for."""
    scoring, writes = settings["scoring"], longest_answer(settings) > 0
    if scoring["direct"]:
        yield SCORED
    is_guided = settings["decoding"] == "guided"
    if settings["answer_form"] == "rationale" and (is_guided or scoring["after_rationale"]):
        yield SCORED_AFTER
    # A guided decision without a rationale is drawn from the choice probabilities. The draw adds
    # nothing to them but noise.
    if writes:
        yield CHOSEN


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 of the plan's canonical JSON, which ignores the order of keys."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
