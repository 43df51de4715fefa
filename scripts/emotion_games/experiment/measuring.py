"""Measure everything that the journal of an experiment does not hold yet, batch by batch.

Every finished batch is on the disk before the next one starts, so that an interrupted experiment
continues where it stopped.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.batches import (
    Instrument,
    Measurement,
    Request,
    in_halves,
    measure,
    plan_batches,
)
from emotion_games.engine.models import load_model, weights_hash
from emotion_games.engine.self_check import check_steering
from emotion_games.experiment.check_requests import (
    Texts,
    check_requests,
    checked_trials,
    later_layer,
    projection_key,
    projections,
)
from emotion_games.experiment.conditions import Arm, plan_conditions
from emotion_games.experiment.inputs import Control, Experiment
from emotion_games.experiment.journal import COMPLETE, Journal
from emotion_games.experiment.provenance import environment
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import reopen_after_rationale, trial_requests
from emotion_games.experiment.spec import Record
from emotion_games.signals import Interrupted


@dataclass(frozen=True)
class Session:
    """An experiment that is being measured: what to measure, with what, and where results go."""

    experiment: Experiment
    control: Control
    journal: Journal
    instrument: Instrument

    def keep(self, records: list[Record]) -> None:
        """Write the records of a batch to the journal and report the progress."""
        self.journal.append(records)
        report_progress(self.experiment, self.journal, self.control)

    def stop_if_requested(self) -> None:
        """Raise Interrupted if the run should stop."""
        if self.control.should_stop():
            done, total = _progress(self.experiment, self.journal)
            raise Interrupted(
                f"stopped after {done} of {total} trials; run the same command again to go on"
            )


def report_progress(experiment: Experiment, journal: Journal, control: Control) -> None:
    """Report how many trials the journal holds."""
    control.progress(*_progress(experiment, journal))


def _progress(experiment: Experiment, journal: Journal) -> tuple[int, int]:
    trials = experiment.questions.trials
    return sum(t.request_key in journal.records for t in trials), len(trials)


def measure_missing(experiment: Experiment, journal: Journal, control: Control) -> None:
    """Measure trials, then the checks that build on their answers.

    Raises:
        Interrupted: The run should stop.
        ModelError: The model cannot be used, or its weights are not those of its directions.
    """
    start = time.perf_counter()
    model = _load_model(experiment)
    session = Session(experiment, control, journal, _instrument(experiment, model))
    experiment.seconds["load"] = time.perf_counter() - start
    requests = trial_requests(experiment.questions, experiment.inputs.spec, model.chat_text)
    if any(request.key not in journal.records for request in requests):
        _check_steering(session, requests)
    _measure_all(session, requests, "trials")
    texts = Texts(model.chat_text, model.plain_text)
    _measure_all(session, _check_requests(session, texts), "checks")
    _project(session, requests)
    seconds = experiment.seconds | session.instrument.seconds
    journal.append(
        [
            {
                "key": COMPLETE,
                "seconds": {part: round(spent, 2) for part, spent in seconds.items()},
                "machine": environment(),
            }
        ]
    )


def _load_model(experiment: Experiment) -> Backend:
    inputs, about = experiment.inputs, experiment.directions.about
    # In the number format of the directions, so that a run that continues on another device does
    # not change it.
    entry = {"dtype": about.get("dtype")} | inputs.spec["model"]
    model = load_model(entry, inputs.model_path, inputs.runtime)
    if weights_hash(inputs.spec["model"], inputs.model_path) != about["weights_hash"]:
        raise ModelError(
            f"model {model.name}: its weights are not those that its directions were measured "
            "with; put the old ones back, or delete the directions file of this model and begin a "
            "new series with `--config new=true`"
        )
    return model


def _instrument(experiment: Experiment, model: Backend) -> Instrument:
    settings, directions = experiment.inputs.spec["settings"], experiment.directions
    reopen = settings["scoring"]["after_rationale"] and settings["answer_form"] == "rationale"
    return Instrument(
        model=model,
        layers=directions.layers,
        pushes=condition_pushes(directions, plan_conditions(settings)),
        temperature=settings["generation"]["temperature"],
        top_p=settings["generation"]["top_p"],
        reopen=reopen_after_rationale if reopen else None,
        share=experiment.inputs.runtime.get("share_layers", True),
    )


def _check_steering(session: Session, requests: Sequence[Request]) -> None:
    """Run the self-check on one request per arm."""
    by_key = {request.key: request for request in requests}
    by_arm = {t.condition.arm: t.request_key for t in session.experiment.questions.trials}
    with session.instrument.timed("self_check"):
        check_steering(session.instrument, [by_key[key] for key in by_arm.values()])
    session.control.log(
        "self-check: pushes arrive on their own rows and layers, and the engine agrees with the "
        "plain model"
    )


def _measure_all(session: Session, requests: Sequence[Request], what: str) -> None:
    """Measure all requests without a record.

    The batches are planned from all requests, so that they do not depend on interruptions.
    """
    instrument, log = session.instrument, session.control.log
    inputs, records = session.experiment.inputs, session.journal.records
    model = instrument.model
    lengths = {prompt: len(model.token_ids(prompt)) for prompt in {r.prompt for r in requests}}
    budget = model.batch_tokens(inputs.runtime.get("batch_tokens"))
    answer_tokens = inputs.spec["settings"]["generation"]["max_new_tokens"]
    batches = plan_batches(requests, lengths, answer_tokens, budget)
    log(f"{what}: {len(requests)} requests in {len(batches)} batches of at most {budget} tokens")
    start, done = time.perf_counter(), 0
    for number, batch in enumerate(batches, start=1):
        if all(request.key in records for request in batch):
            continue
        session.stop_if_requested()
        measured = measure(instrument, batch, log)
        session.keep([_record(r, m) for r, m in zip(batch, measured, strict=True)])
        done += len(batch)
        rate = done / (time.perf_counter() - start)
        log(
            f"  {what}: batch {number} of {len(batches)}, {len(batch)} requests, "
            f"{rate:.1f} a second"
        )


def _record(request: Request, measured: Measurement) -> Record:
    return {
        "key": request.key,
        "scores": asdict(measured.scores) if measured.scores else None,
        "answers": measured.answers,
        "after": [asdict(scores) if scores else None for scores in measured.after],
    }


def _check_requests(session: Session, texts: Texts) -> list[Request]:
    experiment, records = session.experiment, session.journal.records
    outputs = {
        trial.trial_id: records[trial.request_key]["answers"][trial.repeat]
        for trial in experiment.questions.trials
        if trial.condition.generated
    }
    settings = experiment.inputs.spec["settings"]
    return check_requests(experiment.questions, settings, outputs, experiment.items, texts)


def _project(session: Session, requests: Sequence[Request]) -> None:
    """Measure the shift in a later layer, for the prompts of the manipulation checks."""
    experiment = session.experiment
    settings, directions = experiment.inputs.spec["settings"], experiment.directions
    if not settings["checks"]["manipulation"] or later_layer(directions) is None:
        return
    checked = checked_trials(experiment.questions)
    steered = {t.request_key for t in checked if t.condition.arm == Arm.STEERED}
    by_prompt: dict[str, list[Request]] = {}
    for request in requests:
        if request.key in steered:
            by_prompt.setdefault(request.prompt, []).append(request)
    conditions = {c.name: c for c in plan_conditions(settings)}
    project = partial(projections, session.instrument, directions, conditions=conditions)
    for group in by_prompt.values():
        keys = [projection_key(request) for request in group]
        if all(key in session.journal.records for key in keys):
            continue
        session.stop_if_requested()
        values = in_halves(project, group, session.control.log)
        session.keep([{"key": k, "value": v} for k, v in zip(keys, values, strict=True)])
