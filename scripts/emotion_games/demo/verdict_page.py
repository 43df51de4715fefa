"""The verdict as a page, as JSON and as lines for the terminal, in words that need no knowledge of the statistics.

Knows what each check means and how a figure is written; the figures and limits come from elsewhere.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from emotion_games.analysis.experiment_statistics import strict
from emotion_games.demo.measured import Measured, planted_table, read_measured
from emotion_games.demo.verdict import Line, verdict
from emotion_games.demo.verdict_figures import doses_figure, shifts_figure
from emotion_games.files import new_folder, now, replace_text, write_json
from emotion_games.reporting.figure_files import draw

PAGE, DATA, FIGURES = "verdict.html", "verdict.json", "verdict_figures"
MISSING = "There is no figure: no answer could be read, or something that config/validation.yaml asks for is missing."
VARIANTS = {
    "planted": "Models with planted effects",
    "flat": "Models in which nothing depends on emotion",
    "emergent": "Models that were never taught steering",
}
# What is checked, what it means where it holds, and where it does not.
WORDS = {
    "steering_correlation": (
        "Steering follows the planted table: correlation",
        "Steering raises and lowers choices where the table says so.",
        "Steered choices do not move where the planted table says: trust no effect found by this installation.",
    ),
    "steering_slope": (
        "Steering has the planted size: slope",
        "An intensity of 1 moves choices about as far as the emotion itself does.",
        "Steering moves choices too little or too much: an intensity is not what its number says.",
    ),
    "above_random": (
        "Steering follows the table better than random directions: correlation",
        "Random directions in the emotions' place hardly ever follow the table this well.",
        "Random directions in the emotions' place follow the table as well.",
    ),
    "written_correlation": (
        "Written choices follow the planted table: correlation",
        "The answers that steered models write say the same as the probabilities.",
        "What steered models write does not follow the table: writing or reading answers is at fault.",
    ),
    "written_slope": (
        "Written choices have the planted size: slope",
        "Written choices move about as far as planted.",
        "Written choices move too little or too much.",
    ),
    "dose_order": (
        "A larger dose does more: share of emotions",
        "Each emotion with a plain planted effect moves choices further with every step of intensity.",
        "The effect of an emotion does not grow with its intensity in the planted direction.",
    ),
    "prompted_correlation": (
        "Told emotions follow the planted table: correlation",
        "An emotion told in the prompt moves choices where the table says.",
        "An emotion told in the prompt does not move choices where the table says: prompts or stimuli are at fault.",
    ),
    "prompted_slope": (
        "Told emotions have the planted size: slope",
        "An emotion told in the prompt moves choices about as far as planted.",
        "An emotion told in the prompt moves choices too little or too much.",
    ),
    "claims": (
        "Claims have the planted sign: share of claims",
        "Effects are claimed, and each has the sign that was planted.",
        "No effect is claimed at all, or one against its planted sign.",
    ),
    "flat_steering": (
        "Steering brings no trace of the planted table: slope",
        "A model that does not react to emotion shows no trace of the table.",
        "The planted pattern appears in a model that does not have it: something outside the model brings it in.",
    ),
    "flat_prompted": (
        "Told emotions bring no trace of the planted table: slope",
        "An emotion told in the prompt does not move a model that does not react to emotion.",
        "An emotion told in the prompt moves a model that does not react to emotion.",
    ),
    "flat_pattern": (
        "The pattern over emotions is unrelated to the planted one: p",
        "With the emotions' names exchanged at random, the pattern fits the table as well as with the right ones.",
        "The pattern fits the right names too well for models in which there is none.",
    ),
    "flat_contrast": (
        "Emotion less random directions finds nothing: share of tests under .05",
        "Emotions without an effect pass for effects no more often than the error rate allows.",
        "Emotions without an effect are told from random directions too often.",
    ),
    "flat_claims": (
        "Nothing is claimed: share of experiments with a claim",
        "Experiments in which there is no effect end without a claim, but for the error rate.",
        "Effects are claimed in models that have none.",
    ),
    "random_contrast": (
        "A random direction less the others: share of tests under .05",
        "The contrast with random directions errs as often as it says.",
        "The contrast with random directions errs more often than it says: its p-values are too small.",
    ),
    "position_bias": (
        "The order of options does not decide: preference for the first",
        "The option shown first is chosen no more often than by equal shares.",
        "The place of an option decides, not its content.",
    ),
    "neutral_parse_rate": (
        "Answers can be read: share without steering",
        "The model answers in the form that is asked for, and its answers are understood.",
        "Too many answers cannot be read.",
    ),
    "steered_parse_rate": (
        "Answers can be read: share when steered",
        "Steering at the headline intensity leaves answers readable.",
        "Steering at the headline intensity breaks the answers.",
    ),
}


def write_verdict(series_dir: Path, config_dir: Path) -> None:
    """Write verdict.html, verdict.json and their figures into a finished series of demo models."""
    models = read_measured(series_dir, planted_table(config_dir))
    lines = verdict(models)
    with new_folder(series_dir / FIGURES) as folder:
        draw(folder / "shifts", shifts_figure, models)
        draw(folder / "doses", doses_figure, models)
    content = {
        "series": series_dir.name,
        "written": now(),
        "passed": all(line.passed for line in lines),
        "lines": [_told(line) for line in lines],
        "shifts": [row for model in models for row in _shifts(model)],
    }
    write_json(series_dir / DATA, strict(content))
    replace_text(
        series_dir / PAGE,
        _page(content, sorted((series_dir / FIGURES).glob("*.svg"), reverse=True)),
    )


def summary(content: dict[str, Any]) -> list[str]:
    """The content of verdict.json for a terminal: the lines that failed, and where things stand."""
    failed = [line for line in content["lines"] if not line["passed"]]
    told = [
        f"FAILED {line['model']}: {line['title']} {line['figure']} ({line['allowed']}). {line['meaning']}"
        for line in failed
    ]
    held = len(content["lines"]) - len(failed)
    word = "passed" if content["passed"] else "FAILED"
    return [*told, f"The instrument check {word}: {held} of {len(content['lines'])} checks hold."]


def _told(line: Line) -> dict[str, Any]:
    title, holds, fails = WORDS[line.check]
    return {
        "check": line.check,
        "title": title,
        "variant": line.variant,
        "model": line.model,
        "measured": line.measured,
        "least": line.least,
        "most": line.most,
        "figure": "none" if line.measured is None else f"{line.measured:.3f}",
        "allowed": _allowed(line),
        "passed": line.passed,
        "meaning": MISSING if line.measured is None else holds if line.passed else fails,
        "detail": line.detail,
    }


def _allowed(line: Line) -> str:
    least, most = (None if limit is None else f"{limit:.3g}" for limit in (line.least, line.most))
    if least is not None and most is not None:
        return f"{least} to {most}"
    return f"at least {least}" if most is None else f"at most {most}"


def _shifts(model: Measured) -> list[dict[str, Any]]:
    scored, written = model.shifts("scored"), model.shifts("chosen")
    return [
        {"model": model.name, "game": cell.game, "history": cell.history, "emotion": emotion}
        | {"planted": model.planted[model.headline][row, column], "told": model.told[row, column]}
        | {
            "scored": scored[row, column],
            "written": written[row, column],
            "prompted": model.prompted[row, column],
        }
        for row, emotion in enumerate(model.emotions)
        for column, cell in enumerate(model.cells)
    ]


def _page(content: dict[str, Any], figures: Sequence[Path]) -> str:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    lines = content["lines"]
    variants = {
        variant: [line for line in lines if line["variant"] == variant] for variant in VARIANTS
    }
    return environment.get_template("verdict.html.j2").render(
        **content,
        failed=[line for line in lines if not line["passed"]],
        groups=[(VARIANTS[variant], own) for variant, own in variants.items() if own],
        figures=[base64.b64encode(path.read_bytes()).decode("ascii") for path in figures],
    )
