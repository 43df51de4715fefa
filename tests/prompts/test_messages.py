"""The messages that a model reads: people, options, histories, and snapshots of whole prompts."""

import json
import os
from pathlib import Path

import pytest

from emotion_games.errors import ProblemList
from emotion_games.games.catalog import game_names, load_game
from emotion_games.games.participants import Participant
from emotion_games.games.records import Game, History
from emotion_games.games.scenarios import Scenario, load_scenarios, scenario_bank
from emotion_games.prompts.answers import parse
from emotion_games.prompts.histories import history_sentences
from emotion_games.prompts.messages import (
    after_rationale_prefix,
    comprehension_messages,
    decision_prefix,
    felt_emotion,
    named_emotion,
    option_literal,
    probe,
    render,
)
from emotion_games.prompts.payoffs import comprehension_questions, payoff_sentences
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"
SNAPSHOTS = Path(__file__).parent / "snapshots" / "prompts"
TEMPLATES = load_templates(CONFIG / "prompts.yaml")
GAMES = {name: load_game(CONFIG / "games" / name) for name in game_names(CONFIG / "games")}
NODES = [(name, history) for name, game in GAMES.items() for history in game.histories]
node_names = [f"{name}-{history.name}" for name, history in NODES]


def story(game: Game, you: str = "Alice", **changes: object) -> Scenario:
    options = {label: f'Take the "{label}" way' for label in game.labels}
    fields = {"earlier": {}, "description": "Alice and Bob meet.", **changes}
    return Scenario(
        "s",
        "",
        you=Participant(you, "a baker."),
        others=(Participant("Bob"),),
        options=options,
        **fields,
    )


def user(game: Game, history: History, scenario: Scenario, **changes: object) -> str:
    situation = Situation(game, scenario, history, tuple(scenario.options))
    return render(TEMPLATES, situation, 0, **changes)[1]["content"]


@pytest.mark.parametrize(("name", "history"), NODES, ids=node_names)
@pytest.mark.parametrize("show_payoffs", [False, True])
def test_every_option_occurs_once_and_nobody_moves_twice_in_a_row(
    name: str, history: History, show_payoffs: bool
) -> None:
    game = GAMES[name]
    scenario = story(game)
    situation = Situation(game, scenario, history, game.labels[::-1])
    system, question = render(TEMPLATES, situation, 1, "", show_payoffs)
    assert system["content"] == "You are Alice."
    # What was played before may quote an option.
    now = question["content"].replace(history_sentences(TEMPLATES, situation), "")
    for place, label in enumerate(game.labels[::-1], start=1):
        literal = option_literal(scenario.options[label])
        assert now.count(f'"{literal}"') == 1
        assert f'Option {place}. "{literal}"' in question["content"].splitlines()
    # After the story itself the model is always `you`, never a second Alice.
    assert "Alice" not in question["content"].removeprefix(scenario.description)
    assert [player for player, _ in history.path][-1:] != [situation.you]
    assert "{" not in question["content"].replace('{"rationale"', "").replace('{"decision"', "")


def test_a_shown_option_can_be_copied_and_parsed() -> None:
    game = GAMES["Prisoners_Dilemma"]
    scenario = story(game)
    shown = user(game, game.histories[0], scenario)
    line = next(line for line in shown.splitlines() if line.startswith("Option 2. "))
    copied = decision_prefix() + line.removeprefix('Option 2. "')[:-1] + '"}'
    assert json.loads(copied)["decision"] == scenario.options["defect"]
    assert parse(copied, scenario.options, game.labels).choice == "defect"
    defect, rationale = scenario.options["defect"], 'He said "no"\n'
    after = after_rationale_prefix(rationale) + option_literal(defect) + '"}'
    assert json.loads(after) == {"rationale": rationale, "decision": defect}


def test_context_comes_first_and_wordings_repeat_in_a_cycle() -> None:
    game = GAMES["Wait_Go"]
    situation = Situation(game, story(game, "you"), game.histories[0], game.labels)
    chats = [render(TEMPLATES, situation, wording, "It rained.") for wording in range(4)]
    assert chats[0][0]["content"].startswith("It rained. You are one of the people")
    assert len(TEMPLATES.instructions) == 3
    assert chats[0] == chats[3] and len({messages[1]["content"] for messages in chats}) == 3


@pytest.mark.parametrize(
    ("you", "description", "system"),
    [
        ("Alice", "Alice and Bob meet.", "You are Alice."),
        (
            "you",
            "Bob waits for you.",
            'You are the person who is called "you" in the following story.',
        ),
        ("you", "Bob and a baker meet.", "You are one of the people in the following story."),
    ],
)
def test_the_system_message_fits_the_story(you: str, description: str, system: str) -> None:
    game = GAMES["Wait_Go"]
    scenario = story(game, you, description=description)
    situation = Situation(game, scenario, game.histories[0], game.labels)
    messages = render(TEMPLATES, situation, 0)
    assert messages[0]["content"] == system
    # The profile says which of the people the model is.
    assert "About you: a baker." in messages[1]["content"]


def test_answer_forms() -> None:
    game = GAMES["Wait_Go"]
    assert '"rationale"' in user(game, game.histories[0], story(game))
    assert '"rationale"' not in user(game, game.histories[0], story(game), answer_form="decision")


def test_placeholders_in_a_story_are_not_filled() -> None:
    game = GAMES["Escalation_Game"]
    scenario = story(game, description="Alice wrote {other} and {number}.")
    assert "Alice wrote {other} and {number}." in user(game, game.histories[1], scenario)


def test_three_people_are_all_introduced() -> None:
    game = GAMES["Wait_Go"]
    people = (Participant("Bob", "a smith"), Participant("Carla", "a judge"))
    scenario = Scenario(
        "s", "", "They meet.", Participant("you"), people, {"wait": "Wait here", "go": "Go there"}
    )
    text = user(game, game.histories[0], scenario)
    assert "About Bob: a smith.\nAbout Carla: a judge." in text and "About you" not in text


def test_questions_of_the_checks() -> None:
    asked, answer = named_emotion(TEMPLATES, "I {labels} wait.", ["joy", "neutral"])
    assert "I {labels} wait." in asked[0]["content"] and "joy, neutral" in asked[0]["content"]
    assert answer == TEMPLATES.texts["named_emotion.answer"]
    asked, answer = felt_emotion(TEMPLATES, "I {labels} wait.")
    assert "I {labels} wait." in asked[0]["content"]
    assert answer == TEMPLATES.texts["felt_emotion.answer"]
    messages, stimulus = probe(TEMPLATES, "  Your dog\nran away. ")
    assert stimulus == "Your dog ran away." and messages[-1]["content"].endswith(stimulus)


def test_shipped_labels_are_the_emotion_files() -> None:
    assert sorted(TEMPLATES.labels) == sorted(
        file.stem for file in (CONFIG / "emotions").glob("*.txt")
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "  unnamed:",
            "  unamed:",
            "system.unamed: unknown key 'unamed' (did you mean 'unnamed'?)",
        ),
        (
            "felt_emotion:",
            "felt_emotoin:",
            "felt_emotoin: unknown key 'felt_emotoin' (did you mean 'felt_emotion'?)",
        ),
        (
            "{stimulus}",
            "{stimuli}",
            "probe.user: unknown placeholder 'stimuli' (did you mean 'stimulus'?)",
        ),
        ("{stimulus}", "it", "probe.user: the placeholder {stimulus} is missing"),
        (
            "user: [description, people,",
            "user: [descriptions, people,",
            "user[0]: 'descriptions' is not allowed (did you mean 'description'?); allowed: ",
        ),
        (
            "user: [description, people, history, payoffs, instruction, options,",
            "user: [description,",
            "user: ['description', 'answer_form'] is not allowed; expected a list with the part op",
        ),
        (
            "anger: [",
            "anger: [7, ",
            "feelings.anger[0]: expected text (a word for the emotion), found 7",
        ),
        (
            'separator: "\\n\\n"',
            "separator: 3",
            "separator: expected text (the text between two parts), found 3",
        ),
        ("  now: Now it is your turn.\n", "", "history.now: missing; expected a sentence before"),
    ],
)
def test_faults_of_a_template_file(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "prompts.yaml"
    text = (CONFIG / "prompts.yaml").read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ProblemList) as caught:
        load_templates(path)
    lines = caught.value.problems
    assert any(line.startswith(f"{path}: {problem}") for line in lines), lines


def test_all_faults_of_a_template_file_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(
        "system: {named: You., unnamed: 1, unaddressed: You.}\noption: '{text} {n}'\n",
        encoding="utf-8",
    )
    with pytest.raises(ProblemList) as caught:
        load_templates(path)
    lines = caught.value.problems
    missing = [line for line in lines if ": missing" in line]
    assert len(lines) == len(missing) + 3 and len(missing) == 12
    assert f"{path}: system.named: the placeholder {{name}} is missing" in lines


def snapshot(game: Game, place: int) -> str:
    """Return the prompt of one history with a story of the bank, and what payoffs add to it."""
    history = game.histories[place]
    scenarios, _ = load_scenarios(scenario_bank(game), game)
    scenario = scenarios[place]
    order = tuple(scenario.options)[::-1] if place % 2 else tuple(scenario.options)
    situation = Situation(game, scenario, history, order)
    system, user_message = render(TEMPLATES, situation, place)
    payoffs = payoff_sentences(TEMPLATES, situation)
    with_payoffs = render(TEMPLATES, situation, place, show_payoffs=True)[1]["content"]
    assert with_payoffs.replace(payoffs + "\n\n", "") == user_message["content"]
    question = comprehension_questions(TEMPLATES, situation)[0]
    check = comprehension_messages(TEMPLATES, situation, question)[1]["content"]
    sections = {
        "system": system["content"],
        "user": user_message["content"],
        "show_payoffs adds": payoffs,
        "comprehension check ends with": check[check.index(question.text) :],
        "right answer": question.answers[question.correct],
    }
    return "\n".join(f"=== {title} ===\n{text}\n" for title, text in sections.items())


@pytest.mark.parametrize(("name", "history"), NODES, ids=node_names)
def test_prompts_match_their_snapshots(name: str, history: History) -> None:
    """`UPDATE_SNAPSHOTS=1 pytest tests/prompts` writes new ones; read the diff before a commit."""
    game = GAMES[name]
    text = snapshot(game, game.histories.index(history))
    path = SNAPSHOTS / f"{name}-{history.name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", sorted(GAMES))
def test_every_shipped_scenario_loads_and_renders(name: str) -> None:
    game = GAMES[name]
    scenarios, problems = load_scenarios(scenario_bank(game), game)
    assert problems == [] and len(scenarios) >= 24
    for scenario in scenarios:
        for history in game.histories:
            prompt = user(game, history, scenario)
            for place, text in enumerate(scenario.options.values(), start=1):
                assert prompt.splitlines().count(f'Option {place}. "{option_literal(text)}"') == 1
            assert scenario.other.name in prompt
