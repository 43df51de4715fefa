"""The decisions of an experiment as requests: every planned prompt under every condition."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from emotion_games.engine.backend import Backend
from emotion_games.engine.requests import Request, Thinking
from emotion_games.engine.sampling import trial_uniforms
from emotion_games.engine.thinking import frame_of
from emotion_games.errors import ProblemList, UserError
from emotion_games.experiment.conditions import Position, position_of
from emotion_games.experiment.held_out import chosen_stories
from emotion_games.experiment.spec import Settings, Spec
from emotion_games.experiment.trials import (
    Trial,
    longest_answer,
    longest_thoughts,
    plan_trials,
)
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.games.skipped import Skipped, summary
from emotion_games.prompts import messages as texts
from emotion_games.prompts.answers import parse
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.stimuli import load_stimuli, story_events
from emotion_games.prompts.templates import Templates, load_templates

# The characters after an option's text in an answer; the first one closes the text.
CLOSING = '"}'


@dataclass(frozen=True)
class Questions:
    """Everything that an experiment asks.

    Attributes:
        game: The game, with its settings.
        settings: The settings of the experiment.
        date: What chat templates take for today.
        scenarios: The chosen scenarios, by id.
        skipped: What was skipped of the scenario files.
        templates: The texts around the stories.
        trials: All planned trials.
        prompts: The messages of each request, by its key.
        events: By emotion, the events that the prompted arms describe; see `event_of`.
    """

    game: Game
    settings: Settings
    date: datetime.date
    scenarios: dict[str, Scenario]
    skipped: list[Skipped]
    templates: Templates
    trials: list[Trial]
    prompts: dict[str, list[texts.Message]]
    events: dict[str, list[str]]


def load_questions(spec: Spec, files: Mapping[str, Path]) -> Questions:
    """Read game, scenarios, stimuli and templates, and plan all trials.

    Raises:
        ProblemList: No scenario can be used.
    """
    settings = spec["settings"]
    game = apply_settings(load_game(files["game"]), settings["game_settings"])
    scenarios, skipped = _scenarios(files["scenarios"], game, settings)
    templates = load_templates(files["prompts"])
    options = {name: tuple(s.options) for name, s in scenarios.items()}
    histories = {h.name: h for h in game.histories}
    trials = plan_trials(options, list(histories), settings, len(templates.instructions))
    stimuli = load_stimuli(files["stimuli"], settings["emotions"])
    events = {emotion: story_events(lines) for emotion, lines in stimuli.items()}

    # All pushed conditions and repeats share the neutral prompt.
    @cache
    def ask(
        scenario_id: str, history: str, order: tuple[str, ...], wording: int, event: str, told: str
    ) -> list[texts.Message]:
        return texts.render(
            templates,
            Situation(game, scenarios[scenario_id], histories[history], order),
            wording,
            context=event,
            instruction=settings["instructions"][told] if told else "",
            show_payoffs=settings["show_payoffs"],
            answer_form=settings["answer_form"],
        )

    def asked(t: Trial) -> list[texts.Message]:
        own = event_of(t, events), t.condition.instruction
        return ask(t.scenario_id, t.history, t.order, t.wording, *own)

    prompts = {trial.request_key: asked(trial) for trial in trials}
    date = datetime.date.fromisoformat(spec["date"])
    return Questions(game, settings, date, scenarios, skipped, templates, trials, prompts, events)


def _scenarios(
    path: Path, game: Game, settings: Settings
) -> tuple[dict[str, Scenario], list[Skipped]]:
    """Return the chosen scenarios by id, and what was skipped of the files."""
    labels, show_payoffs = settings["choice_labels"], settings["show_payoffs"]
    usable, skipped = load_scenarios(path, game, labels, show_payoffs)
    if not usable:
        raise ProblemList([f"{path}: no valid scenario for {game.name}", *summary(skipped, 0)])
    stories = chosen_stories(usable, game.name, settings)
    if not stories:
        raise UserError(f"{path}: none of {len(usable)} stories of {game.name} is left; add some")
    return stories, skipped


def event_of(trial: Trial, events: Mapping[str, list[str]]) -> str:
    """Return the event that is described before the story; an empty text without one.

    Stories share events only if there are more stories than events.
    """
    if not trial.condition.arm.has_event:
        return ""
    of_emotion = events[trial.condition.emotion]
    return of_emotion[trial.stimulus % len(of_emotion)]


def trial_requests(questions: Questions, model: Backend) -> list[Request]:
    """Return one request per prompt and condition, in the order of the plan.

    The repeats of a prompt are the answers of its request, unless the model thinks.

    Args:
        questions: The questions of the experiment.
        model: The model, which turns messages into prompts.
    """
    settings, steps = questions.settings, questions.settings["generation"]["max_new_tokens"]
    by_request: dict[str, list[Trial]] = {}
    for trial in questions.trials:
        by_request.setdefault(trial.request_key, []).append(trial)
    # All pushed conditions read the neutral prompt, which is made once.
    made: dict[str, str] = {}
    lead, link = _rationale_frame(settings)
    writes = longest_answer(settings) > 0
    requests = []
    for key, trials in by_request.items():
        condition, order = trials[0].condition, trials[0].order
        messages = questions.prompts[key]
        if str(messages) not in made:
            made[str(messages)] = prompt_text(questions, messages, model)
        options = questions.scenarios[trials[0].scenario_id].options
        uniforms = [
            trial_uniforms((questions.game.name, *trial.sampling_key), settings["seed"], steps)
            for trial in trials
            if condition.generated and writes
        ]
        prompt = made[str(messages)]
        begin, end = pushed_part(settings, prompt)
        requests.append(
            Request(
                key=key,
                prompt=prompt,
                push=condition.push,
                options={label: texts.option_literal(options[label]) for label in order},
                opening=texts.decision_prefix(),
                closing=CLOSING,
                scored=condition.scored,
                uniforms=tuple(uniforms),
                lead=lead,
                link=link,
                thinking=thinking_of(questions, trials[0].sampling_key, model),
                begin=begin,
                end=end,
            )
        )
    return requests


def pushed_part(settings: Settings, prompt: str) -> tuple[int, int | None]:
    """Return where pushes act on a text: `begin` and `end` of a request.

    Args:
        settings: The settings of the experiment.
        prompt: What the model is asked, up to where its answer or its thoughts begin. Where it
            does not think, pushes of thoughts act on the answer.
    """
    position = position_of(settings)
    begin = 0 if position in (Position.ALL, Position.PROMPT) else len(prompt)
    return begin, len(prompt) if position == Position.PROMPT else None


def prompt_text(questions: Questions, messages: list[texts.Message], model: Backend) -> str:
    """Return the text that stands before an answer.

    A guided answer stands where the template puts the text of an answer, and a free one where the
    model's turn begins. If the model thinks, its thoughts follow this text.
    """
    if is_guided(questions.settings) and not longest_thoughts(questions.settings):
        return model.text_before_answer(messages, questions.date)
    return turn_text(questions, messages, model)


def turn_text(questions: Questions, messages: list[texts.Message], model: Backend) -> str:
    """Return the text up to where the model begins to write: thoughts, if it thinks."""
    if not longest_thoughts(questions.settings):
        return model.chat_text(messages, questions.date)
    return model.chat_text(messages, questions.date, thinking=True) + frame_of(model).opening


def thinking_of(questions: Questions, key: tuple, model: Backend) -> Thinking | None:
    """Return how the model thinks before it answers; None if it does not.

    Args:
        questions: The questions of the experiment.
        key: What the random numbers depend on, besides the game and the seed.
        model: The model.
    """
    settings, budget = questions.settings, longest_thoughts(questions.settings)
    if not budget:
        return None
    frame = frame_of(model)
    uniforms = trial_uniforms((questions.game.name, *key, "thoughts"), settings["seed"], budget)
    position = position_of(settings)
    return Thinking(
        uniforms,
        frame.tag,
        frame.link,
        pushed=position in (Position.ALL, Position.THOUGHTS, Position.RESPONSE),
        pushed_after=position in (Position.ALL, Position.RESPONSE, Position.ANSWER),
    )


def is_guided(settings: Settings) -> bool:
    """Return True if the form of an answer is given and its option is drawn."""
    return settings["decoding"] == "guided"


def _rationale_frame(settings: Settings) -> tuple[str, str]:
    """Return what stands before and after a guided rationale, if there is one."""
    if is_guided(settings) and settings["answer_form"] == "rationale":
        return texts.rationale_prefix(), texts.decision_link()
    return "", ""


def scores_after_rationale(settings: Settings) -> bool:
    """Return True if the options are scored again after the rationale of an answer."""
    is_wanted = settings["scoring"]["after_rationale"] or is_guided(settings)
    return is_wanted and settings["answer_form"] == "rationale"


def reopen_after_rationale(answer: str) -> str | None:
    """Return the opening of an answer with the same rationale, or None if there is no rationale.

    The options are scored again after it.
    """
    rationale = parse(answer, {}, ()).rationale
    return texts.after_rationale_prefix(rationale) if rationale else None
