"""Everything that makes answers is in the fingerprint; a new module must be classed before the tests pass."""

import shutil
from pathlib import Path

from emotion_games.experiment import provenance

LIBRARY = Path(provenance.__file__).parents[1]
# What these do reaches an answer only through texts, tensors and settings that are hashed themselves, or not at all.
NOT_ANSWERING = {
    "experiment_statistics", "check_figures", "check_items", "claims", "config", "contrasts", "damage",
    "data_files", "sentences", "dose_response", "style", "stimuli", "equilibria", "errors", "cells",
    "experiment_figures", "formulas", "playable", "definitions", "records", "catalog", "grid", "heat_map",
    "heterogeneity", "inference", "job", "journal", "manipulation", "material", "page", "page_data",
    "participants", "analysis_plan", "figure_files", "power", "preview", "provenance", "rates", "repeat",
    "completeness", "results", "scenarios", "self_check", "folder", "series_statistics", "signals", "state",
    "frozen",
}  # fmt: skip


def test_every_module_is_classed():
    modules = {file.stem for file in LIBRARY.rglob("*.py") if "demo" not in file.parts}
    answering = {Path(name).name for name in provenance.ANSWERING}
    unclassed = modules - answering - NOT_ANSWERING
    assert not unclassed, f"class these in provenance.ANSWERING or here: {sorted(unclassed)}"
    assert answering | NOT_ANSWERING <= modules
    assert not answering & NOT_ANSWERING


def test_the_hash_follows_the_source_of_answering_modules(tmp_path, monkeypatch):
    shutil.copytree(LIBRARY, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "experiment" / "provenance.py"))
    before = provenance.answering_code_hash()
    (tmp_path / "series" / "grid.py").write_text("# changed")
    assert provenance.answering_code_hash() == before
    (tmp_path / "engine" / "hooks.py").write_text("# changed")
    assert provenance.answering_code_hash() != before


def test_environment_names_what_matters():
    told = provenance.environment()
    assert told["packages"]["torch"] and told["packages"]["transformers"] and told["python"]
