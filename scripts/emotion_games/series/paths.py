"""Paths in a config: which ones can be used, and where they lead."""

import os
from pathlib import Path

from emotion_games.errors import UserError

# Names of files inside a series add to these lengths. File systems allow 255 bytes for a name, and
# 4096 for a path.
_LONGEST_NAME = 200
_LONGEST_PATH = 2000


def check_path(path: object) -> None:
    """Check that file systems and Snakemake can use a path, whether or not it exists.

    Raises:
        UserError: The reason in one line.
    """
    if not isinstance(path, str):
        return
    if not path:
        raise UserError("is empty; expected a path")
    if "{" in path or "}" in path:
        raise UserError(f"{path}: Snakemake takes braces for wildcards; rename the folder or file")
    full = os.path.expanduser(path)
    if full.startswith("~"):
        raise UserError(f"{path}: there is no user {path.split('/')[0][1:]!r}")
    name, whole = max(map(len, os.fsencode(full).split(b"/"))), len(os.fsencode(full))
    if name > _LONGEST_NAME:
        raise UserError(f"a name of {name:,} bytes; allowed: at most {_LONGEST_NAME}")
    if whole > _LONGEST_PATH:
        raise UserError(f"a path of {whole:,} bytes; allowed: at most {_LONGEST_PATH:,}")


def find_file(path: str, root: Path) -> Path:
    """Return a path that is relative to the working directory or, if not there, to the workflow."""
    # Functions of os.path return False for a name that is too long; those of Path raise an error.
    here = Path(os.path.expanduser(path))
    return here if here.is_absolute() or os.path.exists(here) else root / here


def check_output_folder(path: Path) -> None:
    """Check that a folder exists or could be made.

    Raises:
        UserError: It is none, or cannot be written.
    """
    nearest = path.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not os.path.isdir(nearest):
        raise UserError(f"{nearest} is not a folder; choose another one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{nearest} cannot be written; choose another folder")
