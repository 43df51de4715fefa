"""Imports go down only, without circles, and nothing heavy is loaded where a user waits for it."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rooms

SCRIPTS = Path(__file__).parents[1] / "scripts"
HEAVY = (
    "torch", "transformers", "pandas", "numpy", "scipy", "statsmodels", "matplotlib", "pygambit",
    "nashpy",
)  # fmt: skip


def test_every_package_is_in_the_list():
    folders = {path.parent.name for path in rooms.LIBRARY.glob("*/*.py")}
    assert folders == set(rooms.ROOMS)


def test_imports_go_down_only():
    assert rooms.upward(rooms.LIBRARY) == []


def test_imports_make_no_circle():
    assert rooms.circles(rooms.LIBRARY) == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        (
            "engine/scoring",
            "from emotion_games.experiment.trials import Trial",
            "experiment.trials",
        ),
        ("layout", "from emotion_games.series import state", "series.state"),
        ("analysis/rates", "import emotion_games.reporting.style", "reporting.style"),
    ],
)
def test_an_upward_import_is_found(tmp_path, module, line, found):
    library = tmp_path / "emotion_games"
    shutil.copytree(rooms.LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    path = library / f"{module}.py"
    path.write_text(f"{path.read_text()}\n\ndef late():\n    {line}\n")
    assert rooms.upward(library) == [f"{module.replace('/', '.')} imports {found}"]


def test_a_circle_is_found(tmp_path):
    (tmp_path / "one.py").write_text("from emotion_games import two\n")
    (tmp_path / "two.py").write_text("from emotion_games.three import x\n")
    (tmp_path / "three.py").write_text("def f():\n    import emotion_games.one\n\n\nx = 1\n")
    (tmp_path / "four.py").write_text("from emotion_games import one\n")
    assert rooms.circles(tmp_path) == ["one", "three", "two"]


def test_the_drawings_of_the_library_are_up_to_date():
    assert rooms.drawn() == rooms.drawings(), "run `python tests/rooms.py`"


def loaded(code: str) -> str:
    """Return the heavy packages that are loaded after some code has run."""
    code = f"import sys; {code}; print([name for name in {HEAVY!r} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=True).stdout


def test_the_snakefile_loads_nothing_heavy():
    assert loaded("import emotion_games.series.workflow").strip() == "[]"


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_an_entry_script_loads_nothing_heavy_before_its_log_is_open(script):
    assert loaded(f"import {script}").strip() == "[]"


def test_no_script_imports_a_script_and_the_package_has_one_name():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: a relative import"
                names.append(node.module or "")
            assert not {name.split(".")[0] for name in names} & (scripts | {"scripts"}), path
