"""How long something still takes, in words."""

import pytest

from emotion_games.progress import duration, series_time_left, time_left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (100, "2 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (200000, "2 d 8 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_nothing_is_said_of_a_time_that_is_not_known_and_no_seconds_are_counted_down():
    assert time_left(None) == ""
    assert time_left(0.0) == time_left(59.9) == "less than a minute left"
    assert time_left(700) == "12 min left"


def test_the_time_of_a_series_says_what_it_does_not_cover():
    assert series_time_left(None, 3) == ""
    assert series_time_left(7200, 0) == "2 h 0 min left"
    assert series_time_left(7200, 1) == "2 h 0 min left, and 1 experiment of unknown time"
    assert series_time_left(30, 1400).endswith("left, and 1,400 experiments of unknown time")
