"""The best setting of a sweep is found in tables that are made with a known best one."""

import itertools

import pytest

from emotion_games.analysis.sweep import (
    CLEARED,
    DAMAGED,
    UNCLEAR,
    chosen,
    comparable,
    settings_of,
)
from emotion_games.errors import UserError

PLACES = (("early", "all"), ("late", "all"), ("late", "answer"))
LAYERS = {"early": [2, 3], "late": [6, 7, 8]}
DOSES = [0.1, 0.2]
EMOTIONS = ("anger", "fear")
CHECKS = ("named_emotion", "felt_emotion", "held_out_sentences")


def effect(emotion, rise, rank=1):
    return {"rank": rank, "rises": {emotion: rise, "joy": 0.0, "calm": 0.2}}


def statistics(rises, damage=(), unclear=(), wins=3, outcome=0.1, game="A"):
    """The statistics of an experiment.

    Args:
        rises: The rise of the own emotion by dose.
        damage: The doses that damage the model.
        unclear: The doses that are not cleared.
        wins: The checks of an emotion in which it rises most, of three.
        outcome: The change of the outcome under any emotion; its sign alternates.
        game: The name of the game.
    """
    who = list(itertools.product(EMOTIONS, rises))
    return {
        "meta": {"histories": ["start"]},
        "plan": {"claim": {"measure": "scored"}, "hash": game},
        "induced": [
            {
                "emotion": emotion,
                "intensity": dose,
                "perplexity_ratio": 1 + dose,
                "checks": {
                    c: effect(emotion, rises[dose], 1 + (i >= wins)) for i, c in enumerate(CHECKS)
                },
            }
            for emotion, dose in who
        ],
        "damage": [
            {
                "arm": "steered",
                "emotion": emotion,
                "intensity": dose,
                "damaged": dose in damage and emotion == "fear",
                "complete": not (dose in unclear and emotion == "anger"),
                "reasons": ["perplexity 9"],
                "reason": "cannot judge",
            }
            for emotion, dose in who
        ],
        "contrasts": [
            {
                "contrast": "emotion_minus_neutral",
                "history": "start",
                "measure": measure,
                "intensity": dose,
                "estimate": size * (1 if emotion == "fear" else -1),
            }
            for emotion, dose in who
            for measure, size in (("scored", outcome), ("chosen", 0.9))
        ],
        "null_directions": [
            {
                "arm": arm,
                "history": "start",
                "measure": "scored",
                "intensity": max(DOSES),
                "effects": {"random_0": 0.02, "random_1": -0.04},
            }
            for arm in ("random", "isotropic")
        ],
    }


def configuration(layer_set, position, game="A"):
    layers = LAYERS[layer_set]
    return {
        "game": game,
        "settings": {"layer_set": layer_set, "position": position, "intensity": DOSES},
        "directions": {
            "layers": layers,
            # Only the layers of the set count.
            "split_half": {e: [0.5 + 0.01 * i for i in range(9)] for e in EMOTIONS},
        },
    }


def sweep(**by_place):
    """The settings of a sweep, whose places are `early`, `late` and `answer`."""
    keys = ("early", "late", "answer")
    planted = {key: statistics({0.1: 0.5, 0.2: 0.8}) for key in keys} | by_place
    pairs = zip(PLACES, keys, strict=True)
    return settings_of([(configuration(*place), planted[key]) for place, key in pairs], "M")


def place_of(setting):
    return setting["layer_set"], setting["position"], setting["intensity"]


def test_every_layer_set_position_and_dose_is_a_setting():
    found = sweep()
    assert [place_of(s) for s in found] == [(*place, dose) for place in PLACES for dose in DOSES]
    first = found[0]
    assert first["layers"] == [2, 3] and first["split_half"] == pytest.approx(0.525)
    assert first["raised_most"] == first["checked"] == 6
    # Above the mean of the two other emotions, 0.1.
    assert first["specific_rise"] == pytest.approx(0.4)
    assert first["perplexity_ratio"] == pytest.approx(1.1)
    # Sizes of -0.1 and 0.1, and of 0.02 and -0.04; the null directions have the larger dose.
    assert first["outcome_change"] == pytest.approx(0.1) and first["null_change"] is None
    assert found[1]["null_change"] == pytest.approx(0.03)


@pytest.mark.parametrize("key", ["early", "late", "answer"])
@pytest.mark.parametrize("dose", DOSES)
def test_the_planted_setting_is_chosen_wherever_it_is(key, dose):
    rises = {0.1: 0.5, 0.2: 0.8} | {dose: 1.5}
    best = chosen(sweep(**{key: statistics(rises)}))
    names = dict(zip(("early", "late", "answer"), PLACES, strict=True))
    assert place_of(best) == (*names[key], dose)


def test_more_checks_won_beat_a_larger_rise():
    best = chosen(
        sweep(
            early=statistics({0.1: 0.9, 0.2: 9.0}, wins=2),
            late=statistics({0.1: 0.3, 0.2: 0.4}, wins=3),
            answer=statistics({0.1: 0.9, 0.2: 9.0}, wins=1),
        )
    )
    assert place_of(best) == ("late", "all", 0.2)


def test_a_damaged_or_unclear_setting_is_never_chosen():
    strong = {0.1: 2.0, 0.2: 5.0}
    found = sweep(
        early=statistics(strong, damage=DOSES), late=statistics(strong, unclear=DOSES),
        answer=statistics({0.1: 0.2, 0.2: 0.3}, damage=[0.2]),
    )  # fmt: skip
    assert [s["damage"] for s in found] == [DAMAGED] * 2 + [UNCLEAR] * 2 + [CLEARED, DAMAGED]
    assert found[0]["damage_reason"] == "fear: perplexity 9"
    assert place_of(chosen(found)) == ("late", "answer", 0.1)


def test_a_setting_that_damages_the_model_in_one_of_its_games_does_not_fit():
    other = statistics({0.1: 0.5, 0.2: 0.8}, damage=[0.2], outcome=0.3, game="B")
    place = configuration("early", "all")
    found = settings_of([(place, statistics({0.1: 0.5, 0.2: 0.8})), (place, other)], "M")
    assert [s["damage"] for s in found] == [CLEARED, DAMAGED]
    assert found[0]["outcome_change"] == pytest.approx(0.2)
    # The checks of the pushes are those of the model, and count once.
    assert found[0]["checked"] == 6


def test_settings_are_compared_in_the_games_that_were_played_at_every_place():
    """A game that was removed from the config has results at one place only."""
    fine, bad = statistics({0.1: 0.5, 0.2: 0.8}), statistics({0.1: 0.5}, damage=[0.1, 0.2])
    early, late = ("early", "all"), ("late", "all")
    both = [(configuration(*place), fine) for place in (early, late)]
    more = [*both, (configuration(*early, "B"), bad)]
    assert comparable(more) == both and comparable(both) == both
    assert comparable([*more, (configuration(*late, "B"), fine)])[2:] == [
        (configuration(*early, "B"), bad),
        (configuration(*late, "B"), fine),
    ]


def test_of_equals_the_smaller_dose_and_then_the_first_in_the_config_is_chosen():
    same = statistics({0.2: 0.5, 0.1: 0.5})
    best = chosen(sweep(early=same, late=same, answer=same))
    assert place_of(best) == ("early", "all", 0.1)


def test_the_outcome_does_not_count():
    plain = sweep()
    moved = sweep(early=statistics({0.1: 0.5, 0.2: 0.8}, outcome=0.9))
    assert place_of(chosen(plain)) == place_of(chosen(moved))


def test_without_a_setting_that_fits_the_reason_is_one_line():
    rises = {0.1: 1.0, 0.2: 2.0}
    hurt, unclear = statistics(rises, damage=DOSES), statistics(rises, unclear=DOSES)
    with pytest.raises(UserError) as caught:
        chosen(sweep(early=hurt, late=hurt, answer=unclear))
    assert "M: none of 6 settings fits: 4 damage the model, 2 could not be cleared" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    unchecked = statistics(rises) | {"induced": []}
    with pytest.raises(UserError, match="6 were not checked for their emotion"):
        chosen(sweep(early=unchecked, late=unchecked, answer=unchecked))
