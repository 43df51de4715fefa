"""A JSON Schema finds every problem at once, one line each with its place."""

import pytest
import yaml

from emotion_games.data_files import place
from emotion_games.schemas import problems, with_defaults

SCHEMA = yaml.safe_load("""
type: object
description: a and b
required: [a]
additionalProperties: false
dependentRequired: {b: [c]}
properties:
  a: {type: integer, minimum: 1, maximum: 5, description: how many}
  b:
    type: array
    minItems: 1
    maxItems: 11
    uniqueItems: true
    items: {type: number}
    description: some numbers
  c: {type: string, pattern: "^x", description: a word with x}
  d: {enum: [left, right], description: a side}
  e: {format: even, description: an even number}
  f: {type: [string, "null"], minLength: 2, description: a text or null}
  g: {minProperties: 1, maxProperties: 1, propertyNames: {enum: [Ann, Bob]}, description: one name}
  h: {type: number, maximum: 5, description: a share}
""")


def even(value: object) -> None:
    if value != 2:
        raise ValueError(f"expected an even number, found {value}")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ([], "expected keys and values (a and b), found []"),
        ({}, "a: missing; expected how many"),
        (
            {"a": 1, "D": "left"},
            "D: unknown key 'D' (did you mean 'd'?); allowed: a, b, c, d, e, f, g, h",
        ),
        ({"a": "1"}, "a: expected a whole number (how many), found '1'"),
        ({"a": None}, "a: expected a whole number (how many), found nothing"),
        ({"a": 0}, "a: 0 is out of range; allowed: at least 1 (how many)"),
        ({"a": 1, "b": [0]}, "c: missing; `b` needs it: add it, or remove `b`"),
        ({"a": 1, "b": [], "c": "x"}, "b: is empty; expected some numbers"),
        ({"a": 1, "b": [1, 1], "c": "x"}, "b: listed twice: 1; list each once"),
        ({"a": 1, "c": "y"}, "c: 'y' is not allowed; expected a word with x"),
        ({"a": 1, "c": 5}, "c: expected text (a word with x), found 5; put it in quotes"),
        (
            {"a": 1, "d": "lft"},
            "d: 'lft' is not allowed (did you mean 'left'?); allowed: left, righ",
        ),
        ({"a": 1, "e": 3}, "e: expected an even number, found 3"),
        ({"a": 1, "f": "x"}, "f: 'x' is too short; expected a text or null"),
        ({"a": 1, "f": 1}, "f: expected text or null (a text or null), found 1"),
        ({"a": 1, "g": {}}, "g: is empty; expected one name"),
        ({"a": 1, "g": {"Ann": 1, "Bob": 2}}, "g: found Ann, Bob; expected one name"),
        (
            {"a": 1, "g": {"ann": 1}},
            "g.ann: unknown key 'ann' (did you mean 'Ann'?); allowed: Ann, Bob",
        ),
        ({"a": 1, "h": float("nan")}, "h: expected a number from -2^53 to 2^53, found nan"),
        ({"a": 1, "h": float("inf")}, "h: expected a number from -2^53 to 2^53, found inf"),
        ({"a": 1, "h": True}, "h: expected a number (a share), found True"),
        (
            {"a": 1, "h": 10**400},
            "h: expected a number from -2^53 to 2^53, found a larger one",
        ),
        ({"a": 1, 2: 0}, "the key 2 is not text; put it in quotes"),
        ({"a": 1, "d\n": 0}, "d : unknown key 'd\\n'"),
    ],
)
def test_a_line_has_place_value_and_what_is_allowed(data: object, line: str) -> None:
    found = problems(data, SCHEMA, "x.yaml", {"even": even})
    assert any(each.startswith(f"x.yaml: {line}") for each in found), found


def test_right_data_have_no_problems() -> None:
    data = {"a": 1, "b": [0.5, 1], "c": "x", "d": "left", "e": 2, "f": None}
    assert problems(data, SCHEMA, formats={"even": even}) == []


def test_all_problems_come_at_once_and_list_items_keep_their_order() -> None:
    data = {"b": [*range(10), "x", "y"], "c": 1, "z": 0}
    found = problems(data, SCHEMA)
    assert [line.split(":")[0] for line in found] == ["a", "z", "b", "b[10]", "b[11]", "c"]


def test_a_missing_key_may_be_there_under_a_misspelt_name() -> None:
    schema = {"required": ["description"], "properties": {"description": {"description": "it"}}}
    assert problems({"desciption": 1}, schema) == [
        "description: missing (found 'desciption': rename it); expected it"
    ]


def test_the_end_of_a_pattern_is_the_end_of_the_text() -> None:
    schema = {"pattern": "^[a-z]+$", "description": "letters"}
    assert problems("word", schema) == []
    assert problems("word\n", schema) == ["'word\\n' is not allowed; expected letters"]


def test_data_that_are_not_plain_are_not_checked_further() -> None:
    assert problems({"a": 0, "x": float("nan")}, SCHEMA) == [
        "x: expected a number from -2^53 to 2^53, found nan"
    ]


def test_a_place_is_written_as_in_a_config() -> None:
    assert place(("experiment", "models", 0, "id")) == "experiment.models[0].id"


def test_defaults_fill_every_level_and_numbers_get_the_type_of_their_schema() -> None:
    number = {"type": "number", "default": 1}
    schema = {
        "properties": {"n": {"properties": {"x": number, "y": {"type": "integer"}}, "default": {}}}
    }
    assert repr(with_defaults({}, schema)) == "{'n': {'x': 1.0}}"
    assert repr(with_defaults({"n": {"x": 2, "y": 3.0}}, schema)) == "{'n': {'x': 2.0, 'y': 3}}"
