"""Digests of data, files and code."""

import ast
import hashlib
import json
import os
from collections.abc import Container, Iterable
from pathlib import Path

from emotion_games.data_files import data_files, read_file
from emotion_games.errors import UserError

LIBRARY = Path(__file__).parent


def digest(content: object) -> str:
    """Return the SHA-256 of the canonical JSON of plain data."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the data files in a folder.

    Raises:
        UserError: A file cannot be read.
    """
    if not os.path.isdir(path):
        return hashlib.sha256(read_file(path)).hexdigest()
    try:
        files = data_files(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    # Names count too: two files may have swapped their contents.
    return digest([[file.name, content_hash(file)] for file in files])


def code_hash(rooms: Iterable[str], without: Container[str] = ()) -> str:
    """Return the SHA-256 of the syntax trees of whole packages of this library.

    Comments, docstrings and layout do not change it, so correcting a typo restarts no series.

    Args:
        rooms: Packages, such as `engine`.
        without: Modules of them to leave out, such as `engine/self_check.py`.
    """
    trees = {}
    for room in rooms:
        for path in (LIBRARY / room).rglob("*.py"):
            name = path.relative_to(LIBRARY).as_posix()
            if name not in without:
                trees[name] = _tree(path)
    return digest(trees)


def _tree(path: Path) -> str:
    """Return the syntax tree of a module as text, without docstrings and positions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [each for each in node.body if not _is_text(each)]
    # By default the dump has no line numbers.
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    """Return True for a docstring, or for any other string that is a statement by itself."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
