"""What a series measured on demo models, laid beside the truth that was planted in them.

Knows finished statistics (stats_analysis.json) and the planted table; judges nothing, reads no trial. A shift is an
emotion's mean outcome less neutral's, from -1 to 1; a cell is a game with one history.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_games.analysis.contrasts import RANDOM_ITSELF
from emotion_games.data_files import read_data
from emotion_games.demo.trainer.truth import NEUTRAL, GameTruth, load_truth, planted_shift
from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import NEUTRAL as STEERED
from emotion_games.experiment.analysis_plan import PROMPTED, RANDOM
from emotion_games.files import read_json
from emotion_games.games.catalog import load_game
from emotion_games.layout import results_folder
from emotion_games.series.state import read_series

MEASURES = ("scored", "chosen")


@dataclass(frozen=True)
class Cell:
    """A game with one history."""

    game: str
    history: str


@dataclass(frozen=True)
class Measured:
    """One demo model. Arrays are NaN where the series has no number; `headline` is a position in `doses`.

    planted (the table's shifts) and steered[measure]: (dose, emotion, cell). told (the table's shifts of the whole
    emotion), prompted, and random_p (emotion less random directions): (emotion, cell). random: (direction, cell).
    position: (cell,). parsed and generated: answers by arm, at the headline intensity. claims: (emotion, cell), the
    sign of a claimed effect, 0 without a claim.
    """

    name: str
    variant: str
    emotions: tuple[str, ...]
    cells: tuple[Cell, ...]
    doses: tuple[float, ...]
    headline: int
    planted: np.ndarray
    told: np.ndarray
    steered: Mapping[str, np.ndarray]
    prompted: np.ndarray
    random: np.ndarray
    random_p: np.ndarray
    position: np.ndarray
    parsed: Mapping[str, int]
    generated: Mapping[str, int]
    claims: np.ndarray

    def shifts(self, measure: str) -> np.ndarray:
        """Steered less neutral at the headline intensity; (emotion, cell)."""
        return self.steered[measure][self.headline]


def planted_table(config_dir: Path) -> dict[str, GameTruth]:
    """The planted truth of the demo model by game."""
    path = config_dir / "demo" / "truth.yaml"
    return load_truth(
        path, {name: load_game(config_dir / "games" / name) for name in read_data(path)["games"]}
    )


def read_measured(series_dir: Path, truth: Mapping[str, GameTruth]) -> list[Measured]:
    """Every model of a finished series; UserError where an experiment is missing or its model is no demo model."""
    series = read_series(series_dir)
    analyses: dict[str, list[Mapping[str, Any]]] = {}
    missing = []
    for exp_id, row in series["experiments"].items():
        analysis = read_json(results_folder(series_dir, row) / "stats_analysis.json")
        analyses.setdefault(row["model"], []).append(analysis)
        missing += [] if analysis else [exp_id]
    if missing:
        raise UserError(
            f"{series_dir}: no results yet of {', '.join(missing)}; run the series to its end"
        )
    entries = {key: series["models"][key] for key in analyses}
    strangers = [model["name"] for model in entries.values() if "variant" not in model["entry"]]
    if strangers:
        raise UserError(
            f"{series_dir}: nothing was planted in {', '.join(strangers)}; only demo models can be checked"
        )
    return [
        measured(model["name"], model["entry"]["variant"], analyses[key], truth)
        for key, model in entries.items()
    ]


def measured(
    name: str, variant: str, analyses: Iterable[Mapping[str, Any]], truth: Mapping[str, GameTruth]
) -> Measured:
    """Lay the statistics of one model's experiments beside the planted table."""
    by_game = {analysis["meta"]["game"]: analysis for analysis in analyses}
    plan = next(iter(by_game.values()))["plan"]
    emotions, headline = tuple(plan["emotions"]), plan["headline_intensity"]
    doses = tuple(sorted(dose for dose in plan["intensities"] if dose > 0))
    cells = tuple(
        Cell(game, history) for game, a in by_game.items() for history in a["meta"]["histories"]
    )
    found = {key: record for game, a in by_game.items() for key, record in _contrasts(game, a)}
    directions = sorted({key[1] for key in found if key[0] == RANDOM_ITSELF})

    def table(
        contrast: str,
        rows: Iterable[str],
        dose: float,
        measure: str = "scored",
        field: str = "estimate",
    ):
        keys = [[(contrast, row, dose, cell, measure) for cell in cells] for row in rows]
        numbers = [[_number(found.get(key, {}).get(field)) for key in line] for line in keys]
        return np.array(numbers).reshape(-1, len(cells))

    answers = {
        arm: [
            r
            for a in by_game.values()
            for r in a["validity"]
            if r["arm"] == arm and r["intensity"] in (0, headline)
        ]
        for arm in (NEUTRAL, "steered")
    }
    return Measured(
        name=name,
        variant=variant,
        emotions=emotions,
        cells=cells,
        doses=doses,
        headline=doses.index(headline),
        planted=np.array([planted_shifts(truth, emotions, cells, dose) for dose in doses]),
        told=planted_shifts(truth, emotions, cells, 1.0),
        steered={
            m: np.array([table(STEERED, emotions, dose, m) for dose in doses]) for m in MEASURES
        },
        prompted=table(PROMPTED, emotions, 1.0),
        random=table(RANDOM_ITSELF, directions, headline),
        random_p=table(RANDOM, emotions, headline, field="p"),
        position=np.array([_neutral_position(by_game[cell.game], cell.history) for cell in cells]),
        parsed={arm: sum(r["n_parsed"] for r in records) for arm, records in answers.items()},
        generated={arm: sum(r["n_generated"] for r in records) for arm, records in answers.items()},
        claims=np.array(
            [
                [_claim(by_game[cell.game], emotion, cell.history) for cell in cells]
                for emotion in emotions
            ]
        ),
    )


def planted_shifts(
    truth: Mapping[str, GameTruth], emotions: Iterable[str], cells: Sequence[Cell], dose: float
) -> np.ndarray:
    """The planted table's shift of each emotion at a dose; (emotion, cell)."""
    return np.array(
        [[planted_shift(truth[c.game], e, c.history, dose) for c in cells] for e in emotions]
    )


def _contrasts(game: str, analysis: Mapping[str, Any]) -> Iterable[tuple[tuple, Mapping[str, Any]]]:
    for record in analysis["contrasts"]:
        cell = Cell(game, record["history"])
        yield (
            (record["contrast"], record["emotion"], record["intensity"], cell, record["measure"]),
            record,
        )


def _neutral_position(analysis: Mapping[str, Any], history: str) -> float:
    wanted = {"arm": NEUTRAL, "measure": "scored", "history": history}
    found = [
        r
        for r in analysis["position_bias"]
        if all(r[key] == value for key, value in wanted.items())
    ]
    return _number(found[0]["estimate"]) if found else np.nan


def _claim(analysis: Mapping[str, Any], emotion: str, history: str) -> int:
    records = [
        r for r in analysis["emotion_analysis"][emotion] if r["history"] == history and r["claim"]
    ]
    return int(np.sign(records[0]["versus_neutral"]["estimate"])) if records else 0


def _number(value: float | None) -> float:
    return np.nan if value is None else value
