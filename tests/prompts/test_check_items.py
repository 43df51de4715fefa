"""The material of the damage checks is read whole, or every fault of its file is one line with its place."""

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
TEXT = "Granite is a rock that forms slowly."


def load(tmp_path: Path, data: object) -> CheckItems:
    path = tmp_path / "checks.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_check_items(path)


def test_shipped_files_are_read_whole() -> None:
    for path in (CONFIG / "checks.yaml", CONFIG / "demo" / "checks.yaml"):
        data, items = yaml.safe_load(path.read_text()), load_check_items(path)
        assert [item.item_id for item in items.dominance] == [
            entry["id"] for entry in data["dominance"]
        ]
        assert list(items.neutral_texts) == data["neutral_texts"]


def test_an_item_keeps_its_texts(tmp_path: Path) -> None:
    items = load(tmp_path, {"dominance": [ITEM], "neutral_texts": [TEXT]})
    item = DominanceItem("coins", "Which coin do you keep?", "Two euros", "One euro")
    assert items == CheckItems((item,), (TEXT,))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, ": expected `name: value` lines, found nothing"),
        ([ITEM], ": expected `name: value` lines, found [{"),
        ({"dominance": [ITEM]}, ": neutral_texts is missing"),
        (
            {"dominanse": [], "neutral_texts": [TEXT]},
            ": unknown key 'dominanse' (did you mean 'dominance'?)",
        ),
        (
            {"dominance": None, "neutral_texts": [TEXT]},
            ", dominance: expected a list of items, or [] for none",
        ),
        (
            {"dominance": ITEM, "neutral_texts": [TEXT]},
            ", dominance: expected a list of items, or [] for none",
        ),
        (
            {"dominance": ["coins"], "neutral_texts": [TEXT]},
            ", dominance, entry 1: expected `name: value` lines",
        ),
        (
            {
                "dominance": [{"id": "coins", "question": "Which?", "better": "Two"}],
                "neutral_texts": [TEXT],
            },
            ", dominance, entry 1: worse is missing",
        ),
        (
            {"dominance": [ITEM | {"beter": "x"}], "neutral_texts": [TEXT]},
            ", dominance, entry 1: unknown key 'beter' (did you mean 'better'?)",
        ),
        (
            {"dominance": [ITEM | {"better": 50}], "neutral_texts": [TEXT]},
            ", dominance, entry 1, better: expected text (a number in quotes), found 50",
        ),
        (
            {"dominance": [ITEM | {"better": "One euro"}], "neutral_texts": [TEXT]},
            ", dominance, entry 1: better and worse are the same text",
        ),
        (
            {"dominance": [ITEM, ITEM], "neutral_texts": [TEXT]},
            ", dominance, entry 2, id: 'coins' is the same as in entry 1; give each item its own",
        ),
        (
            {"dominance": [], "neutral_texts": []},
            ", neutral_texts: expected a list of texts, one at least, found []",
        ),
        (
            {"dominance": [], "neutral_texts": [7]},
            ", neutral_texts, entry 1: expected text, found 7",
        ),
        (
            {"dominance": [], "neutral_texts": ["Only four words here"]},
            ", neutral_texts, entry 1: the first 4 words",
        ),
    ],
)
def test_faults_are_one_line_with_their_place(tmp_path: Path, data: object, problem: str) -> None:
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, data)
    (line,) = caught.value.problems
    assert line.startswith(f"{tmp_path / 'checks.yaml'}{problem}") and "\n" not in line


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProblemList) as caught:
        load(tmp_path, {"dominance": [{"id": "a"}, {"id": "a"}], "neutral_texts": ["short", 1]})
    assert len(caught.value.problems) == 3 + 3 + 1 + 2


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_text("dominance: [")
    with pytest.raises(UserError, match="not valid YAML"):
        load_check_items(tmp_path / "checks.yaml")
