"""What was played before is told in the words of the story, from the model's side."""

from pathlib import Path

import pytest

from emotion_games.games.catalog import load_game
from emotion_games.games.participants import Participant
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.histories import history_sentences
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"
TEMPLATES, DEMO = (load_templates(CONFIG / name / "prompts.yaml") for name in ("", "demo"))
OFFERS = ("offer_low", "offer_medium", "offer_high")


def sentences(name: str, history: str, you: str = "Alice", templates=TEMPLATES, **texts) -> str:
    """Return the history of a story about Alice, or `you`, and Bob."""
    game = load_game(CONFIG / "games" / name)
    options = {label: f"Choose {label}" for label in game.labels} | texts.get("options", {})
    people = (Participant(you), (Participant("Bob"),))
    scenario = Scenario("s", "", "They meet.", *people, options, texts.get("earlier", {}))
    place = [each.name for each in game.histories].index(history)
    return history_sentences(
        templates, Situation(game, scenario, game.histories[place], game.labels)
    )


def escalation(text: str, history: str = "escalations_1", you: str = "Alice") -> str:
    found = sentences("Escalation_Game", history, you, options={"escalate": text})
    return found.replace(" Now it is your turn.", "")


def offer(text: str, you: str = "Alice", **others: str) -> str:
    earlier = {label: f"Offer {label}" for label in OFFERS} | {"offer_low": text} | others
    found = sentences("Ultimatum_Game_Responder", "offer_low", you, earlier=earlier)
    return found.removesuffix(" Now it is your turn.")


def test_histories_name_the_right_people() -> None:
    simultaneous = sentences("Prisoners_Dilemma", "start")
    assert simultaneous.startswith("You and Bob decide at the same time")
    opening = sentences("Escalation_Game", "escalations_0")
    assert opening == "Nothing has been decided so far. The first move is yours."
    assert sentences("Ultimatum_Game_Responder", "offer_high") == (
        "Bob offered you 60 percent of the whole. Now it is your turn."
    )


@pytest.mark.parametrize(
    ("others", "who"),
    [
        (["England"], "England"),
        (["ten other gardeners"], "ten other gardeners"),
        (["Russia", "Turkey"], "each of the others (Russia, Turkey)"),
    ],
)
def test_in_a_game_of_many_all_counterparts_are_named(others: list[str], who: str) -> None:
    game = load_game(CONFIG / "games" / "Sealed_Auction")
    options = {label: f"Choose {label}" for label in game.labels}
    people = tuple(Participant(name) for name in others)
    scenario = Scenario("s", "", "They meet.", Participant("Alice"), people, options)
    situation = Situation(game, scenario, game.histories[0], game.labels)
    assert history_sentences(TEMPLATES, situation) == (
        f"You and {who} decide at the same time, and neither knows what the other will choose."
    )


def test_earlier_steps_are_the_storys_own_option() -> None:
    bid = "Raise your bid by 50 dollars."
    assert escalation(bid) == 'Bob made this choice: "Raise their bid by 50 dollars".'
    assert escalation(bid, "escalations_2") == (
        'You made this choice: "Raise your bid by 50 dollars". Then Bob did the same. '
        "Now it is your turn again."
    )
    assert escalation("Outbid Bob's offer") == 'Bob made this choice: "Outbid your offer".'
    assert escalation("I raise my bid") == 'Bob made this choice: "I raise my bid".'


@pytest.mark.parametrize(
    ("text", "you"),
    [
        ("Say that you stay overnight", "Alice"),
        ("Say that you stay overnight", "you"),
        ("Let Alice raise the bid", "Alice"),
        ("Tell him to leave", "Alice"),
        ("Wait until Bob leaves", "Alice"),
    ],
)
def test_a_step_that_would_name_the_wrong_person_is_told_by_its_number(text: str, you: str) -> None:
    assert escalation(text, you=you) == "Bob made the choice that matches Option 1 below."


def test_the_other_roles_text_is_quoted_from_the_models_side() -> None:
    quote = 'Bob made this choice: "{}".'.format
    assert offer("Offer 2 crates") == quote("Offer 2 crates")
    assert offer("Offer 2 crates.") == quote("Offer 2 crates")
    assert offer("Offer Alice 2 of Alice's crates") == quote("Offer you 2 of your crates")
    assert offer("Offer Alice a fifth of your crates") == quote("Offer you a fifth of their crates")
    assert offer("Bob offers Alice 20%") == quote("Bob offers you 20%")
    # The model knows its name, so a name may stay where `you` would break the grammar.
    assert offer("Bob keeps 8 and Alice gets 2") == quote("Bob keeps 8 and Alice gets 2")
    assert offer("Offer Alice 2 of her crates") == quote("Offer Alice 2 of her crates")
    assert offer('Say "2 crates"') == quote('Say \\"2 crates\\"')


@pytest.mark.parametrize(
    ("text", "you", "other"),
    [
        # It may be Alice or Bob who is addressed.
        ("Offer 2 crates, so that you keep 8", "Alice", "Offer 6 crates"),
        ("Offer 2 of your crates", "you", "Offer 6 crates"),
        # A story tells all its offers in one way.
        ("Offer 2 crates", "Alice", "You offer 6 crates"),
        ("Offer 2 crates", "Alice", ""),
    ],
)
def test_without_a_clear_text_for_every_move_the_game_tells_them(
    text: str, you: str, other: str
) -> None:
    assert offer(text, you, offer_high=other) == "Bob offered you 20 percent of the whole."


def test_empty_templates_leave_the_words_of_the_game() -> None:
    second = sentences("Escalation_Game", "escalations_1", templates=DEMO)
    assert second == "Bob took the first step and escalated."
    third = sentences("Escalation_Game", "escalations_2", templates=DEMO)
    assert third == "You took the first step and escalated. Then Bob escalated in turn."
    earlier = dict.fromkeys(OFFERS, "offer a tiny part of the pier")
    quoted = sentences("Ultimatum_Game_Responder", "offer_low", templates=DEMO, earlier=earlier)
    assert quoted == 'Bob chose "offer a tiny part of the pier".'
