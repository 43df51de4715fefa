"""The answers of trials: guided ones, whose option is drawn, and free ones, which are read.

A guided answer is made of the given form, the model's own rationale, and an option that is drawn
from the probabilities of the options after that rationale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from emotion_games.engine.sampling import trial_uniforms
from emotion_games.experiment.requests import CLOSING, Questions, is_guided
from emotion_games.experiment.spec import Record, ScoresRecord
from emotion_games.experiment.trials import Trial
from emotion_games.prompts import messages as texts
from emotion_games.prompts.answers import Decision, parse
from emotion_games.prompts.json_answers import as_text, read_object

# The extraction methods of a guided answer, and of a trial without an answer.
GUIDED, NOT_GENERATED = "guided", "not generated"


@dataclass(frozen=True)
class Answer:
    """The answer of a trial.

    Attributes:
        output: Its text.
        decision: The option, and how it was found.
        after: The scores of the options after the rationale, if they were measured.
        rationale_end: Why a guided rationale ended.
    """

    output: str
    decision: Decision
    after: ScoresRecord | None
    rationale_end: str


def answer_of(questions: Questions, trial: Trial, record: Record) -> Answer:
    """Return the answer of a trial; an empty one if none was generated."""
    if not trial.condition.generated:
        return Answer("", Decision(None, None, "", "", NOT_GENERATED), None, "")
    if is_guided(questions.settings):
        return _guided(questions, trial, record)
    output = record["answers"][trial.place]
    decision = parse(output, questions.scenarios[trial.scenario_id].options, trial.order)
    return Answer(output, decision, record["after"][trial.place], "")


def _guided(questions: Questions, trial: Trial, record: Record) -> Answer:
    settings, after = questions.settings, None
    opening, end, scores = texts.decision_prefix(), "", record["scores"]
    # Without a rationale, the probabilities at once are those of the decision.
    if settings["answer_form"] == "rationale":
        opening, end = record["answers"][trial.place], record["ends"][trial.place]
        scores = after = record["after"][trial.place]
    assert scores is not None, "a guided answer is scored"
    key = (questions.game.name, *trial.sampling_key, "option")
    uniform = float(trial_uniforms(key, settings["seed"], 1)[0])
    temperature = settings["generation"]["temperature"]
    choice = drawn_option(scores["probabilities"], uniform, temperature)
    option = questions.scenarios[trial.scenario_id].options[choice]
    output = opening + texts.option_literal(option) + CLOSING
    rationale = as_text(read_object(output).get("rationale"))
    place = trial.order.index(choice) + 1
    return Answer(output, Decision(choice, place, option, rationale, GUIDED), after, end)


def drawn_option(probabilities: Mapping[str, float], uniform: float, temperature: float) -> str:
    """Return the option that is drawn, as the inverse of the cumulative distribution.

    The options are in the order of their labels, not in the order shown, so that conditions are
    compared under the same random number.

    Args:
        probabilities: By label; they are not changed by the temperature.
        uniform: A random number in [0, 1).
        temperature: 0 takes the likeliest option.
    """
    labels = sorted(label for label, probability in probabilities.items() if probability > 0)
    if temperature == 0:
        return max(labels, key=probabilities.__getitem__)
    edges = list(accumulate(probabilities[label] for label in labels))
    at = uniform * edges[-1]
    # Rounding may put the product on the last edge.
    return next((label for label, edge in zip(labels, edges, strict=True) if at < edge), labels[-1])
