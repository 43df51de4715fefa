"""The inputs of an experiment, their fingerprint, and how a run is watched."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emotion_games.engine import directions
from emotion_games.engine.directions import Directions
from emotion_games.escapes import say
from emotion_games.experiment.planned_power import Known
from emotion_games.experiment.provenance import answering_code_hash
from emotion_games.experiment.requests import Questions, load_questions
from emotion_games.experiment.spec import Plan, Settings, Spec
from emotion_games.hashing import digest
from emotion_games.progress import Report, ignore


@dataclass(frozen=True)
class Inputs:
    """What an experiment reads.

    Attributes:
        spec: Everything that determines the results.
        files: The paths of `stimuli`, `prompts` and `checks` and, for the game of an experiment,
            of `game` and `scenarios`.
        model_path: A local folder or a hub id.
        directions: The file with the model's directions.
        journal: The journal, which is continued if it exists.
        runtime: The settings that only affect running.
        push_checks: The table of the checks of the model's pushes, if there is one.
        plan_file: Where the plan is written before the first trial, if anywhere.
        known: Called with the plan, returns how far effects vary, if earlier experiments show it.
        import_seconds: The time that loading the library took, which is recorded.
    """

    spec: Spec
    files: Mapping[str, Path]
    model_path: str
    directions: Path
    journal: Path
    runtime: dict[str, Any]
    push_checks: Path | None = None
    plan_file: Path | None = None
    known: Callable[[Plan], Known | None] = lambda _: None
    import_seconds: float = 0.0


@dataclass(frozen=True)
class Control:
    """How a run is watched and stopped.

    Attributes:
        should_stop: Called before every batch; the run stops if it returns True.
        progress: Called with what is done and planned, and with the seconds that are left, None if
            that is not known.
        log: Called with one line of text.
        announce: Called with a line that the user should see at once.
    """

    should_stop: Callable[[], bool] = lambda: False
    progress: Report = ignore
    log: Callable[[str], None] = say
    announce: Callable[[str], None] = say


@dataclass(frozen=True)
class Experiment:
    """The content of the inputs.

    `fingerprint` is the hash of everything that can change an answer. `seconds` is the time that
    each part of the run took.
    """

    inputs: Inputs
    questions: Questions
    directions: Directions
    fingerprint: str
    seconds: dict[str, float]

    @property
    def settings(self) -> Settings:
        """The settings of the experiment."""
        return self.inputs.spec["settings"]


def load_experiment(inputs: Inputs, log: Callable[[str], None]) -> Experiment:
    """Read the inputs and report the scenarios that are skipped."""
    start = time.perf_counter()
    questions = load_questions(inputs.spec, inputs.files)
    for skipped in questions.skipped:
        log(f"skipped scenario: {skipped}")
    vectors = directions.load(inputs.directions)
    return Experiment(
        inputs=inputs,
        questions=questions,
        directions=vectors,
        fingerprint=_fingerprint(inputs, questions, vectors),
        seconds={"import": inputs.import_seconds, "read": time.perf_counter() - start},
    )


def _fingerprint(inputs: Inputs, questions: Questions, vectors: Directions) -> str:
    spec, scenarios = inputs.spec, questions.scenarios
    identity = {
        "spec": {key: spec[key] for key in ("date", "game", "model", "settings")},
        "weights": vectors.about["weights_hash"],
        "directions": vectors.content_hash,
        "prompts": digest(questions.prompts),
        "options": digest({name: dict(s.options) for name, s in scenarios.items()}),
        "templates": digest(asdict(questions.templates)),
        "code": answering_code_hash(),
    }
    return digest(identity)
