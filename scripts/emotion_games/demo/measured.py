"""Measurements of a finished series on demo models, beside the effects planted in these models.

A shift is an emotion's mean outcome minus neutral's at the headline intensity, from -1 to 1. A
cell is a game with one history. Claims are about games, at the mean over histories. All numbers
come from each experiment's stats_analysis.json.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_games.demo.trainer.truth import WHOLE_INTENSITY, GameTruth, planted_shift
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import (
    CHOSEN,
    EMOTION_MINUS_NEUTRAL,
    PROMPTED_MINUS_NEUTRAL,
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
        cells: The columns of the tables of shifts.
        games: The columns of the tables of effects, which are means over a game's cells.
        planted: The planted shifts, `(emotions, cells)`.
        planted_whole: The whole planted shifts, as of an emotion itself, `(emotions, cells)`.
        steered: By measure, the shifts under steering, `(emotions, cells)`.
        prompted: The shifts under emotions described in the prompt, `(emotions, cells)`.
        random: The shifts under null directions, `(directions, cells)`.
        effects: The effects that claims are about, `(emotions, games)`.
        claimed: Which of them are claimed, `(emotions, games)`.
        position: The preference for the first option without steering, `(cells,)`.
        readable: By arm, the free answers at the headline intensity that can be read.
        asked: By arm, all free answers at the headline intensity.
        induced: By emotion, whether its push passed the check that it induces the emotion.
        confidence: That of the tests: without effects, an experiment has a claim with a probability
            of at most 1 - confidence.
    """

    name: str
    variant: str
    emotions: tuple[str, ...]
    cells: tuple[Cell, ...]
    games: tuple[str, ...]
    planted: np.ndarray
    planted_whole: np.ndarray
    steered: Mapping[str, np.ndarray]
    prompted: np.ndarray
    random: np.ndarray
    effects: np.ndarray
    claimed: np.ndarray
    position: np.ndarray
    readable: Mapping[str, int]
    asked: Mapping[str, int]
    induced: Mapping[str, bool]
    confidence: float

    @property
    def planted_effects(self) -> np.ndarray:
        """The planted shifts at the mean over histories, `(emotions, games)`."""
        of_cell = np.array([cell.game for cell in self.cells])
        return np.stack([self.planted[:, of_cell == g].mean(1) for g in self.games], axis=1)


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
    cells = tuple(
        Cell(game, history) for game, a in by_game.items() for history in a["meta"]["histories"]
    )
    estimates = _estimates(by_game)

    def table(contrast: str, dose: float, measure: str = SCORED) -> np.ndarray:
        names = [[(contrast, e, dose, cell, measure) for cell in cells] for e in emotions]
        return np.array([[estimates.get(name, np.nan) for name in row] for row in names])

    def judged(number: Callable[[Mapping[str, Any]], float | None]) -> np.ndarray:
        effects = [[a["emotion_analysis"].get(e) for a in by_game.values()] for e in emotions]
        return np.array([[_number(x and number(x)) for x in row] for row in effects])

    return Measured(
        name=name,
        variant=variant,
        emotions=emotions,
        cells=cells,
        games=tuple(by_game),
        planted=planted_shifts(truth, emotions, cells, headline),
        planted_whole=planted_shifts(truth, emotions, cells, WHOLE_INTENSITY),
        steered={m: table(EMOTION_MINUS_NEUTRAL, headline, m) for m in (SCORED, CHOSEN)},
        # The intensity of a described emotion is written as 1.
        prompted=table(PROMPTED_MINUS_NEUTRAL, 1.0),
        random=_null_shifts(by_game, cells),
        effects=judged(lambda effect: effect["versus_neutral"]["estimate"]),
        claimed=judged(lambda effect: effect["claim"]) == 1,
        position=np.array([_neutral_position(by_game[cell.game], cell.history) for cell in cells]),
        readable=_free_answers(by_game, headline, is_readable=True),
        asked=_free_answers(by_game, headline, is_readable=False),
        induced=_induced(by_game, headline),
        confidence=plan["confidence"],
    )


def planted_shifts(
    truth: Mapping[str, GameTruth], emotions: Sequence[str], cells: Sequence[Cell], dose: float
) -> np.ndarray:
    """Return the planted shifts at a dose, `(emotions, cells)`."""
    shifts = [planted_shift(truth[c.game], e, c.history, dose) for e in emotions for c in cells]
    return np.array(shifts).reshape(-1, len(cells))


def _estimates(by_game: Mapping[str, dict[str, Any]]) -> dict[tuple, float]:
    """The estimates of all contrasts by their name, emotion, intensity, cell and measure."""
    estimates = {}
    for game, analysis in by_game.items():
        for record in analysis["contrasts"]:
            names = (record["contrast"], record["emotion"], record["intensity"])
            cell = Cell(game, record["history"])
            estimates[*names, cell, record["measure"]] = _number(record["estimate"])
    return estimates


def _null_shifts(by_game: Mapping[str, dict[str, Any]], cells: Sequence[Cell]) -> np.ndarray:
    """The shifts under the null directions that every cell has, `(directions, cells)`."""
    shifts: dict[Cell, dict[str, float | None]] = {cell: {} for cell in cells}
    for game, analysis in by_game.items():
        for record in analysis["null_directions"]:
            if (record["arm"], record["measure"]) == (Arm.RANDOM, SCORED):
                shifts[Cell(game, record["history"])] = record["effects"]
    names = set.intersection(*(set(shifts[cell]) for cell in cells))
    rows = [[_number(shifts[cell][name]) for cell in cells] for name in sorted(names)]
    return np.array(rows).reshape(-1, len(cells))


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


def _number(value: float | None) -> float:
    return np.nan if value is None else value
