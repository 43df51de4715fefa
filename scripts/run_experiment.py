"""Run one experiment from its journal to its four result files."""

from emotion_games.signals import catch_stop

# Before anything that takes time to load, so that no signal is lost.
should_stop = catch_stop()

import time  # noqa: E402
from pathlib import Path  # noqa: E402

from emotion_games import layout  # noqa: E402
from emotion_games.series.frozen import check_files, check_weights  # noqa: E402
from emotion_games.series.job import ExperimentJob  # noqa: E402


def run_experiment(
    series_dir: Path,
    log: Path,
    spec: dict,
    files: dict[str, Path],
    path: str,
    directions: Path,
    output_dir: Path,
    runtime: dict,
) -> None:
    """Compute the trials that the journal does not hold yet, and publish the results."""
    exp_id = spec["exp_id"]
    with ExperimentJob(series_dir, exp_id, log) as job:
        check_files(series_dir, files, spec["settings"]["emotions"], spec["game"])
        start = time.perf_counter()
        from emotion_games.engine.directions import load  # loads torch, after the log is open
        from emotion_games.experiment.results import publish
        from emotion_games.experiment.run import run

        imported = time.perf_counter() - start
        check_weights(series_dir, exp_id, load(directions).about["weights_hash"])
        journal = layout.journal_path(series_dir, exp_id)
        found = run(
            spec,
            files,
            path,
            directions,
            journal,
            runtime,
            should_stop,
            job.progress,
            imported=imported,
        )
        from emotion_games.analysis.experiment_statistics import analyse

        statistics = analyse(
            found.trials, found.checks, found.game, found.settings, found.n_planned
        )
        publish(output_dir, found.trials, found.configuration, statistics)


def experiment_files(files: dict, game: str) -> dict[str, Path]:
    """The files of one game among those of all games."""
    return {
        name: Path(place[game] if isinstance(place, dict) else place)
        for name, place in files.items()
    }


if "snakemake" in globals():
    run_experiment(
        layout.series_of_log(Path(snakemake.log[0])),
        Path(snakemake.log[0]),
        snakemake.params.spec,
        experiment_files(snakemake.config["files"], snakemake.params.spec["game"]),
        snakemake.params.path,
        Path(snakemake.input.directions),
        Path(snakemake.output[0]).parent,
        snakemake.config["runtime"][snakemake.params.key],
    )
