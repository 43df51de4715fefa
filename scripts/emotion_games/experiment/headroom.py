"""How many stories leave no room for an effect: those whose neutral outcome is at a bound."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import TypedDict

from emotion_games.experiment.analysis_plan import CHOSEN, SCORED, the_plan
from emotion_games.experiment.answers import answer_of
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.requests import Questions
from emotion_games.experiment.spec import Record
from emotion_games.experiment.trials import Trial

FLOOR, CEILING = 0.05, 0.95


class Room(TypedDict):
    """How many stories have an outcome in neutral, and how many of these are at a bound."""

    n_scenarios: int
    at_floor: int
    at_ceiling: int


def count_room(outcomes: Iterable[float]) -> Room:
    """Count the stories whose neutral outcome is at most FLOOR, or at least CEILING."""
    values = list(outcomes)
    return {
        "n_scenarios": len(values),
        "at_floor": sum(value <= FLOOR for value in values),
        "at_ceiling": sum(value >= CEILING for value in values),
    }


def headroom_line(questions: Questions, records: Mapping[str, Record]) -> str:
    """Return the counts of each history as a line, from the finished trials without an emotion.

    Args:
        questions: The questions of the experiment.
        records: The journal's records.
    """
    measure = the_plan(questions.settings, questions.game)["claim"]["measure"]
    outcomes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in neutral_trials(questions):
        value = _outcome(questions, trial, records[trial.request_key], measure)
        if value is not None:
            outcomes[trial.history][trial.scenario_id].append(value)
    parts = []
    for history, stories in outcomes.items():
        room = count_room(map(fmean, stories.values()))
        parts.append(
            f"{history}: {room['at_floor']} at floor, {room['at_ceiling']} at ceiling of "
            f"{room['n_scenarios']}"
        )
    bounds = f"{questions.game.outcome} of at most {FLOOR} or at least {CEILING}"
    return f"headroom: stories with {bounds} in neutral ({'; '.join(parts) or 'none measured'})"


def neutral_trials(questions: Questions) -> Iterator[Trial]:
    """Yield the trials in which nothing is done to the model."""
    return (trial for trial in questions.trials if trial.condition.arm == Arm.NEUTRAL)


def _outcome(questions: Questions, trial: Trial, record: Record, measure: str) -> float | None:
    """Return the outcome of a trial in a measure, None if there is none."""
    values = {choice.label: choice.value for choice in questions.game.choices}
    scores = record["scores"]
    if measure != SCORED:
        answer = answer_of(questions, trial, record)
        if measure == CHOSEN:
            return values[answer.decision.choice] if answer.decision.choice else None
        scores = answer.after
    if scores is None:
        return None
    return sum(values[label] * share for label, share in scores["probabilities"].items())
