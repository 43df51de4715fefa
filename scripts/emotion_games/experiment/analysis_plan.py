"""The planned analysis of one experiment, fixed and hashed before its first trial.

It depends on the settings and the game only, never on an answer.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from emotion_games.experiment.conditions import Arm, random_directions
from emotion_games.experiment.spec import Plan, Settings
from emotion_games.experiment.trials import count_trials
from emotion_games.games.records import Game

MINIMUM_SCENARIOS = 12

# Measures of a decision.
CHOSEN, SCORED, SCORED_AFTER, BRANCH = "chosen", "scored", "scored_after", "branch"

EMOTION_MINUS_NEUTRAL = "emotion_minus_neutral"
EMOTION_MINUS_RANDOM = "emotion_minus_random"
EMOTION_MINUS_OTHERS = "emotion_minus_other_emotions"
PROMPTED_MINUS_NEUTRAL = "prompted_minus_prompted_neutral"
SHUFFLED_MINUS_NEUTRAL = "shuffled_minus_neutral"
RANDOM_MINUS_NEUTRAL = "random_minus_neutral"


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


# In the order in which a plan lists them.
CONTRASTS = (
    Contrast(EMOTION_MINUS_NEUTRAL, Arm.STEERED, Arm.NEUTRAL, lambda _: True),
    Contrast(EMOTION_MINUS_RANDOM, Arm.STEERED, Arm.RANDOM, lambda s: random_directions(s) > 1),
    Contrast(EMOTION_MINUS_OTHERS, Arm.STEERED, Arm.STEERED, lambda s: len(s["emotions"]) > 1),
    Contrast(PROMPTED_MINUS_NEUTRAL, Arm.PROMPTED, Arm.PROMPTED_NEUTRAL, _has("prompted")),
    Contrast(SHUFFLED_MINUS_NEUTRAL, Arm.SHUFFLED, Arm.NEUTRAL, _has("shuffled")),
    Contrast(RANDOM_MINUS_NEUTRAL, Arm.RANDOM, Arm.NEUTRAL, lambda _: False),
)

CLAIM_RULE = (
    "An emotion effect is claimed for a history where, at the headline intensity, emotion - "
    "neutral and emotion - random directions point the same way, the larger of their two p-values "
    "is at most 1 - confidence after Holm's correction over emotions and histories, the damage "
    "check passes, and every planned trial is done."
)


def the_plan(settings: Settings, game: Game) -> Plan:
    """Return what will be tested in an experiment; all its other results are exploratory."""
    is_scored, statistics = settings["scoring"]["direct"], settings["statistics"]
    # A guided decision without a rationale is drawn from the choice probabilities. The draw adds
    # nothing to them but noise.
    is_drawn = settings["decoding"] == "guided" and settings["answer_form"] == "decision"
    probabilities = SCORED if is_scored or is_drawn else CHOSEN
    labels = [choice.label for choice in game.choices]
    scenarios, trials = settings["num_scenarios"], None
    # If scenarios offer only some of the choices, the number of option orders is not known here.
    if scenarios is not None and not game.subset:
        trials = count_trials(labels, len(game.histories), settings, scenarios)["total"]
    return {
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
        "measures": [SCORED] if is_drawn else [CHOSEN, SCORED] if is_scored else [CHOSEN],
        "claim": {
            "requires": [
                {
                    "contrast": EMOTION_MINUS_NEUTRAL,
                    "measure": SCORED if is_drawn else CHOSEN,
                },
                {"contrast": EMOTION_MINUS_RANDOM, "measure": probabilities},
            ],
            "if_nothing_was_generated": SCORED,
            "rule": CLAIM_RULE,
        },
        "confidence": statistics["confidence"],
        "equivalence_margin": statistics["equivalence_margin"],
        "minimum_scenarios": MINIMUM_SCENARIOS,
        "planned": {
            "scenarios": scenarios,
            "repeat": settings["repeat"],
            "random_directions": random_directions(settings),
            "trials": trials,
        },
    }


def plan_hash(plan: Plan) -> str:
    """Return the SHA-256 of the plan's canonical JSON, which ignores the order of keys."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
