"""The setting that a sweep has chosen, for the series that takes it with `settings_from`.

Choosing and testing never use the same stories, nor the same items of the checks. So a series must
have enough stories besides those of the sweep, and the same stimuli and check items, of which each
of the two uses half.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList
from emotion_games.experiment.analysis_plan import CLAIM_SCENARIOS
from emotion_games.experiment.held_out import usable_stories
from emotion_games.experiment.spec import Choice, Settings
from emotion_games.games.catalog import apply_settings
from emotion_games.games.records import Game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.hashing import content_hash
from emotion_games.prompts.check_items import load_check_items
from emotion_games.prompts.stimuli import stimulus_files, used_stimuli
from emotion_games.series.models import Model, resolved

# What a series takes from the file. Its config has none of these keys.
TAKEN = (
    "layers",
    "position",
    "intensity",
    "headline_intensity",
    "intensity_unit",
    "direction_method",
)
# A test over items needs two in each half.
LEAST_ITEMS = 4


def read_chosen(path: Path) -> dict[str, Any]:
    """Return the content of a file that a sweep has written.

    Raises:
        UserError: It is none.
    """
    data = read_data(path)
    problems = schemas.problems(data, schemas.read_schema("chosen_settings"), path)
    if problems:
        raise ProblemList(problems)
    return data


def taken(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the settings of a series that takes a setting, `settings_from` among them."""
    dose = float(content["intensity"])
    source = Choice(
        sweep=content["sweep"]["series"],
        sha256=content_hash(path),
        weights_hash=content["model"]["weights_hash"],
        stories=content["stories"],
    )
    own = {key: content[key] for key in TAKEN if key in content}
    return own | {
        "intensity": [dose],
        "headline_intensity": dose,
        "settings_from": source,
    }


def key_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each key of a config that `settings_from` excludes."""
    for key in (*TAKEN, "layer_sets"):
        if key in given:
            yield (
                f"experiment.{key}: with settings_from it comes from {given['settings_from']}; "
                "remove one of them"
            )
    if given.get("sweep"):
        yield "experiment.settings_from: a sweep chooses a setting; remove it, or remove `sweep`"


def model_problems(content: Mapping[str, Any], models: Sequence[Model]) -> Iterator[str]:
    """Yield a line for each model that is not the one of the sweep."""
    swept = content["model"]
    for place, model in enumerate(models):
        if resolved(model.entry) != resolved(swept["entry"]):
            yield (
                f"experiment.models[{place}]: {model.name} is not the model of the sweep, "
                f"{swept['name']}; give each model a series and a sweep of its own, or leave out "
                "settings_from"
            )


def item_problems(
    settings: Mapping[str, Any], stimuli: Path, check_items: Path, content: Mapping[str, Any] | None
) -> Iterator[str]:
    """Yield what prevents a sweep and its series from having a half of the check items each.

    Args:
        settings: The settings of the config.
        stimuli: The folder of the stimuli.
        check_items: The file of the items.
        content: The file with the setting; None in a sweep.
    """
    items = load_check_items(check_items)
    for key, least in (("contexts", 2), ("neutral_texts", LEAST_ITEMS)):
        found = len(getattr(items, key))
        if found < least:
            yield (
                f"experiment.check_items: {check_items} has {found} {key}, of which a sweep and "
                f"its series have half each; write {least} or more"
            )
    if content is None:
        return
    files, before = stimulus_files(stimuli), content["files"]["stimuli"]
    paths = {name: files[name] for name in used_stimuli(stimuli, settings["emotions"])}
    hashes = {path: before[name] for name, path in paths.items() if name in before}
    for path, sha256 in (hashes | {check_items: content["files"]["check_items"]}).items():
        if content_hash(path) != sha256:
            yield (
                f"experiment.settings_from: {path} is not as it was in the sweep, so the halves of "
                "the check items could overlap; restore it, or sweep again"
            )


def story_problems(
    settings: Mapping[str, Any],
    games: Mapping[str, Game],
    of_games: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, Mapping[str, str]],
    files: Mapping[str, Path],
) -> Iterator[str]:
    """Yield a line for each game to which a sweep has left too few stories.

    Args:
        settings: The settings of the config, with the `settings_from` of `taken`.
        games: The games by name.
        of_games: The entries of `game_settings` of each.
        labels: The entries of `choice_labels` of each.
        files: The stories of each.
    """
    wanted = settings["num_scenarios"]
    least = CLAIM_SCENARIOS if wanted is None else min(wanted, CLAIM_SCENARIOS)
    for name, game in games.items():
        played = apply_settings(game, of_games[name])
        found, _ = load_scenarios(files[name], played, labels[name], settings["show_payoffs"])
        left = len(usable_stories(found, name, _typed(settings)))
        # A game without enough stories of its own is reported as in any series.
        if left < min(least, len(found)):
            yield (
                f"experiment.settings_from: {left} of {len(found)} stories of {name} are left, the "
                f"others chose the setting; needed: {least}; sweep on other games, add stories, or "
                "set a smaller num_scenarios"
            )


def sweep_problems(experiment: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting with which a sweep could choose nothing."""
    for check in ("manipulation", "damage"):
        if not experiment["checks"][check]:
            yield (
                f"experiment.checks.{check}: a sweep chooses by it; set `true`, or remove `sweep`"
            )
    for place, dose in enumerate(experiment["intensity"]):
        if dose < 0:
            yield (
                f"experiment.intensity[{place}]: {dose} with sweep: true; pushes away from an "
                "emotion are not compared; allowed: numbers above 0"
            )


def _typed(settings: Mapping[str, Any]) -> Settings:
    return settings  # type: ignore[return-value]  # a config whose form is checked


def source_line(settings: Mapping[str, Any]) -> str:
    """Return where the settings of a series come from, in one line; empty without a sweep."""
    source = settings.get("settings_from")
    if settings.get("sweep"):
        return "A sweep: it uses at most half of the stories of each game, and half of the checks."
    if source is None:
        return ""
    layers = ", ".join(map(str, settings["layers"]))
    number = sum(map(len, source["stories"].values()))
    return (
        f"Settings from the sweep {source['sweep']}: layers {layers}, position "
        f"{settings.get('position', 'all')}, intensity {settings['headline_intensity']:g}; its "
        f"{number} stories are left out."
    )
