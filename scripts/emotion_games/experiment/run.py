"""Run one experiment: a game and a model, from the plan of trials to everything measured.

Every finished batch is on the disk before the next one starts, so that an interrupted experiment
continues where it stopped. The model is not loaded if the journal is complete.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.batches import Instrument, Request, in_halves, measure, plan_batches
from emotion_games.engine.models import load_model, weights_hash
from emotion_games.engine.self_check import check_steering
from emotion_games.experiment import check_requests as checks
from emotion_games.experiment.analysis_plan import plan_hash, the_plan
from emotion_games.experiment.conditions import Arm, plan_conditions
from emotion_games.experiment.context import check_context
from emotion_games.experiment.inputs import Control, Experiment, Inputs, load_experiment
from emotion_games.experiment.journal import COMPLETE, PLAN, PROMPTS, Journal
from emotion_games.experiment.provenance import environment
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import (
    reopen_after_rationale,
    scores_after_rationale,
    trial_requests,
)
from emotion_games.experiment.spec import Record
from emotion_games.files import now
from emotion_games.hashing import digest
from emotion_games.signals import Interrupted

if TYPE_CHECKING:
    from emotion_games.experiment.results import Outcome


@dataclass(frozen=True)
class Session:
    """A run of an experiment: what it measures, where the records go, and how it is watched."""

    experiment: Experiment
    journal: Journal
    control: Control

    def is_done(self, keys: Sequence[str]) -> bool:
        """Return True if the journal has a record of every key."""
        return all(key in self.journal.records for key in keys)

    def progress(self) -> tuple[int, int]:
        """Return the number of trials in the journal, and that of all trials."""
        trials = self.experiment.questions.trials
        return sum(t.request_key in self.journal.records for t in trials), len(trials)

    def keep(self, records: list[Record]) -> None:
        """Write the records of a batch to the journal and report the progress."""
        self.journal.append(records)
        self.control.progress(*self.progress())

    def stop_if_requested(self) -> None:
        """Raise Interrupted if the run should stop."""
        if self.control.should_stop():
            done, total = self.progress()
            raise Interrupted(
                f"stopped after {done} of {total} trials; run the same command again to continue"
            )


def run(inputs: Inputs, control: Control) -> "Outcome":
    """Measure what the journal does not hold yet, and return everything that was measured.

    Raises:
        Interrupted: The run was stopped after a batch.
        UserError: A file or the model cannot be used.
    """
    experiment = load_experiment(inputs, control.log)
    journal = Journal(inputs.journal, experiment.fingerprint, control.log)
    session = Session(experiment, journal, control)
    control.progress(*session.progress())
    if not session.is_done([PLAN]):
        _freeze_plan(session)
    if not session.is_done([COMPLETE]):
        _measure_missing(session)
    seconds = journal.records[COMPLETE]["seconds"]
    spent = ", ".join(f"{part} {number:.1f}" for part, number in seconds.items())
    control.log(f"seconds: {spent}")
    # This loads pandas, which nothing before needs.
    from emotion_games.experiment.results import outcome

    return outcome(experiment, journal.records)


def _freeze_plan(session: Session) -> None:
    """Write the plan to the disk, before the first trial."""
    experiment = session.experiment
    plan = the_plan(experiment.settings, experiment.questions.game)
    session.journal.append([{"key": PLAN, "plan": plan, "hash": plan_hash(plan), "frozen": now()}])


def _measure_missing(session: Session) -> None:
    """Measure trials, then the checks that build on their answers."""
    experiment, records = session.experiment, session.journal.records
    start = time.perf_counter()
    model = _load_model(experiment)
    check_context(experiment.questions, experiment.items, model)
    instrument = _instrument(experiment, model)
    experiment.seconds["load"] = time.perf_counter() - start
    requests = trial_requests(experiment.questions, model)
    _keep_prompts(session, requests)
    instrument = _check_steering(session, instrument, requests)
    _measure_all(session, instrument, requests, "trials")
    questions, items = experiment.questions, experiment.items
    requested = checks.check_requests(questions, items, records, model)
    _measure_all(session, instrument, requested, "checks")
    _project(session, instrument, requests)
    # The last record: with it, the journal is complete and the model is not loaded again.
    spent = experiment.seconds | instrument.seconds
    seconds = {part: round(number, 2) for part, number in spent.items()}
    session.journal.append([{"key": COMPLETE, "seconds": seconds, "machine": environment()}])


def _keep_prompts(session: Session, requests: Sequence[Request]) -> None:
    """Record the prompts as the model reads them, or start again if the journal has others."""
    # The fingerprint covers the messages. What a template makes of them also depends on the
    # version of the library that fills it in.
    rendered = digest({request.key: request.prompt for request in requests})
    before = session.journal.records.get(PROMPTS)
    if before and before["hash"] != rendered:
        session.journal.begin_again("its prompts were rendered by another template or library")
        _freeze_plan(session)
    if not session.is_done([PROMPTS]):
        session.journal.append([{"key": PROMPTS, "hash": rendered}])


def _load_model(experiment: Experiment) -> Backend:
    inputs, about = experiment.inputs, experiment.directions.about
    # In the number format of the directions, so that a run that continues on another device does
    # not change it.
    entry = {"dtype": about.get("dtype")} | inputs.spec["model"]
    model = load_model(entry, inputs.model_path, inputs.runtime)
    # The directions of other weights have no meaning in this model.
    found, size = weights_hash(inputs.spec["model"], inputs.model_path), experiment.directions.shape
    if found != about["weights_hash"] or size != (model.depth, model.hidden_size):
        raise ModelError(
            f"model {model.name}: its weights are not those that its directions were measured "
            "with; put the old ones back, or delete the directions file of this model and begin a "
            "new series with `--config new=true`"
        )
    return model


def _instrument(experiment: Experiment, model: Backend) -> Instrument:
    settings, directions = experiment.settings, experiment.directions
    return Instrument(
        model=model,
        layers=directions.layers,
        pushes=condition_pushes(directions, plan_conditions(settings)),
        temperature=settings["generation"]["temperature"],
        top_p=settings["generation"]["top_p"],
        reopen=reopen_after_rationale if scores_after_rationale(settings) else None,
        share=experiment.inputs.runtime.get("share_layers", True),
    )


def _check_steering(
    session: Session, instrument: Instrument, requests: Sequence[Request]
) -> Instrument:
    """Run the self-check on one request per arm; return the instrument to measure with."""
    by_key = {request.key: request for request in requests}
    by_arm = {t.condition.arm: t.request_key for t in session.experiment.questions.trials}
    log = session.control.log
    with instrument.timed("self_check"):
        checked = check_steering(instrument, [by_key[key] for key in by_arm.values()], log)
    log("self-check: the pushes arrive as configured, and the engine agrees with the plain model")
    return checked


def _measure_all(
    session: Session, instrument: Instrument, requests: Sequence[Request], what: str
) -> None:
    """Measure all requests without a record."""
    inputs, model, log = session.experiment.inputs, instrument.model, session.control.log
    lengths = {prompt: len(model.token_ids(prompt)) for prompt in {r.prompt for r in requests}}
    budget = model.batch_tokens(inputs.runtime.get("batch_tokens"))
    answer_tokens = session.experiment.settings["generation"]["max_new_tokens"]
    # From all requests, so that the batches do not depend on interruptions.
    batches = plan_batches(requests, lengths, answer_tokens, budget)
    log(f"{what}: {len(requests)} requests in {len(batches)} batches of at most {budget} tokens")
    start, done = time.perf_counter(), 0
    for number, batch in enumerate(batches, start=1):
        if session.is_done([request.key for request in batch]):
            continue
        session.stop_if_requested()
        measured = measure(instrument, batch, log)
        pairs = zip(batch, measured, strict=True)
        session.keep([cast(Record, {"key": r.key, **asdict(m)}) for r, m in pairs])
        done += len(batch)
        rate = done / (time.perf_counter() - start)
        where = f"batch {number} of {len(batches)}, {len(batch)} requests"
        log(f"  {what}: {where}, {rate:.1f} a second")


def _project(session: Session, instrument: Instrument, requests: Sequence[Request]) -> None:
    """Measure the shift in a later layer, for the prompts of the manipulation checks."""
    experiment = session.experiment
    directions, conditions = experiment.directions, plan_conditions(experiment.settings)
    if not experiment.settings["checks"]["manipulation"] or checks.later_layer(directions) is None:
        return
    trials = checks.checked_trials(experiment.questions)
    steered = {trial.request_key for trial in trials if trial.condition.arm == Arm.STEERED}
    by_prompt: dict[str, list[Request]] = {}
    for request in requests:
        if request.key in steered:
            by_prompt.setdefault(request.prompt, []).append(request)
    emotions = {condition.name: condition.emotion for condition in conditions}
    project = partial(checks.projections, instrument, directions, emotions=emotions)
    # All pushes of a prompt at once, because they are compared with the same unsteered state.
    for group in by_prompt.values():
        keys = [checks.projection_key(request) for request in group]
        if not session.is_done(keys):
            session.stop_if_requested()
            values = in_halves(project, group, session.control.log)
            session.keep([{"key": k, "value": v} for k, v in zip(keys, values, strict=True)])
