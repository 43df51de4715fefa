"""Correlation, slope and the limit of random directions, on tables with known answers."""

import numpy as np
import pytest

from emotion_games.demo.correlations import (
    NULL_DRAWS,
    absolute_correlations,
    correlation,
    draw_rows,
    random_limit,
    slope,
)


def test_correlation_and_slope():
    table = np.array([[0.1, -0.2], [0.3, 0.4]])
    assert slope(table, 0.5 * table + 1) == pytest.approx(0.5)
    assert correlation(table, -2 * table) == pytest.approx(-1)
    assert correlation(table, 0 * table) == 0
    assert np.isnan(correlation(table, np.array([[0.1, np.nan], [0, 1]])))
    assert np.isnan(slope(table, np.array([[0.1, np.nan], [0, 1]])))


def test_a_draw_has_different_rows_that_depend_on_the_seed():
    drawn = draw_rows(5, 3, "seed")
    assert drawn.shape == (NULL_DRAWS, 3) and set(drawn.ravel()) == set(range(5))
    assert all(len(set(draw)) == 3 for draw in drawn)
    assert np.array_equal(drawn, draw_rows(5, 3, "seed")) and not np.array_equal(
        drawn, draw_rows(5, 3, "another")
    )


def test_absolute_correlations_are_those_of_each_draw():
    rng = np.random.default_rng(0)
    table, drawn = rng.normal(size=(3, 4)), rng.normal(size=(20, 3, 4))
    assert absolute_correlations(table, drawn) == pytest.approx(
        [abs(correlation(table, each)) for each in drawn]
    )
    assert absolute_correlations(table, np.zeros((1, 3, 4))) == pytest.approx([0])


def test_one_draw_in_twenty_exceeds_the_limit():
    rng = np.random.default_rng(0)
    table, directions = rng.normal(size=(6, 10)), rng.normal(size=(20, 10))
    # For sixty unrelated numbers, |r| is below 1.96 / sqrt(60) in 95 of 100 draws.
    assert random_limit(table, directions, "null") == pytest.approx(1.96 / np.sqrt(60), abs=0.06)
    # If all directions are the same, every draw has the same correlation.
    same = np.tile(table.mean(0), (20, 1))
    expected = abs(correlation(table, same[:6]))
    assert random_limit(table, same, "null") == pytest.approx(expected)
