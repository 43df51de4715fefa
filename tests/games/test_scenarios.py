"""Tests of loading scenarios: every entry is loaded or reported in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_games.games.catalog import load_game
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario, load_scenarios, scenario_bank
from emotion_games.games.skipped import Skipped
from emotion_games.prompts.messages import option_literal, render
from emotion_games.prompts.situations import Situation
from emotion_games.prompts.templates import load_templates

CONFIG = Path(__file__).parents[2] / "config"
TEMPLATES = load_templates(CONFIG / "prompts.yaml")
DILEMMA = load_game(CONFIG / "games" / "Prisoners_Dilemma")
ESCALATION = load_game(CONFIG / "games" / "Escalation_Game")
DUOPOLY = load_game(CONFIG / "games" / "Duopolistic_Competition")
TRUSTEE = load_game(CONFIG / "games" / "Trust_Game_Trustee")
RESPONDER = load_game(CONFIG / "games" / "Ultimatum_Game_Responder")
CONTEST = load_game(CONFIG / "games" / "Beauty_Contest")
AUCTION = load_game(CONFIG / "games" / "Sealed_Auction")


def entry(**changes: Any) -> dict[str, Any]:
    """Return a valid entry for Prisoners_Dilemma with changes; None removes a field."""
    sound = {
        "scenario": "Office",
        "description": "Alice and Bob share an office.",
        "participants": [
            {"name": "Alice", "profile": "a clerk"},
            {"name": "Bob", "profile": "a clerk"},
        ],
        "behavior_choices": {"cooperate": "Tidy the office", "defect": "Leave the mess"},
    }
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


def load(
    tmp_path: Path,
    data: Any,
    game: Game = DILEMMA,
    labels: dict[str, str] | None = None,
    suffix: str = "json",
    show_payoffs: bool = False,
) -> tuple[list[Scenario], list[str]]:
    path = tmp_path / f"stories.{suffix}"
    text = (
        json.dumps(data, ensure_ascii=False)
        if suffix == "json"
        else yaml.safe_dump(data, allow_unicode=True)
    )
    path.write_text(text, encoding="utf-8")
    return lines(load_scenarios(path, game, labels, show_payoffs))


def lines(loaded: tuple[list[Scenario], list[Skipped]]) -> tuple[list[Scenario], list[str]]:
    """Return scenarios, and a line for each entry or file that was skipped."""
    scenarios, skipped = loaded
    return scenarios, [str(one) for one in skipped]


def one(
    tmp_path: Path, game: Game = DILEMMA, labels: dict[str, str] | None = None, **changes: Any
) -> Scenario:
    (scenario,), problems = load(tmp_path, [entry(**changes)], game, labels)
    assert problems == []
    return scenario


def problem(tmp_path: Path, game: Game = DILEMMA, **changes: Any) -> str:
    scenarios, (line,) = load(tmp_path, [entry(**changes)], game)
    assert scenarios == []
    start = f"{tmp_path / 'stories.json'}[0]: "
    assert line.startswith(start)
    return line.removeprefix(start)


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_list_in_either_notation(tmp_path: Path, suffix: str) -> None:
    data = [entry(), entry(description="Alice and Bob share a garden.")]
    scenarios, problems = load(tmp_path, data, suffix=suffix)
    assert problems == []
    assert [s.description for s in scenarios] == [item["description"] for item in data]
    assert len({s.scenario_id for s in scenarios}) == 2
    assert scenarios[0].you.name == "Alice" and scenarios[0].other.name == "Bob"
    assert dict(scenarios[0].options) == entry()["behavior_choices"]


def test_a_folder_of_single_files(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(entry(description="Second.")))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(entry(description="First.")))
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "notes.txt").write_text("not a story")
    scenarios, problems = lines(load_scenarios(tmp_path, DILEMMA))
    assert [s.description for s in scenarios] == ["First.", "Second."]
    assert problems == [
        f"{tmp_path / 'c.json'}: line 1, column 2: not valid JSON: "
        "Expecting property name enclosed in double quotes"
    ]


def test_ids_are_stable_and_single_parts_of_a_name(tmp_path: Path) -> None:
    first, again = one(tmp_path), one(tmp_path, scenario="Another title", extra_key=1)
    assert first.scenario_id == again.scenario_id and first.scenario_id.startswith("s")
    assert one(tmp_path, id="a/b|c d").scenario_id == "a_b_c_d"
    assert one(tmp_path, id=7).scenario_id == "7"


def test_choices_by_role_and_three_people(tmp_path: Path) -> None:
    people = [
        {"name": "Carla"},
        {"name": "Alice", "role": "Trustor"},
        {"role": " TRUSTEE", "profile": "a baker", "name": "Bob"},
    ]
    own = {
        "return_high": "Give back half",
        "return_none": "Keep it all",
        "return_medium": "Give back a third",
    }
    sent = {
        "trust_none": "Send nothing",
        "trust_low": "Send 3 crates",
        "trust_high": "Send 7 crates to Bob",
    }
    scenario = one(
        tmp_path,
        TRUSTEE,
        participants=people,
        trustee_behavior_choices=own,
        trustor_behavior_choices=sent,
        behavior_choices=None,
        payoff_matrix_description={"any": "thing"},
        game_name="Trust_Game",
    )
    assert scenario.you.name == "Bob"
    assert [person.name for person in scenario.others] == ["Alice", "Carla"]
    assert tuple(scenario.options) == TRUSTEE.labels
    assert scenario.earlier["trust_low"] == "Send 3 crates"


@pytest.mark.parametrize(
    ("people", "you"),
    [
        ([{"name": "Alice"}, {"name": "Bob"}], "Alice"),
        ([{"name": "Alice", "role": "proposer"}, {"name": "Bob"}], "Bob"),
        ([{"name": "Alice", "role": "proposer"}, {"name": "Bob", "role": "responder"}], "Bob"),
        ([{"name": "Alice", "role": None}, {"name": "Bob", "role": ""}], "Alice"),
        ([{"name": "Alice", "role": "responder"}, {"name": "You", "role": "proposer"}], "you"),
        (["Alice", "Bob"], "Alice"),
    ],
)
def test_who_the_model_is(tmp_path: Path, people: list[Any], you: str) -> None:
    choices = {"accept": "Take it", "reject": "Refuse it"}
    assert one(tmp_path, RESPONDER, participants=people, behavior_choices=choices).you.name == you


def test_an_unknown_role_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    choices = {"accept": "Take it", "reject": "Refuse it"}
    people = [{"name": "Alice", "role": "buyer"}, {"name": "Bob", "role": "reponder"}]
    assert problem(tmp_path, RESPONDER, participants=people, behavior_choices=choices) == (
        "participants[0].role: unknown role 'buyer'; allowed: proposer, responder; "
        "participants[1].role: unknown role 'reponder' (did you mean 'responder'?); "
        "allowed: proposer, responder"
    )


def test_roles_are_ignored_where_players_are_alike(tmp_path: Path) -> None:
    people = [{"name": "Alice", "role": "buyer"}, {"name": "Bob", "role": "second"}]
    assert one(tmp_path, participants=people).you.name == "Alice"


def test_a_role_that_decides_nothing_describes_its_person(tmp_path: Path) -> None:
    people = [
        {"name": "you", "role": "partner who likes opera"},
        {"name": "Bob", "role": "partner", "profile": "likes football"},
        {"name": "Carla", "role": "Second"},
    ]
    scenario = one(tmp_path, participants=people)
    assert scenario.you.profile == "partner who likes opera"
    # A profile is the better text, and the name of a player of the game is none.
    assert [person.profile for person in scenario.others] == ["likes football", ""]


def test_you_may_be_described_beside_the_name(tmp_path: Path) -> None:
    people = [{"name": "Bob"}, {"name": "You (festival  coordinator)"}]
    scenario = one(tmp_path, participants=people)
    assert (scenario.you.name, scenario.you.profile) == ("you", "festival coordinator")
    people = [{"name": "you"}, {"name": "You (again)"}]
    assert "two people have the same name" in problem(tmp_path, participants=people)


# The shape in which others publish stories of a game of many: no roles, no profiles, no ids.
OF_MANY = {
    "scenario": "Tents for the flower show",
    "description": "The town lends tents for the show, and each garden club says how many.",
    "participants": [
        {"name": "You (garden club chair)"},
        {"name": "10 Other garden club chair counterparts"},
    ],
    "behavior_choices": {
        "commit_0": "Take 0 tents.",
        "commit_1": "Take 3 tents for your club.",
        "commit_2": "Take 6 tents, and share two of them.",
        "commit_3": "Take 9 tents.",
    },
    "job": "garden club chair",
    "game_name": "Beauty_Contest",
}
OF_BIDDERS = OF_MANY | {
    "participants": [
        {"name": "You (garden club chair)"},
        *({"name": f"Other garden club chair counterpart {number}"} for number in (1, 2, 3)),
    ],
    "behavior_choices": {
        "devote_low": "Set aside an hour.",
        "devote_medium": "Set aside an afternoon.",
        "devote_high": "Set aside three days.",
    },
    "game_name": "NoReturn_SealedBid_Auction",
}


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize(
    ("game", "published", "others"),
    [
        (CONTEST, OF_MANY, ["10 Other garden club chair counterparts"]),
        (AUCTION, OF_BIDDERS, [f"Other garden club chair counterpart {i}" for i in (1, 2, 3)]),
        (
            AUCTION,
            OF_BIDDERS | {"participants": ["Austria", "Russia", "Turkey"]},
            ["Russia", "Turkey"],
        ),
    ],
)
def test_stories_with_several_counterparts_load_as_they_are_published(
    tmp_path: Path, game: Game, published: dict[str, Any], others: list[str], as_list: bool
) -> None:
    (scenario,), problems = load(tmp_path, [published] if as_list else published, game)
    assert problems == []
    assert [person.name for person in scenario.others] == others
    assert dict(scenario.options) == published["behavior_choices"]
    if "Austria" not in published["participants"]:
        assert (scenario.you.name, scenario.you.profile) == ("you", "garden club chair")


def test_a_story_of_another_game_of_many_is_left_out(tmp_path: Path) -> None:
    scenarios, problems = load(tmp_path, [OF_MANY, OF_BIDDERS], CONTEST)
    assert len(scenarios) == 1
    assert problems == [
        f"{tmp_path / 'stories.json'}[1]: game_name: 'NoReturn_SealedBid_Auction' is another game"
    ]


def test_all_problems_of_an_entry_are_reported_at_once(tmp_path: Path) -> None:
    changes = {"id": True, "participants": [{"name": 3}, "you", "You"]}
    assert problem(tmp_path, **changes, behavior_choices={"share": "x", "defect": 5}) == (
        "behavior_choices.defect: expected text (the text of an option), found 5; "
        "put it in quotes; "
        "id: expected text or a number or null (a short unique text), found True; "
        "participants[0].name: expected text (the name of a person), found 3; put it in quotes; "
        "participants: two people have the same name: you, you; "
        "behavior_choices: unknown choice 'share'; allowed: cooperate, defect, or map it in the "
        "config: choice_labels: {Prisoners_Dilemma: {share: ...}}"
    )


def test_labels_of_another_vocabulary(tmp_path: Path) -> None:
    texts = {"escalation": "Push on", "withdraw": "Give way"}
    assert tuple(one(tmp_path, ESCALATION, behavior_choices=texts).options) == (
        "escalate",
        "withdraw",
    )
    texts = {"share": "Tidy the office", "grab": "Leave the mess"}
    mapped = one(
        tmp_path, DILEMMA, {"share": "cooperate", "grab": "defect"}, behavior_choices=texts
    )
    assert mapped.options["defect"] == "Leave the mess"
    assert (
        "behavior_choices: unknown choice 'share'; allowed: cooperate, defect, "
        "or map it in the config: choice_labels: {Prisoners_Dilemma: {share: ...}}; "
    ) in problem(tmp_path, behavior_choices={**texts, "grab": None})


def test_some_games_may_offer_a_subset(tmp_path: Path) -> None:
    texts = {"low_price": "Ask for little", "high_price": "Ask for much"}
    assert tuple(one(tmp_path, DUOPOLY, behavior_choices=texts).options) == ("choice_2", "choice_3")
    assert "choice_1, choice_2, choice_4" in problem(
        tmp_path, DUOPOLY, behavior_choices={"choice_3": "Ask for much"}
    )
    assert (
        problem(tmp_path, behavior_choices={"defect": "Leave"})
        == "behavior_choices: cooperate missing; found defect"
    )


def test_quotes_and_apostrophes_are_kept(tmp_path: Path) -> None:
    texts = {"cooperate": 'Say "it\'s ours" to Bob', "defect": "Say  it’s\nmine"}
    assert dict(one(tmp_path, behavior_choices=texts).options) == {
        **texts,
        "defect": "Say it’s mine",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description": None}, "description: missing; expected the story"),
        (
            {"description": None, "descripton": "x"},
            "description: missing (found 'descripton': rename it)",
        ),
        ({"description": 3}, "description: expected text (the story), found 3"),
        (
            {"participants": None},
            "participants: missing; expected two people or more, each with a name",
        ),
        ({"participants": []}, "participants: is empty; expected two people or more"),
        (
            {"participants": [{"name": "Alice"}]},
            "participants: [{'name': 'Alice'}] is too short; expected two people or more",
        ),
        (
            {"participants": [{"profile": "x"}, {"name": "B"}]},
            "participants[0].name: missing; expected the name of a person",
        ),
        (
            {"participants": [{"name": "Al"}, {"name": "al"}]},
            "participants: two people have the same name: Al, al",
        ),
        (
            {"behavior_choices": None},
            "behavior_choices: missing; expected {label: text} with cooperate, defect",
        ),
        (
            {"behavior_choices": None, "behaviour_choices": {}},
            "behavior_choices: missing (found 'behaviour_choices': rename it)",
        ),
        (
            {"behavior_choices": "x"},
            "behavior_choices: expected keys and values ({label: text} with cooperate, defect)",
        ),
        (
            {"behavior_choices": {}},
            "behavior_choices: cooperate, defect missing; found nothing",
        ),
        (
            {"behavior_choices": {"cooperate": "a", "defect": ""}},
            "behavior_choices.defect: '' is not allowed; expected the text of an option",
        ),
        (
            {"behavior_choices": {"cooperate": "A", "defect": "a"}},
            "behavior_choices: two choices have the same text",
        ),
        ({"id": []}, "id: expected text or a number or null (a short unique text), found []"),
    ],
)
def test_a_problem_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert problem(tmp_path, **changes).startswith(message)


def test_choices_of_the_other_role_are_no_misspelt_ones(tmp_path: Path) -> None:
    other = {"proposer_behavior_choices": {"offer_low": "Offer little"}}
    assert problem(tmp_path, RESPONDER, behavior_choices=None, **other) == (
        "responder_behavior_choices: missing; expected {label: text} with accept, reject"
    )


def test_duplicates_are_reported(tmp_path: Path) -> None:
    data = [
        entry(),
        entry(description="Alice  and Bob share an OFFICE."),
        entry(description="New.", id="x"),
        entry(id="x", description="Newer."),
    ]
    scenarios, problems = load(tmp_path, data)
    assert len(scenarios) == 2
    path = tmp_path / "stories.json"
    assert problems == [
        f"{path}[1]: description: the same as in an earlier entry; remove one or change it "
        f"(the earlier one is {path}[0])",
        f"{path}[3]: id: the same as in an earlier entry; remove one or change it "
        f"(the earlier one is {path}[2])",
    ]


def test_a_key_given_twice_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "stories.json"
    path.write_text(json.dumps([entry()]).replace('"defect"', '"cooperate"'))
    _, (line,) = lines(load_scenarios(path, DILEMMA))
    assert "behavior_choices.cooperate: given twice; remove one" in line
    path.write_text(json.dumps([entry()]).replace('"scenario"', '"description"'))
    _, (line,) = lines(load_scenarios(path, DILEMMA))
    assert line == f"{path}[0]: description: given twice; remove one"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "3", '"text"', "null", "[[[", "[" * 100_000, "\ufeff[]"]
)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_file_without_scenarios_is_one_problem(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"stories.{suffix}"
    path.write_text(text if suffix == "json" else text[:900])
    scenarios, problems = lines(load_scenarios(path, DILEMMA))
    assert scenarios == [] and len(problems) == 1
    assert problems[0].startswith(str(path)) and "\n" not in problems[0]


def test_missing_files_and_wrong_endings(tmp_path: Path) -> None:
    assert lines(load_scenarios(tmp_path / "no.json", DILEMMA))[1][0].startswith(
        f"{tmp_path / 'no.json'}: no such file"
    )
    assert "the folder has no" in lines(load_scenarios(tmp_path, DILEMMA))[1][0]
    (tmp_path / "a.csv").write_text("x")
    assert "found '.csv'" in lines(load_scenarios(tmp_path / "a.csv", DILEMMA))[1][0]


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_two_thousand_load(tmp_path: Path, suffix: str) -> None:
    data = [
        entry(description=f"Story {i}. " + "They share an office and a garden. " * 20)
        for i in range(2000)
    ]
    path = tmp_path / f"stories.{suffix}"
    path.write_text(json.dumps(data))
    scenarios, problems = lines(load_scenarios(path, DILEMMA))
    assert (len(scenarios), problems) == (2000, [])


def test_where_banks_lie() -> None:
    assert scenario_bank(TRUSTEE) == CONFIG / "games" / "Trust_Game_Trustee" / "scenarios.yaml"


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | words
    | st.lists(words, max_size=3)
    | st.dictionaries(words, words, max_size=3)
)
names = st.sampled_from(["Alice", "Bob", "you", "You", "O'Neill", 'Ann "Ace" Lee', ""]) | words
roles = st.sampled_from(["responder", "proposer", "reponder", "Responder ", "buyer", "", None])
person = st.fixed_dictionaries({}, optional={"name": names, "profile": words, "role": roles}) | junk
option = (
    st.sampled_from(
        [
            "\x1b[2J",
            "Take it",
            'Say "yes"',
            "It's a deal",
            "Take  it\nnow",
            "{other} {number} \\",
            "Option 2",
        ]
    )
    | words
)
labels = (
    st.sampled_from(["accept", "reject", "acept", "take", "Accept", "offer_low", "offer_high"])
    | words
)
choices = st.fixed_dictionaries({"accept": option, "reject": option}) | st.dictionaries(
    labels, option | junk, max_size=3
)
story = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["one", "two", 3, "a/b"]) | junk,
        "scenario": words | junk,
        "description": words.map(lambda text: f"Alice and Bob meet. {text}") | junk,
        "participants": st.lists(person, max_size=3)
        | st.just([{"name": "Alice"}, {"name": "Bob"}])
        | junk,
        "behavior_choices": choices | junk,
        "responder_behavior_choices": choices | junk,
        "proposer_behavior_choices": choices | junk,
        "payoff_description": junk,
        "game_name": st.sampled_from(["Ultimatum_Game", "Stag Hunt", "Chess", None]) | junk,
    },
).flatmap(lambda fields: st.permutations(list(fields.items())).map(dict))


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.lists(story | junk, min_size=1, max_size=6), mapped=st.booleans())
def test_every_entry_is_loaded_or_reported_and_every_prompt_is_right(
    tmp_path: Path, data: list[Any], mapped: bool
) -> None:
    scenarios, problems = load(tmp_path, data, RESPONDER, {"take": "accept"} if mapped else None)
    assert len(scenarios) + len(problems) == len(data)
    assert all(len(line.splitlines()) == 1 for line in problems)
    assert len({s.scenario_id for s in scenarios}) == len(scenarios)
    for scenario in scenarios:
        assert scenario.other.name != scenario.you.name
        for history in RESPONDER.histories:
            for order in (("accept", "reject"), ("reject", "accept")):
                situation = Situation(RESPONDER, scenario, history, order)
                system, user = render(TEMPLATES, situation, 0, show_payoffs=True)
                assert system["content"].startswith("You are ")
                assert scenario.you.name == "you" or scenario.you.name in system["content"]
                after_story = user["content"].removeprefix(scenario.description)
                assert "you" in after_story
                for place, label in enumerate(order, start=1):
                    shown = f'Option {place}. "{option_literal(scenario.options[label])}"'
                    assert [line for line in after_story.splitlines() if line == shown] == [shown]
