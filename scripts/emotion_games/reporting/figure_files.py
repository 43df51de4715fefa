"""The figures of an experiment and of a series as files, PNG and SVG each."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import yaml
from matplotlib.figure import Figure

from emotion_games import layout
from emotion_games.files import read_json
from emotion_games.reporting.check_figures import direction_quality, emotions_landed
from emotion_games.reporting.dose_figure import dose_response
from emotion_games.reporting.experiment_figures import choice_rates, choice_shares
from emotion_games.reporting.forest_plot import forest_pages, forest_plot
from emotion_games.reporting.size_figure import effect_by_model_size
from emotion_games.reporting.story_figures import story_spread, written_against_scored

STYLE = Path(__file__).with_name("figures.mplstyle")


def plot_experiment(stats_path: Path, output_dir: Path) -> list[Path]:
    """Draw the figures of one experiment; each file has the name of the function that draws it.

    Args:
        stats_path: stats_analysis.json.
        output_dir: The folder of the figures.

    Returns:
        The files written. A figure for which there are no numbers is left out.
    """
    stats = json.loads(stats_path.read_text(encoding="utf-8"))
    files = []
    figures = (choice_rates, choice_shares, dose_response, story_spread, written_against_scored)
    for make in figures:
        files += draw(output_dir / make.__name__, make, stats)
    return files


def plot_series(series_dir: Path, output_dir: Path) -> list[Path]:
    """Draw the figures over all experiments and those of each model.

    Args:
        series_dir: The series folder with its table of results.
        output_dir: The folder of the figures. The forest plot has a number in its name if it
            needs several pages.

    Returns:
        The files written.
    """
    content = json.loads((series_dir / layout.SERIES_STATISTICS).read_text(encoding="utf-8"))
    rows, missing = content["rows"], content["missing"]
    files, pages = [], forest_pages(rows, missing)
    for number, (lines, part) in enumerate(pages, 1):
        name = forest_plot.__name__ + (f"_{number}" if len(pages) > 1 else "")
        files += draw(output_dir / name, forest_plot, rows, missing, lines, part)
    size = output_dir / effect_by_model_size.__name__
    files += draw(size, effect_by_model_size, rows, missing)
    report = read_json(series_dir / layout.REPORT) or {"experiments": {}}
    drawn = set()
    for exp_id, entry in report["experiments"].items():
        slug = exp_id.removeprefix(f"{entry['game_name']}_")
        folder = layout.results_folder(series_dir, entry)
        if slug not in drawn and (folder / layout.STATISTICS).is_file():
            files += _plot_model(folder, output_dir, slug)
            drawn.add(slug)
    return files


def _plot_model(folder: Path, output_dir: Path, slug: str) -> list[Path]:
    """Draw what all experiments of a model share, from the files of one of them."""
    stats = json.loads((folder / layout.STATISTICS).read_text(encoding="utf-8"))
    path = folder / layout.CONFIGURATION
    config: Mapping[str, Any] = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    names = [layout.model_figure(output_dir, make.__name__, slug) for make in _OF_MODELS]
    files = draw(names[0], emotions_landed, stats)
    return files + draw(names[1], direction_quality, stats, config.get("directions") or {})


_OF_MODELS = (emotions_landed, direction_quality)


def draw(path: Path, make: Callable[..., Figure | None], *content: object) -> list[Path]:
    """Draw one figure in the project's style; equal numbers give equal files, byte for byte.

    Args:
        path: The file, with the ending `.svg` or without an ending.
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
        stem = path.name.removesuffix(".svg")
        files = [path.with_name(f"{stem}.png"), path.with_name(f"{stem}.svg")]
        figure.savefig(files[0], dpi=150, metadata={"Software": None})
        # The layout is kept for the second file, because computing it again doubles the time.
        figure.set_layout_engine("none")
        # By default the file would contain the time of drawing.
        figure.savefig(files[1], metadata={"Date": None})
    return files
