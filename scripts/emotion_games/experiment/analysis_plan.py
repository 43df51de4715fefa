"""The planned analysis of one experiment, fixed and hashed before its first trial.

Knows what will be claimed from which contrasts; reads only the settings and the game, never an answer.
"""

import hashlib
import json
from typing import Any

from emotion_games.experiment.trials import count_trials
from emotion_games.games.catalog import Game

NEUTRAL = "emotion_minus_neutral"
RANDOM = "emotion_minus_random"
OTHERS = "emotion_minus_other_emotions"
PROMPTED = "prompted_minus_prompted_neutral"
SHUFFLED = "shuffled_minus_neutral"
MINIMUM_SCENARIOS = 12

CLAIM_RULE = (
    "An emotion effect is claimed for a history where, at the headline intensity, emotion - neutral and emotion - "
    "random directions point the same way, the larger of their two p-values is at most 1 - confidence after Holm's "
    "correction over emotions and histories, the damage check passes, and every planned trial is done."
)


def the_plan(settings: dict[str, Any], game: Game) -> dict[str, Any]:
    """What will be tested in an experiment; everything else that its results show is exploratory."""
    arms, scoring, statistics = settings["arms"], settings["scoring"], settings["statistics"]
    k = max(arms["random"]["scored"] if scoring["direct"] else 0, arms["random"]["generated"])
    contrasts = [NEUTRAL] + [RANDOM] * (k > 1) + [OTHERS] * (len(settings["emotions"]) > 1)
    contrasts += [PROMPTED] * bool(arms["prompted"]) + [SHUFFLED] * bool(arms["shuffled"])
    on_directions = "scored" if scoring["direct"] else "chosen"
    return {
        "game": game.name,
        "outcome": game.outcome,
        "choices": {choice.label: choice.value for choice in game.choices},
        "histories": [history.name for history in game.histories],
        "emotions": list(settings["emotions"]),
        "intensities": list(settings["intensity"]),
        "headline_intensity": settings["headline_intensity"],
        "layers": settings["layers"],
        "direction_method": settings["direction_method"],
        "arms": arms,
        "contrasts": contrasts,
        "measures": ["chosen"] + ["scored"] * bool(scoring["direct"]),
        "claim": {
            "requires": [
                {"contrast": NEUTRAL, "measure": "chosen"},
                {"contrast": RANDOM, "measure": on_directions},
            ],
            "if_nothing_was_generated": "scored",
            "rule": CLAIM_RULE,
        },
        "confidence": statistics["confidence"],
        "equivalence_margin": statistics["equivalence_margin"],
        "minimum_scenarios": MINIMUM_SCENARIOS,
        "planned": _planned(settings, game, k),
    }


def plan_hash(plan: dict[str, Any]) -> str:
    """SHA-256 of the plan in canonical JSON; equal plans have equal hashes whatever the order of their keys."""
    return hashlib.sha256(
        json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def _planned(settings: dict[str, Any], game: Game, directions: int) -> dict[str, Any]:
    scenarios = settings["num_scenarios"]
    labels = [choice.label for choice in game.choices]
    # Where scenarios offer only some of the choices, the number of option orders is known only from the scenarios.
    countable = scenarios is not None and not getattr(game, "subset", False)
    return {
        "scenarios": scenarios,
        "repeat": settings["repeat"],
        "random_directions": directions,
        "trials": count_trials(labels, len(game.histories), settings, scenarios)["total"]
        if countable
        else None,
    }
