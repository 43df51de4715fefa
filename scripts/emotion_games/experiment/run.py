"""Run one experiment: a game and a model, from the plan of trials to everything measured.

Every finished batch is on the disk before the next one starts, so that an interrupted experiment
continues where it stopped. The model is not loaded if the journal is complete.
"""

import time
from typing import TYPE_CHECKING

from emotion_games.engine.backend import Backend
from emotion_games.engine.batches import Instrument
from emotion_games.experiment import check_requests as checks
from emotion_games.experiment.analysis_plan import plan_hash, the_plan
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.context import check_context
from emotion_games.experiment.headroom import headroom_line, neutral_trials
from emotion_games.experiment.inputs import Control, Experiment, Inputs, load_experiment
from emotion_games.experiment.journal import COMPLETE, PLAN, PROMPTS, Journal
from emotion_games.experiment.measuring import (
    Session,
    load_steerable,
    measure_all,
    rendered_prompts,
    self_checked,
)
from emotion_games.experiment.plan_file import write_plan
from emotion_games.experiment.planned_power import planned_power
from emotion_games.experiment.provenance import environment
from emotion_games.experiment.pushes import condition_pushes
from emotion_games.experiment.requests import (
    is_guided,
    reopen_after_rationale,
    scores_after_rationale,
    trial_requests,
)
from emotion_games.experiment.spec import Record
from emotion_games.experiment.trials import option_orders
from emotion_games.files import now

if TYPE_CHECKING:
    from emotion_games.experiment.results import Outcome


def run(inputs: Inputs, control: Control) -> "Outcome":
    """Measure what the journal does not hold yet, and return everything that was measured.

    Raises:
        Interrupted: The run was stopped after a batch.
        UserError: A file or the model cannot be used.
    """
    experiment = load_experiment(inputs, control.log)
    journal = Journal(inputs.journal, experiment.fingerprint, control.log)
    trials = [trial.request_key for trial in experiment.questions.trials]
    counted = {"trials": trials, "checks": checks.check_keys(experiment.questions)}
    session = Session(journal, control, counted)
    session.report()
    _freeze_plan(session, experiment)
    if not session.is_done([COMPLETE]):
        _measure_missing(session, experiment)
    seconds = journal.records[COMPLETE]["seconds"]
    spent = ", ".join(f"{part} {number:.1f}" for part, number in seconds.items())
    control.log(f"seconds: {spent}")
    # This loads pandas, which nothing before needs.
    from emotion_games.experiment.results import outcome

    return outcome(experiment, journal.records)


def _freeze_plan(session: Session, experiment: Experiment) -> None:
    """Write the plan to the disk, before the first trial, unless it is there."""
    inputs, questions, vectors = experiment.inputs, experiment.questions, experiment.directions
    if not session.is_done([PLAN]):
        plan = the_plan(experiment.settings, questions.game)
        orders = min(len(option_orders(list(s.options))) for s in questions.scenarios.values())
        power = planned_power(plan, len(questions.scenarios), orders, inputs.known(plan))
        record: Record = {"key": PLAN, "plan": plan, "hash": plan_hash(plan), "frozen": now()}
        session.journal.append([record | {"power": power}])
    if inputs.plan_file:
        hashes = {"weights": vectors.about["weights_hash"], "directions": vectors.content_hash}
        frozen = session.journal.records[PLAN]
        write_plan(inputs.plan_file, inputs.spec, frozen, hashes, session.control.log)


def _measure_missing(session: Session, experiment: Experiment) -> None:
    """Measure the checks and the trials."""
    inputs, settings, questions = experiment.inputs, experiment.settings, experiment.questions
    start = time.perf_counter()
    resumed = session.is_done([PROMPTS])
    entry, path = inputs.spec["model"], inputs.model_path
    model = load_steerable(entry, path, inputs.runtime, experiment.directions)
    check_context(questions, model)
    instrument = _instrument(experiment, model)
    experiment.seconds["load"] = time.perf_counter() - start
    requests = trial_requests(questions, model)
    rendered = rendered_prompts(session, requests)
    # The journal may have begun again.
    _freeze_plan(session, experiment)
    if not session.is_done([rendered["key"]]):
        session.journal.append([rendered])
    arms = {trial.request_key: trial.condition.arm for trial in questions.trials}
    instrument = self_checked(session, instrument, requests, arms)
    room = settings["generation"]["max_new_tokens"], inputs.runtime.get("batch_tokens")
    neutral = {trial.request_key for trial in neutral_trials(questions)}
    stages = {
        "neutral": [request for request in requests if request.key in neutral],
        "checks": list(checks.check_requests(questions, model)),
        "trials": [request for request in requests if request.key not in neutral],
    }

    def show_headroom() -> None:
        session.control.announce(headroom_line(questions, session.journal.records))

    measure_all(session, instrument, stages, *room, after_first=show_headroom)
    # The last record: with it, the journal is complete and the model is not loaded again.
    spent = experiment.seconds | instrument.seconds
    seconds = {part: round(number, 2) for part, number in spent.items()}
    complete: Record = {"key": COMPLETE, "seconds": seconds, "resumed": resumed}
    complete |= {"parameters": model.parameters}
    session.journal.append([complete | {"machine": environment()}])


def _instrument(experiment: Experiment, model: Backend) -> Instrument:
    settings, directions = experiment.settings, experiment.directions
    unit = settings["intensity_unit"]
    # Guided answers are always scored again, and free ones beside them never.
    scores_again = scores_after_rationale(settings) and not is_guided(settings)
    return Instrument(
        model=model,
        layers=directions.layers,
        pushes=condition_pushes(directions, plan_conditions(settings), unit),
        temperature=settings["generation"]["temperature"],
        top_p=settings["generation"]["top_p"],
        reopen=reopen_after_rationale if scores_again else None,
        share=experiment.inputs.runtime.get("share_layers", True),
    )
