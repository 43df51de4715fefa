"""The shares that a text states in numbers."""

from pathlib import Path

import pytest

from emotion_games.games.catalog import apply_settings, game_names, load_game
from emotion_games.games.scenarios import load_scenarios, scenario_bank
from emotion_games.games.shares import stated_shares

GAMES = Path(__file__).parents[2] / "config" / "games"


@pytest.mark.parametrize(
    ("option", "story", "share"),
    [
        ("Offer 50% of the profit", "", 0.5),
        ("Send 30 percent of the herbs", "", 0.3),
        ("Offer twenty-five per cent", "", 0.25),
        ("Offer $20 of the $50", "", 0.4),
        ("Send 3 of 10 crates", "", 0.3),
        ("Offer 20 dollars", "The prize is $50.", 0.4),
        ("Give 1,500 euros to Ann", "You have 5,000 euros.", 0.3),
        ("Offer five of the coins", "Twenty-five coins lie there.", 0.2),
        ("Plan 4 hours for Ann and 16 for you", "", 0.2),
        ("Give Ann $40k and keep $60k", "", 0.4),
        ("Split it 60/40", "", 0.6),
        ("Offer 2/3 of it", "", 2 / 3),
        ("Offer two fifths of the prize", "", 0.4),
        ("Return a third", "", 1 / 3),
        ("Give back half", "", 0.5),
        ("Divide the money equally", "", 0.5),
        ("Keep all 100%", "", 0.0),
    ],
)
def test_a_share_is_read_with_the_rest(option: str, story: str, share: float) -> None:
    found = stated_shares(option, story)
    for part in (share, 1 - share):
        assert any(part == pytest.approx(one) for one in found), found


@pytest.mark.parametrize(
    "option",
    [
        *("", "Accept the offer", "Offer the minimum", "Wait for half an hour", "Take a half-day"),
        *("Meet Ann at 5", "Give the two of them a share", "Send it to flat 7"),
    ],
)
def test_other_texts_state_none(option: str) -> None:
    assert stated_shares(option, "In 2020 you had 40 euros.") == set()


@pytest.mark.parametrize("name", game_names(GAMES))
def test_no_shipped_story_contradicts_the_payoffs_of_its_game(name: str) -> None:
    game = load_game(GAMES / name)
    scenarios, skipped = load_scenarios(scenario_bank(game), game, show_payoffs=True)
    assert skipped == [] and len(scenarios) >= 24
    if "endowment" in game.settings and game.role in ("proposer", "trustor"):
        # The shipped stories state shares, so another endowment makes nearly all of them wrong.
        other = apply_settings(game, {"endowment": 50})
        scenarios, skipped = load_scenarios(scenario_bank(game), other, show_payoffs=True)
        assert len(skipped) > 40 and "its numbers give" in str(skipped[0])
