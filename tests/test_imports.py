"""What the library may import: nothing heavy where the Snakefile reads it, and everything by one spelling."""

import ast
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
LIGHT = (
    "errors", "data_files", "signals", "games.formulas", "games.catalog", "games.definitions", "games.records",
    "games.scenarios", "prompts.stimuli", "prompts.messages", "prompts.answers", "experiment.conditions",
    "experiment.trials", "experiment.journal", "reporting.page", "reporting.page_data", "series.config",
    "series.grid", "series.folder", "series.state", "series.completeness", "series.job", "series.preview",
)  # fmt: skip
HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "numpy",
    "scipy",
    "statsmodels",
    "matplotlib",
    "pygambit",
    "nashpy",
)


def test_what_the_snakefile_reads_loads_nothing_heavy():
    code = f"""
import sys
for name in {LIGHT!r}:
    __import__(f"emotion_games.{{name}}")
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_entry_scripts_load_nothing_heavy_before_their_log_is_open():
    for script in SCRIPTS.glob("*.py"):
        code = f"import sys; import {script.stem}; print([name for name in {HEAVY!r} if name in sys.modules])"
        shown = subprocess.run(
            [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
        )
        assert shown.stdout.strip() == "[]", script.name


def test_no_script_imports_a_script_and_the_package_has_one_name():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in scripts | {"scripts"}], path
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
