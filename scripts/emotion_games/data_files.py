"""Read YAML and JSON files of data so that a broken file is one line and a repeated key is never dropped in silence.

Knows the two notations only; what the data mean is the business of whoever reads them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from emotion_games.errors import UserError, shown, unknown

_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RepeatedKeys(dict[str, Any]):
    """A mapping whose file gave a key more than once; `repeated` names those keys."""

    repeated: tuple[str, ...] = ()


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """Safe YAML loader that keeps track of repeated keys and reads dates as the text they are."""


def _mapping(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    mapping = dict(pairs)
    if len(mapping) == len(pairs):
        return mapping
    keys = [key for key, _ in pairs]
    marked = RepeatedKeys(mapping)
    marked.repeated = tuple(str(key) for key in mapping if keys.count(key) > 1)
    return marked


def _construct_mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    merges = any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value)
    if merges:
        loader.flatten_mapping(node)
    pairs = [
        (loader.construct_object(key, deep=True), loader.construct_object(item, deep=True))
        for key, item in node.value
    ]
    unhashable = next((key for key, _ in pairs if isinstance(key, (list, dict))), None)
    if unhashable is not None:
        raise yaml.constructor.ConstructorError(
            None, None, f"a key must be text, not {unhashable!r}", node.start_mark
        )
    # A merge (`<<:`) repeats keys on purpose: the later one wins.
    return dict(pairs) if merges else _mapping(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def read_data(path: Path) -> Any:
    """Return the content of a .json, .yaml or .yml file; UserError in one line if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_mapping)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (the loader derives from the safe one)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        ) from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply to be read") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{path}: {place}not valid YAML: {reason}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid data: {error}") from error


def repeated_keys(data: Any) -> tuple[str, ...]:
    """Return the keys that a mapping's file gave more than once."""
    return data.repeated if isinstance(data, RepeatedKeys) else ()


def text_keys(value: Any, place: str, problems: list[str]) -> dict[str, Any]:
    """Return a mapping with text keys; problems for anything else and for keys given twice."""
    if not isinstance(value, Mapping):
        problems.append(f"{place}: expected `name: value` lines, found {shown(value)}")
        return {}
    problems += [f"{place}: {key!r} stands there twice" for key in repeated_keys(value)]
    problems += [
        f"{place}: {key!r} is not read as text; put it in quotes"
        for key in value
        if not isinstance(key, str)
    ]
    return {key: item for key, item in value.items() if isinstance(key, str)}


def known_keys(
    value: Any, allowed: Sequence[str], place: str, problems: list[str]
) -> dict[str, Any]:
    """Return such a mapping; problems for keys that are not allowed, too."""
    mapping = text_keys(value, place, problems)
    problems += [
        f"{place}: {unknown('key', key, allowed)}" for key in mapping if key not in allowed
    ]
    return mapping
