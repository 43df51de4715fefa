"""Run one experiment from its journal to its four result files."""

from emotion_games.signals import catch_stop

# Before anything that takes time to load, so that no signal is lost.
should_stop = catch_stop()

import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from emotion_games import layout  # noqa: E402
from emotion_games.series.earlier import earlier_results, known_effects  # noqa: E402
from emotion_games.series.frozen import (  # noqa: E402
    check_files,
    check_weights,
    game_files,
    loaded_from,
)
from emotion_games.series.gpus import claim  # noqa: E402
from emotion_games.series.job import ExperimentJob  # noqa: E402


def run_experiment(rule: Any) -> None:
    """Compute the trials that the journal does not hold yet, and publish the results.

    Args:
        rule: Snakemake's object of the job.
    """
    log, spec = Path(rule.log[0]), rule.params.spec
    series_dir, exp_id = layout.series_of_log(log), spec["exp_id"]
    files = game_files(rule.config["files"], spec["game"])
    directions = Path(rule.input.directions)
    with ExperimentJob(series_dir, exp_id, log) as job:
        check_files(series_dir, files, spec["settings"]["emotions"], spec["game"])
        model, path = loaded_from(spec["model"], rule.params.path)
        runtime = rule.config["runtime"][rule.params.key]
        claim(runtime, job.terminal, should_stop)
        start = time.perf_counter()
        # These load torch, after the log is open and the GPUs are claimed.
        from emotion_games.engine.directions import load
        from emotion_games.experiment.inputs import Control, Inputs
        from emotion_games.experiment.run import run

        imported = time.perf_counter() - start
        check_weights(series_dir, exp_id, load(directions).about["weights_hash"])
        inputs = Inputs(
            spec=spec | {"model": model},
            files=files,
            model_path=path,
            directions=directions,
            journal=layout.journal_path(series_dir, exp_id),
            runtime=runtime,
            push_checks=Path(rule.input.push_checks),
            plan_file=Path(rule.output[0]).parent / layout.PLAN,
            known=lambda plan: known_effects(
                earlier_results(series_dir.parent), exp_id, spec["model_name"], plan
            ),
            import_seconds=imported,
        )
        found = run(inputs, Control(should_stop, job.progress, announce=job.headroom))
        # After the trials, whose start must not wait for the libraries of the statistics.
        from emotion_games.analysis.experiment_statistics import analyse
        from emotion_games.experiment.results import publish

        start = time.perf_counter()
        settings, about = spec["settings"], found.configuration["directions"]
        evidence = found.trials, found.checks, found.game
        power = found.configuration["plan"]["power"]
        statistics = analyse(*evidence, settings, len(found.trials), about, power)
        found.configuration["seconds"]["write"] = round(time.perf_counter() - start, 2)
        publish(Path(rule.output[0]).parent, found, statistics)


if "snakemake" in globals():
    run_experiment(snakemake)
