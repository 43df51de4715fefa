"""Run one experiment: a game and a model, from the plan of trials to its tables.

If all trials are in the journal, the model is not loaded.
"""

from emotion_games.experiment.analysis_plan import plan_hash, the_plan
from emotion_games.experiment.inputs import Control, Experiment, Inputs, load_experiment
from emotion_games.experiment.journal import COMPLETE, PLAN, Journal
from emotion_games.experiment.measuring import measure_missing, report_progress
from emotion_games.experiment.outcome import outcome
from emotion_games.experiment.results import Outcome
from emotion_games.files import now


def run(inputs: Inputs, control: Control) -> Outcome:
    """Measure what the journal does not hold yet, and return everything that was measured.

    Raises:
        Interrupted: The run was stopped after a batch.
        UserError: A file or the model cannot be used.
    """
    experiment = load_experiment(inputs, control.log)
    with Journal(inputs.journal, experiment.fingerprint, control.log) as journal:
        report_progress(experiment, journal, control)
        if COMPLETE not in journal.records:
            _freeze_plan(experiment, journal)
            measure_missing(experiment, journal, control)
    seconds = journal.records[COMPLETE]["seconds"]
    spent = ", ".join(f"{part} {number:.1f}" for part, number in seconds.items())
    control.log(f"seconds: {spent}")
    return outcome(experiment, journal.records)


def _freeze_plan(experiment: Experiment, journal: Journal) -> None:
    """Record the analysis plan before the first trial."""
    if PLAN not in journal.records:
        plan = the_plan(experiment.inputs.spec["settings"], experiment.questions.game)
        journal.append([{"key": PLAN, "plan": plan, "hash": plan_hash(plan), "frozen": now()}])
