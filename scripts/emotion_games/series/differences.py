"""What of a config differs from what a series has frozen, and what of it counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import layout
from emotion_games.schemas import read_schema, with_defaults
from emotion_games.series.config import SeriesConfig
from emotion_games.series.state import ExperimentRecord, GameRecord, read_series, setup_of


@dataclass(frozen=True)
class Content:
    """What a config uses: its settings, and the hashes of the files that it names.

    `hashes` are those of the files that all games share, `games` the records of each game.
    """

    config: SeriesConfig
    hashes: dict[str, str]
    games: dict[str, GameRecord]


def differences(folder: Path, content: Content) -> list[str]:
    """Return one line for each difference between a config and what a series has frozen.

    Settings always count. Files, and the settings of a game, count only if trials, or checks of
    pushes, were made with them, so that a mistake can be corrected before.
    """
    frozen, config = read_series(folder), content.config
    defaults = with_defaults(frozen["settings"], read_schema("config")["properties"]["experiment"])
    # A setting that is newer than the series had its default then.
    before = {key: defaults[key] for key in config.settings}
    found = _changed(_in_short(before), _in_short(config.settings), "")
    measured = [
        row
        for exp_id, row in frozen["experiments"].items()
        if _has_trials(folder, exp_id, frozen["stamp"])
    ]
    if measured or _has_push_checks(folder, frozen["experiments"]):
        found += _changed_files(frozen["hashes"], content.hashes, "")
    for name in sorted({row["game_name"] for row in measured} & set(content.games)):
        old, new = frozen["games"][name], content.games[name]
        found += _changed_files(old["hashes"], new["hashes"], f"{name}: ")
        found += _changed(old["choice_labels"], new["choice_labels"], f"choice_labels.{name}.")
        found += _changed(old["game_settings"], new["game_settings"], f"game_settings.{name}.")
    measured_models = {row["model"] for row in measured}
    aliases = {entry["slug"].casefold() for entry in frozen["models"].values()}
    for model in config.models:
        if model.key in measured_models:
            hashes = frozen["models"][model.key]["hashes"]
            found += _changed_files(hashes, model.hashes, f"{model.name}: ")
        alias = model.running.get("alias", "")
        if model.key not in frozen["models"] and alias.casefold() in aliases:
            found.append(f"the alias {alias} belongs to another model")
    return found


def _has_trials(folder: Path, exp_id: str, stamp: str) -> bool:
    results = layout.output_dir(folder, exp_id, stamp)
    paths = [layout.journal_path(folder, exp_id), *(results / name for name in layout.RESULT_FILES)]
    return any(path.exists() for path in paths)


def _has_push_checks(folder: Path, experiments: Mapping[str, ExperimentRecord]) -> bool:
    setups = {setup_of(exp_id, row) for exp_id, row in experiments.items()}
    places = (layout.push_checks_journal, layout.push_checks_path)
    return any(place(folder, setup).exists() for setup in setups for place in places)


def _in_short(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a text for `settings_from`, which has the digest of every story."""
    source = settings.get("settings_from")
    short = f"{source['sweep']}, sha256 {source['sha256'][:12]}" if source else source
    return {**settings, "settings_from": short}


def _changed(before: Any, now: Any, place: str) -> list[str]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{place.rstrip('.')} {before} there, {now} here"]
    # In the order of the series, then the keys that only the config has.
    lines = []
    for key in [*before, *(key for key in now if key not in before)]:
        lines += _changed(before.get(key, "none"), now.get(key, "none"), f"{place}{key}.")
    return lines


def _changed_files(before: Mapping[str, str], now: Mapping[str, str], place: str) -> list[str]:
    changed = [key for key in now if key in before and before[key] != now[key]]
    return [f"{place}the {key} files have changed" for key in changed]
