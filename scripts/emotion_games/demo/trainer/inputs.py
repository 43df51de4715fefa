"""What the trainer starts from: the files of `config/demo`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from emotion_games.demo.trainer.grammar import Grammar, load_grammar
from emotion_games.demo.trainer.truth import NEUTRAL, GameTruth, load_games, load_truth
from emotion_games.errors import UserError
from emotion_games.games.records import Game, History
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.prompts.check_items import CheckItems, load_check_items
from emotion_games.prompts.stimuli import load_stimuli
from emotion_games.prompts.templates import Templates, load_templates


@dataclass(frozen=True)
class Inputs:
    """The data of one variant of the demo model.

    Attributes:
        variant: One of `build.VARIANTS`.
        grammar: The phrases of the training texts.
        templates: The texts around a story.
        games: The games by name.
        planted: The planted table by game.
        taught: The table that is taught: the planted one, or the flat one.
        scenarios: The shipped scenarios by game, which are not trained on.
        stimuli: The shipped stimuli by emotion, which are not trained on.
        checks: The shipped items of the checks, which are not trained on.
    """

    variant: str
    grammar: Grammar
    templates: Templates
    games: Mapping[str, Game]
    planted: Mapping[str, GameTruth]
    taught: Mapping[str, GameTruth]
    scenarios: Mapping[str, Sequence[Scenario]]
    stimuli: Mapping[str, Sequence[str]]
    checks: CheckItems

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """Every emotion of the table, neutral first."""
        names = {name for row in self.taught.values() for name in row.prosocial}
        return (NEUTRAL, *sorted(names - {NEUTRAL}))

    @cached_property
    def cells(self) -> list[tuple[str, History]]:
        """Every game with every history."""
        return [(name, history) for name in self.taught for history in self.games[name].histories]

    @cached_property
    def shipped(self) -> frozenset[tuple[str, frozenset[str]]]:
        """The keys of the shipped scenarios."""
        return frozenset(
            scenario_key(scenario) for several in self.scenarios.values() for scenario in several
        )


def scenario_key(scenario: Scenario) -> tuple[str, frozenset[str]]:
    """Return what identifies a scenario: the story and its options, in any order."""
    return scenario.description, frozenset(scenario.options.values())


def load_inputs(demo_dir: Path, variant: str) -> Inputs:
    """Load the data of a variant; UserError if a file is missing or wrong."""
    games, scenarios = load_games(demo_dir), {}
    for name, game in games.items():
        path = demo_dir / "games" / name / "scenarios.yaml"
        scenarios[name], skipped = load_scenarios(path, game)
        if skipped:
            raise UserError(str(skipped[0]))
    return Inputs(
        variant=variant,
        grammar=load_grammar(demo_dir / "grammar.yaml"),
        templates=load_templates(demo_dir / "prompts.yaml"),
        games=games,
        planted=load_truth(demo_dir),
        taught=load_truth(demo_dir, flat=variant == "flat"),
        scenarios=scenarios,
        stimuli=load_stimuli(demo_dir / "emotions"),
        checks=load_check_items(demo_dir / "checks.yaml"),
    )
