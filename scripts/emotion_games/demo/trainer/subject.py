"""The trained demo model with its directions and pushes, as the gates measure it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from emotion_games import schemas
from emotion_games.demo.trainer.inputs import Inputs
from emotion_games.demo.trainer.truth import WHOLE_INTENSITY
from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Instrument, Measurement, Request, measure
from emotion_games.engine.directions import Directions, load
from emotion_games.engine.extraction import extract
from emotion_games.engine.models import load_model
from emotion_games.engine.scoring import Scores
from emotion_games.experiment.conditions import Condition, direction_settings, plan_conditions
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.spec import Settings

# What the model is steered with; all other settings are the defaults of the config.
INTENSITIES, NULL_DIRECTIONS = (-0.1, 0.1, 0.2, 0.3), 20
TEMPERATURE = 0.7
ROWS_AT_ONCE = 108


@dataclass(frozen=True)
class Subject:
    """A trained model, its directions, and what it is measured on."""

    model: Backend
    inputs: Inputs
    settings: Settings
    directions: Directions

    @cached_property
    def conditions(self) -> list[Condition]:
        """Neutral, every emotion at every intensity, and the null directions."""
        return plan_conditions(self.settings)

    @cached_property
    def pushes(self) -> dict[str, Tensor]:
        """The pushes of the conditions by name."""
        unit = self.settings["intensity_unit"]
        return condition_pushes(self.directions, self.conditions, unit)

    def measured(self, requests: Sequence[Request]) -> list[Measurement]:
        """Measure requests, batch by batch."""
        layers = self.directions.layers
        instrument = Instrument(self.model, layers, self.pushes, TEMPERATURE, 1.0)
        measured = []
        for start in range(0, len(requests), ROWS_AT_ONCE):
            measured += measure(instrument, requests[start : start + ROWS_AT_ONCE])
        return measured

    def scores(self, requests: Sequence[Request]) -> list[Scores]:
        """Return the scores of the options of each request."""
        # Requests without scores are measured by `measured`.
        return [found.scores for found in self.measured(requests) if found.scores is not None]


def load_subject(folder: Path, demo_dir: Path, inputs: Inputs, seed: int) -> Subject:
    """Load a trained model and measure its directions as the workflow does.

    Args:
        folder: The model.
        demo_dir: The folder that the inputs were loaded from.
        inputs: The data of the model's variant.
        seed: The seed of the null directions.
    """
    experiment = {
        "emotions": list(inputs.emotions[1:]),
        "intensity": list(INTENSITIES),
        "headline_intensity": WHOLE_INTENSITY,
        "seed": seed,
        "arms": {
            "random": {"matched": NULL_DIRECTIONS, "isotropic": 0},
            "shuffled": False,
            "prompted": False,
        },
    }
    schema = schemas.read_schema("config")
    settings = schemas.with_defaults({"experiment": experiment}, schema)["experiment"]
    entry, runtime = {"id": "demo", "dtype": "float32"}, {"device": "cpu"}
    files = {"stimuli": demo_dir / "emotions", "prompts": demo_dir / "prompts.yaml"}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "directions.safetensors"
        wanted = direction_settings(settings)
        extract(entry, str(folder), wanted, files, path, runtime, log=lambda _: None)
        directions = load(path)
    return Subject(load_model(entry, str(folder), runtime), inputs, settings, directions)
