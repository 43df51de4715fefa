"""Tests of the shipped scenario banks: form, lengths, balance, wording and repetition.

The measured numbers are printed. Whether a story has the payoff order of its game cannot be
measured here; it needs a reader.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

GAMES = Path(__file__).parents[2] / "config" / "games"
BANKS = sorted(GAMES.glob("*/scenarios.yaml"))
SETTINGS = {"everyday", "work", "business", "nature", "public"}
LEAST_SCENARIOS = 24
DESCRIPTION_WORDS = (60, 140)
OPTION_WORDS = (5, 14)
LONGEST_TO_SHORTEST = 1.35
LONGER_SHARE = (0.40, 0.60)
MEAN_RATIO = (0.95, 1.05)
SHINGLE_WORDS = 3
MOST_ALIKE = 0.12

EMOTION = re.compile(
    r"\b(ang(er\w*|r(y|ier|iest|ily))|furious\w*|fury|rag(e|es|ed|ing)|enrag\w*|outrag\w*"
    r"|annoy\w*|irritat\w*|hostil\w*"
    r"|resent(s|ed|ful\w*|ment)|frustrat\w*|happ(y|ier|iest|ily|iness)|unhapp\w*|joy(s|ful\w*"
    r"|ous\w*)?|enjoy\w*|glad(ly)?"
    r"|delight\w*|cheer(s|ed|ful\w*|y)?|excit\w*|thrill\w*|pleas(ed|ure\w*)|sad(ly|der|dest|ness"
    r"|den\w*)?|sorrow\w*"
    r"|gloom\w*|miser(y|abl\w*)|grief|griev\w*|lonel\w*|disappoint\w*|regret\w*|fear\w*|afraid"
    r"|scar(e|ed|es|ing|y)"
    r"|fright\w*|terrif\w*|terror|panic\w*|horr\w*|dread\w*|anxi\w*|nervous\w*|worr(y|ied|ies"
    r"|ying|ysome)|disgust\w*"
    r"|revolting|repuls\w*|revuls\w*|nause\w*|sicken\w*|loath\w*|surpris\w*|astonish\w*|amaz\w*"
    r"|startl\w*|shock\w*"
    r"|stunn\w*|upset\w*|guilt\w*|asham\w*|shame\w*|embarrass\w*|jealous\w*|env(y|ied|ious\w*)"
    r"|proud\w*|pride|reliev\w*"
    r"|hat(e|es|ed|ing|red)|lov(e|es|ed|ing|ely)|hop(e|es|ed|ing|eful\w*)|mood\w*|emotion\w*"
    r"|feel(s|ing|ings)?)\b",
    re.IGNORECASE,
)
MORAL = re.compile(
    r"\b(unfair\w*|selfish\w*|unselfish\w*|generous\w*|generosity|greed\w*|stingy|dishonest\w*"
    r"|honest\w*|betray\w*"
    r"|cruel\w*|disloyal\w*|loyal\w*|exploit\w*|cheat\w*|deceiv\w*|deceit\w*|moral\w*|immoral\w*"
    r"|ethic\w*|unethic\w*"
    r"|virtu(e|es|ous)|evil|ruthless\w*|merc(y|iful|iless)|treacher\w*|altruis\w*|decen(t|cy)"
    r"|noble|free[- ]rid\w*)\b",
    re.IGNORECASE,
)
# Words with a plain sense in a story ("a fair", "a kind of wood") that would still influence the
# choice of an option.
MORAL_IN_OPTION = re.compile(
    r"\b(fair(ly|ness|er)?|kind(ly|ness|er)?|unkind\w*|mean(ly|ness)?|trust(ed|s|ing|worthy)?"
    r"|steal\w*|lies|lied|liar\w*"
    r"|trick\w*|sneak\w*|secret(s|ly)?|abandon\w*|desert(s|ed|ing)?|sacrific\w*|punish\w*|revenge"
    r"|guilt\w*|wrong\w*|right(ly|eous\w*)"
    r"|cooperat\w*|defect(s|ed|ing)?|good|bad|nasty|nice(ly)?|considerate|promise\w*"
    r"|take advantage)\b",
    re.IGNORECASE,
)


def labels(name: str) -> frozenset[str]:
    """Return the labels that every scenario of a game offers.

    If a story may show only some of the choices, these are the ones that `aliases` names.
    """
    game = yaml.safe_load((GAMES / name / "game.yaml").read_text(encoding="utf-8"))
    return frozenset(game["aliases"].values() if game.get("subset") else game["choices"])


def words(text: str) -> list[str]:
    """Lower-case words of a text; an apostrophe or a hyphen inside a word does not split it."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def choice_sets(scenario: dict) -> Iterator[tuple[str, dict[str, str]]]:
    """Every (field, {label: text}) of a scenario; the two-role games have one for each role."""
    return ((key, value) for key, value in scenario.items() if key.endswith("behavior_choices"))


def option_texts(scenario: dict) -> list[str]:
    """All option texts of a scenario."""
    return [text for _, choices in choice_sets(scenario) for text in choices.values()]


def all_texts(scenario: dict) -> list[str]:
    """Everything of a scenario that can reach a prompt."""
    profiles = [person["profile"] for person in scenario["participants"]]
    return [scenario["scenario"], scenario["description"], *profiles, *option_texts(scenario)]


def shingles(text: str) -> set[tuple[str, ...]]:
    """The runs of SHINGLE_WORDS words of a text."""
    found = words(text)
    return {
        tuple(found[start : start + SHINGLE_WORDS])
        for start in range(len(found) - SHINGLE_WORDS + 1)
    }


def length_balance(bank: list[dict]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return how often the first of two labels has the longer text, and the mean length ratio.

    A tie counts as half.
    """
    pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for scenario in bank:
        for _, choices in choice_sets(scenario):
            for first, second in itertools.combinations(sorted(choices), 2):
                pairs.setdefault((first, second), []).append(
                    (len(choices[first]), len(choices[second]))
                )
    return {
        pair: (
            sum((a > b) + 0.5 * (a == b) for a, b in lengths) / len(lengths),
            sum(a for a, _ in lengths) / sum(b for _, b in lengths),
        )
        for pair, lengths in pairs.items()
    }


def widest(scenario: dict) -> float:
    """Longest to shortest option of a scenario, in words or characters, whichever is wider."""
    return max(
        max(lengths) / min(lengths)
        for _, choices in choice_sets(scenario)
        for lengths in (
            [len(words(text)) for text in choices.values()],
            [len(text) for text in choices.values()],
        )
    )


@pytest.fixture(scope="module")
def banks() -> dict[str, list[dict]]:
    return {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in BANKS}


@pytest.fixture(params=BANKS, ids=lambda path: path.parent.name)
def named_bank(
    request: pytest.FixtureRequest, banks: dict[str, list[dict]]
) -> tuple[str, list[dict]]:
    name = request.param.parent.name
    return name, banks[name]


def test_form(named_bank: tuple[str, list[dict]]) -> None:
    name, bank = named_bank
    assert len(bank) >= LEAST_SCENARIOS
    ids = [scenario["id"] for scenario in bank]
    assert len(set(ids)) == len(ids)
    assert [i for i in ids if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", i)] == []
    assert len({i.split("_")[0] for i in ids}) == 1
    offered = {frozenset(choices) for scenario in bank for _, choices in choice_sets(scenario)}
    assert offered == {labels(name)}
    per_setting = Counter(scenario["setting"] for scenario in bank)
    assert set(per_setting) == SETTINGS
    even = len(bank) / len(SETTINGS)
    assert all(0.75 * even <= count <= 1.25 * even for count in per_setting.values()), per_setting


def test_people(named_bank: tuple[str, list[dict]]) -> None:
    _, bank = named_bank
    others = []
    for scenario in bank:
        you, other = scenario["participants"]
        assert you["name"] == "you", scenario["id"]
        assert re.search(rf"\b{re.escape(other['name'])}\b", scenario["description"]), scenario[
            "id"
        ]
        assert re.search(r"\byou\b", scenario["description"], re.IGNORECASE), scenario["id"]
        others.append(other["name"])
    assert [name for name, count in Counter(others).items() if count > 1] == []


def amounts(scenario: dict) -> list[int]:
    """The number in each option, from that of the lowest label to that of the highest."""
    options = scenario["behavior_choices"]
    numbers = [re.findall(r"\d+", options[label].replace(",", "")) for label in sorted(options)]
    assert [len(found) for found in numbers] == [1] * len(options), scenario["id"]
    return [int(number) for (number,) in numbers]


def test_commitments_are_no_third_two_thirds_and_all_of_the_most(
    banks: dict[str, list[dict]],
) -> None:
    bank = banks["Beauty_Contest"]
    assert len(bank) >= 48
    for scenario in bank:
        none, third, two_thirds, most = amounts(scenario)
        assert [none, third, two_thirds] == [0, most / 3, most * 2 / 3], scenario["id"]
        # Eleven people decide.
        assert scenario["participants"][1]["name"].startswith("ten other ")


def test_bids_are_shares_of_what_the_story_says_it_is_worth(banks: dict[str, list[dict]]) -> None:
    bank = banks["Sealed_Auction"]
    assert len(bank) >= 48
    for scenario in bank:
        options = scenario["behavior_choices"]
        assert set(options) == {"devote_high", "devote_low", "devote_medium"}
        high, low, medium = amounts(scenario)
        assert (medium, high) == (2 * low, 3 * low), scenario["id"]
        numbers = [int(n) for n in re.findall(r"\d+", scenario["description"].replace(",", ""))]
        worth = low * 10 // 3
        assert worth in numbers, scenario["id"]
        # The others may value it more highly.
        assert any(worth < number <= 1.5 * worth for number in numbers), scenario["id"]
        assert scenario["participants"][1]["name"].startswith("three other ")


def test_lengths(named_bank: tuple[str, list[dict]]) -> None:
    _, bank = named_bank
    low, high = DESCRIPTION_WORDS
    counts = {scenario["id"]: len(words(scenario["description"])) for scenario in bank}
    assert {i: count for i, count in counts.items() if not low <= count <= high} == {}
    low, high = OPTION_WORDS
    options = [text for scenario in bank for text in option_texts(scenario)]
    assert [text for text in options if not low <= len(words(text)) <= high] == []
    assert {s["id"]: round(widest(s), 2) for s in bank if widest(s) > LONGEST_TO_SHORTEST} == {}


def test_balance(named_bank: tuple[str, list[dict]]) -> None:
    _, bank = named_bank
    for pair, (longer, ratio) in length_balance(bank).items():
        assert LONGER_SHARE[0] <= longer <= LONGER_SHARE[1], (pair, longer)
        assert MEAN_RATIO[0] <= ratio <= MEAN_RATIO[1], (pair, ratio)


def test_options(named_bank: tuple[str, list[dict]]) -> None:
    _, bank = named_bank
    for scenario in bank:
        for _, choices in choice_sets(scenario):
            openings = [tuple(words(text)[:4]) for text in choices.values()]
            assert len(set(openings)) == len(openings), scenario["id"]
            for text in choices.values():
                assert '"' not in text and not text.endswith(".") and text[0].isupper(), scenario[
                    "id"
                ]


def test_wording(named_bank: tuple[str, list[dict]]) -> None:
    _, bank = named_bank
    found = [
        (scenario["id"], match[0])
        for scenario in bank
        for text in all_texts(scenario)
        for match in itertools.chain(EMOTION.finditer(text), MORAL.finditer(text))
    ]
    found += [
        (s["id"], match[0])
        for s in bank
        for t in option_texts(s)
        for match in MORAL_IN_OPTION.finditer(t)
    ]
    assert found == []


def test_no_text_is_used_twice(banks: dict[str, list[dict]]) -> None:
    used = Counter(
        " ".join(words(text))
        for bank in banks.values()
        for scenario in bank
        for text in (scenario["scenario"], scenario["description"], *option_texts(scenario))
    )
    assert [text for text, count in used.items() if count > 1] == []
    ids = Counter(scenario["id"] for bank in banks.values() for scenario in bank)
    assert [i for i, count in ids.items() if count > 1] == []


def test_no_near_duplicates(
    banks: dict[str, list[dict]], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {s["id"]: shingles(s["description"]) for bank in banks.values() for s in bank}
    alike = sorted(
        (
            (len(a & b) / len(a | b), i, j)
            for (i, a), (j, b) in itertools.combinations(texts.items(), 2)
        ),
        reverse=True,
    )
    with capsys.disabled():
        print("\nmost alike:", *(f"{score:.3f} {i} {j};" for score, i, j in alike[:3]))
    assert [pair for pair in alike if pair[0] > MOST_ALIKE] == []


def test_figures(named_bank: tuple[str, list[dict]], capsys: pytest.CaptureFixture[str]) -> None:
    name, bank = named_bank
    counts = [len(words(scenario["description"])) for scenario in bank]
    first = Counter(next(iter(choices)) for s in bank for _, choices in choice_sets(s))
    balance = "; ".join(
        f"{a} longer than {b} in {longer:.0%}, mean ratio {ratio:.3f}"
        for (a, b), (longer, ratio) in length_balance(bank).items()
    )
    with capsys.disabled():
        print(
            f"\n{name}: {len(bank)} scenarios, {min(counts)}-{max(counts)} words "
            f"(mean {sum(counts) / len(counts):.0f}); {balance}; "
            f"widest option ratio {max(map(widest, bank)):.2f}; listed first {dict(first)}"
        )
    assert counts
