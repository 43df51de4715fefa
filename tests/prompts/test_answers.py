"""An answer is parsed strictly, then loosely, and never guessed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_games.prompts.answers import parse
from emotion_games.prompts.json_answers import answer_is_closed

OPTIONS = {
    "cooperate": "Share the orchard's harvest",
    "defect": 'Sell the harvest and say "no" to Maya',
    "wait": "Share nothing before Sunday",
}
ORDER = ("defect", "cooperate", "wait")


def read(text: str) -> tuple[str | None, str]:
    decision = parse(text, OPTIONS, ORDER)
    return decision.choice, decision.method


def answer(decision: object, rationale: str = "It is mine.") -> str:
    return json.dumps({"rationale": rationale, "decision": decision})


@pytest.mark.parametrize("label", ORDER)
def test_the_text_of_an_option_as_it_was_shown_is_strict(label: str) -> None:
    decision = parse(answer(OPTIONS[label]), OPTIONS, ORDER)
    assert decision.choice == label
    assert decision.category == ORDER.index(label) + 1
    assert (decision.decision, decision.rationale, decision.method) == (
        OPTIONS[label],
        "It is mine.",
        "strict",
    )


@pytest.mark.parametrize(
    "decision",
    [
        "share  the Orchard’s harvest",
        "Share the orchard's harvest.",
        "“Share the orchard's harvest”",
        "Option 2",
        "option 2.",
        "2",
        2,
        "cooperate",
        "Option 2. Share the orchard's harvest",
        'Option 2: "Share the orchard\'s harvest"',
    ],
)
def test_other_ways_to_name_an_option_are_strict(decision: object) -> None:
    assert read(answer(decision)) == ("cooperate", "strict")


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"rationale": "a", "decision": "Option 2"}\n```',
        'Sure! {"rationale": "a", "decision": "Option 2"} I hope that helps.',
        '{"rationale": "a", "decision": "Share the orchard',
        '{"rationale": "a", "decision": "Share the orchard\'s harvest',
        "{'rationale': 'a', 'decision': 'Share the orchard\\'s harvest'}",
        '{"rationale": "a", "Decision": "Option 2"}',
        '{rationale: "a", decision: Option 2}',
        '{"rationale": "a", "decision": "Share the orchard\'s harvest",',
        '{"rationale": "a", "decision": "I will share the orchard\'s harvest with her"}',
        '{"rationale": "a", "decision": "Share the orchard"}',
        '{"rationale": "a", "decision": ["Option 2"]}',
        '{"decision": "<the exact text of the option you choose>"} {"decision": "Option 2"}',
        '{"decision": "Option 1"} No, wait: {"decision": "Option 2"}',
        "Share the orchard's harvest",
        "Option 2",
        "I choose Option 2.",
        "Decision: Option 2",
        "My answer is option 2",
    ],
)
def test_an_option_in_broken_json_or_other_words_is_loose(text: str) -> None:
    assert read(text) == ("cooperate", "loose")


def test_an_options_own_quotes_without_backslashes() -> None:
    assert read('{"rationale": "a", "decision": "Sell the harvest and say "no" to Maya"}') == (
        "defect",
        "loose",
    )
    assert read(answer(OPTIONS["defect"])) == ("defect", "strict")
    assert read('{"decision": "Sell the harvest and say \\"no') == ("defect", "loose")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty answer"),
        ("  \n", "empty answer"),
        ("I would rather not say.", "no json"),
        ('{"rationale": "I could share the orchard\'s harvest', "cut off before the decision"),
        ('{"rationale": "Share the orchard\'s harvest"}', "no decision"),
        ('{"rationale": "This is a hard decision: option 1', "cut off before the decision"),
        ('{"rationale": "a", "decision": ""}', "no decision"),
        ('{"rationale": "a", "decision": null}', "unknown option"),
        ('{"rationale": "a", "decision": "Share"}', "unknown option"),
        ('{"rationale": "a", "decision": "Sha', "unknown option"),
        ('{"rationale": "a", "decision": "Option 4"}', "unknown option"),
        ('{"rationale": "a", "decision": 0}', "unknown option"),
        ('{"rationale": "a", "decision": "Burn the orchard"}', "unknown option"),
        ('{"rationale": "a", "decision": "Option 1 or Option 2"}', "ambiguous"),
        ('{"rationale": "a", "decision": "Option 1. Share the orchard\'s harvest"}', "ambiguous"),
        ('{"rationale": "a", "decision": "I will not share the orchard\'s harvest"}', "ambiguous"),
        ('{"rationale": "a", "decision": "Option 1", "decision": "Option 2"}', "ambiguous"),
        ("Option 1\nOption 2", "ambiguous"),
        ("I choose Option 2, but share nothing before Sunday", "ambiguous"),
        ("Option 1 is tempting, and so is Option 2.", "no json"),
    ],
)
def test_an_answer_without_one_clear_option_is_unparsed(text: str, reason: str) -> None:
    decision = parse(text, OPTIONS, ORDER)
    assert (decision.choice, decision.category, decision.method) == (
        None,
        None,
        f"unparsed: {reason}",
    )


def test_one_text_within_another_is_the_longer_one() -> None:
    options = {"go": "Go", "home": "Go home"}
    assert parse('{"decision": "Go home"}', options, ("go", "home")).choice == "home"
    assert parse('{"decision": "Go"}', options, ("go", "home")).choice == "go"
    assert parse('{"decision": "I think: go home now"}', options, ("go", "home")).choice == "home"


def test_the_rationale_is_kept_and_never_chooses() -> None:
    decision = parse(answer("Burn it", "Option 2 is what Maya wants."), OPTIONS, ORDER)
    assert (decision.choice, decision.rationale) == (None, "Option 2 is what Maya wants.")
    broken = parse(
        '{"rationale": "She said \\"Option 2\\"", "decision": "Option 1"', OPTIONS, ORDER
    )
    assert (broken.choice, broken.rationale) == ("defect", 'She said "Option 2"')


def test_an_answer_is_closed_if_its_first_json_object_has_ended() -> None:
    assert answer_is_closed(answer("Option 1"))
    assert answer_is_closed('Well, {"a": {"b": "}"}} and more')
    for text in ("", "no json }", '{"a": "}"', '{"a": {"b": 1}', '{"a": "\\"}', "{"):
        assert not answer_is_closed(text)


@settings(deadline=None)
@given(st.text())
def test_no_text_raises_an_error(text: str) -> None:
    for form in (
        text,
        '{"decision": "' + text,
        '{"rationale": "' + text + '", "decision": "' + text + '"}',
    ):
        decision = parse(form, OPTIONS, ORDER)
        assert (decision.choice is None) == decision.method.startswith("unparsed: ")
        answer_is_closed(form)


@settings(deadline=None)
@given(
    st.lists(
        st.text(min_size=1).filter(str.strip),
        min_size=2,
        max_size=5,
        unique_by=lambda t: t.casefold(),
    ),
    st.data(),
)
def test_a_copied_option_is_parsed_or_unparsed_but_never_another_option(
    texts: list[str], data: st.DataObject
) -> None:
    options = {f"label_{place}": text for place, text in enumerate(texts)}
    order = tuple(data.draw(st.permutations(list(options))))
    label = data.draw(st.sampled_from(order))
    assert parse(answer(options[label]), options, order).choice in (label, None)
    numbered = parse(answer(f"Option {order.index(label) + 1}"), options, order)
    assert numbered.choice in (label, None)


@settings(deadline=None)
@given(st.sampled_from(ORDER), st.integers(min_value=0, max_value=200))
def test_a_cut_off_answer_is_never_another_option(label: str, length: int) -> None:
    assert parse(answer(OPTIONS[label])[:length], OPTIONS, ORDER).choice in (label, None)


@settings(deadline=None)
@given(st.sampled_from(ORDER), st.text(max_size=30))
def test_an_answer_is_closed_only_at_its_end(label: str, rationale: str) -> None:
    text = answer(OPTIONS[label], rationale)
    assert answer_is_closed(text)
    assert not any(answer_is_closed(text[:end]) for end in range(len(text)))


@pytest.mark.parametrize(
    "answer",
    [
        '{"rationale": "I feel \\ud83d", "decision": "Go on"}',
        '{"rationale": "I feel \\ud83d and',
        '{"rationale": "x", "decision": "Go on \\ud83d"}',
    ],
)
def test_half_of_an_escaped_character_can_be_written_and_tokenized(answer):
    found = parse(answer, {"go": "Go on", "stay": "Stay here"}, ("go", "stay"))
    assert "\ufffd" in found.rationale + found.decision
    (found.rationale + found.decision).encode("utf-8")
