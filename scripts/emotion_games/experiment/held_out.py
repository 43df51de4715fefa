"""What a sweep measures, and what it leaves for the series that take its setting.

A sweep has half of a game's stories and half of the items of the checks. A series that takes a
setting leaves out the stories of the sweep, and has the other half of the items.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from emotion_games.experiment.spec import Settings
from emotion_games.experiment.trials import choose_scenarios
from emotion_games.games.scenarios import Scenario

T = TypeVar("T")


def text_key(description: str) -> str:
    """Return a short digest of a story, by which it is known whatever its id and its file."""
    return hashlib.sha256(" ".join(description.split()).encode()).hexdigest()[:12]


def usable_stories(
    scenarios: Sequence[Scenario], game: str, settings: Settings
) -> Sequence[Scenario]:
    """Return the stories that an experiment may use, in the order of the file.

    Args:
        scenarios: All stories of the game.
        game: The name of the game.
        settings: A sweep (`sweep`) may use half of them, which depends on the seed and the ids. A
            series with `settings_from` may use those that the sweep has not used, in any game.
    """
    ids = [scenario.scenario_id for scenario in scenarios]
    if settings.get("sweep"):
        half = set(choose_scenarios(ids, len(ids) // 2, settings["seed"]))
        return [scenario for scenario in scenarios if scenario.scenario_id in half]
    chosen = settings.get("settings_from")
    if chosen is None:
        return scenarios
    swept = chosen["stories"]
    texts = {text for stories in swept.values() for text in stories.values()}
    return [
        scenario
        for scenario in scenarios
        if scenario.scenario_id not in swept.get(game, {})
        and text_key(scenario.description) not in texts
    ]


def chosen_stories(
    scenarios: Sequence[Scenario], game: str, settings: Settings
) -> dict[str, Scenario]:
    """Return the stories of an experiment by id, in the order of the file."""
    by_id = {s.scenario_id: s for s in usable_stories(scenarios, game, settings)}
    number, seed = settings["num_scenarios"], settings["seed"]
    return {name: by_id[name] for name in choose_scenarios(list(by_id), number, seed)}


def own_items(items: Sequence[T], settings: Settings) -> Sequence[T]:
    """Return the items of a check that an experiment may use.

    The first, third and further odd ones are those of sweeps, and the others those of series with
    `settings_from`. Any other series uses all.
    """
    if settings.get("sweep"):
        return items[::2]
    return items if settings.get("settings_from") is None else items[1::2]
