"""The codebook describes every column and key of the files, and no other ones."""

import json

import pytest

from emotion_games.analysis import contrast_table, series_statistics
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.games.records import Reference
from emotion_games.layout import CODEBOOK
from emotion_games.reporting.codebook import codebook, write_codebook
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

# Mappings whose keys are names of emotions, directions, scenarios, choices, checks and the like.
BY_NAME = {
    *("emotion_analysis", "intensity_analysis", "effects", "scenarios", "checks", "rises"),
    *("reasons", "rationale_ends", "measures", "n_events", "sds", "choices", "instructions"),
}

# Keys of plans with other settings.
RARE = {"given_directions", "layer_set", "position", "thinking_budget", "sweep", "settings_from"}


@pytest.fixture(scope="module")
def statistics():
    """Statistics with every part: three choices, two histories, payoffs, people, free answers."""
    labels = ("give", "share", "keep")
    payoffs = {(a, b): (1.0, 1.0) for a in labels for b in labels}
    game = a_game(labels, (1.0, 0.5, 0.0), histories=("low", "high"))
    people = (Reference("keep", 0.3, "some keep all", "A study"),)
    game = type(game)(**{**vars(game), "payoffs": payoffs, "references": people})
    arms = ("prompted", "first_half", "second_half", "combined")
    trials = simulate(game, arms=arms, n_isotropic=2, instructions={"calm": 0.5})
    free = trials["generated"] & trials["intensity"].isin([0, 1]) & (trials["wording"] == 0)
    for name, column in (
        ("output", "output"),
        ("choice", "choice"),
        ("method", "extraction_method"),
    ):
        trials[f"free_{name}"] = trials[column].where(free, "")
    more = {"show_payoffs": True, "instructions": {"calm": "Stay calm."}}
    more["arms"] = SETTINGS["arms"] | {"combined": True}
    return analyse(trials, simulate_checks(n_random=20), game, SETTINGS | more)


def names(value, key=""):
    """Return all keys in some JSON, without those of mappings BY_NAME."""
    if isinstance(value, list):
        return set().union(*map(names, value))
    if not isinstance(value, dict):
        return set()
    found = set() if key in BY_NAME else set(value)
    return found.union(*(names(item, "" if key in BY_NAME else k) for k, item in value.items()))


def test_every_key_of_the_statistics_is_described(statistics):
    described = set(codebook()["stats_analysis.json"]["keys"])
    assert names(statistics) - described == set()
    assert described - names(statistics) == RARE


def test_every_column_of_the_tables_of_a_series_is_described(statistics, tmp_path):
    book = codebook()
    assert list(book["series_results.csv"]["keys"]) == list(series_statistics.COLUMNS)
    assert set(book["contrasts.csv"]["keys"]) == set(contrast_table.COLUMNS)
    series_statistics.summarize(tmp_path)
    content = json.loads((tmp_path / "series_results.json").read_text())
    assert set(book["series_results.json"]["keys"]) == set(content)


def test_the_codebook_of_a_series_has_a_row_for_every_name(tmp_path):
    write_codebook(tmp_path)
    text = (tmp_path / CODEBOOK).read_text()
    for file, content in codebook().items():
        assert f"\n## {file}\n" in text
        for name, meaning in content["keys"].items():
            assert f"| `{name}` | {meaning} |" in text and "|" not in meaning
