"""A sweep and the series that takes its setting share no story and no item of a check."""

from dataclasses import replace
from random import Random

import pytest

from emotion_games.experiment.held_out import (
    chosen_stories,
    own_items,
    text_key,
    usable_stories,
)
from emotion_games.games.participants import Participant
from emotion_games.games.scenarios import Scenario

GAME = "Stag_Hunt"
PLAIN = {"num_scenarios": None, "seed": 0}


def stories(number):
    you = Participant("you", "")
    options = {"cooperate": "Stay", "defect": "Go"}
    return [
        Scenario(f"s{i}", "", f"Story number {i}.", you, (you,), options) for i in range(number)
    ]


def record_of(used, game=GAME):
    texts = {name: text_key(story.description) for name, story in used.items()}
    return {"sweep": "S", "sha256": "", "weights_hash": "", "stories": {game: texts}}


@pytest.mark.parametrize("trial", range(40))
def test_sweep_and_series_are_disjoint_whatever_their_seeds_and_numbers(trial):
    chance = Random(trial)
    bank = stories(chance.randint(2, 60))
    sweep = {"num_scenarios": chance.choice([None, 1, 5, 12, 48]), "seed": chance.randint(0, 9)}
    swept = chosen_stories(bank, GAME, sweep | {"sweep": True})
    assert 1 <= len(swept) <= len(bank) // 2
    series = {"num_scenarios": chance.choice([None, 1, 24, 48]), "seed": chance.randint(0, 9)}
    tested = chosen_stories(bank, GAME, series | {"settings_from": record_of(swept)})
    assert tested and not set(swept) & set(tested)
    if series["num_scenarios"] is None:
        assert set(swept) | set(tested) == {story.scenario_id for story in bank}


def test_a_sweep_has_the_same_half_whatever_its_number_and_the_order_of_the_file():
    bank = stories(20)
    half = {s.scenario_id for s in usable_stories(bank, GAME, PLAIN | {"sweep": True})}
    again = {s.scenario_id for s in usable_stories(bank[::-1], GAME, PLAIN | {"sweep": True})}
    assert half == again and len(half) == 10
    other = usable_stories(bank, GAME, {"num_scenarios": 3, "seed": 1, "sweep": True})
    assert {s.scenario_id for s in other} != half
    few = chosen_stories(bank, GAME, {"num_scenarios": 3, "seed": 0, "sweep": True})
    assert set(few) < half and len(few) == 3


def test_a_story_is_known_by_its_text_in_another_game_and_by_its_id_after_an_edit():
    bank = stories(4)
    swept = record_of({"s0": bank[0], "s1": bank[1]})
    renamed = replace(bank[0], scenario_id="new", description="Story  number 0. ")
    edited = replace(bank[1], description="Story number one.")
    found = usable_stories([renamed, edited, *bank[2:]], GAME, PLAIN | {"settings_from": swept})
    assert [s.scenario_id for s in found] == ["s2", "s3"]
    # In another game the id may be that of another story.
    found = usable_stories([renamed, edited], "Other", PLAIN | {"settings_from": swept})
    assert [s.scenario_id for s in found] == ["s1"]


def test_any_other_series_uses_all_stories_and_items():
    bank = stories(5)
    assert list(usable_stories(bank, GAME, PLAIN)) == bank
    assert own_items((1, 2, 3), PLAIN | {"sweep": False, "settings_from": None}) == (1, 2, 3)


def test_the_items_of_checks_are_divided():
    items = tuple(range(9))
    swept = own_items(items, PLAIN | {"sweep": True})
    tested = own_items(items, PLAIN | {"settings_from": record_of({})})
    assert swept == (0, 2, 4, 6, 8) and tested == (1, 3, 5, 7)
