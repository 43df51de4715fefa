"""Stories of a game: load the shipped banks and users' own files, and say in one line what is wrong with each entry.

Knows the shape of a scenario and its usual irregularities (roles missing or misspelt, three participants, labels of
another vocabulary, no ids). Knows nothing of prompts. Every entry of a file is either loaded or named in a problem.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from emotion_games.data_files import read_data, repeated_keys
from emotion_games.errors import UserError, shown, unknown
from emotion_games.games.catalog import Game
from emotion_games.games.participants import (
    Participant,
    model_place,
    others_in_order,
    read_participants,
)

__all__ = ["Participant", "Scenario", "load_scenarios", "scenario_bank"]

_SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Scenario:
    """One story. `options` are the model's texts by label; `earlier` the other role's, where the story gives them."""

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
    """Return where the shipped scenarios of a game lie: in its folder, or in its family's beside it."""
    assert game.folder is not None, f"{game.name} was not read from a folder"
    own = game.folder / "scenarios.yaml"
    return (
        game.folder.parent / game.family / "scenarios.yaml"
        if game.family and not own.is_file()
        else own
    )


def load_scenarios(
    path: Path, game: Game, choice_labels: Mapping[str, str] | None = None
) -> tuple[list[Scenario], list[str]]:
    """Return the scenarios of a file or folder in its order, and one line for each entry that could not be loaded.

    `choice_labels` maps labels of the file to labels of the game; it wins over the game's own aliases.
    """
    aliases = {**game.aliases, **(choice_labels or {})}
    scenarios: list[Scenario] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for place, entry in _entries(Path(path), problems):
        loaded = _scenario(entry, game, aliases)
        if isinstance(loaded, Scenario):
            earlier = seen.get(_key(loaded.description)) or seen.get(loaded.scenario_id)
            if earlier is None:
                seen[_key(loaded.description)] = seen[loaded.scenario_id] = place
                scenarios.append(loaded)
                continue
            what = (
                "id"
                if seen.get(loaded.scenario_id) and not seen.get(_key(loaded.description))
                else "description"
            )
            loaded = [f"{what}: the same as in {earlier}; remove one or change it"]
        # What a file holds may contain line breaks; a problem is one line.
        problems.append(f"{place}: {' '.join('; '.join(loaded).split())}")
    return scenarios, problems


def _entries(path: Path, problems: list[str]) -> Iterable[tuple[str, Any]]:
    """Yield (place, raw entry) of every scenario of a file or folder; unreadable and empty files become problems."""
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
            problems.append(
                f"{path}: holds no scenarios: the folder has no {' or '.join(_SUFFIXES)} file"
            )
    elif path.suffix.lower() not in _SUFFIXES:
        problems.append(
            f"{path}: expected a {' or '.join(_SUFFIXES)} file, found {path.suffix or 'no ending'!r}"
        )
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
            yield from (
                (f"{file}, entry {index}", entry) for index, entry in enumerate(data, start=1)
            )
        else:
            found = "nothing" if data in (None, [], {}) else shown(data)
            problems.append(
                f"{file}: holds no scenarios: expected a list of them or a single one, found {found}"
            )


def _scenario(entry: Any, game: Game, aliases: Mapping[str, str]) -> Scenario | list[str]:
    """Return the scenario of one raw entry, or everything that is wrong with it."""
    if not isinstance(entry, Mapping):
        return [f"expected a scenario with its fields, found {shown(entry)}"]
    problems = [f"{key}: stands there twice" for key in repeated_keys(entry)]
    description = _text(entry, "description", problems, required=True)
    title = _text(entry, "scenario", problems)
    options = _options(entry, game, aliases, problems)
    people = read_participants(entry.get("participants"), problems)
    scenario_id = entry.get("id", None)
    if scenario_id is not None and (
        isinstance(scenario_id, (bool, list, Mapping)) or not str(scenario_id).strip()
    ):
        problems.append(f"id: expected a short text, found {shown(scenario_id)}")
    if problems:
        return problems
    you = model_place(people, game)
    return Scenario(
        # Ids become parts of names that `/` and `|` divide.
        scenario_id=re.sub(r"[^\w.-]+", "_", str(scenario_id).strip())
        if scenario_id is not None
        else _id(description),
        title=title,
        description=description,
        you=people[you],
        others=others_in_order(people, you, game),
        options=options,
        earlier=_earlier(entry, game, aliases),
        setting=str(entry.get("setting") or ""),
    )


def _id(description: str) -> str:
    return f"s{_key(description)[:10]}"


def _text(entry: Mapping[str, Any], key: str, problems: list[str], required: bool = False) -> str:
    value = entry.get(key)
    if isinstance(value, str) and value.strip():
        return value.strip()
    if required and value in (None, ""):
        problems.append(f"{key}: is missing{_misspelt(key, entry)}")
    elif value not in (None, "") or required:
        problems.append(f"{key}: expected text, found {shown(value)}")
    return ""


def _misspelt(key: str, entry: Mapping[str, Any]) -> str:
    near = get_close_matches(key, [str(other) for other in entry if other != key], n=1, cutoff=0.75)
    return f" (found {near[0]!r}: rename it)" if near else ""


def _options(
    entry: Mapping[str, Any], game: Game, aliases: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """Return the model's option texts under the game's labels, in the game's order."""
    wanted = f"{game.role}_behavior_choices" if game.role else "behavior_choices"
    key = wanted if wanted in entry else "behavior_choices"
    raw = entry.get(key)
    if raw is None:
        problems.append(f"{wanted}: is missing{_misspelt(wanted, entry)}")
        return {}
    if not isinstance(raw, Mapping) or not raw:
        problems.append(
            f"{key}: expected {{label: text}} with {', '.join(game.labels)}, found {shown(raw)}"
        )
        return {}
    problems += [f"{key}: {label!r} stands there twice" for label in repeated_keys(raw)]
    found: dict[str, str] = {}
    for name, text in raw.items():
        label = aliases.get(str(name), str(name))
        if label not in game.labels:
            problems.append(
                f"{key}: {unknown('choice', str(name), game.labels)}, or map it in the config: "
                f"choice_labels: {{{game.name}: {{{name}: ...}}}}"
            )
        elif label in found:
            problems.append(f"{key}: {str(name)!r} is a second text for {label}")
        elif not isinstance(text, str) or not text.strip():
            problems.append(f"{key}, {name}: expected text, found {shown(text)}")
        else:
            found[label] = " ".join(text.split())
    missing = [label for label in game.labels if label not in found]
    if not problems and missing and (not game.subset or len(found) < 2):
        problems.append(f"{key}: {', '.join(missing)} missing; found {', '.join(found)}")
    texts = [text.casefold() for text in found.values()]
    if len(set(texts)) < len(texts):
        problems.append(f"{key}: two choices have the same text")
    return {label: found[label] for label in game.labels if label in found}


def _earlier(entry: Mapping[str, Any], game: Game, aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the other role's option texts, with which histories are told; nothing where the entry has none."""
    if not game.role:
        return {}
    other = next(player for player in game.players if player != game.role)
    raw = entry.get(f"{other}_behavior_choices")
    if not isinstance(raw, Mapping):
        return {}
    return {
        aliases.get(str(name), str(name)): " ".join(text.split())
        for name, text in raw.items()
        if isinstance(text, str) and text.strip()
    }


def _key(text: str) -> str:
    return hashlib.sha256(
        " ".join(text.split()).casefold().encode("utf-8", "surrogatepass")
    ).hexdigest()
