"""The games of a folder of games: load one, list them, resolve a family's name, apply a config's settings.

Knows no game by name: every game is a folder with a `game.yaml`. The records that it hands out stand in `game_records`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, UserError, unknown
from emotion_games.games.definitions import build_game, histories_of
from emotion_games.games.records import (
    Choice,
    Game,
    History,
    Matrix,
    Node,
    Payoff,
    Phrases,
    Reference,
    leaves,
    node_at,
    phrases,
    with_choices,
    your_player,
)

__all__ = [
    "Choice",
    "Game",
    "History",
    "Matrix",
    "Node",
    "Payoff",
    "Phrases",
    "Reference",
    "apply_settings",
    "expand_game",
    "families",
    "game_names",
    "leaves",
    "load_game",
    "node_at",
    "phrases",
    "with_choices",
    "your_player",
]


def load_game(folder: Path) -> Game:
    """Return the game of a folder that holds a `game.yaml`; ProblemList with everything that is wrong with it."""
    path = Path(folder) / "game.yaml"
    definition = read_data(path)
    if not isinstance(definition, Mapping):
        raise ProblemList(
            [
                f"{path}: expected keys such as title, kind and choices, found {str(definition)[:60]!r}"
            ]
        )
    return build_game(Path(folder), definition, str(path))


def apply_settings(game: Game, entry: Mapping[str, Any]) -> Game:
    """Return the game narrowed and changed by its entry of `game_settings`: `histories` and the game's own numbers."""
    place = f"game_settings.{game.name}"
    allowed = ["histories", *game.settings]
    problems = [f"{place}: {unknown('key', key, allowed)}" for key in entry if key not in allowed]
    known = [history.name for history in game.histories]
    wanted = entry.get("histories", known)
    if not isinstance(wanted, list) or not wanted:
        problems.append(
            f"{place}.histories: expected a list of some of {', '.join(known)}, found {wanted!r}"
        )
    else:
        problems += [
            f"{place}.histories: {unknown('history', name, known)}"
            for name in wanted
            if name not in known
        ]
    for name in game.settings:
        if name in entry and (
            isinstance(entry[name], bool) or not isinstance(entry[name], (int, float))
        ):
            problems.append(f"{place}.{name}: expected a number, found {entry[name]!r}")
    if problems:
        raise ProblemList(problems)
    settings = {name: entry.get(name, value) for name, value in game.settings.items()}
    histories = {
        name: path for name, path in histories_of(game.definition).items() if name in wanted
    }
    definition = {**game.definition, "settings": settings, "histories": histories}
    assert game.folder is not None, f"{game.name} was not read from a folder"
    return build_game(game.folder, definition, place)


def game_names(root: Path) -> list[str]:
    """Return the names of the games in a folder of games, sorted."""
    return sorted(path.parent.name for path in Path(root).glob("*/game.yaml"))


def families(root: Path) -> dict[str, list[str]]:
    """Return the family names and the role games of each, in the order in which the roles play."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in game_names(root):
        game = load_game(Path(root) / name)
        if game.family and game.role:
            found.setdefault(game.family, []).append((game.players.index(game.role), name))
    return {family: [name for _, name in sorted(members)] for family, members in found.items()}


def expand_game(name: str, root: Path) -> list[str]:
    """Return the role games of a family name, or the name itself; UserError for a name that is neither."""
    names = game_names(root)
    if name in names:
        return [name]
    members = families(root)
    if name in members:
        return members[name]
    raise UserError(unknown("game", name, [*names, *members]))
