"""Settings and files of a small experiment in one game, for the tests of what an experiment asks and does."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
GAME = "Prisoners_Dilemma"
SETTINGS = {
    "emotions": ["anger", "happiness"],
    "intensity": [0.5, 1.0],
    "headline_intensity": 1.0,
    "repeat": 2,
    "num_scenarios": 2,
    "seed": 0,
    "layers": "middle_third",
    "direction_method": "mean_difference",
    "answer_form": "rationale",
    "generation": {"temperature": 0.7, "top_p": 0.95, "max_new_tokens": 8},
    "scoring": {"direct": True, "after_rationale": True},
    "arms": {"random": {"scored": 3, "generated": 1}, "shuffled": True, "prompted": True},
    "checks": {"manipulation": True, "damage": True},
    "show_payoffs": False,
    "statistics": {"confidence": 0.95, "equivalence_margin": 0.1},
    "game_settings": {},
    "choice_labels": {},
}
FILES = {
    "game": ROOT / "config" / "games" / GAME,
    "scenarios": ROOT / "config" / "demo" / "games" / GAME / "scenarios.yaml",
    "stimuli": ROOT / "config" / "demo" / "emotions",
    "prompts": ROOT / "config" / "demo" / "prompts.yaml",
}
