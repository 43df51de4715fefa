"""Whether a model can hold the texts of an experiment: every prompt with its longest answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from operator import itemgetter
from pathlib import Path

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.thinking import frame_of
from emotion_games.errors import ProblemList, UserError
from emotion_games.experiment import check_requests as checks
from emotion_games.experiment.requests import (
    CLOSING,
    Questions,
    load_questions,
    prompt_text,
    scores_after_rationale,
)
from emotion_games.experiment.spec import Spec
from emotion_games.experiment.trials import longest_answer, longest_thoughts, room_advice
from emotion_games.prompts import messages as texts


def series_check(
    specs: Sequence[Spec], files: Sequence[Mapping[str, Path]]
) -> Callable[[Backend], None]:
    """Return a check that a model can play at least one game.

    It raises a ProblemList with one line for each game otherwise, and a ModelError if the model
    should think and cannot.

    Args:
        specs: The experiments of a model.
        files: The files that each of them reads.

    Raises:
        ProblemList: No game has a usable scenario.
    """
    playable: list[Questions] = []
    problems: list[str] = []
    for spec, paths in zip(specs, files, strict=True):
        try:
            playable.append(load_questions(spec, paths))
        except UserError as error:
            problems += str(error).splitlines()
    if not playable:
        raise ProblemList(problems)

    def check(model: Backend) -> None:
        if longest_thoughts(playable[0].settings):
            frame_of(model)
        too_long = []
        for questions in playable:
            try:
                check_context(questions, model)
            except ModelError as error:
                too_long.append(str(error))
        # The other games need the directions. A game that is too long fails by itself.
        if len(too_long) == len(playable):
            raise ProblemList([*too_long, *problems])

    return check


def check_context(questions: Questions, model: Backend) -> None:
    """Check that the longest text of an experiment fits the context of a model.

    Raises:
        ModelError: It does not.
    """
    if model.positions is None:
        return
    key, tokens = max(_lengths(questions, model), key=itemgetter(1))
    if tokens > model.positions:
        raise ModelError(
            f"model {model.name}: its context of {model.positions:,} tokens is too short for "
            f"{questions.game.name}: {key} needs {tokens:,}, of which "
            f"{room_advice(questions.settings)}"
        )


def _lengths(questions: Questions, model: Backend) -> Iterator[tuple[str, int]]:
    """Yield the key of each request and the tokens of its prompt with the longest answer."""
    settings, answer = questions.settings, questions.settings["generation"]["max_new_tokens"]
    reopens, written = scores_after_rationale(settings), longest_answer(settings)

    @cache
    def count(text: str) -> int:
        return len(model.token_ids(text))

    def longest(options: Mapping[str, str], opening: str, closing: str) -> int:
        return max((count(f"{opening}{text}{closing}") for text in options.values()), default=0)

    thoughts = longest_thoughts(settings)
    if thoughts:
        thoughts += count(frame_of(model).link)
    # Pushed conditions read the neutral prompts, and repeats read the same one.
    plain = [t for t in questions.trials if not (t.condition.is_pushed or t.repeat)]
    questions = replace(questions, trials=plain)
    for trial in plain:
        prompt = prompt_text(questions, questions.prompts[trial.request_key], model)
        options = questions.scenarios[trial.scenario_id].options
        shown = {label: texts.option_literal(options[label]) for label in trial.order}
        after = written + longest(shown, texts.after_rationale_prefix(""), CLOSING) * reopens
        direct = longest(shown, texts.decision_prefix(), CLOSING)
        yield trial.request_key, count(prompt) + thoughts + max(after, direct)
    for request in checks.check_requests(questions, model):
        tail = longest(request.options, request.opening, request.closing)
        written = answer * len(request.uniforms)
        yield request.key, count(request.prompt) + thoughts + tail + written
