"""Read data from YAML and JSON files.

Everything that cannot be read, checked or stored is refused in one line: a pipe, a huge file,
endless nesting, a key that is given twice, a number that is not finite.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from emotion_games.errors import ProblemList, UserError, shown
from emotion_games.files import read_bytes

SUFFIXES = (".json", ".yaml", ".yml")
# The largest file of settings or stimuli: YAML is read at about 3 MiB a second.
MOST_BYTES = 4 * 2**20
# Files of stories are larger.
MOST_BYTES_OF_ENTRIES = 64 * 2**20
# More levels than any file needs, and few enough for every function that calls itself.
DEEPEST = 40
# Aliases can make billions of values out of a short YAML file.
MOST_VALUES = 20_000
MOST_VALUES_OF_ENTRIES = 1_000_000
# Up to here a float holds every whole number exactly.
LARGEST_NUMBER = 2**53

# The keys and list positions that lead to a value.
Place = tuple[str | int, ...]

_SURROGATE = re.compile("[\ud800-\udfff]")
_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOO_DEEP = f"nested in more than {DEEPEST} levels"


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
    pairs = []
    for key_node, item_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        # YAML allows lists and mappings as keys, Python does not.
        if isinstance(key, (list, dict)):
            problem = f"a key must be text, not {shown(key)}"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        pairs.append((key, loader.construct_object(item_node, deep=True)))
    return _mapping(pairs)


def _refuse_merge(_: Any, node: yaml.Node) -> None:
    # YAML 1.2 has no merge keys. Whether they override or repeat a key would be a guess.
    problem = "merge keys (<<) are not supported; write the keys out"
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_constructor("tag:yaml.org,2002:merge", _refuse_merge)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def read_file(path: Path, most: int = MOST_BYTES_OF_ENTRIES) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return read_bytes(path, most)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return the text of a UTF-8 file of at most `most` bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        # Some editors on Windows begin UTF-8 files with a byte order mark.
        return read_file(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte {error.start}); save the file as UTF-8"
        raise UserError(f"{path}: {reason}") from error


def read_data(path: Path) -> Any:
    """Return the content of a .json, .yaml or .yml file of settings.

    Raises:
        ProblemList: What `plain_problems` finds in the file, one line each.
        UserError: The file cannot be read.
    """
    data = _parsed(path, MOST_BYTES)
    problems = plain_problems(data)
    if problems:
        raise ProblemList(f"{path}: {line}" for line in problems)
    return data


def read_entries(path: Path) -> Any:
    """Return the content of a file with many entries, some of which may be wrong.

    Each entry must be checked with `plain_problems`, as `schemas.problems` does.

    Raises:
        UserError: The file cannot be read.
    """
    data = _parsed(path, MOST_BYTES_OF_ENTRIES)
    try:
        for _ in values(data, MOST_VALUES_OF_ENTRIES):
            pass
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return data


def data_files(path: Path) -> list[Path]:
    """Return the files that a path to scenarios stands for: itself, or those of its folder.

    Only visible files that end in one of SUFFIXES count, so notes and the temporary files of
    editors do not.
    """
    if not os.path.isdir(path):
        return [path]
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and not file.is_dir()
    )


def place(path: Iterable[str | int]) -> str:
    """Return the name of a place in data, such as `experiment.models[0].id`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def values(data: Any, most: int) -> Iterator[tuple[Place, Any]]:
    """Yield the place and the value of everything in data, in the order of the file.

    Raises:
        ValueError: The data are nested too deeply, or have more than `most` values.
    """
    waiting: list[tuple[Place, Any]] = [((), data)]
    for _ in range(most):
        if not waiting:
            return
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, (Mapping, list)) and len(path) == DEEPEST:
            raise ValueError(_TOO_DEEP)
        if isinstance(value, Mapping):
            waiting += [((*path, key), item) for key, item in reversed([*value.items()])]
        elif isinstance(value, list):
            waiting += [((*path, i), value[i]) for i in reversed(range(len(value)))]
    if waiting:
        raise ValueError(f"more than {most:,} values")


def plain_problems(data: Any) -> list[str]:
    """Return one line for each value that a file of settings or stories must not contain.

    These are keys that are not text or that the file gave twice, numbers that are not finite or too
    large to be exact, halves of characters, values of other types than those of JSON, and too many
    values or levels.
    """
    lines: list[str] = []
    try:
        for path, value in values(data, MOST_VALUES):
            if isinstance(value, Mapping):
                lines += _key_problems(path, value)
            elif problem := _value_problem(value):
                lines.append(f"{place(path)}: {problem}".removeprefix(": "))
    except ValueError as error:
        return [str(error)]
    return lines


def _key_problems(path: Place, mapping: Mapping[Any, Any]) -> Iterator[str]:
    start = f"{place(path)}: " if path else ""
    for key in mapping:
        if not isinstance(key, str):
            yield f"{start}the key {shown(key)} is not text; put it in quotes"
        elif _value_problem(key):
            yield f"{start}the key {_value_problem(key)}"
    for key in mapping.repeated if isinstance(mapping, RepeatedKeys) else ():
        yield f"{place((*path, key))}: given twice; remove one"


def _value_problem(value: Any) -> str | None:
    """Return what is wrong with a value that has no values inside; None if nothing is."""
    if isinstance(value, str):
        if not _SURROGATE.search(value):
            return None
        return f"{shown(value)} has half a character (an unpaired surrogate); remove it"
    if isinstance(value, (int, float)):
        if abs(value) <= LARGEST_NUMBER:
            return None
        # Python refuses to write out a number of many digits.
        found = shown(value) if isinstance(value, float) else "a larger one"
        return f"expected a number from -2^53 to 2^53, found {found}"
    if value is None or isinstance(value, list):
        return None
    return f"expected text, a number, true, false or null, found {shown(value)}; put it in quotes"


def _parsed(path: Path, most: int) -> Any:
    text = read_text(path, most)
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_mapping)
        _check_nesting(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (the loader derives from the safe one)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {_reason(error)}") from error


def _check_nesting(text: str) -> None:
    """Raise RecursionError if YAML is nested too deeply; the loader itself would crash."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise RecursionError


def _reason(error: Exception) -> str:
    """Return in one line why a text could not be parsed."""
    match error:
        case json.JSONDecodeError():
            return f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        case RecursionError():
            return _TOO_DEEP
        case yaml.YAMLError():
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            reason = str(getattr(error, "problem", None) or error)
            return f"{where}not valid YAML: {' '.join(reason.split())}"
    return f"not valid data: {error}"
