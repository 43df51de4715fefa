"""The figures of an experiment and of a series as files, PNG and SVG each.

Knows where the tables of statistics lie (stats_analysis.json, exp_config.yaml, series_results.csv); reads no trial.
"""

import csv
import json
from pathlib import Path

import yaml

from emotion_games.reporting.check_figures import direction_separation, manipulation_effect
from emotion_games.reporting.experiment_figures import choice_rates, choice_shares, dose_response
from emotion_games.reporting.heat_map import contrast_heat_map
from emotion_games.reporting.style import draw


def plot_experiment(stats_path: Path, output_dir: Path) -> list[Path]:
    """Draw the figures of one experiment from its stats_analysis.json and the exp_config.yaml beside it.

    Returns the files written; a figure for which there are no numbers is left out.
    """
    stats = json.loads(stats_path.read_text(encoding="utf-8"))
    config_path = stats_path.with_name("exp_config.yaml")
    config = (
        yaml.safe_load(config_path.read_text(encoding="utf-8")) if config_path.is_file() else {}
    )
    directions = config.get("directions") or {}
    return [
        *draw(lambda: choice_rates(stats), output_dir / "choice_rates"),
        *draw(lambda: choice_shares(stats), output_dir / "choice_shares"),
        *draw(lambda: dose_response(stats), output_dir / "dose_response"),
        *draw(lambda: manipulation_effect(stats), output_dir / "manipulation_effect"),
        *draw(lambda: direction_separation(stats, directions), output_dir / "direction_separation"),
    ]


def plot_series(series_results_csv: Path, output_dir: Path) -> list[Path]:
    """Draw the games x models heat map; experiments that the JSON beside the table names as missing show as missing."""
    with open(series_results_csv, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    beside = series_results_csv.with_suffix(".json")
    missing = json.loads(beside.read_text(encoding="utf-8"))["missing"] if beside.is_file() else []
    return draw(lambda: contrast_heat_map(rows, missing), output_dir / "contrast_heat_map")
