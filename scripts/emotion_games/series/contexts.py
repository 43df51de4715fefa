"""Models whose context is certainly too short for a game, as far as their files are at hand.

No model is loaded: `config.json` names the length of the context, and `tokenizer.json` counts the
tokens of a prompt without its chat template. The jobs of the model count exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from emotion_games.data_files import read_data
from emotion_games.errors import UserError
from emotion_games.experiment.spec import Settings
from emotion_games.experiment.trials import longest_answer, longest_thoughts, room_advice
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.messages import render
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import Templates, load_templates
from emotion_games.series.config import SeriesConfig
from emotion_games.series.models import Model, model_file

# How `config.json` names the length of a context.
LENGTH_KEYS = ("max_position_embeddings", "n_positions")
# A chat template adds tokens, but some of the prompt's tokens may merge with those around it.
CERTAIN_SHARE = 0.9
# The longest stories of a game, one of which makes its longest prompt.
_TRIED = 3


def short_contexts(
    config: SeriesConfig, played: Mapping[str, tuple[Game, Sequence[Scenario]]]
) -> list[str]:
    """Return a line for each model that certainly cannot hold the prompts of all games.

    Args:
        config: The config of a series.
        played: Its games, and the scenarios that are chosen for each.
    """
    models = config.base_dir / "models"
    lengths = {model.key: _context_length(model, models) for model in config.models}
    if not any(lengths.values()):
        return []
    templates = load_templates(config.prompts)
    settings = cast(Settings, config.settings)
    room = longest_answer(settings) + longest_thoughts(settings)
    prompts = {
        name: max(_prompts(templates, game, scenarios, config.settings), key=lambda p: len(p[1]))
        for name, (game, scenarios) in played.items()
        if scenarios
    }
    lines = []
    for model in config.models:
        length = lengths[model.key]
        # A token has at least one byte, so that only short contexts need their tokenizer.
        if length and any(len(text.encode()) + room > length for _, text in prompts.values()):
            needs = {p: n + room for p, n in _least_tokens(model, models, prompts).items()}
            too_long = [name for name, tokens in needs.items() if tokens > length]
            if too_long:
                worst = max(too_long, key=needs.__getitem__)
                lines.append(
                    f"model {model.name}: its context of {length:,} tokens is too short for "
                    f"{len(too_long)} of {len(played)} games: {prompts[worst][0]} of {worst} needs "
                    f"at least {needs[worst]:,}, of which {room_advice(settings)}"
                )
    return lines


def _prompts(
    templates: Templates, game: Game, scenarios: Sequence[Scenario], settings: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the scenario and the text of some long prompts of a game."""

    def length(scenario: Scenario) -> int:
        return len(scenario.description) + sum(map(len, scenario.options.values()))

    for scenario in sorted(scenarios, key=length)[-_TRIED:]:
        for history in game.histories:
            situation = Situation(game, scenario, history, tuple(sorted(scenario.options)))
            shown = {key: settings[key] for key in ("show_payoffs", "answer_form")}
            messages = render(templates, situation, wording=0, **shown)
            yield scenario.scenario_id, "\n".join(m["content"].strip() for m in messages)


def _context_length(model: Model, models: Path) -> int | None:
    """Return the largest length that the config of a model names; None if none is at hand."""
    path = model_file(model, models, "config.json")
    try:
        found = list(_lengths(read_data(path))) if path else []
    # The job of the model says what is wrong with the file.
    except UserError:
        return None
    return max(found, default=None)


def _lengths(data: Any) -> Iterator[int]:
    """Yield the lengths in a config and, for models of several parts, in the configs in it."""
    for key, value in data.items() if isinstance(data, dict) else ():
        if key in LENGTH_KEYS and isinstance(value, int) and value > 0:
            yield value
        yield from _lengths(value)


def _least_tokens(
    model: Model, models: Path, prompts: Mapping[str, tuple[str, str]]
) -> dict[str, int]:
    """Return how many tokens the prompt of each game has at least; empty without a tokenizer."""
    path = model_file(model, models, "tokenizer.json")
    if path is None:
        return {}
    # After the check for the file, because most dry runs do not need it.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # For a damaged file the library raises plain `Exception`; anything else is a fault here.
        if type(error) is not Exception:
            raise
        return {}
    return {
        name: int(CERTAIN_SHARE * len(tokenizer.encode(text, add_special_tokens=False).ids))
        for name, (_, text) in prompts.items()
    }
