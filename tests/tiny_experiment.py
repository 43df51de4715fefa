"""A small experiment in one game: its settings and files, and a function that runs it."""

from pathlib import Path

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.experiment.results import publish
from emotion_games.experiment.run import run

ROOT = Path(__file__).parents[1]
GAME = "Prisoners_Dilemma"
ENTRY = {"id": "tiny"}
SETTINGS = {
    "emotions": ["anger", "happiness"],
    "intensity": [0.5, 1.0],
    "headline_intensity": 1.0,
    "intensity_unit": "hidden_norm",
    "repeat": 2,
    "num_scenarios": 2,
    "seed": 0,
    "layers": "past_middle",
    "direction_method": "contrast",
    "answer_form": "rationale",
    "decoding": "guided",
    "generation": {"temperature": 0.7, "top_p": 0.95, "max_new_tokens": 8},
    "scoring": {"direct": True, "after_rationale": True},
    "arms": {"random": {"matched": 3, "isotropic": 0}, "shuffled": True, "prompted": True},
    "checks": {"manipulation": True, "damage": True, "format": True},
    "show_payoffs": False,
    "statistics": {"primary": "direct", "confidence": 0.95, "equivalence_margin": 0.1},
    "game_settings": {},
    "choice_labels": {},
}
FILES = {
    "game": ROOT / "config" / "games" / GAME,
    "scenarios": ROOT / "config" / "demo" / "games" / GAME / "scenarios.yaml",
    "stimuli": ROOT / "config" / "demo" / "emotions",
    "prompts": ROOT / "config" / "demo" / "prompts.yaml",
}


def spec_of(settings, hashes=None):
    return {
        "exp_id": "x",
        "date": "2026-01-31",
        "game": GAME,
        "model": ENTRY,
        "model_name": "tiny",
        "settings": settings,
        "hashes": hashes or {},
    }


def finish(inputs, out, control):
    """Run an experiment and publish its results, as the entry script does."""
    found = run(inputs, control)
    settings, about = inputs.spec["settings"], found.configuration["directions"]
    evidence = found.trials, found.checks, found.game
    power = found.configuration["plan"]["power"]
    statistics = analyse(*evidence, settings, len(found.trials), about, power)
    publish(out, found, statistics)
