"""The people of a story, and which of them the model is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_games.errors import unknown
from emotion_games.games.records import Game


@dataclass(frozen=True)
class Participant:
    """A person of a story; `name` is `you` if the story itself speaks to the model."""

    name: str
    profile: str = ""
    role: str | None = None


def participant_problems(raw: Any, game: Game) -> list[str]:
    """Return equal names and unknown roles among the `participants` of a scenario."""
    names, problems = [], []
    for index, item in enumerate(raw if isinstance(raw, list) else ()):
        person = item if isinstance(item, Mapping) else {"name": item}
        name, role = person.get("name"), person.get("role")
        if isinstance(name, str):
            names.append(_name_and_profile(name)[0])
        # In a game without roles nothing depends on the field.
        if game.role and isinstance(role, str) and role.strip() and not _player(role, game):
            problems.append(f"participants[{index}].role: {unknown('role', role, game.players)}")
    if len(set(map(str.casefold, names))) < len(names):
        problems.append(f"participants: two people have the same name: {', '.join(names)}")
    return problems


def read_participants(raw: Sequence[Any], game: Game) -> list[Participant]:
    """Return the people of a `participants` field without problems; the model comes first.

    The model is the person named `you`, else the one with its role, else the first without a role,
    else the first. Of the others, the one with the other role comes first.
    """
    people, players = [], []
    for item in raw:
        person = {"name": item} if isinstance(item, str) else item
        role = person.get("role")
        role = role.strip() if isinstance(role, str) else None
        name, in_brackets = _name_and_profile(person["name"])
        profile = (person.get("profile") or "").strip() or in_brackets
        if not (profile or game.role or _player(role or "", game)):
            # Where a role decides nothing, files describe the person with it.
            profile = role or ""
        people.append(Participant(name, profile, role))
        players.append(_player(role or "", game))
    names = [person.name for person in people]
    # A story that speaks to the model as `you` decides who it is, even against the roles.
    if "you" in names:
        you = names.index("you")
    else:
        candidates = [game.role, None] if game.role else []
        you = next((players.index(player) for player in candidates if player in players), 0)
    others = [index for index in range(len(people)) if index != you]
    if game.role:
        others.sort(key=lambda index: players[index] in (None, game.role))
    return [people[index] for index in (you, *others)]


def _name_and_profile(text: str) -> tuple[str, str]:
    """Return a name, and who that person is if the name is of the form `You (a farmer)`."""
    name = " ".join(text.split())
    you = re.fullmatch(r"you(?: \((.*)\))?", name, re.IGNORECASE)
    return ("you", you[1] or "") if you else (name, "")


def _player(role: str, game: Game) -> str | None:
    """Return the player that a role names; the case of letters does not matter."""
    by_name = {player.casefold(): player for player in game.players}
    return by_name.get(role.strip().casefold())
