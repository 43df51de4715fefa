"""The names of games as others write them: `Prisoner's Dilemma` for `Prisoners_Dilemma`."""

import re
from functools import cache
from pathlib import Path

from emotion_games.data_files import read_data
from emotion_games.errors import UserError
from emotion_games.games.records import Game

_FILLERS = {"a", "and", "game", "of", "or", "the"}


def is_named(game: Game, name: str) -> bool:
    """Return True if a name is one of the game's, of its family, or its title."""
    names = (game.name, game.family, game.title, *game.other_names)
    return _plain(name) in {_plain(own) for own in names if own}


def is_known(name: str, root: Path) -> bool:
    """Return True if a name is that of any game in a folder of games."""
    return _plain(name) in _known(root)


@cache
def _known(root: Path) -> set[str]:
    names = set()
    for path in root.glob("*/game.yaml"):
        names.add(path.parent.name)
        try:
            definition = read_data(path)
        except UserError:
            # Another game's fault must not matter here.
            continue
        if isinstance(definition, dict):
            names |= {str(definition.get(key, "")) for key in ("family", "title")}
            other_names = definition.get("other_names")
            names |= set(map(str, other_names if isinstance(other_names, list) else ()))
    return {_plain(name) for name in names} - {""}


def _plain(name: str) -> str:
    """Return what remains of a name without case, punctuation, plurals, fillers and brackets."""
    name = re.sub(r"\(.*?\)|['’]", "", name)
    # `TrustGame` has two words.
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return "".join(word.removesuffix("s") for word in words if word not in _FILLERS)
