"""The decisions of an experiment as requests: every planned prompt under every condition.

Knows game, scenarios, templates and the plan of trials; knows nothing of models beyond how a chat becomes text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emotion_games.engine.batches import Request
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.errors import ProblemList
from emotion_games.experiment.trials import Trial, choose_scenarios, plan_trials
from emotion_games.games.catalog import Game, apply_settings, load_game
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.prompts.answers import parse
from emotion_games.prompts.messages import (
    Message,
    after_rationale_prefix,
    decision_prefix,
    option_literal,
    render,
)
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.stimuli import load_stimuli, split_stimuli
from emotion_games.prompts.templates import Templates, load_templates

# What follows an option's text in an answer; its first character closes the text.
CLOSING = '"}'


@dataclass(frozen=True)
class Questions:
    """Everything that is asked in an experiment. `prompts` holds the messages of each request by its key."""

    game: Game
    scenarios: dict[str, Scenario]
    problems: list[str]
    templates: Templates
    trials: list[Trial]
    prompts: dict[str, list[Message]]


def load_questions(spec: dict, files: Mapping[str, Path]) -> Questions:
    """Read game, scenarios, stimuli and templates, and plan all trials.

    Raises ProblemList when not one scenario can be used; otherwise the problems of skipped scenarios are kept.
    """
    settings = spec["settings"]
    game = apply_settings(load_game(files["game"]), settings["game_settings"])
    found, problems = load_scenarios(files["scenarios"], game, settings["choice_labels"])
    if not found:
        raise ProblemList([f"{files['scenarios']}: no valid scenario for {game.name}", *problems])
    chosen = set(
        choose_scenarios(
            [s.scenario_id for s in found], settings["num_scenarios"], settings["seed"]
        )
    )
    scenarios = {s.scenario_id: s for s in found if s.scenario_id in chosen}
    templates = load_templates(files["prompts"])
    options = {name: tuple(s.options) for name, s in scenarios.items()}
    trials = plan_trials(
        options, [h.name for h in game.histories], settings, len(templates.instructions)
    )
    contexts = {
        e: split_stimuli(lines)[1]
        for e, lines in load_stimuli(files["stimuli"], settings["emotions"]).items()
    }
    histories = {h.name: h for h in game.histories}
    prompts = {
        trial.request_key: render(
            templates,
            Situation(game, scenarios[trial.scenario_id], histories[trial.history], trial.order),
            trial.wording,
            context=_context(trial, contexts),
            show_payoffs=settings["show_payoffs"],
            answer_form=settings["answer_form"],
        )
        for trial in trials
        if trial.repeat == 0
    }
    return Questions(game, scenarios, problems, templates, trials, prompts)


def _context(trial: Trial, contexts: Mapping[str, list[str]]) -> str:
    """The event that the prompted arms put before the story: a stimulus that no direction was made from."""
    if trial.condition.arm not in ("prompted", "prompted_neutral"):
        return ""
    events = contexts[trial.condition.emotion]
    return events[trial.stimulus % len(events)]


def trial_requests(
    questions: Questions, spec: dict, to_text: Callable[[list[Message]], str]
) -> list[Request]:
    """One request for each prompt and condition, in the order of the plan; its repeats are the answers to write."""
    settings = spec["settings"]
    steps = settings["generation"]["max_new_tokens"]
    by_request: dict[str, list[Trial]] = {}
    for trial in questions.trials:
        by_request.setdefault(trial.request_key, []).append(trial)
    texts: dict[str, str] = {}
    requests = []
    for key, trials in by_request.items():
        first = trials[0]
        messages = questions.prompts[key]
        text = texts.setdefault(str(messages), "") or to_text(messages)
        texts[str(messages)] = text
        options = questions.scenarios[first.scenario_id].options
        generated = first.condition.generated
        requests.append(
            Request(
                key=key,
                prompt=text,
                push=first.condition.push,
                options={label: option_literal(options[label]) for label in first.order},
                opening=decision_prefix(),
                closing=CLOSING,
                scored=first.condition.scored,
                uniforms=tuple(
                    trial_uniforms((spec["game"], *trial.sampling_key), settings["seed"], steps)
                    for trial in trials
                )
                if generated
                else (),
            )
        )
    return requests


def reopen_after_rationale(answer: str) -> str | None:
    """What an answer with the rationale of this one opens with, for scoring after it; None where it has none."""
    rationale = parse(answer, {}, ()).rationale
    return after_rationale_prefix(rationale) if rationale else None
