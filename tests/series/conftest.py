"""A working directory for series."""

import shutil
from pathlib import Path

import pytest

from emotion_games.series.folder import PINNED

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with its own stimuli, which a test may change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(PINNED, raising=False)
    shutil.copytree(ROOT / "config" / "emotions", tmp_path / "mine")
    return tmp_path
