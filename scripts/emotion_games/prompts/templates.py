"""The texts that a model reads, as templates from a YAML file, and how their placeholders are filled.

Knows which templates there are and what each may contain; how prompts are put together from them is `prompts`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games.data_files import read_data, repeated_keys
from emotion_games.errors import ProblemList, unknown

# Every template and its placeholders; all of them are required, those of `_FREE` may be left out of the text.
_PLACEHOLDERS = {
    "system.named": "name",
    "system.unnamed": "",
    "people.you": "profile",
    "people.other": "name profile",
    "separator": "",
    "history.simultaneous": "other",
    "history.opening": "other",
    "history.told": "actor past",
    "history.then": "actor past",
    "history.quoted": "actor text",
    "history.now": "other",
    "history.again": "other",
    "option": "number text",
    "answer_form.rationale": "",
    "answer_form.decision": "",
    "payoffs.intro": "other",
    "payoffs.line": "moves yours other theirs",
    "payoffs.you_option": "number",
    "payoffs.you_present": "present",
    "payoffs.other_option": "other number",
    "payoffs.other_present": "other present",
    "payoffs.at_once": "",
    "payoffs.in_turn": "",
    "payoffs.point": "number",
    "payoffs.points": "number",
    "comprehension.question": "moves other",
    "comprehension.answer": "yours other theirs",
    "comprehension.option": "text",
    "comprehension.answer_form": "",
    "self_report": "labels",
    "blind_label.system": "",
    "blind_label.user": "text labels",
    "probe.system": "",
    "probe.user": "stimulus",
}
_FREE = {"other", "number"}
_LISTS = {"instructions", "user", "labels"}
PARTS = ("description", "people", "history", "payoffs", "instruction", "options", "answer_form")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Templates:
    """Texts by dotted key (`history.now`), wordings of the instruction, the question's parts, emotion labels."""

    texts: Mapping[str, str]
    instructions: tuple[str, ...]
    user: tuple[str, ...]
    labels: tuple[str, ...]

    def fill(self, key: str, **values: object) -> str:
        """Return the template of a key with its placeholders filled; the values themselves are never scanned again."""
        return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), self.texts[key])


def load_templates(path: Path) -> Templates:
    """Return the templates of a YAML file; ProblemList with every missing, unknown or misused template."""
    data = read_data(Path(path))
    if not isinstance(data, Mapping):
        raise ProblemList(
            [
                f"{path}: expected templates such as system, user and instructions, found {str(data)[:60]!r}"
            ]
        )
    problems: list[str] = []
    texts = _flat(data, str(path), problems)
    for key, placeholders in _PLACEHOLDERS.items():
        if key not in texts:
            problems.append(f"{path}: {key} is missing")
        elif isinstance(texts[key], str):
            problems += _misused(texts[key], placeholders.split(), f"{path}, {key}")
        else:
            problems.append(f"{path}, {key}: expected text, found {texts[key]!r}")
    lists = {key: _texts_of(data.get(key), f"{path}, {key}", problems) for key in sorted(_LISTS)}
    problems += [
        f"{path}, user: {unknown('part', part, PARTS)}"
        for part in lists["user"]
        if part not in PARTS
    ]
    missing = [part for part in ("description", "options") if part not in lists["user"]]
    problems += [f"{path}, user: the part {part} is missing" for part in missing]
    if problems:
        raise ProblemList(problems)
    return Templates(
        texts=texts, instructions=lists["instructions"], user=lists["user"], labels=lists["labels"]
    )


def _flat(data: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, Any]:
    """Return the texts by dotted key; problems for keys that no prompt uses."""
    groups = {key.split(".")[0] for key in _PLACEHOLDERS} | _LISTS
    problems += [
        f"{place}: {unknown('key', key, sorted(groups))}" for key in data if key not in groups
    ]
    texts: dict[str, Any] = {}
    for key in groups - _LISTS:
        value = data.get(key)
        problems += [
            f"{place}, {key}: {name!r} stands there twice" for name in repeated_keys(value)
        ]
        if isinstance(value, Mapping):
            texts |= {f"{key}.{name}": text for name, text in value.items()}
        elif value is not None:
            texts[key] = value
    allowed = sorted(_PLACEHOLDERS)
    problems += [
        f"{place}: {unknown('template', key, allowed)}"
        for key in texts
        if key not in allowed and key.split(".")[0] in groups
    ]
    return texts


def _misused(text: str, placeholders: list[str], place: str) -> list[str]:
    found = set(_PLACEHOLDER.findall(text))
    problems = [
        f"{place}: {unknown('placeholder', name, placeholders)}"
        for name in sorted(found - set(placeholders))
    ]
    needed = [name for name in placeholders if name not in found and name not in _FREE]
    # An empty template leaves its sentence out on purpose.
    return problems + [f"{place}: the placeholder {{{name}}} is missing" for name in needed if text]


def _texts_of(value: Any, place: str, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(text, str) and text for text in value):
        return tuple(value)
    problems.append(f"{place}: expected a list of texts, found {value!r}")
    return ()
