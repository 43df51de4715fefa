"""Stories of a game: load the shipped banks and users' own files.

Users' files may use other labels for the choices and leave out ids and roles. Every entry of a file
is either loaded or reported in one line.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import UserError, shown, unknown
from emotion_games.games.participants import Participant, participant_problems, read_participants
from emotion_games.games.records import Game

_SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Scenario:
    """One story.

    Attributes:
        options: The texts of the model's choices by label, in the game's order.
        earlier: The texts of the other role's choices, if the story gives them; they describe what
            was played before.
    """

    scenario_id: str
    title: str
    description: str
    you: Participant
    others: tuple[Participant, ...]
    options: Mapping[str, str]
    earlier: Mapping[str, str] = field(default_factory=dict)
    setting: str = ""

    @property
    def other(self) -> Participant:
        """The participant who plays the game with the model."""
        return self.others[0]


def scenario_bank(game: Game) -> Path:
    """Return the file of a game's shipped scenarios, in its own folder or in its family's."""
    assert game.folder is not None, f"{game.name} was not read from a folder"
    own = game.folder / "scenarios.yaml"
    if own.is_file() or not game.family:
        return own
    return game.folder.parent / game.family / "scenarios.yaml"


def load_scenarios(
    path: Path, game: Game, choice_labels: Mapping[str, str] | None = None
) -> tuple[list[Scenario], list[str]]:
    """Read the scenarios of a file or of all files in a folder.

    Args:
        path: A .json or .yaml file, or a folder of them.
        game: The game whose choices the scenarios offer.
        choice_labels: Labels of the file and the game's labels that they stand for. They take
            precedence over the aliases of the game.

    Returns:
        The scenarios in the order of the file, and one line for each entry or file that cannot be
        used.
    """
    aliases = {**game.aliases, **(choice_labels or {})}
    scenarios: list[Scenario] = []
    problems: list[str] = []
    # Where each id and description occurs first: a repeated story is no second observation.
    owners: dict[str, str] = {}
    for place, entry in _entries(path, problems):
        lines = _problems(entry, game, aliases)
        if not lines:
            scenario = _scenario(entry, game, aliases)
            keys = {"description": _digest(scenario.description), "id": scenario.scenario_id}
            for what, key in keys.items():
                if key in owners and not lines:
                    lines = [f"{what}: the same as in {owners[key]}; remove one or change it"]
            if not lines:
                scenarios.append(scenario)
                owners |= dict.fromkeys(keys.values(), place)
        if lines:
            # Texts of a file can contain line breaks.
            problems.append(f"{place}: {' '.join('; '.join(lines).split())}")
    return scenarios, problems


def _entries(path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the place and the content of every entry; add files without entries to `problems`."""
    endings = " or ".join(_SUFFIXES)
    if not path.exists():
        problems.append(
            f"{path}: no such file or folder; give a .json or .yaml file or a folder of them"
        )
        return
    files = [path]
    if path.is_dir():
        files = sorted(
            file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file()
        )
        if not files:
            problems.append(f"{path}: holds no scenarios: the folder has no {endings} file")
    elif path.suffix.lower() not in _SUFFIXES:
        problems.append(f"{path}: expected a {endings} file, found {path.suffix or 'no ending'!r}")
        return
    for file in files:
        try:
            data = read_data(file)
        except UserError as error:
            problems.append(str(error))
            continue
        if isinstance(data, Mapping) and data:
            yield str(file), data
        elif isinstance(data, list) and data:
            for index, entry in enumerate(data):
                yield f"{file}[{index}]", entry
        else:
            found = "nothing" if data in ([], {}) else shown(data)
            problems.append(
                f"{file}: holds no scenarios: expected a list of them or a single one, "
                f"found {found}"
            )


def _problems(entry: Any, game: Game, aliases: Mapping[str, str]) -> list[str]:
    """Return everything that is wrong with an entry."""
    schema = schemas.read_schema("scenario")
    if not isinstance(entry, Mapping):
        return schemas.problems(entry, schema)
    key = _choices_key(entry, game)
    # The names of these fields and their labels depend on the game.
    choices = schema["$defs"]["choices"]
    fields = {f"{player}_behavior_choices": choices for player in game.players if game.role}
    fields[key] = choices | {"description": f"{{label: text}} with {', '.join(game.labels)}"}
    game_schema = schema | {
        "required": [*schema["required"], key],
        "properties": schema["properties"] | fields,
    }
    problems = schemas.problems(entry, game_schema)
    problems += [f"{key}: {line}" for line in _option_problems(entry.get(key), game, aliases)]
    return problems + participant_problems(entry.get("participants"), game)


def _choices_key(entry: Mapping[str, Any], game: Game) -> str:
    """Return the field with the model's choices: that of its role, or the one without a role."""
    own = f"{game.role}_behavior_choices"
    plain = "behavior_choices"
    return plain if not game.role or (plain in entry and own not in entry) else own


def _option_problems(raw: Any, game: Game, aliases: Mapping[str, str]) -> list[str]:
    """Return unknown, repeated and missing choices of an entry, and equal texts."""
    if not isinstance(raw, Mapping):
        return []
    problems = []
    found: dict[str, str] = {}
    for name, text in raw.items():
        label = aliases.get(str(name), str(name))
        if label not in game.labels:
            problems.append(
                f"{unknown('choice', str(name), game.labels)}, or map it in the config: "
                f"choice_labels: {{{game.name}: {{{name}: ...}}}}"
            )
        elif label in found:
            problems.append(f"{str(name)!r} is a second text for {label}")
        else:
            found[label] = " ".join(text.casefold().split()) if isinstance(text, str) else ""
    # An unknown label may be a misspelt one, so nothing is reported as missing beside it.
    missing = [label for label in game.labels if label not in found]
    if not problems and missing and (not game.subset or len(found) < 2):
        problems.append(f"{', '.join(missing)} missing; found {', '.join(found) or 'nothing'}")
    # An answer that names one of two equal texts could not be read.
    texts = [text for text in found.values() if text]
    if len(set(texts)) < len(texts):
        problems.append("two choices have the same text")
    return problems


def _scenario(entry: Mapping[str, Any], game: Game, aliases: Mapping[str, str]) -> Scenario:
    """Return the scenario of an entry without problems."""
    description = entry["description"].strip()
    options = _texts(entry[_choices_key(entry, game)], aliases)
    other = next((player for player in game.players if player != game.role), "")
    earlier = entry.get(f"{other}_behavior_choices") if game.role else None
    you, *others = read_participants(entry["participants"], game)
    scenario_id = f"s{_digest(description)[:10]}"
    if entry.get("id") is not None:
        # Ids become parts of names that `/` and `|` divide.
        scenario_id = re.sub(r"[^\w.-]+", "_", str(entry["id"]).strip())
    return Scenario(
        scenario_id=scenario_id,
        title=(entry.get("scenario") or "").strip(),
        description=description,
        you=you,
        others=tuple(others),
        options={label: options[label] for label in game.labels if label in options},
        earlier=_texts(earlier or {}, aliases),
        setting=str(entry.get("setting") or ""),
    )


def _texts(choices: Mapping[str, str], aliases: Mapping[str, str]) -> dict[str, str]:
    return {aliases.get(name, name): " ".join(text.split()) for name, text in choices.items()}


def _digest(text: str) -> str:
    words = " ".join(text.split()).casefold()
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
