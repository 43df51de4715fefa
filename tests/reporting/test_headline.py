"""The verdict of a series says what is claimed, what moved and what is excluded."""

from emotion_games.reporting.effects import points, signed
from emotion_games.reporting.headline import detectable, findings, headline
from emotion_games.reporting.outcomes import amounts_of, human_lines, meaning_of


def effect(emotion="anger", **changes):
    one = {
        "game_name": "Stag_Hunt",
        "model_name": "a",
        "emotion": emotion,
        "outcome": "cooperation",
    }
    one |= {"estimate": -0.312, "moved": False, "claim": False, "damaged": False}
    one |= {"corrected": [-0.1, 0.12], "to_move": 0.08, "to_claim": 0.2}
    return one | changes


def test_the_largest_claimed_effects_are_named():
    assert headline([effect(moved=True, claim=True), effect("fear")]) == (
        "1 of 2 effects is claimed: anger lowers cooperation by 31 points (Stag Hunt)."
    )
    claimed = [
        effect(f"e{n}", model_name=model, estimate=0.1 * n, moved=True, claim=True)
        for n, model in enumerate("abcd", 1)
    ]
    assert headline(claimed) == (
        "4 of 4 effects are claimed: e4 raises cooperation by 40 points (Stag Hunt, d); "
        "e3 raises cooperation by 30 points (Stag Hunt, c); "
        "e2 raises cooperation by 20 points (Stag Hunt, b); and 1 more."
    )


def test_without_a_claim_the_headline_says_so():
    assert headline([effect(moved=True), effect("fear")]) == (
        "No effect is claimed, but 1 of 2 moved the choices."
    )
    assert headline([effect()]) == (
        "No effect is claimed, and none of 1 measurably moved the choices."
    )
    assert headline([]) == "No effect could be computed."


def test_findings_say_what_moved_what_is_excluded_and_what_damages():
    rows = [
        effect("fear", moved=True),
        effect(),
        effect("joy", corrected=[-0.154, 0.02]),
        effect("disgust", damaged=True),
        effect("disgust", damaged=True, game_name="Wait_Go"),
    ]
    moved, excluded, damaged = findings(rows)
    assert moved.startswith("Moved but not claimed: 1. ")
    assert excluded.startswith("Excluded: changes of more than 15 points by any of the 2 that ")
    assert damaged == "Not interpreted, because the push damages the model: disgust 2."
    # An interval that reaches the end of the scale excludes nothing.
    assert findings([effect(corrected=[-1.0, 0.1])]) == []


def test_the_sizes_that_a_series_could_see_are_a_range_over_its_experiments():
    assert detectable([effect(), effect(to_claim=0.31)]) == (
        "What this series could see: an effect needed 8 points to count as moved and 20 to 31 "
        "points to be claimed (80 % power)."
    )
    assert "claimed" not in detectable([effect(to_claim=None)])
    assert detectable([]) == ""


def test_differences_have_a_true_minus_sign_and_zero_has_none():
    assert points(-0.312) == "−31.2 points"
    assert [signed(value) for value in (0.05, -0.0001, 0.0001)] == ["+5.0", "0.0", "0.0"]


def offers(history="none"):
    choices = [{"label": "low", "value": 0.0}, {"label": "half_way", "value": 0.5}]
    choices.append({"label": "high", "value": 1.0})
    of = {"of": "amount", "history": history, "human": 0.4}
    neutral = of | {"arm": "neutral", "emotion": "neutral", "estimate": 0.4391}
    steered = of | {"arm": "steered", "emotion": "anger", "estimate": 0.3}
    meta = {"outcome": "offer", "choices": choices}
    return {
        "meta": meta,
        "plan": {"histories": ["none"]},
        "human_reference": [neutral, steered],
    }


def test_an_outcome_says_what_it_counts():
    two = [{"label": "cooperate", "value": 1.0}, {"label": "defect", "value": 0.0}]
    assert meaning_of({"meta": {"choices": two}}) == 'share that chooses "cooperate"'
    assert meaning_of(offers()) == ('index: "low" 0, "half way" 50, "high" 100')


def test_money_is_shown_as_money_beside_that_of_people():
    assert list(human_lines(offers())) == [
        "43.9 % of the money in neutral; people 40.0 % of the money"
    ]
    assert amounts_of(offers(), "anger", "none") == [0.4391, 0.3, 0.4]
    assert amounts_of(offers(), "fear", "none") is None
