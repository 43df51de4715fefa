"""The verdict as a page, as JSON and as lines for the terminal."""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import jinja2

from emotion_games import layout
from emotion_games.analysis.experiment_statistics import strict
from emotion_games.data_files import read_data
from emotion_games.demo.measured import Measured, read_measured
from emotion_games.demo.trainer.truth import load_truth
from emotion_games.demo.verdict import CheckResult, verdict
from emotion_games.demo.verdict_figures import claims_figure, shifts_figure
from emotion_games.experiment.analysis_plan import CHOSEN, SCORED
from emotion_games.files import new_folder, now, replace_text, write_json
from emotion_games.reporting.figure_files import draw

TEMPLATES = Path(__file__).parent / "templates"
MISSING = (
    "There is no number: no answer was readable, "
    "or a setting of config/validation.yaml was removed or changed."
)
VARIANTS = {
    "planted": "Models with planted effects",
    "flat": "Models in which nothing depends on emotion",
}


class VerdictLine(TypedDict):
    """A check in verdict.json: a CheckResult with its texts. `measured` is null if missing."""

    check: str
    variant: str
    model: str
    measured: float | None
    least: float | None
    most: float | None
    detail: str
    title: str
    figure: str
    allowed: str
    passed: bool
    meaning: str


class ShiftRow(TypedDict):
    """The shifts of one emotion in one cell, in verdict.json.

    `planted` is at the headline intensity, `told` of the emotion itself; `scored` and `written`
    are measured under steering, `prompted` under a described emotion.
    """

    model: str
    game: str
    history: str
    emotion: str
    planted: float
    told: float
    scored: float
    written: float
    prompted: float


class EffectRow(TypedDict):
    """The effect of one emotion in a game, at the mean over histories, in verdict.json."""

    model: str
    game: str
    emotion: str
    planted: float
    measured: float
    claimed: bool


class VerdictFile(TypedDict):
    """The content of verdict.json."""

    series: str
    written: str
    passed: bool
    lines: list[VerdictLine]
    shifts: list[ShiftRow]
    effects: list[EffectRow]


def write_verdict(series_dir: Path, demo_dir: Path) -> None:
    """Write the verdict's page, JSON file and figures into a finished series of demo models.

    Args:
        series_dir: The folder of the series.
        demo_dir: The folder with the planted table, `config/demo`.

    Raises:
        UserError: The series is not finished, or has other models.
    """
    models = read_measured(series_dir, load_truth(demo_dir))
    texts = check_texts()
    rows = [_row(result, texts[result.check]) for result in verdict(models)]
    with new_folder(series_dir / layout.VERDICT_FIGURES) as folder:
        draw(folder / "shifts", shifts_figure, models)
        draw(folder / "claims", claims_figure, models)
    content = VerdictFile(
        series=series_dir.name,
        written=now(),
        passed=all(row["passed"] for row in rows),
        lines=rows,
        shifts=[row for model in models for row in _shifts(model)],
        effects=[row for model in models for row in _effects(model)],
    )
    write_json(series_dir / layout.VERDICT, strict(content))
    # The template expects the shifts first, then the claims.
    figures = sorted((series_dir / layout.VERDICT_FIGURES).glob("*.svg"), reverse=True)
    replace_text(series_dir / layout.VERDICT_PAGE, _page(content, figures))


def check_texts() -> dict[str, dict[str, str]]:
    """Return the `title` of each check, and what it means if it `passed` and if it `failed`."""
    return read_data(TEMPLATES / "verdict_checks.yaml")


def summary(content: VerdictFile) -> list[str]:
    """Return the failed checks in verdict.json and the overall result, as lines for a terminal."""
    rows = content["lines"]
    lines = []
    for row in rows:
        if not row["passed"]:
            result = f"{row['title']} {row['figure']} ({row['allowed']})"
            lines.append(f"FAILED {row['model']}: {result}. {row['meaning']}")
    passed = len(rows) - len(lines)
    word = "passed" if content["passed"] else "FAILED"
    return [*lines, f"The instrument check {word}: {passed} of {len(rows)} checks passed."]


def _row(result: CheckResult, texts: Mapping[str, str]) -> VerdictLine:
    missing = math.isnan(result.measured)
    return VerdictLine(
        check=result.check,
        variant=result.variant,
        model=result.model,
        measured=None if missing else result.measured,
        least=result.least,
        most=result.most,
        detail=result.detail,
        title=texts["title"],
        figure="none" if missing else f"{result.measured:.3f}",
        allowed=_allowed(result),
        passed=result.passed,
        meaning=MISSING if missing else texts["passed" if result.passed else "failed"],
    )


def _allowed(result: CheckResult) -> str:
    if result.least is None:
        return f"at most {result.most:.3g}"
    least = f"{result.least:.3g}"
    return f"at least {least}" if result.most is None else f"{least} to {result.most:.3g}"


def _shifts(model: Measured) -> Iterator[ShiftRow]:
    for row, emotion in enumerate(model.emotions):
        for column, cell in enumerate(model.cells):
            place = row, column
            yield ShiftRow(
                model=model.name,
                game=cell.game,
                history=cell.history,
                emotion=emotion,
                planted=model.planted[place],
                told=model.planted_whole[place],
                scored=model.steered[SCORED][place],
                written=model.steered[CHOSEN][place],
                prompted=model.prompted[place],
            )


def _effects(model: Measured) -> Iterator[EffectRow]:
    for row, emotion in enumerate(model.emotions):
        for column, game in enumerate(model.games):
            place = row, column
            yield EffectRow(
                model=model.name,
                game=game,
                emotion=emotion,
                planted=model.planted_effects[place],
                measured=model.effects[place],
                claimed=model.claimed[place],
            )


def _page(content: VerdictFile, figures: Sequence[Path]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("verdict.html.j2").render(
        **content,
        variants=VARIANTS,
        figures=[base64.b64encode(path.read_bytes()).decode("ascii") for path in figures],
    )
