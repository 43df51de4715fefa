"""The decisions of an experiment as requests: every planned prompt under every condition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emotion_games.engine.batches import Request
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.errors import ProblemList
from emotion_games.experiment.spec import Settings, Spec
from emotion_games.experiment.trials import Trial, choose_scenarios, plan_trials
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.prompts import messages as texts
from emotion_games.prompts.answers import parse
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates

# The characters after an option's text in an answer; the first one closes the text.
CLOSING = '"}'


@dataclass(frozen=True)
class Questions:
    """Everything that an experiment asks.

    Attributes:
        game: The game, with its settings.
        scenarios: The chosen scenarios, by id.
        problems: One line per entry of the scenario files that was skipped.
        templates: The texts around the stories.
        trials: All planned trials.
        prompts: The messages of each request, by its key.
    """

    game: Game
    scenarios: dict[str, Scenario]
    problems: list[str]
    templates: Templates
    trials: list[Trial]
    prompts: dict[str, list[texts.Message]]


def load_questions(spec: Spec, files: Mapping[str, Path]) -> Questions:
    """Read game, scenarios, stimuli and templates, and plan all trials.

    Raises:
        ProblemList: No scenario can be used.
    """
    settings = spec["settings"]
    game = apply_settings(load_game(files["game"]), settings["game_settings"])
    scenarios, problems = _scenarios(files["scenarios"], game, settings)
    templates = load_templates(files["prompts"])
    options = {name: tuple(s.options) for name, s in scenarios.items()}
    histories = {h.name: h for h in game.histories}
    trials = plan_trials(options, list(histories), settings, len(templates.instructions))
    stimuli = load_stimuli(files["stimuli"], settings["emotions"])
    # The prompted arms use the stimuli that no direction was made from.
    events = {emotion: split_stimuli(lines)[1] for emotion, lines in stimuli.items()}
    prompts: dict[str, list[texts.Message]] = {}
    for trial in trials:
        # Repeats share their prompt.
        if trial.request_key not in prompts:
            scenario, history = scenarios[trial.scenario_id], histories[trial.history]
            prompts[trial.request_key] = texts.render(
                templates,
                Situation(game, scenario, history, trial.order),
                trial.wording,
                context=_context(trial, events),
                show_payoffs=settings["show_payoffs"],
                answer_form=settings["answer_form"],
            )
    return Questions(game, scenarios, problems, templates, trials, prompts)


def _scenarios(path: Path, game: Game, settings: Settings) -> tuple[dict[str, Scenario], list[str]]:
    """Return the chosen scenarios by id, and the problems of entries that were skipped."""
    usable, problems = load_scenarios(path, game, settings["choice_labels"])
    if not usable:
        raise ProblemList([f"{path}: no valid scenario for {game.name}", *problems])
    by_id = {scenario.scenario_id: scenario for scenario in usable}
    chosen = choose_scenarios(list(by_id), settings["num_scenarios"], settings["seed"])
    return {name: by_id[name] for name in chosen}, problems


def _context(trial: Trial, events: Mapping[str, list[str]]) -> str:
    """Return the event that is described before the story, if there is one."""
    if not trial.condition.arm.has_event:
        return ""
    of_emotion = events[trial.condition.emotion]
    return of_emotion[trial.stimulus % len(of_emotion)]


def trial_requests(
    questions: Questions, spec: Spec, to_text: Callable[[list[texts.Message]], str]
) -> list[Request]:
    """Return one request per prompt and condition, in the order of the plan.

    The repeats of a prompt are the answers of its request.

    Args:
        questions: The questions of the experiment.
        spec: Its specification.
        to_text: A function that turns messages into the prompt of the model.
    """
    settings, steps = spec["settings"], spec["settings"]["generation"]["max_new_tokens"]
    by_request: dict[str, list[Trial]] = {}
    for trial in questions.trials:
        by_request.setdefault(trial.request_key, []).append(trial)
    # All pushed conditions read the neutral prompt, which is made once.
    made: dict[str, str] = {}
    requests = []
    for key, trials in by_request.items():
        condition, order = trials[0].condition, trials[0].order
        messages = questions.prompts[key]
        if str(messages) not in made:
            made[str(messages)] = to_text(messages)
        options = questions.scenarios[trials[0].scenario_id].options
        uniforms = [
            trial_uniforms((spec["game"], *trial.sampling_key), settings["seed"], steps)
            for trial in trials
            if condition.generated
        ]
        requests.append(
            Request(
                key=key,
                prompt=made[str(messages)],
                push=condition.push,
                options={label: texts.option_literal(options[label]) for label in order},
                opening=texts.decision_prefix(),
                closing=CLOSING,
                scored=condition.scored,
                uniforms=tuple(uniforms),
            )
        )
    return requests


def reopen_after_rationale(answer: str) -> str | None:
    """Return the opening of an answer with the same rationale, or None if there is no rationale.

    The options are scored again after it.
    """
    rationale = parse(answer, {}, ()).rationale
    return texts.after_rationale_prefix(rationale) if rationale else None
