"""The figures of an experiment and of a series as files, PNG and SVG each."""

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib
import yaml
from matplotlib.figure import Figure

from emotion_games.reporting.check_figures import direction_quality, manipulation_checks
from emotion_games.reporting.dose_figure import dose_response
from emotion_games.reporting.experiment_figures import choice_rates, choice_shares
from emotion_games.reporting.heat_map import contrast_heat_map

STYLE = Path(__file__).with_name("figures.mplstyle")


def plot_experiment(stats_path: Path, output_dir: Path) -> list[Path]:
    """Draw the figures of one experiment; each file has the name of the function that draws it.

    Args:
        stats_path: stats_analysis.json; the directions are read from exp_config.yaml beside it.
        output_dir: The folder of the figures.

    Returns:
        The files written. A figure for which there are no numbers is left out.
    """
    stats = json.loads(stats_path.read_text(encoding="utf-8"))
    config_path = stats_path.with_name("exp_config.yaml")
    config = yaml.safe_load(config_path.read_text("utf-8")) if config_path.is_file() else {}
    files = []
    for make in (choice_rates, choice_shares, dose_response, manipulation_checks):
        files += draw(output_dir / make.__name__, make, stats)
    directions = config.get("directions") or {}
    return files + draw(
        output_dir / direction_quality.__name__, direction_quality, stats, directions
    )


def plot_series(series_results: Path, output_dir: Path) -> list[Path]:
    """Draw the games x models heat map from series_results.json and return the files written."""
    content = json.loads(series_results.read_text(encoding="utf-8"))
    path = output_dir / contrast_heat_map.__name__
    return draw(path, contrast_heat_map, content["rows"], content["missing"])


def draw(path: Path, make: Callable[..., Figure | None], *content: object) -> list[Path]:
    """Draw one figure in the project's style; equal numbers give equal files, byte for byte.

    Args:
        path: The file without its ending.
        make: Makes the figure, or returns None if there is nothing to draw.
        *content: The arguments of `make`.

    Returns:
        The PNG and the SVG file, or an empty list.
    """
    with matplotlib.rc_context(fname=STYLE):
        figure = make(*content)
        if figure is None:
            return []
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [path.with_suffix(".png"), path.with_suffix(".svg")]
        figure.savefig(files[0], dpi=150, metadata={"Software": None})
        # The layout is kept for the second file, because computing it again doubles the time.
        figure.set_layout_engine("none")
        # By default the file would contain the time of drawing.
        figure.savefig(files[1], metadata={"Date": None})
    return files
