"""The statistics of a finished experiment are computed again from its files, without its model."""

import json
import re
import shutil

import pandas as pd
import pytest

import recompute_statistics
from emotion_games import files, layout
from emotion_games.engine import models
from emotion_games.experiment.results import read_configuration
from emotion_games.layout import STATISTICS
from emotion_games.reporting.codebook import codebook
from series_records import write_series

STAMP = "20300101_000000"


@pytest.fixture
def series(reference, tmp_path):
    """A series with one finished experiment and one that has not begun."""
    write_series(tmp_path, {"x": {}, "y": {}}, stamp=STAMP)
    shutil.copytree(reference, layout.output_dir(tmp_path, "x", STAMP))
    journal = layout.journal_path(tmp_path, "x")
    shutil.copy(reference.parent / journal.name, journal)
    table = layout.push_checks_path(tmp_path, "x")
    table.parent.mkdir(parents=True)
    shutil.copy(reference.parent / table.name, table)
    return tmp_path


@pytest.fixture
def folder(series):
    return layout.output_dir(series, "x", STAMP)


def test_recomputed_statistics_are_the_same_to_the_byte(series, folder, capsys, monkeypatch):
    monkeypatch.setattr(models, "load_model", lambda *_: pytest.fail("no model must be loaded"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    journal = layout.journal_path(series, "x").read_bytes()
    (folder / STATISTICS).write_text("old")
    assert recompute_statistics.main(series) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert layout.journal_path(series, "x").read_bytes() == journal
    for name, time in times.items():
        # Only the statistics are newer, so that only figures and pages are made again.
        assert (name == STATISTICS) == ((folder / name).stat().st_mtime_ns > time), name
    output = capsys.readouterr().out
    assert "x: recomputed\ny: skipped, it is not finished\n" in output
    assert "run the snakemake command of the series again" in output


def refused(series, capsys):
    """Return the only line of the refusal."""
    before = (layout.output_dir(series, "x", STAMP) / STATISTICS).read_bytes()
    assert recompute_statistics.main(series) == 1
    assert (layout.output_dir(series, "x", STAMP) / STATISTICS).read_bytes() == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_missing_table_of_push_checks_is_refused(series, capsys):
    layout.push_checks_path(series, "x").unlink()
    assert "models/x/push_checks.csv: is missing or damaged" in refused(series, capsys)


def test_a_journal_of_other_results_is_refused_and_stays(series, capsys):
    journal = layout.journal_path(series, "x")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(['{"fingerprint": "other"}\n', *lines[1:]]))
    assert "does not belong to the results" in refused(series, capsys)
    assert journal.exists()


def test_a_missing_journal_is_refused(series, capsys):
    layout.journal_path(series, "x").unlink()
    assert "is missing" in refused(series, capsys)


def test_an_unfinished_journal_is_refused(series, capsys):
    journal = layout.journal_path(series, "x")
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    assert "is not complete" in refused(series, capsys)


def test_a_game_that_has_changed_is_refused(series, folder, tmp_path, capsys):
    game = tmp_path / "game"
    shutil.copytree(read_configuration(folder)["files"]["game"], game)
    text = (folder / "exp_config.yaml").read_text()
    changed = text.replace(read_configuration(folder)["files"]["game"], str(game))
    (folder / "exp_config.yaml").write_text(changed)
    assert recompute_statistics.main(series) == 0
    (game / "game.yaml").write_text((game / "game.yaml").read_text() + "# changed\n")
    capsys.readouterr()
    assert "game.yaml: is missing, or has changed" in refused(series, capsys)


def test_another_plan_is_reported(series, folder, capsys):
    text = (folder / "exp_config.yaml").read_text()
    digest = read_configuration(folder)["plan"]["hash"]
    (folder / "exp_config.yaml").write_text(text.replace(digest, "0" * 64))
    assert recompute_statistics.main(series) == 0
    assert "x: its analysis plan is not the one that was frozen" in capsys.readouterr().out


def test_a_series_that_is_being_run_is_refused(series, capsys):
    with files.lock(layout.run_lock_path(series)):
        assert "is being run" in refused(series, capsys)


def test_a_folder_without_a_series_is_refused_and_stays_empty(tmp_path, capsys):
    assert recompute_statistics.main(tmp_path) == 1
    assert "series.json is missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_experiment_that_is_read_back_has_every_planned_trial(folder):
    rows = json.loads((folder / "exp_results.json").read_text())
    assert json.loads((folder / STATISTICS).read_text())["meta"]["n_trials_planned"] == len(rows)


def test_every_column_of_the_trials_and_of_the_push_checks_is_described(series, folder):
    book = {file: set(content["keys"]) for file, content in codebook().items()}
    trials = pd.read_csv(folder / "exp_results.csv", nrows=0).columns
    # A probability of each choice has one line for all choices.
    shown = {re.sub(r"(?<=p_)(cooperate|defect)$", "<choice>", name) for name in trials}
    assert shown == book["exp_results.csv"]
    checks = pd.read_csv(layout.push_checks_path(series, "x"), nrows=0).columns
    assert set(checks) == book["push_checks.csv"]
