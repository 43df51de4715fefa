"""A replacement for the reading of directions."""

from types import SimpleNamespace


class Directions:
    """The name that other modules import."""


def load(path):
    return SimpleNamespace(about={"weights_hash": "the only ones"})
