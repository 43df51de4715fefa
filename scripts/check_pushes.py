"""Check the pushes of a model; a failure is recorded for all its experiments."""

from emotion_games.signals import catch_stop

# Before anything that takes time to load, so that no signal is lost.
should_stop = catch_stop()

from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from emotion_games import layout  # noqa: E402
from emotion_games.series.frozen import check_files, game_files, loaded_from  # noqa: E402
from emotion_games.series.gpus import claim  # noqa: E402
from emotion_games.series.job import ModelJob  # noqa: E402
from emotion_games.series.state import read_series, setup_of  # noqa: E402


def check_pushes(rule: Any) -> None:
    """Measure the checks that the journal does not hold yet, and write their table.

    Args:
        rule: Snakemake's object of the job.
    """
    log, spec, output = Path(rule.log[0]), rule.params.spec, Path(rule.output[0])
    series_dir, setup = layout.series_of_log(log), rule.wildcards.setup
    experiments = read_series(series_dir)["experiments"]
    waiting = [exp_id for exp_id, row in experiments.items() if setup_of(exp_id, row) == setup]
    with ModelJob(series_dir, waiting, log) as job:
        files = game_files(rule.config["files"], spec["game"])
        shared = {name: files[name] for name in ("stimuli", "prompts", "checks")}
        check_files(series_dir, shared, spec["settings"]["emotions"])
        model, path = loaded_from(spec["model"], rule.params.path)
        runtime = rule.config["runtime"][rule.params.key]
        claim(runtime, job.terminal, should_stop)
        # These load torch, after the log is open and the GPUs are claimed.
        from emotion_games.experiment.inputs import Control, Inputs
        from emotion_games.experiment.push_checks import check_pushes as measure

        inputs = Inputs(
            spec=spec | {"model": model},
            files=shared,
            model_path=path,
            directions=Path(rule.input.directions),
            journal=layout.push_checks_journal(series_dir, setup),
            runtime=runtime,
        )
        measure(inputs, output, Control(should_stop, job.progress))


if "snakemake" in globals():
    check_pushes(snakemake)
