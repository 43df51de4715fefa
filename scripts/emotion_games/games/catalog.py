"""The games of a folder of games: load one, list them, find a family, apply a config's settings."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.data_files import read_data, read_file
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
    return sorted(path.parent.name for path in root.glob("*/game.yaml") if path.is_file())


def family_names(root: Path) -> list[str]:
    """Return the names of the families in a folder of games, as far as the games can be read."""
    names: set[str] = set()
    for name in game_names(root):
        with suppress(UserError):
            definition = read_data(root / name / "game.yaml")
            family = definition.get("family") if isinstance(definition, dict) else None
            if isinstance(family, str):
                names.add(family)
    return sorted(names)


def expand_game(name: str, root: Path) -> list[str]:
    """Return the role games of a family as they play, or the name itself if it is that of a game.

    Raises:
        UserError: The name is neither.
        ProblemList: A game that may belong to the family cannot be loaded.
    """
    names = game_names(root)
    if name in names:
        return [name]
    # Only a file with this text can belong to the family, so other drafts may be faulty.
    files = {game: root / game / "game.yaml" for game in names}
    games = [load_game(root / game) for game in names if name.encode() in read_file(files[game])]
    members = [game for game in games if game.family == name and game.role]
    if not members:
        raise UserError(unknown("game", name, [*names, *family_names(root)]))
    return [game.name for game in sorted(members, key=lambda game: game.players.index(game.role))]
