"""The texts that a model reads around the stories, as templates with placeholders.

`config/schemas/prompts.yaml` lists the templates with the placeholders of each.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, shown, unknown

# Placeholders that a text may leave out; without the others a sentence would lack its content.
_OPTIONAL = ("other", "number")
_JSON_KEY = re.compile(r'"(\w+)"\s*:')
_ANSWER_KEYS = {
    "answer_form.rationale": ["rationale", "decision"],
    "answer_form.decision": ["decision"],
    "comprehension.answer_form": ["answer"],
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Templates:
    """The content of a prompts file.

    Attributes:
        texts: Templates by dotted key, such as `history.now`.
        instructions: Wordings of the instruction.
        user: The parts of the user message in their order.
        feelings: The words for each emotion that the checks look for.
    """

    texts: Mapping[str, str]
    instructions: tuple[str, ...]
    user: tuple[str, ...]
    feelings: Mapping[str, tuple[str, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the emotions that the checks offer."""
        return tuple(self.feelings)

    def fill(self, key: str, **values: object) -> str:
        """Return a template with its placeholders filled; braces in the values stay as they are."""
        return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), self.texts[key])


def option_literal(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string.

    The prompt shows options in this form, so that a model which copies one writes valid JSON.
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]


def load_templates(path: Path) -> Templates:
    """Return the templates of a file.

    Raises:
        ProblemList: Everything that is wrong with the file, one line each.
        UserError: The file cannot be read.
    """
    data, schema = read_data(path), schemas.read_schema("prompts")
    problems = schemas.problems(data, schema, path)
    texts = {}
    for key, text, placeholders in _texts(data, schema):
        texts[key] = text
        problems += [f"{path}: {key}: {line}" for line in _misused(text, placeholders)]
        problems += [f"{path}: {key}: {line}" for line in _renamed(key, text)]
    problems += [f"{path}: {line}" for line in _words_of_two(data)]
    if problems:
        raise ProblemList(problems)
    feelings = {emotion: tuple(words) for emotion, words in data["feelings"].items()}
    return Templates(texts, tuple(data["instructions"]), tuple(data["user"]), feelings)


def _words_of_two(data: Any) -> Iterator[str]:
    """Yield a line for each word for a feeling that is listed a second time."""
    feelings = data.get("feelings") if isinstance(data, Mapping) else None
    places: dict[object, str] = {}
    for emotion, words in feelings.items() if isinstance(feelings, Mapping) else ():
        for number, word in enumerate(words if isinstance(words, list) else ()):
            place = f"feelings.{emotion}[{number}]"
            first = places.setdefault(str(word).strip(), place)
            if first != place:
                yield f"{place}: {shown(word)} is {first}, too; list each word once"


def _texts(
    data: Any, schema: Mapping[str, Any], key: str = ""
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the dotted key, the text and the placeholders of each template in the data."""
    if isinstance(data, Mapping):
        for name, part in schema.get("properties", {}).items():
            yield from _texts(data.get(name), part, f"{key}.{name}".lstrip("."))
    elif isinstance(data, str) and "placeholders" in schema:
        yield key, data, schema["placeholders"]


def _renamed(key: str, text: str) -> Iterator[str]:
    """Yield a line if the form of an answer names other keys than those that are read."""
    keys = _ANSWER_KEYS.get(key)
    named = _JSON_KEY.findall(text)
    # A form in other words, without the keys, is right too.
    if keys and named and named != keys:
        expected, found = (", ".join(map(repr, names)) for names in (keys, named))
        yield f"expected the JSON keys {expected}, found {found}; answers are read by these keys"


def _misused(text: str, placeholders: list[str]) -> Iterator[str]:
    """Yield a line for each placeholder that is unknown or missing."""
    found = set(_PLACEHOLDER.findall(text))
    for name in sorted(found.difference(placeholders)):
        yield unknown("placeholder", name, placeholders)
    for name in placeholders:
        # An empty template leaves its sentence out on purpose.
        if text and name not in found and name not in _OPTIONAL:
            yield f"the placeholder {{{name}}} is missing"
