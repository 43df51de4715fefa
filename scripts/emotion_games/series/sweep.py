"""The files of a sweep: for each model a table of its settings, a heat map, and the chosen one."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emotion_games import layout
from emotion_games.analysis.experiment_statistics import strict
from emotion_games.analysis.sweep import RULE, Experiment, Setting, chosen, comparable, settings_of
from emotion_games.errors import UserError
from emotion_games.escapes import csv_cell
from emotion_games.experiment.held_out import text_key
from emotion_games.experiment.results import read_configuration
from emotion_games.experiment.spec import Configuration
from emotion_games.files import read_json, replace_text
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.games.scenarios import load_scenarios
from emotion_games.hashing import content_hash
from emotion_games.prompts.stimuli import stimulus_files, used_stimuli
from emotion_games.reporting.figure_files import draw
from emotion_games.reporting.sweep_map import sweep_map
from emotion_games.series.state import ModelRecord, read_series

_HEAD = """\
# The setting that a sweep has chosen for a model. A series of this model takes it with
# `settings_from: <this file>`, and leaves out the stories and the check items of the sweep.
"""


def write_sweep(series_dir: Path, slug: str) -> None:
    """Write the table and the heat map of a model."""
    model, folders = _experiments(series_dir, slug)
    settings = settings_of(comparable(map(_read, folders)), model["name"])
    table = layout.sweep_path(series_dir, slug)
    table.parent.mkdir(exist_ok=True)
    draw(table.with_suffix(""), sweep_map, settings)
    replace_text(table, _as_csv(settings))


def choose_setting(series_dir: Path, slug: str, files: Mapping[str, Path]) -> Path:
    """Write the file with the chosen setting of a model, and return its path.

    Args:
        series_dir: The folder of a sweep of which all experiments of the model are finished.
        slug: The folder-safe name of the model.
        files: The paths of the `stimuli` and the `checks` that it was measured with.

    Raises:
        UserError: No setting fits, or the files of the sweep have changed.
    """
    model, folders = _experiments(series_dir, slug)
    experiments = [_read(folder) for folder in folders]
    compared = comparable(experiments)
    best = chosen(settings_of(compared, model["name"]))
    configuration = experiments[0][0]
    settings, table = configuration["settings"], layout.sweep_path(series_dir, slug)
    stimuli = stimulus_files(files["stimuli"])
    content = {
        "model": {
            "name": model["name"],
            "entry": model["entry"],
            "weights_hash": configuration["directions"]["weights_hash"],
        },
        "layers": best["layers"],
        "position": best["position"],
        "intensity": best["intensity"],
        "intensity_unit": settings["intensity_unit"],
        "direction_method": settings["direction_method"],
        "choice": {"rule": RULE, **_evidence(best, compared)},
        "sweep": {
            "series": series_dir.name,
            "table_sha256": content_hash(table),
            "plans": {c["exp_id"]: c["plan"]["hash"] for c, _ in experiments},
        },
        # Also those of games that were not compared, because they may have been seen.
        "stories": {c["game"]: _stories(c) for c, _ in experiments},
        "files": {
            "stimuli": {
                name: content_hash(stimuli[name])
                for name in used_stimuli(files["stimuli"], settings["emotions"])
            },
            "check_items": content_hash(files["checks"]),
        },
    }
    path = layout.chosen_path(series_dir, slug)
    text = yaml.safe_dump(strict(content), sort_keys=False, allow_unicode=True, width=100)
    replace_text(path, _HEAD + text)
    return path


def summary(path: Path) -> str:
    """Return the setting of a file in one line."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return (
        f"{content['model']['name']}: chosen were layers {', '.join(map(str, content['layers']))}, "
        f"position {content['position']}, intensity {content['intensity']:g}; take them with "
        f"settings_from: {path}"
    )


def _experiments(series_dir: Path, slug: str) -> tuple[ModelRecord, list[Path]]:
    """Return the record of a model, and the result folders of its experiments."""
    frozen = read_series(series_dir)
    (key,) = (key for key, model in frozen["models"].items() if model["slug"] == slug)
    own = [exp_id for exp_id, row in frozen["experiments"].items() if row["model"] == key]
    folders = [layout.output_dir(series_dir, exp_id, frozen["stamp"]) for exp_id in own]
    return frozen["models"][key], [folder for folder in folders if layout.has_results(folder)]


def _read(folder: Path) -> Experiment:
    return read_configuration(folder), read_json(folder / layout.STATISTICS)


def _stories(configuration: Configuration) -> dict[str, str]:
    """Return the stories of an experiment: their ids, and the digests of their texts.

    Raises:
        UserError: Their file has changed since.
    """
    settings, files = configuration["settings"], configuration["files"]
    path = Path(files["scenarios"])
    if content_hash(path) != configuration["hashes"]["scenarios"]:
        raise UserError(f"{path}: has changed since the sweep; restore it, or sweep again")
    game = apply_settings(load_game(Path(files["game"])), settings["game_settings"])
    found, _ = load_scenarios(path, game, settings["choice_labels"], settings["show_payoffs"])
    texts = {story.scenario_id: text_key(story.description) for story in found}
    return {name: texts[name] for name in configuration["scenarios"]["used"]}


def _evidence(best: Setting, experiments: list[Experiment]) -> dict[str, Any]:
    shown = ("layer_set", "raised_most", "checked", "specific_rise", "perplexity_ratio")
    found = {key: value for key, value in best.items() if key in shown}
    return {"games": list(dict.fromkeys(c["game"] for c, _ in experiments)), **found}


def _as_csv(settings: list[Setting]) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(Setting.__annotations__), lineterminator="\n")
    writer.writeheader()
    for setting in strict(settings):
        writer.writerow({key: _cell(value) for key, value in setting.items()})
    return table.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    return csv_cell(value) if isinstance(value, str) else value
