"""Payoffs are told as they are in the game, from the model's side, at the node where it decides."""

from pathlib import Path

import pytest

from emotion_games.games.catalog import Game, History, apply_settings, game_names, load_game
from emotion_games.games.scenarios import Participant, Scenario
from emotion_games.prompts.payoffs import comprehension_questions, outcomes, payoff_sentences
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"
TEMPLATES = load_templates(CONFIG / "prompts.yaml")


def game(name: str) -> Game:
    return load_game(CONFIG / "games" / name)


def story(g: Game) -> Scenario:
    options = {label: f"Do {label} now" for label in g.labels}
    return Scenario("s", "", "A story.", Participant("you"), (Participant("Maya"),), options)


def told(g: Game, history: History, order: tuple[str, ...]) -> list[str]:
    return payoff_sentences(TEMPLATES, g, story(g), history, order).splitlines()


def test_a_simultaneous_game_by_option_numbers() -> None:
    g = game("Prisoners_Dilemma")
    assert told(g, g.histories[0], ("defect", "cooperate")) == [
        "Points count how well things turn out for each of you:",
        "- If you choose Option 1 and Maya's choice matches Option 1, you get 1 point and Maya gets 1 point.",
        "- If you choose Option 1 and Maya's choice matches Option 2, you get 5 points and Maya gets 0 points.",
        "- If you choose Option 2 and Maya's choice matches Option 1, you get 0 points and Maya gets 5 points.",
        "- If you choose Option 2 and Maya's choice matches Option 2, you get 3 points and Maya gets 3 points.",
    ]


def test_the_second_mover_reads_its_own_payoff_first() -> None:
    g = game("Escalation_Game")
    order = ("escalate", "withdraw")
    assert told(g, g.histories[1], order)[1:] == [
        "- If you choose Option 1 and then Maya's choice matches Option 2, you get 1 point and Maya gets -2 points.",
        "- If you choose Option 1 and then Maya's choice matches Option 1, you get -1 points and Maya gets -1 points.",
        "- If you choose Option 2, you get -2 points and Maya gets 1 point.",
    ]
    assert [pair for _, pair in outcomes(g, g.histories[2], order)] == [(-1, -1), (-2, 1)]
    assert len(told(g, g.histories[0], order)) == 5


def test_the_other_roles_moves_are_told_in_words() -> None:
    g = game("Ultimatum_Game_Proposer")
    lines = told(g, g.histories[0], ("offer_high", "offer_low", "offer_medium"))
    assert (
        lines[1]
        == "- If you choose Option 1 and then Maya accepts it, you get 4 points and Maya gets 6 points."
    )
    assert (
        lines[4]
        == "- If you choose Option 2 and then Maya rejects it, you get 0 points and Maya gets 0 points."
    )


def test_settings_reach_the_sentences() -> None:
    g = apply_settings(
        game("Ultimatum_Game_Responder"), {"histories": ["offer_low"], "offer_low": 1.25}
    )
    lines = told(g, g.histories[0], ("reject", "accept"))
    assert lines[2] == "- If you choose Option 2, you get 1.25 points and Maya gets 8.75 points."


def test_only_the_options_of_the_story_are_told() -> None:
    g = game("Duopolistic_Competition")
    assert len(told(g, g.histories[0], ("choice_3", "choice_2"))) == 5
    assert len(told(g, g.histories[0], g.labels)) == 37


def test_the_same_label_may_be_told_differently_after_different_moves() -> None:
    g = game("Hot_Cold_Game")
    lines = told(g, g.histories[0], g.labels)
    assert "Maya leaves the better part to you, you get 3 points" in lines[1]
    assert "Maya takes the better part, you get 1 point and Maya gets 4 points" in lines[3]


@pytest.mark.parametrize("name", game_names(CONFIG / "games"))
def test_comprehension_questions_have_one_right_answer(name: str) -> None:
    g = game(name)
    for history in g.histories:
        lines = told(g, history, g.labels)[1:]
        questions = comprehension_questions(TEMPLATES, g, story(g), history, g.labels)
        assert len(questions) == len(lines) > 1
        for question, line in zip(questions, lines, strict=True):
            assert len(set(question.answers)) == len(question.answers) >= 2
            assert line.endswith(f", {question.answers[question.correct]}.")
            # The rule that a question is about is among the sentences that the model has read.
            moves = question.text.removeprefix("A question about the rules. Suppose that ").split(
                ". Who"
            )[0]
            assert line.startswith(f"- If {moves}, ")
