"""Payoffs are described as the game has them, from the model's side, at its node."""

from pathlib import Path

import pytest

from emotion_games.games.catalog import apply_settings, game_names, load_game
from emotion_games.games.participants import Participant
from emotion_games.games.records import Game, History
from emotion_games.games.scenarios import Scenario
from emotion_games.prompts.payoffs import comprehension_questions, outcomes, payoff_sentences
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"
TEMPLATES = load_templates(CONFIG / "prompts.yaml")


def game(name: str) -> Game:
    return load_game(CONFIG / "games" / name)


def situation(g: Game, history: History, order: tuple[str, ...]) -> Situation:
    options = {label: f"Do {label} now" for label in g.labels}
    people = (Participant("you"), (Participant("Maya"),))
    return Situation(g, Scenario("s", "", "A story.", *people, options), history, order)


def sentences(g: Game, history: History, order: tuple[str, ...]) -> list[str]:
    return payoff_sentences(TEMPLATES, situation(g, history, order)).splitlines()


def rule(moves: str, yours: str, theirs: str) -> str:
    return f"- If you choose {moves}, you get {yours} and Maya gets {theirs}."


def test_a_simultaneous_game_by_option_numbers() -> None:
    g = game("Prisoners_Dilemma")
    assert sentences(g, g.histories[0], ("defect", "cooperate")) == [
        "Points count how well things turn out for each of you:",
        rule("Option 1 and Maya's choice matches Option 1", "1 point", "1 point"),
        rule("Option 1 and Maya's choice matches Option 2", "5 points", "0 points"),
        rule("Option 2 and Maya's choice matches Option 1", "0 points", "5 points"),
        rule("Option 2 and Maya's choice matches Option 2", "3 points", "3 points"),
    ]


def test_the_second_mover_reads_its_own_payoff_first() -> None:
    g = game("Escalation_Game")
    order = ("escalate", "withdraw")
    assert sentences(g, g.histories[1], order)[1:] == [
        rule("Option 1 and then Maya's choice matches Option 2", "1 point", "-2 points"),
        rule("Option 1 and then Maya's choice matches Option 1", "-1 points", "-1 points"),
        rule("Option 2", "-2 points", "1 point"),
    ]
    later = outcomes(situation(g, g.histories[2], order))
    assert [pair for _, pair in later] == [(-1, -1), (-2, 1)]
    assert len(sentences(g, g.histories[0], order)) == 5


def test_moves_of_the_other_role_are_described_in_words() -> None:
    g = game("Ultimatum_Game_Proposer")
    lines = sentences(g, g.histories[0], ("offer_high", "offer_low", "offer_medium"))
    assert lines[1] == rule("Option 1 and then Maya accepts it", "4 points", "6 points")
    assert lines[4] == rule("Option 2 and then Maya rejects it", "0 points", "0 points")


def test_settings_reach_the_sentences() -> None:
    g = apply_settings(
        game("Ultimatum_Game_Responder"), {"histories": ["offer_low"], "offer_low": 1.25}
    )
    lines = sentences(g, g.histories[0], ("reject", "accept"))
    assert lines[2] == rule("Option 2", "1.25 points", "8.75 points")


def test_only_outcomes_of_the_offered_options_are_described() -> None:
    g = game("Duopolistic_Competition")
    assert len(sentences(g, g.histories[0], ("choice_3", "choice_2"))) == 5
    assert len(sentences(g, g.histories[0], g.labels)) == 37


def test_a_label_may_have_another_phrase_after_another_move() -> None:
    g = game("Hot_Cold_Game")
    lines = sentences(g, g.histories[0], g.labels)
    assert "Maya leaves the better part to you, you get 3 points" in lines[1]
    assert "Maya takes the better part, you get 1 point and Maya gets 4 points" in lines[3]


def test_in_a_game_of_many_the_others_have_the_words_of_the_game() -> None:
    g = game("Sealed_Auction")
    lines = sentences(g, g.histories[0], ("devote_high", "devote_low", "devote_medium"))
    assert len(lines) == 1 + 3 * 3
    assert lines[-1] == (
        "- If you choose Option 3 and each of the others bids 60 percent of what it is worth to "
        "them, you get 8 points and each of the others gets 8 points."
    )


@pytest.mark.parametrize("name", game_names(CONFIG / "games"))
def test_comprehension_questions_have_one_right_answer(name: str) -> None:
    g = game(name)
    for history in g.histories:
        lines = sentences(g, history, g.labels)[1:]
        questions = comprehension_questions(TEMPLATES, situation(g, history, g.labels))
        assert len(questions) == len(lines) > 1
        for question, line in zip(questions, lines, strict=True):
            assert len(set(question.answers)) == len(question.answers) >= 2
            assert line.endswith(f", {question.answers[question.correct]}.")
            # The model has read the rule that the question is about.
            start = "A question about the rules. Suppose that "
            moves = question.text.removeprefix(start).split(". Who")[0]
            assert line.startswith(f"- If {moves}, ")
