"""Check data against a JSON Schema, with one line for each problem.

A line says where, what was found, what is allowed and what to do: `experiment.repeat: 0 is out of
range; allowed: at least 1 (answers for each prompt and condition)`. The description of a schema is
part of its messages.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from emotion_games.data_files import read_data, repeated_keys
from emotion_games.errors import did_you_mean, shown, unknown

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
    "null": "null",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


@cache
def read_schema(name: str) -> dict[str, Any]:
    """Return a schema of `config/schemas` by its name; do not change it."""
    return read_data(Path(__file__).parents[2] / "config" / "schemas" / f"{name}.yaml")


def problems(data: Any, schema: Mapping[str, Any], file: object = "") -> list[str]:
    """Return one line for each way in which data differ from a schema.

    Args:
        data: Plain data, as `data_files.read_data` returns them. Keys that their file gave twice
            are problems too.
        schema: A JSON Schema (draft 2020-12) with descriptions.
        file: Where the data come from; every line begins with it.
    """
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(
        validator.iter_errors(data), key=lambda e: [str(part) for part in e.absolute_path]
    )
    lines = list(_key_problems(data, ()))
    for error in errors:
        lines += _worded(error)
    return [f"{file}: {line}" if file else line for line in lines]


def place(path: Iterable[str | int]) -> str:
    """Return the name of a place in data, such as `experiment.models[0].id`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of `value` completed with the schema's defaults at every level.

    Numbers get the type of their schema, so that 2 and 2.0 look alike.
    """
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    kinds = schema.get("type", [])
    if kinds == "number":
        return float(value)
    # In JSON 2.0 is an integer, too.
    if "integer" in kinds and isinstance(value, float):
        return int(value)
    if not isinstance(value, dict) or "properties" not in schema:
        return copy.deepcopy(value)
    known = schema["properties"]
    filled = {key: with_defaults(item, known.get(key, {})) for key, item in value.items()}
    for key, sub in known.items():
        if key not in filled and "default" in sub:
            filled[key] = with_defaults(sub["default"], sub)
    return filled


def _key_problems(data: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    """Yield a line for each key that a file gave twice or that is not text."""
    if isinstance(data, Mapping):
        for key in repeated_keys(data):
            yield f"{place((*path, key))}: stands there twice; remove one"
        for key, item in data.items():
            if not isinstance(key, str):
                yield f"{place(path)}: {key!r} is not read as text; put it in quotes".lstrip(": ")
            yield from _key_problems(item, (*path, str(key)))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for index, item in enumerate(data):
            yield from _key_problems(item, (*path, index))


def _worded(error: jsonschema.ValidationError) -> Iterator[str]:
    where = place(error.absolute_path)
    found, rule, kind = error.instance, error.validator_value, error.validator
    prefix = f"{where}." if where else ""
    about = error.schema.get("description", "")
    if kind == "additionalProperties":
        known = list(error.schema["properties"])
        for key in sorted((key for key in found if key not in known), key=str):
            yield f"{prefix}{key}: {unknown('key', key, known)}"
    elif kind == "required":
        # jsonschema reports each missing key on its own, and names it only in its message.
        key = error.message.split(chr(39))[1]
        wanted = error.schema["properties"].get(key, {}).get("description", "")
        yield f"{prefix}{key}: missing" + (f"; expected {wanted}" if wanted else "")
    elif kind == "type":
        kinds = [rule] if isinstance(rule, str) else rule
        expected = " or ".join(_TYPES[k] for k in kinds) + (f" ({about})" if about else "")
        yield f"{where + ': ' if where else ''}expected {expected}, found {shown(found)}"
    elif kind == "enum":
        allowed = list(map(str, rule))
        yield (
            f"{where}: {found!r} is not allowed{did_you_mean(found, allowed)}; "
            f"allowed: {', '.join(allowed)}"
        )
    elif kind == "uniqueItems":
        twice = sorted({str(item) for item in found if found.count(item) > 1})
        yield f"{where}: listed twice: {', '.join(twice)}; list each once"
    elif kind in _BOUNDS:
        yield f"{where}: {found!r} is out of range; allowed: {_BOUNDS[kind]} {rule} ({about})"
    elif kind in ("minItems", "minLength", "minProperties"):
        yield (
            f"{where}: {found!r} is too short; expected {about}"
            if found
            else f"{where}: is empty; expected {about}"
        )
    else:
        yield f"{where}: {shown(found)} is not allowed; expected {about}"
