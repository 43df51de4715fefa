"""The people of a story, and which of them the model is.

Knows names, profiles and roles, roles missing or misspelt among them; knows nothing of the rest of a scenario.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from emotion_games.errors import shown
from emotion_games.games.catalog import Game


@dataclass(frozen=True)
class Participant:
    """A person of a story; `name` is `you` where the story itself speaks to the model."""

    name: str
    profile: str = ""
    role: str | None = None


def read_participants(raw: Any, problems: list[str]) -> list[Participant]:
    """Return the people of a scenario's `participants` field, and add what is wrong with them to `problems`."""
    if not isinstance(raw, list) or not raw:
        problems.append(
            f"participants: expected a list of two people with a name, found {shown(raw)}"
        )
        return []
    people = []
    for index, item in enumerate(raw, start=1):
        person = {"name": item} if isinstance(item, str) else item
        if (
            not isinstance(person, Mapping)
            or not isinstance(person.get("name"), str)
            or not person["name"].strip()
        ):
            problems.append(f"participants, person {index}: expected a name, found {shown(item)}")
            continue
        profile, role = person.get("profile") or "", person.get("role")
        if not isinstance(profile, str):
            problems.append(
                f"participants, person {index}: profile: expected text, found {shown(profile)}"
            )
            continue
        name = " ".join(person["name"].split())
        name = "you" if name.casefold() == "you" else name
        people.append(
            Participant(name, profile.strip(), role.strip() if isinstance(role, str) else None)
        )
    names = [person.name.casefold() for person in people]
    if len(set(names)) < len(names):
        problems.append(
            f"participants: two people have the same name: {', '.join(person.name for person in people)}"
        )
    elif len(people) == 1 and len(raw) == 1:
        problems.append(f"participants: expected two people, found {people[0].name} alone")
    return people


def _role(person: Participant, game: Game) -> str | None:
    """Return the player whom a person's role names, read with a typing error or two; None where it names nobody."""
    if person.role is None:
        return None
    by_name = {player.casefold(): player for player in game.players}
    near = get_close_matches(person.role.casefold(), by_name, n=1, cutoff=0.75)
    return by_name[near[0]] if near else None


def model_place(people: list[Participant], game: Game) -> int:
    """Return who the model is: the one named you, else the one with its role, else the first who may have it."""
    for index, person in enumerate(people):
        if person.name == "you":
            return index
    if game.role:
        roles = [_role(person, game) for person in people]
        if game.role in roles:
            return roles.index(game.role)
        if None in roles:
            return roles.index(None)
    return 0


def others_in_order(people: list[Participant], you: int, game: Game) -> tuple[Participant, ...]:
    """Return the others, the one with the other role first."""
    rest = people[:you] + people[you + 1 :]
    if game.role:
        rest.sort(key=lambda person: _role(person, game) in (None, game.role))
    return tuple(rest)
