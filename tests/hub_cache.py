"""A cache of the hub as `hf download` leaves it, with models that never were on the hub."""

import hashlib
import os
from pathlib import Path

FIRST, SECOND = "1" * 40, "2" * 40


def cache_model(
    cache: Path, repository: str, files: Path, commit: str = FIRST, branch: str = "main"
) -> Path:
    """Add a commit to a cache, and let a branch point to it.

    Args:
        cache: The folder of the cache.
        repository: The hub id.
        files: A folder with the files of the model.
        commit: The commit.
        branch: The branch.

    Returns:
        The folder of the commit in the cache.
    """
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for path in sorted(files.iterdir()):
        blob = home / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (blob.parent, snapshot):
            folder.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(path.read_bytes())
        os.symlink(os.path.relpath(blob, snapshot), snapshot / path.name)
    move_branch(cache, repository, commit, branch)
    return snapshot


def move_branch(cache: Path, repository: str, commit: str, branch: str = "main") -> None:
    """Let a branch point to a commit."""
    reference = cache / f"models--{repository.replace('/', '--')}" / "refs" / branch
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit)
