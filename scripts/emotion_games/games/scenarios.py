"""Stories of a game: load the shipped banks and users' own files.

Users' files may use other labels for the choices and leave out ids and roles. Every entry of a file
is either loaded or reported in one line.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_games.data_files import SUFFIXES, data_files, read_entries
from emotion_games.errors import UserError, shown
from emotion_games.games.entry_checks import (
    check_entry,
    choices_field,
    other_field,
    with_text_labels,
)
from emotion_games.games.participants import Participant, read_participants
from emotion_games.games.records import Game
from emotion_games.games.skipped import Skipped


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
    path: Path,
    game: Game,
    choice_labels: Mapping[str, str] | None = None,
    show_payoffs: bool = False,
) -> tuple[list[Scenario], list[Skipped]]:
    """Read the scenarios of a file or of all files in a folder.

    Args:
        path: A .json or .yaml file, or a folder of them.
        game: The game whose choices the scenarios offer.
        choice_labels: Labels of the file and the game's labels that they stand for. They take
            precedence over the aliases of the game.
        show_payoffs: Whether the model is told the payoffs. A story is then skipped if its own
            numbers contradict them.

    Returns:
        The scenarios in the order of the file, and each entry or file that cannot be used.
    """
    aliases = {**game.aliases, **(choice_labels or {})}
    scenarios: list[Scenario] = []
    skipped: list[Skipped] = []
    # Where each id and description occurs first: a repeated story is no second observation.
    owners: dict[str, str] = {}
    for place, content in _entries(path, skipped):
        entry = with_text_labels(content, game)
        problem = check_entry(place, entry, game, aliases, show_payoffs)
        if not problem:
            scenario = _scenario(entry, game, aliases)
            keys = {"description": _digest(scenario.description), "id": scenario.scenario_id}
            repeated = next((what for what, key in keys.items() if key in owners), None)
            if not repeated:
                scenarios.append(scenario)
                owners |= dict.fromkeys(keys.values(), place)
                continue
            reason = f"{repeated}: the same as in an earlier entry; remove one or change it"
            problem = Skipped(place, (reason,), earlier=owners[keys[repeated]])
        skipped.append(problem)
    return scenarios, skipped


def _entries(path: Path, skipped: list[Skipped]) -> Iterator[tuple[str, Any]]:
    """Yield the place and the content of every entry; add files without entries to `skipped`."""

    def skip(place: Path, reason: str) -> None:
        skipped.append(Skipped(str(place), (reason,), is_entry=False))

    endings = " or ".join(SUFFIXES)
    if not os.path.lexists(path):
        skip(path, f"no such file or folder; give a {endings} file or a folder of them")
        return
    try:
        files, folders = data_files(path), _folders(path)
    except OSError as error:
        skip(path, f"cannot be read: {error.strerror}")
        return
    for folder in folders:
        skip(folder, "a folder in the folder of scenarios, which is not read; move its files up")
    if not files:
        skip(path, f"holds no scenarios: the folder has no {endings} file")
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            skip(file, f"expected a {endings} file, found {file.suffix or 'no ending'!r}")
            continue
        try:
            data = read_entries(file)
        except UserError as error:
            skip(file, str(error).removeprefix(f"{file}: "))
            continue
        if isinstance(data, Mapping) and data:
            yield str(file), data
        elif isinstance(data, list) and data:
            for index, entry in enumerate(data):
                yield f"{file}[{index}]", entry
        else:
            found = "nothing" if data in ([], {}) else shown(data)
            skip(
                file, f"holds no scenarios: expected a list of them or a single one, found {found}"
            )


def _folders(path: Path) -> list[Path]:
    """Return the visible folders in a folder, and none in a file."""
    if not os.path.isdir(path):
        return []
    return [sub for sub in sorted(path.iterdir()) if sub.is_dir() and sub.name[0] != "."]


def _scenario(entry: Mapping[str, Any], game: Game, aliases: Mapping[str, str]) -> Scenario:
    """Return the scenario of an entry without problems."""
    description = entry["description"].strip()
    options = _texts(entry[choices_field(entry, game)], aliases)
    earlier = entry.get(other_field(game)) if game.role else None
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
