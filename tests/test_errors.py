"""Suggestions are made for likely misspellings only, and never for another word."""

import pytest

from emotion_games.errors import did_you_mean, likely_typo, unknown

BEHAVIOURS = [
    *("cooperate", "defect", "accept", "reject", "offer_low", "offer_high", "offer_fair"),
    *("return_none", "return_high", "choice_1", "choice_2", "choice_11", "go_on", "num_scenarios"),
]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("cooprate", "cooperate"),
        ("coopreate", "cooperate"),
        ("Cooperate", "cooperate"),
        ("defct", "defect"),
        ("offer_hihg", "offer_high"),
        ("offer high", "offer_high"),
        ("numscenarios", "num_scenarios"),
    ],
)
def test_a_misspelling_gets_a_suggestion(word: str, name: str) -> None:
    assert likely_typo(word, BEHAVIOURS) == name
    assert did_you_mean(word, BEHAVIOURS) == f" (did you mean {name!r}?)"


@pytest.mark.parametrize(
    "word",
    [
        *("return_most", "offer_equal", "offer_unfair", "compete", "uncooperate", "except"),
        *("choice_7", "choice_12", "go_in", "offer_law", "", "_", "x" * 100_000, True, 3, None),
    ],
)
def test_another_word_gets_none(word: object) -> None:
    assert likely_typo(word, BEHAVIOURS) is None
    assert "did you mean" not in unknown("choice", word, BEHAVIOURS)


def test_two_candidates_are_as_good_as_none() -> None:
    assert likely_typo("bbbbat", ["bbbbad"]) == "bbbbad"
    assert likely_typo("bbbbat", ["bbbbad", "bbbbar"]) is None
