"""Check data against a JSON Schema, with one line for each problem.

A line has the place, what was found, what is allowed and what to do: `experiment.repeat: 0 is out
of range; allowed: at least 1 (answers for each prompt and condition)`. The description of a schema
is part of its messages.
"""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no type hints

from emotion_games.data_files import place, plain_problems, read_data
from emotion_games.errors import did_you_mean, likely_typo, shown, unknown

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


def _matches(
    validator: Any, pattern: str, text: Any, _: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    """Yield an error if a text does not match, as JSON Schema defines it."""
    # In Python alone `$` also matches before a line break at the end.
    if validator.is_type(text, "string") and not re.search(pattern.replace("$", r"\Z"), text):
        yield jsonschema.ValidationError(f"{text!r} does not match {pattern!r}")


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, validators={"pattern": _matches}
)


@cache
def read_schema(name: str) -> dict[str, Any]:
    """Return a schema of `config/schemas` by its name; do not change it."""
    return read_data(Path(__file__).parents[2] / "config" / "schemas" / f"{name}.yaml")


def problems(
    data: Any,
    schema: Mapping[str, Any],
    file: object = "",
    formats: Mapping[str, Callable[[Any], object]] = MappingProxyType({}),
) -> list[str]:
    """Return one line for each way in which data differ from a schema.

    Args:
        data: Any data. If they are not plain (`data_files.plain_problems`), only this is said.
        schema: A JSON Schema (draft 2020-12) with descriptions.
        file: Where the data come from; every line begins with it.
        formats: By name, functions that check the values to which the schema gives that `format`.
            Such a function raises ValueError with the rest of the line; its result is ignored.
    """
    lines = plain_problems(data)
    if not lines:
        checker = jsonschema.FormatChecker(formats=())
        for name, check in formats.items():
            checker.checks(name, raises=ValueError)(partial(_passes, check))
        validator = _Validator(schema, format_checker=checker)
        for error in sorted(validator.iter_errors(data), key=_position):
            lines += _worded(error)
    # A key can contain line breaks.
    lines = [" ".join(line.split()) for line in lines]
    # jsonschema reports each missing key by itself, and each of these errors is worded as all.
    return [f"{file}: {line}" if file else line for line in dict.fromkeys(lines)]


def with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of `value` completed with the schema's defaults at every level.

    Numbers get the type of their schema, so that 2 and 2.0 look alike.
    """
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    kinds = schema.get("type", [])
    if kinds == "number" and isinstance(value, int):
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


def _passes(check: Callable[[Any], object], value: Any) -> bool:
    check(value)
    return True


def _position(error: jsonschema.ValidationError) -> list[tuple[int, str]]:
    """Return a sorting key that keeps the items of a list in their order."""
    return [(p, "") if isinstance(p, int) else (0, p) for p in error.absolute_path]


def _start(path: Iterable[str | int]) -> str:
    name = place(path)
    return f"{name}: " if name else ""


def _worded(error: jsonschema.ValidationError) -> Iterator[str]:
    """Yield the lines for one error of jsonschema."""
    path, found, rule = tuple(error.absolute_path), error.instance, error.validator_value
    known = error.schema.get("properties", {})
    if "propertyNames" in error.schema_path and error.validator == "enum":
        # The instance is the key itself, and the path ends at the mapping that has it.
        yield f"{place((*path, found))}: {unknown('key', found, rule)}"
    elif error.validator == "additionalProperties":
        for key in sorted(found.keys() - known.keys()):
            yield f"{place((*path, key))}: {unknown('key', key, known)}"
    elif error.validator == "required":
        for key in [key for key in rule if key not in found]:
            # The key may be there under a misspelt name, which an open schema would allow.
            near = likely_typo(key, found.keys() - known.keys())
            hint = f" (found {near!r}: rename it)" if near else ""
            meaning = known.get(key, {}).get("description")
            expected = f"; expected {meaning}" if meaning else ""
            yield f"{place((*path, key))}: missing{hint}{expected}"
    elif error.validator == "dependentRequired":
        for key, others in rule.items():
            for other in others:
                if key in found and other not in found:
                    advice = f"`{key}` needs it: add it, or remove `{key}`"
                    yield f"{place((*path, other))}: missing; {advice}"
    else:
        yield _start(path) + _worded_value(error)


def _worded_value(error: jsonschema.ValidationError) -> str:
    """Return what is wrong with a value, without its place."""
    found, kind, rule = error.instance, error.validator, error.validator_value
    # Without a description there is nothing to expect, and no empty brackets either.
    about = error.schema.get("description", "")
    expected, details = (f"; expected {about}", f" ({about})") if about else ("", "")
    if kind == "format":
        return str(error.cause)
    if kind == "type":
        kinds = [rule] if isinstance(rule, str) else rule
        types = " or ".join(_TYPES[k] for k in kinds)
        # YAML reads 2025 and yes as a number and a boolean.
        can_be_quoted = kinds == ["string"] and isinstance(found, (int, float))
        hint = "; put it in quotes" if can_be_quoted else ""
        return f"expected {types}{details}, found {shown(found)}{hint}"
    if kind == "enum":
        allowed = list(map(str, rule))
        hint = did_you_mean(found, allowed)
        return f"{shown(found)} is not allowed{hint}; allowed: {', '.join(allowed)}"
    if kind == "uniqueItems":
        twice = sorted({str(item) for item in found if found.count(item) > 1})
        return f"listed twice: {', '.join(twice)}; list each once"
    if kind in _BOUNDS:
        return f"{shown(found)} is out of range; allowed: {_BOUNDS[kind]} {rule}{details}"
    if kind in ("minItems", "minLength", "minProperties") and not found:
        return f"is empty{expected}"
    if kind in ("minProperties", "maxProperties"):
        return f"found {', '.join(found)}{expected}"
    if kind in ("minItems", "minLength"):
        return f"{shown(found)} is too short{expected}"
    if kind in ("maxItems", "maxLength"):
        return f"{shown(found)} is too long{expected}"
    return f"{shown(found)} is not allowed{expected}"
