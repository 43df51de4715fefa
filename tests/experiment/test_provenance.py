"""Everything that makes answers is in the fingerprint; a new module must be classed before the tests pass."""

import shutil
from pathlib import Path

from emotion_games.experiment import provenance

LIBRARY = Path(provenance.__file__).parents[1]
# What these do reaches an answer only through texts, tensors and settings that are hashed themselves, or not at all.
NOT_ANSWERING = {
    "analysis", "check_figures", "check_items", "claims", "config", "contrasts", "damage",
    "data_files", "describe", "dose_response", "drawing", "emotions", "equilibria", "errors", "estimates",
    "figures", "formulas", "game_checks", "game_files", "game_records", "games", "grid", "heat_map",
    "heterogeneity", "inference", "job", "journal", "manipulation", "material", "page", "page_parts",
    "participants", "plan", "plots", "power", "preview", "provenance", "rates", "repeat", "report",
    "results", "scenarios", "selfcheck", "series", "series_analysis", "signals", "state",
    "unchanged",
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
    (tmp_path / "series" / "report.py").write_text("# changed")
    assert provenance.answering_code_hash() == before
    (tmp_path / "engine" / "steering.py").write_text("# changed")
    assert provenance.answering_code_hash() != before


def test_environment_names_what_matters():
    told = provenance.environment()
    assert told["packages"]["torch"] and told["packages"]["transformers"] and told["python"]
