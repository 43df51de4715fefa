"""Read data from YAML and JSON files.

A file that cannot be read is one line of error, and a repeated key is not dropped silently.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from emotion_games.errors import UserError

_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RepeatedKeys(dict[str, Any]):
    """A mapping whose file has a key more than once; `repeated` holds these keys."""

    repeated: tuple[str, ...] = ()


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """A safe YAML loader that records repeated keys and reads dates as text."""


# Used for JSON objects and YAML mappings alike.
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
    # YAML allows lists and mappings as keys, Python does not.
    unhashable = next((key for key, _ in pairs if isinstance(key, (list, dict))), None)
    if unhashable is not None:
        raise yaml.constructor.ConstructorError(
            None, None, f"a key must be text, not {unhashable!r}", node.start_mark
        )
    # With a merge (`<<:`) keys are repeated on purpose, and the later one overrides the other.
    return dict(pairs) if merges else _mapping(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def read_data(path: Path) -> Any:
    """Return the content of a .json, .yaml or .yml file.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        # Some editors on Windows begin UTF-8 files with a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_mapping)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (the loader derives from the safe one)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return in one line why a file could not be read."""
    match error:
        case UnicodeDecodeError():
            return f"not UTF-8 text (byte {error.start}); save the file as UTF-8"
        case OSError():
            return f"cannot be read: {error.strerror or error}"
        case json.JSONDecodeError():
            return f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        case RecursionError():
            return "nested too deeply to be read"
        case yaml.YAMLError():
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            reason = str(getattr(error, "problem", None) or error)
            return f"{place}not valid YAML: {' '.join(reason.split())}"
    return f"not valid data: {error}"


def repeated_keys(data: Any) -> tuple[str, ...]:
    """Return the keys that the file of a mapping has more than once."""
    return data.repeated if isinstance(data, RepeatedKeys) else ()
