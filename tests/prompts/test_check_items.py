"""Check items are read completely, or every fault of their file is one line with its place."""

from pathlib import Path

import pytest
import yaml

from emotion_games.errors import ProblemList, UserError
from emotion_games.prompts.check_items import CheckItems, DominanceItem, load_check_items

CONFIG = Path(__file__).parents[2] / "config"
ITEM = {
    "id": "coins",
    "question": "Which coin do you keep?",
    "better": "Two euros",
    "worse": "One euro",
}
CONTEXT = "You sort the post."
TEXT = "Granite is a rock that forms slowly."
FILE = {"contexts": [CONTEXT], "dominance": [ITEM], "neutral_texts": [TEXT]}


def load(tmp_path: Path, data: object) -> CheckItems:
    path = tmp_path / "checks.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_check_items(path)


def test_shipped_files_are_read_completely() -> None:
    for path in (CONFIG / "checks.yaml", CONFIG / "demo" / "checks.yaml"):
        data, items = yaml.safe_load(path.read_text()), load_check_items(path)
        assert [item.item_id for item in items.dominance] == [
            entry["id"] for entry in data["dominance"]
        ]
        assert list(items.contexts) == data["contexts"]
        assert list(items.neutral_texts) == data["neutral_texts"]


def test_an_item_keeps_its_texts(tmp_path: Path) -> None:
    items = load(tmp_path, FILE)
    item = DominanceItem("coins", "Which coin do you keep?", "Two euros", "One euro")
    assert items == CheckItems((CONTEXT,), (item,), (TEXT,))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"neutral_texts": None}, "neutral_texts: expected a list (at least one neutral text)"),
        (
            {"dominance": None},
            "dominance: expected a list (questions with a dominant answer, or []",
        ),
        (
            {"dominance": ITEM},
            "dominance: expected a list (questions with a dominant answer, or []",
        ),
        (
            {"dominance": ["coins"]},
            "dominance[0]: expected keys and values (the keys id, question, better",
        ),
        (
            {"dominance": [{"id": "coins", "question": "Which?", "better": "Two"}]},
            "dominance[0].worse: missing; expected the other answer",
        ),
        (
            {"dominance": [ITEM | {"beter": "x"}]},
            "dominance[0].beter: unknown key 'beter' (did you mean 'better'?); allowed: id, quest",
        ),
        ({"dominance": [ITEM | {"worse": 5}]}, "dominance[0].worse: expected text (the other answ"),
        ({"dominance": [ITEM | {"id": " "}]}, "dominance[0].id: ' ' is not allowed; expected a na"),
        (
            {"dominance": [ITEM | {"better": "One euro "}]},
            "dominance[0]: better and worse are the same text",
        ),
        (
            {"dominance": [ITEM, ITEM]},
            "dominance[1].id: 'coins' is the id of dominance[0], too; give each item its own",
        ),
        ({"contexts": []}, "contexts: is empty; expected at least one situation"),
        ({"contexts": ["Here.", "Here."]}, "contexts: listed twice: Here.; list each once"),
        ({"neutral_texts": []}, "neutral_texts: is empty; expected at least one neutral text"),
        ({"neutral_texts": [7]}, "neutral_texts[0]: expected text (a paragraph), found 7; put it "),
        (
            {"neutral_texts": ["Only four words here"]},
            "neutral_texts[0]: 'Only four words here' is too short: the model reads the first 4",
        ),
        ({"more": 1}, "more: unknown key 'more'; allowed: contexts, dominance, neutral_t"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, change: dict, problem: str) -> None:
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, FILE | change)
    (line,) = caught.value.problems
    assert line.startswith(f"{tmp_path / 'checks.yaml'}: {problem}") and "\n" not in line


@pytest.mark.parametrize(("data", "found"), [(None, "nothing"), ([ITEM], "[{'better': ")])
def test_a_file_without_keys_is_refused(tmp_path: Path, data: object, found: str) -> None:
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, data)
    (line,) = caught.value.problems
    expected = "expected keys and values (the keys contexts, dominance and neutral_texts)"
    assert f"yaml: {expected}, found {found}" in line


def test_a_misspelt_key_and_the_missing_one_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, {"contexts": [CONTEXT], "dominanse": [], "neutral_texts": [TEXT]})
    missing, misspelt = caught.value.problems
    assert "dominance: missing (found 'dominanse': rename it); expected questions" in missing
    assert "dominanse: unknown key 'dominanse' (did you mean 'dominance'?)" in misspelt


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProblemList) as caught:
        load(
            tmp_path,
            {
                "contexts": [CONTEXT],
                "dominance": [{"id": "a"}, {"id": "a"}],
                "neutral_texts": ["short", 1],
            },
        )
    assert len(caught.value.problems) == 3 + 3 + 1 + 2


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_text("dominance: [")
    with pytest.raises(UserError, match="not valid YAML"):
        load_check_items(tmp_path / "checks.yaml")
