"""The games of a folder of games: load one, list them, find a family, apply a config's settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data
from emotion_games.errors import ProblemList, UserError, unknown
from emotion_games.games.definitions import build_game, histories_of
from emotion_games.games.records import Game


def load_game(folder: Path) -> Game:
    """Return the game of a folder with a `game.yaml`.

    Raises:
        ProblemList: Everything that is wrong with the file, one line each.
        UserError: The file cannot be read.
    """
    path = folder / "game.yaml"
    return build_game(folder, read_data(path), str(path))


def apply_settings(game: Game, entry: Mapping[str, Any]) -> Game:
    """Return the game as its entry of `game_settings` in a config changes it.

    Args:
        game: A game that was read from a folder.
        entry: `histories`, the names of those to keep, and numbers of the game's `settings`.

    Raises:
        ProblemList: Everything that is wrong with the entry, or with the game that it makes.
    """
    if not entry:
        return game
    names = [history.name for history in game.histories]
    some_of_them = {
        "type": "array",
        "minItems": 1,
        "items": {"enum": names},
        "description": f"some of {', '.join(names)}",
    }
    allowed = {"histories": some_of_them, **dict.fromkeys(game.settings, {"type": "number"})}
    schema = {"type": "object", "properties": allowed, "additionalProperties": False}
    # The nested data give each problem the name of its place in a config.
    problems = schemas.problems(
        {"game_settings": {game.name: entry}},
        {"properties": {"game_settings": {"properties": {game.name: schema}}}},
    )
    if problems:
        raise ProblemList(problems)
    # The whole definition is built again, because payoffs and phrases depend on the settings.
    numbers = dict(entry)
    kept = numbers.pop("histories", names)
    histories = histories_of(game.definition)
    definition = {
        **game.definition,
        "settings": {**game.settings, **numbers},
        "histories": {name: histories[name] for name in names if name in kept},
    }
    assert game.folder is not None, f"{game.name} was not read from a folder"
    return build_game(game.folder, definition, f"game_settings.{game.name}")


def game_names(root: Path) -> list[str]:
    """Return the names of the games in a folder of games, sorted."""
    return sorted(path.parent.name for path in root.glob("*/game.yaml"))


def families(root: Path) -> dict[str, list[str]]:
    """Return the role games of each family, in the order in which the roles play."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in game_names(root):
        game = load_game(root / name)
        if game.family and game.role:
            found.setdefault(game.family, []).append((game.players.index(game.role), name))
    return {family: [name for _, name in sorted(members)] for family, members in found.items()}


def expand_game(name: str, root: Path) -> list[str]:
    """Return the role games of a family, or the name itself if it is that of a game.

    Raises:
        UserError: The name is neither.
    """
    names = game_names(root)
    if name in names:
        return [name]
    members = families(root)
    if name in members:
        return members[name]
    raise UserError(unknown("game", name, [*names, *members]))
