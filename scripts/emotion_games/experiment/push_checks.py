"""The checks of a model's pushes, once for all its games: what is asked, measured and written."""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.directions import Directions, load
from emotion_games.experiment.check_records import (
    BETTER,
    DOMINANCE_READ,
    Check,
    check_key,
    check_of,
    check_rows,
    write_checks,
)
from emotion_games.experiment.conditions import (
    Arm,
    plan_conditions,
    position_of,
)
from emotion_games.experiment.held_out import own_items
from emotion_games.experiment.inputs import Control, Inputs
from emotion_games.experiment.journal import COMPLETE, Journal
from emotion_games.experiment.measuring import (
    Session,
    load_steerable,
    measure_all,
    rendered_prompts,
    self_checked,
)
from emotion_games.experiment.provenance import answering_code_hash, environment
from emotion_games.experiment.push_check_requests import (
    Material,
    checks_of,
    push_check_requests,
)
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.hashing import digest
from emotion_games.prompts.check_items import CheckItems, load_check_items
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import load_templates


def load_material(inputs: Inputs) -> Material:
    """Read what the checks of a model ask and read."""
    spec, files = inputs.spec, inputs.files
    settings = spec["settings"]
    stimuli = load_stimuli(files["stimuli"], settings["emotions"])
    every = load_check_items(files["checks"])
    items = CheckItems(
        contexts=tuple(own_items(every.contexts, settings)),
        dominance=tuple(own_items(every.dominance, settings)),
        neutral_texts=tuple(own_items(every.neutral_texts, settings)),
    )
    return Material(
        settings=settings,
        date=datetime.date.fromisoformat(spec["date"]),
        templates=load_templates(files["prompts"]),
        items=items,
        held_out={
            emotion: list(own_items(split_stimuli(lines)[1], settings))
            for emotion, lines in stimuli.items()
        },
    )


def check_pushes(inputs: Inputs, output: Path, control: Control) -> None:
    """Measure what the journal does not hold yet, and write the table of all checks.

    Args:
        inputs: The specification of any experiment of the model; its game is not used.
        output: The table, with a header alone if the settings want no check.
        control: How the job is watched and stopped.

    Raises:
        Interrupted: The job was stopped after a batch.
        UserError: A file or the model cannot be used.
    """
    material, vectors = load_material(inputs), load(inputs.directions)
    conditions = plan_conditions(material.settings)
    journal = Journal(inputs.journal, _fingerprint(inputs, material, vectors), control.log)
    if any(checks_of(material.settings)) and COMPLETE not in journal.records:
        _measure_missing(inputs, material, vectors, journal, control)
    write_checks(output, check_rows(journal.records, conditions))


def _measure_missing(
    inputs: Inputs, material: Material, vectors: Directions, journal: Journal, control: Control
) -> None:
    settings, runtime = material.settings, inputs.runtime
    model = load_steerable(inputs.spec["model"], inputs.model_path, runtime, vectors)
    conditions = plan_conditions(settings)
    requests = list(push_check_requests(material, model))
    counted = {"check items": [request.key for request in requests]}
    session = Session(journal, control, counted)
    rendered = rendered_prompts(session, requests)
    if not session.is_done([rendered["key"]]):
        key = check_key(Check.VOCABULARY, str(Arm.NEUTRAL), "tokens")
        journal.append([rendered, {"key": key, "tokens": model.vocabulary_size()}])
    session.report()
    instrument = Instrument(
        model=model,
        layers=vectors.layers,
        pushes=condition_pushes(vectors, conditions, settings["intensity_unit"]),
        # Nothing is written.
        temperature=0.0,
        top_p=1.0,
        share=runtime.get("share_layers", True),
    )
    arm_of = {condition.push: condition.arm for condition in conditions}
    arms = {request.key: arm_of[request.push] for request in requests}
    # The first ones of a condition are chats: a sentence may begin with a single token, which is
    # never pushed.
    instrument = self_checked(session, instrument, requests, arms)
    _measure_checks(session, instrument, requests, runtime.get("batch_tokens"))
    seconds = {part: round(number, 2) for part, number in instrument.seconds.items()}
    journal.append([{"key": COMPLETE, "seconds": seconds, "machine": environment()}])


def _measure_checks(
    session: Session, instrument: Instrument, requests: Sequence[Request], room: int | None
) -> None:
    """Measure each check in batches of its own: its prompts are about as long as each other.

    Dominance items come first. If the model does not understand them without a push, they are not
    asked under pushes.
    """
    stages: dict[str, list[Request]] = {}
    for request in requests:
        stages.setdefault(check_of(request.key), []).append(request)
    items = stages.pop(Check.DOMINANCE, [])
    by_itself = [request for request in items if request.push is None]
    measure_all(session, instrument, {Check.DOMINANCE: by_itself}, room=room)
    scores = [session.journal.records[request.key]["scores"] for request in by_itself]
    shares = [found["probabilities"][BETTER] for found in scores if found]
    if shares and sum(shares) / len(shares) >= DOMINANCE_READ:
        stages[Check.DOMINANCE] = [request for request in items if request.push]
    asked = [*by_itself, *chain(*stages.values())]
    session = replace(session, counted={"check items": [request.key for request in asked]})
    measure_all(session, instrument, stages, room=room)


def _fingerprint(inputs: Inputs, material: Material, vectors: Directions) -> str:
    settings = material.settings
    identity = {
        "model": inputs.spec["model"],
        "date": inputs.spec["date"],
        "conditions": [asdict(condition) for condition in plan_conditions(settings)],
        "unit": settings["intensity_unit"],
        "position": position_of(settings),
        "checks": settings["checks"],
        "weights": vectors.about["weights_hash"],
        "directions": vectors.content_hash,
        "templates": asdict(material.templates),
        "items": asdict(material.items),
        "held_out": dict(material.held_out),
        "code": answering_code_hash(),
    }
    return digest(identity)
