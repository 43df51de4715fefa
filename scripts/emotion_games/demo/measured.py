"""Measurements of a finished series on demo models, beside the effects planted in these models.

A shift is an emotion's mean outcome minus neutral's, from -1 to 1. A cell is a game with one
history. The shifts come from each experiment's stats_analysis.json.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_games.demo.trainer.truth import WHOLE_INTENSITY, GameTruth, planted_shift
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import (
    CHOSEN,
    EMOTION_MINUS_NEUTRAL,
    EMOTION_MINUS_RANDOM,
    PROMPTED_MINUS_NEUTRAL,
    RANDOM_MINUS_NEUTRAL,
    SCORED,
)
from emotion_games.experiment.conditions import Arm
from emotion_games.files import read_json
from emotion_games.layout import STATISTICS, results_folder
from emotion_games.series.state import read_series


@dataclass(frozen=True)
class Cell:
    """A game with one history."""

    game: str
    history: str


@dataclass(frozen=True)
class Measured:
    """The measured and the planted shifts of one demo model; NaN if the series has no number.

    Attributes:
        name: The model's name in the series.
        variant: `planted` or `flat`.
        emotions: The rows of most tables.
        cells: The columns of all tables.
        doses: The positive intensities, ascending.
        headline: The index of the headline intensity in `doses`.
        planted: The planted shifts at each dose, `(doses, emotions, cells)`.
        planted_whole: The whole planted shifts, as of an emotion itself, `(emotions, cells)`.
        steered: By measure, the shifts under steering, `(doses, emotions, cells)`.
        prompted: The shifts under emotions described in the prompt, `(emotions, cells)`.
        random: The shifts under null directions, `(directions, cells)`.
        random_p: p-values of emotion minus null directions, `(emotions, cells)`.
        position: The preference for the first option without steering, `(cells,)`.
        readable: By arm, the free answers at the headline intensity that can be read.
        asked: By arm, all free answers at the headline intensity.
        induced: By emotion, whether its push passed the check that it induces the emotion.
        claims: The sign of each claimed effect, 0 if there is no claim, `(emotions, cells)`.
    """

    name: str
    variant: str
    emotions: tuple[str, ...]
    cells: tuple[Cell, ...]
    doses: tuple[float, ...]
    headline: int
    planted: np.ndarray
    planted_whole: np.ndarray
    steered: Mapping[str, np.ndarray]
    prompted: np.ndarray
    random: np.ndarray
    random_p: np.ndarray
    position: np.ndarray
    readable: Mapping[str, int]
    asked: Mapping[str, int]
    induced: Mapping[str, bool]
    claims: np.ndarray

    def shifts(self, measure: str) -> np.ndarray:
        """Return the shifts under steering at the headline intensity, `(emotions, cells)`."""
        return self.steered[measure][self.headline]


def read_measured(series_dir: Path, truth: Mapping[str, GameTruth]) -> list[Measured]:
    """Read every model of a finished series.

    Raises:
        UserError: Results are missing, or a model of the series is not a demo model.
    """
    series = read_series(series_dir)
    analyses: dict[str, list[dict[str, Any]]] = defaultdict(list)
    missing = []
    for exp_id, row in series["experiments"].items():
        analysis = read_json(results_folder(series_dir, row) / STATISTICS)
        if analysis:
            analyses[row["model"]].append(analysis)
        else:
            missing.append(exp_id)
    if missing:
        experiments = ", ".join(missing)
        raise UserError(f"{series_dir}: no results yet of {experiments}; run the series to its end")
    models = {key: series["models"][key] for key in analyses}
    # Only entries of demo models have a variant.
    others = [model["name"] for model in models.values() if "variant" not in model["entry"]]
    if others:
        names = ", ".join(others)
        raise UserError(
            f"{series_dir}: no effects are planted in {names}; only demo models can be checked"
        )
    return [
        measured_model(model["name"], model["entry"]["variant"], analyses[key], truth)
        for key, model in models.items()
    ]


def measured_model(
    name: str, variant: str, analyses: Iterable[dict[str, Any]], truth: Mapping[str, GameTruth]
) -> Measured:
    """Return the measurements of one model.

    Args:
        name: The model's name in the series.
        variant: Its variant.
        analyses: The statistics of its experiments, as in stats_analysis.json.
        truth: The planted table.
    """
    by_game = {analysis["meta"]["game"]: analysis for analysis in analyses}
    plan = next(iter(by_game.values()))["plan"]
    emotions, headline = tuple(plan["emotions"]), plan["headline_intensity"]
    # Negative intensities are measured but not judged.
    doses = tuple(sorted(dose for dose in plan["intensities"] if dose > 0))
    cells = tuple(
        Cell(game, history) for game, a in by_game.items() for history in a["meta"]["histories"]
    )
    records = _contrasts(by_game)
    directions = sorted({key[1] for key in records if key[0] == RANDOM_MINUS_NEUTRAL})

    def table(
        contrast: str,
        rows: Sequence[str],
        dose: float,
        measure: str = SCORED,
        field: str = "estimate",
    ) -> np.ndarray:
        numbers = np.full((len(rows), len(cells)), np.nan)
        for row, label in enumerate(rows):
            for column, cell in enumerate(cells):
                record = records.get((contrast, label, dose, cell, measure), {})
                numbers[row, column] = _number(record.get(field))
        return numbers

    def steered(measure: str) -> np.ndarray:
        return np.array([table(EMOTION_MINUS_NEUTRAL, emotions, dose, measure) for dose in doses])

    claims = [[_claim(by_game[c.game], e, c.history) for c in cells] for e in emotions]
    return Measured(
        name=name,
        variant=variant,
        emotions=emotions,
        cells=cells,
        doses=doses,
        headline=doses.index(headline),
        planted=np.array([planted_shifts(truth, emotions, cells, dose) for dose in doses]),
        planted_whole=planted_shifts(truth, emotions, cells, WHOLE_INTENSITY),
        steered={measure: steered(measure) for measure in (SCORED, CHOSEN)},
        # The intensity of a described emotion is written as 1.
        prompted=table(PROMPTED_MINUS_NEUTRAL, emotions, 1.0),
        random=table(RANDOM_MINUS_NEUTRAL, directions, headline),
        random_p=table(EMOTION_MINUS_RANDOM, emotions, headline, field="p"),
        position=np.array([_neutral_position(by_game[cell.game], cell.history) for cell in cells]),
        readable=_free_answers(by_game, headline, is_readable=True),
        asked=_free_answers(by_game, headline, is_readable=False),
        induced=_induced(by_game, headline),
        claims=np.array(claims),
    )


def planted_shifts(
    truth: Mapping[str, GameTruth], emotions: Sequence[str], cells: Sequence[Cell], dose: float
) -> np.ndarray:
    """Return the planted shifts at a dose, `(emotions, cells)`."""
    shifts = [planted_shift(truth[c.game], e, c.history, dose) for e in emotions for c in cells]
    return np.array(shifts).reshape(-1, len(cells))


def _contrasts(by_game: Mapping[str, dict[str, Any]]) -> dict[tuple, dict[str, Any]]:
    """Contrasts by their name, emotion, intensity, cell and measure."""
    records = {}
    for game, analysis in by_game.items():
        for record in analysis["contrasts"]:
            names = (record["contrast"], record["emotion"], record["intensity"])
            records[*names, Cell(game, record["history"]), record["measure"]] = record
    return records


def _free_answers(
    by_game: Mapping[str, dict[str, Any]], headline: float, is_readable: bool
) -> dict[str, int]:
    """Count the free answers by arm, all or the readable ones, at the headline intensity."""
    counts: dict[str, int] = {Arm.NEUTRAL: 0, Arm.STEERED: 0}
    for analysis in by_game.values():
        for record in analysis["format_check"]:
            # The intensity of the neutral arm is 0.
            if record["arm"] in counts and record["intensity"] in (0, headline):
                share = _number(record["readable"]["estimate"]) if is_readable else 1.0
                counts[record["arm"]] += round(share * record["n_answers"])
    return counts


def _induced(by_game: Mapping[str, dict[str, Any]], headline: float) -> dict[str, bool]:
    """Return for each emotion whether its push at the headline intensity came through."""
    # The pushes of a model are checked once, and every game has the same records.
    records = next(iter(by_game.values()))["induced"]
    return {
        record["emotion"]: record["came_through"] is True
        for record in records
        if record["intensity"] == headline
    }


def _neutral_position(analysis: Mapping[str, Any], history: str) -> float:
    for record in analysis["position_bias"]:
        if (record["arm"], record["measure"], record["history"]) == (Arm.NEUTRAL, SCORED, history):
            return _number(record["estimate"])
    return np.nan


def _claim(analysis: Mapping[str, Any], emotion: str, history: str) -> int:
    for record in analysis["emotion_analysis"][emotion]:
        if record["history"] == history and record["claim"]:
            return int(np.sign(record["versus_neutral"]["estimate"]))
    return 0


def _number(value: float | None) -> float:
    return np.nan if value is None else value
