"""The paths inside a series folder belong together, also after the folder was moved."""

from pathlib import Path

from emotion_games import layout


def test_the_series_of_a_log_is_found():
    series = Path("results/ExperimentSeries/Try_20260102_030405")
    assert layout.series_of_log(layout.log_path(series, "A")) == series


def test_files_of_different_experiments_and_purposes_never_share_a_path():
    series = Path("series")
    by_experiment = [
        layout.state_path, layout.lock_path, layout.log_path, layout.reserve_path,
        layout.journal_path,
    ]  # fmt: skip
    paths = [path(series, exp_id) for path in by_experiment for exp_id in ("A", "B")]
    paths += [layout.run_lock_path(series), layout.report_lock_path(series)]
    paths += [layout.record_path(series), layout.verdict_passed_path(series)]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {layout.state_dir(series)}


def test_results_are_found_after_a_series_was_moved(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    row = {"output_dir": str(layout.output_dir(before, "A", "1"))}
    Path(row["output_dir"]).mkdir(parents=True)
    assert layout.results_folder(before, row) == before / "A_1"
    before.rename(after)
    assert layout.results_folder(after, row) == after / "A_1"


def test_results_are_complete_only_with_all_four_files(tmp_path):
    for name in layout.RESULT_FILES:
        assert not layout.has_results(tmp_path)
        (tmp_path / name).touch()
    assert layout.has_results(tmp_path)
