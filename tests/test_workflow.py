"""The workflow on Snakemake's command line, with a stand-in for everything that needs a model.

The tests cover resuming, failing and stopping, and the report meanwhile.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml

from emotion_games import layout

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def workflow(tmp_path_factory):
    """A copy of the workflow whose heavy modules are stand-ins."""
    copy = tmp_path_factory.mktemp("workflow")
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", copy)
    library = copy / "scripts" / "emotion_games"
    shutil.copytree(ROOT / "tests" / "stand_ins", library, dirs_exist_ok=True)
    return copy


class Place:
    """A working directory in which the workflow runs."""

    def __init__(self, workflow, folder):
        self.workflow, self.folder = workflow, folder
        self.configure()
        self.control()

    def configure(self, **changes):
        experiment = {
            "name": "Try",
            "games": ["Prisoners_Dilemma", "Stag_Hunt"],
            "models": ["demo", "org/M1"],
        }
        (self.folder / "config.yaml").write_text(
            yaml.safe_dump({"experiment": experiment | changes})
        )

    def control(self, trials=6, seconds=0.02, **troubles):
        controls = {"trials": trials, "seconds": seconds} | troubles
        (self.folder / "controls.json").write_text(json.dumps(controls))

    def command(self, *arguments):
        program = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(self.workflow / "Snakefile"),
        ]
        return [*program, "--configfile", "config.yaml", *arguments]

    def run(self, *arguments):
        options = {
            "stdin": subprocess.DEVNULL,
            "capture_output": True,
            "text": True,
            "timeout": 600,
        }
        found = subprocess.run(self.command(*arguments), cwd=self.folder, **options)
        return found.returncode, found.stdout + found.stderr

    @contextlib.contextmanager
    def started(self, *arguments, before=""):
        """Start a run in its own session, with Ctrl+C as in a terminal, and kill it at the end."""
        command = [*before.split(), *self.command(*arguments)]
        with open(self.folder / "output.txt", "w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def wait_for_trials(self, number):
        self.wait(lambda: len(self.computed()) >= number, f"{number} trials")

    def wait(self, condition, what):
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, f"no sign of {what}:\n{self.output()}"
            time.sleep(0.05)

    def output(self):
        path = self.folder / "output.txt"
        return path.read_text() if path.exists() else ""

    def computed(self):
        path = self.folder / "computed.txt"
        return path.read_text().splitlines() if path.exists() else []

    def all_series(self):
        return sorted((self.folder / "results" / "ExperimentSeries").glob("*"))

    @property
    def series(self):
        return self.all_series()[-1]

    def rows(self):
        return json.loads((self.series / layout.REPORT).read_text())["experiments"]

    def statuses(self):
        return {exp_id: row["status"] for exp_id, row in self.rows().items()}

    def processes(self):
        """Return the processes whose working directory is this place."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def no_trial_twice(self, allowed=0):
        repeated = {trial: times for trial, times in Counter(self.computed()).items() if times > 1}
        assert len(repeated) <= allowed, repeated


@pytest.fixture
def place(workflow, tmp_path):
    return Place(workflow, tmp_path)


FOUR = {"Prisoners_Dilemma_demo", "Stag_Hunt_demo", "Prisoners_Dilemma_M1", "Stag_Hunt_M1"}


def test_a_whole_series_is_never_repeated(place):
    code, output = place.run()
    assert code == 0, output
    page = place.series.relative_to(place.folder) / layout.PAGE
    assert output.splitlines()[-2:] == [f"{page.parent}: 4 completed.", f"Page: {page}"]
    assert place.statuses() == dict.fromkeys(FOUR, "completed")
    for row in place.rows().values():
        assert row["progress"] == {"done": 6, "total": 6} and row["error"] is None
        names = {path.name for path in (place.folder / row["output_dir"]).iterdir()}
        assert names == {*layout.RESULT_FILES, layout.PLOTS}
        assert row["start_time"] <= row["end_time"]
    order = list(dict.fromkeys(line.split("/")[0] for line in place.computed()))
    assert order == [
        "Prisoners_Dilemma_demo",
        "Stag_Hunt_demo",
        "Prisoners_Dilemma_M1",
        "Stag_Hunt_M1",
    ]

    shutil.rmtree(place.folder / "results" / "directions")
    for path in (place.folder / "results" / "models").rglob("*.safetensors"):
        path.touch()
    (place.workflow / "scripts" / "run_experiment.py").touch()
    code, output = place.run()
    assert code == 0 and "Nothing to be done" in output
    assert len(place.all_series()) == 1

    # An added model needs its own directions. The finished experiments stay as they are although
    # their directions are gone.
    place.configure(models=["demo", "org/M1", "org/M2"])
    code, output = place.run()
    assert code == 0, output
    assert len(place.all_series()) == 1 and len(place.rows()) == 6
    place.no_trial_twice()

    # Settings that only affect running, and an alias, change nothing either.
    models = ["demo", {"id": "org/M1", "alias": "other"}, "org/M2"]
    place.configure(models=models, runtime={"threads": 1, "device": "cpu"})
    code, output = place.run()
    assert code == 0 and "Nothing to be done" in output

    # A result that was deleted by hand is written again from the journal.
    (place.folder / place.rows()["Stag_Hunt_M1"]["output_dir"] / "exp_results.csv").unlink()
    code, output = place.run()
    assert code == 0 and place.statuses()["Stag_Hunt_M1"] == "completed"
    place.no_trial_twice()

    # A smaller grid does not forget what was done.
    place.configure(models=["demo", "org/M3"])
    assert place.run()[0] == 0
    assert len(place.rows()) == 8


@pytest.mark.slow
def test_other_settings_begin_another_series(place):
    place.configure(models=["demo"], games=["Stag_Hunt"])
    place.run()
    place.configure(models=["demo"], games=["Stag_Hunt"], generation={"temperature": 0.2})
    code, output = place.run()
    assert code == 0 and "generation.temperature 0.7 there, 0.2 here" in output
    first, second = place.all_series()
    place.configure(models=["demo"], games=["Stag_Hunt"])
    assert "Nothing to be done" in place.run()[1]
    assert place.run("--config", "new=true")[0] == 0 and len(place.all_series()) == 3
    assert place.run("--config", "name=Named")[0] == 0
    assert any(folder.name.startswith("Named_") for folder in place.all_series())
    assert "Nothing to be done" in place.run("--config", f"series={first.name}")[1]
    code, output = place.run("--config", f"series={second.name}")
    difference = "generation.temperature 0.2 there, 0.7 here"
    assert code == 1 and f"was made with other settings ({difference})" in output
    code, output = place.run("--config", "series=Try_19990101_000000")
    assert code == 1 and "Traceback" not in output
    assert "there is no series Try_19990101_000000" in output


def test_a_failure_is_reported_and_the_others_continue(place):
    place.control(**{"org/M1": "error"})
    code, output = place.run()
    assert code == 1
    rows = place.rows()
    for exp_id in ("Prisoners_Dilemma_demo", "Stag_Hunt_demo"):
        assert rows[exp_id]["status"] == "completed"
    for exp_id in ("Prisoners_Dilemma_M1", "Stag_Hunt_M1"):
        assert rows[exp_id]["status"] == "failed"
        log = layout.log_path(place.series.relative_to(place.folder), exp_id)
        assert rows[exp_id]["error"] == f"ValueError: the model answered nonsense (log: {log})"
        assert "Traceback" in (place.folder / log).read_text()
    assert "2 completed, 2 failed" in output

    place.control()
    assert place.run()[0] == 0
    assert set(place.statuses().values()) == {"completed"}
    place.no_trial_twice()


@pytest.mark.slow
def test_a_model_without_directions_fails_its_experiments(place):
    place.control(directions="org/M1")
    assert place.run()[0] == 1
    rows = place.rows()
    for exp_id in ("Prisoners_Dilemma_demo", "Stag_Hunt_demo"):
        assert rows[exp_id]["status"] == "completed"
    error = "model org/M1: cannot be loaded: its weights are damaged (log: "
    for exp_id in ("Prisoners_Dilemma_M1", "Stag_Hunt_M1"):
        assert rows[exp_id]["status"] == "failed"
        assert rows[exp_id]["error"].startswith(error)
    place.control()
    assert place.run()[0] == 0
    assert set(place.statuses().values()) == {"completed"}


@pytest.mark.slow
def test_a_model_whose_pushes_cannot_be_checked_fails_its_experiments_alone(place):
    place.control(push_checks="org/M1")
    code, output = place.run()
    assert code == 1 and "push_checks.M1: failed: model org/M1: no check can be made" in output
    rows = place.rows()
    for exp_id in ("Prisoners_Dilemma_demo", "Stag_Hunt_demo"):
        assert rows[exp_id]["status"] == "completed"
    for exp_id in ("Prisoners_Dilemma_M1", "Stag_Hunt_M1"):
        assert rows[exp_id]["status"] == "failed"
        assert rows[exp_id]["error"].startswith("model org/M1: no check can be made (log: ")
    place.control()
    assert place.run()[0] == 0
    assert set(place.statuses().values()) == {"completed"}
    tables = place.series.glob("models/*/push_checks.csv")
    assert sorted(table.parent.name for table in tables) == ["M1", "demo"]


def test_a_signal_during_the_checks_of_pushes_leaves_its_experiments_pending(place):
    place.configure(models=["demo"], games=["Stag_Hunt"])
    place.control(check_seconds=60)
    with place.started() as process:
        place.wait(lambda: "0 of 2 check items" in place.output(), "the first check")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 1
    (row,) = place.rows().values()
    assert (row["status"], row["error"]) == ("pending", "interrupted after 0 of 2 check items")
    assert "Run the same command again to continue." in place.output()
    place.control()
    assert place.run()[0] == 0 and set(place.statuses().values()) == {"completed"}


@pytest.mark.slow
def test_a_model_that_cannot_be_fetched_fails_its_experiments_alone(place):
    place.control(fetch="org/M1")
    code, output = place.run()
    assert code == 1 and "fetch.M1: failed: model org/M1: the hub cannot be reached" in output
    rows = place.rows()
    for exp_id in ("Prisoners_Dilemma_demo", "Stag_Hunt_demo"):
        assert rows[exp_id]["status"] == "completed"
    for exp_id in ("Prisoners_Dilemma_M1", "Stag_Hunt_M1"):
        assert rows[exp_id]["status"] == "failed"
        assert rows[exp_id]["error"].startswith("model org/M1: the hub cannot be reached (log: ")
    place.control()
    assert place.run()[0] == 0
    assert set(place.statuses().values()) == {"completed"}
    place.no_trial_twice()


@pytest.mark.slow
def test_another_series_finds_the_directions_of_a_fetched_model_and_leaves_them_alone(place):
    place.configure(models=[{"id": "org/M1", "revision": "ab" * 20}], games=["Stag_Hunt"])
    assert place.run()[0] == 0
    (found,) = (place.folder / "results" / "directions").glob("*.safetensors")
    first, measured = place.series, found.stat().st_mtime_ns
    assert place.run("--config", "new=true")[0] == 0
    assert place.series != first and set(place.statuses().values()) == {"completed"}
    assert found.stat().st_mtime_ns == measured


@pytest.mark.slow
def test_a_killed_job_is_reported_and_resumed(place):
    place.control(**{"demo": "kill"})
    assert place.run()[0] == 1
    rows = place.rows()
    assert rows["Stag_Hunt_demo"]["status"] == "failed"
    assert rows["Stag_Hunt_M1"]["status"] == "completed"
    error = "the process ended without reporting an error (killed, or out of memory?)"
    assert error in rows["Stag_Hunt_demo"]["error"]
    place.control()
    assert place.run()[0] == 0
    place.no_trial_twice()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl+C"),
        pytest.param(signal.SIGINT, False, id="SIGINT to Snakemake", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to all", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, False, id="SIGTERM to Snakemake", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, True, id="terminal closed", marks=pytest.mark.slow),
    ],
)
def test_a_first_signal_saves_the_state(place, number, whole_group):
    saves_the_state(place, number, whole_group)


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [True, False], ids=["to all", "to Snakemake"])
def test_a_command_that_ignores_ctrl_c_saves_the_state_when_it_is_killed(place, whole_group):
    # As a script starts a command in the background.
    saves_the_state(place, signal.SIGTERM, whole_group, before="env --ignore-signal=INT")


def saves_the_state(place, number, whole_group, before=""):
    place.configure(models=["demo"])
    place.control(trials=40, seconds=0.1)
    with place.started(before=before) as process:
        place.wait_for_trials(3)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        assert process.wait(30) == 1
    assert "Stopping once the running jobs have saved their state" in place.output()
    assert "Run the same command again to continue." in place.output()
    assert place.processes() == []
    row = place.rows()["Prisoners_Dilemma_demo"]
    done = len(place.computed())
    assert row["status"] == "pending" and done < 20
    assert row["error"] == f"interrupted after {done} of 40 trials"
    assert set(place.statuses().values()) == {"pending"}
    place.control(trials=40, seconds=0)
    assert place.run()[0] == 0
    place.no_trial_twice()


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_a_third_kills(place):
    place.configure(models=["demo"])
    place.control(seconds=30)
    with place.started() as process:
        place.wait(
            lambda: (place.folder / "results").exists() and "0 of 6 trials" in place.output(),
            "the first trial",
        )
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.8)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 1
    assert place.statuses()["Prisoners_Dilemma_demo"] == "pending" and place.processes() == []

    place.control(**{"demo": "stuck"})
    with place.started() as process:
        place.wait_for_trials(3)
        for _ in range(2):
            time.sleep(0.8)
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.8)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 1
    assert place.statuses()["Prisoners_Dilemma_demo"] == "pending" and place.processes() == []
    place.control()
    assert place.run()[0] == 0
    place.no_trial_twice()


@pytest.mark.slow
def test_nohup_survives_its_terminal(place):
    place.configure(models=["demo"])
    place.control(trials=10, seconds=0.1)
    with place.started(before="nohup") as process:
        place.wait_for_trials(2)
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(60) == 0
    assert set(place.statuses().values()) == {"completed"}


@pytest.mark.parametrize(
    "whole_group", [pytest.param(True, marks=pytest.mark.slow), False], ids=["group", "main"]
)
def test_after_kill_nine_the_report_is_corrected_and_the_same_command_continues(place, whole_group):
    place.configure(models=["demo"])
    place.control(trials=30, seconds=0.1)
    with place.started() as process:
        place.wait_for_trials(3)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        # A job whose Snakemake has died ends after the current trial.
        place.wait(lambda: not place.processes(), "the end of the orphan")
    script = place.workflow / "scripts" / "report_completeness.py"
    command = [sys.executable, script, place.series]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert place.statuses()["Prisoners_Dilemma_demo"] == ("failed" if whole_group else "pending")
    assert place.statuses()["Stag_Hunt_demo"] == "pending"
    assert "Prisoners_Dilemma_demo" in shown and "/30" in shown
    place.control(trials=30, seconds=0)
    assert place.run()[0] == 0
    # A trial that was not yet in the journal is computed again.
    place.no_trial_twice(allowed=1)


@pytest.mark.slow
def test_of_two_runs_that_begin_a_series_at_once_one_exits(place):
    place.configure(models=["demo"])
    place.control(seconds=0.1)
    runs = [
        subprocess.Popen(place.command(), cwd=place.folder, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=120)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1]
    assert sum("is being run by another Snakemake process" in output for output in outputs) == 1
    assert len(place.all_series()) == 1 and set(place.statuses().values()) == {"completed"}


def test_a_second_run_of_a_series_exits_with_one_line(place):
    place.control(trials=30, seconds=0.1)
    with place.started() as process:
        place.wait_for_trials(2)
        code, output = place.run()
        assert code == 1
        assert output.count("is being run by another Snakemake") == 1
        assert "Traceback" not in output
        assert process.wait(60) == 0
    assert set(place.statuses().values()) == {"completed"}
    place.no_trial_twice()


def test_all_problems_of_a_config_are_printed_before_anything_starts(place):
    place.configure(games=["Prisoners_Dilema"], models=["a/b", "a/b"], temprature=1)
    for arguments in ([], ["--dry-run"]):
        code, output = place.run(*arguments)
        assert code == 1 and "Traceback" not in output
        assert "experiment.temprature: unknown key 'temprature'" in output
    place.configure(games=["Prisoners_Dilema"], models=["a/b", "a/b"], emotions=["angr"])
    code, output = place.run("--dry-run")
    assert code == 1 and "Traceback" not in output
    assert "did you mean 'Prisoners_Dilemma'?" in output
    assert "did you mean 'anger'?" in output
    assert "experiment.models[1]: a/b is listed twice" in output
    slurm = ["--workflow-profile", str(ROOT / "profiles" / "slurm")]
    for arguments in ([], slurm):
        code, output = place.run(*arguments, "--configfile", "none.yaml")
        assert code == 1 and "Traceback" not in output
        assert "ERROR: --configfile none.yaml: there is no such file" in output
    assert not (place.folder / "results").exists()


@pytest.mark.slow
def test_a_dry_run_shows_the_grid_and_writes_nothing(place):
    games = sorted(path.name for path in (ROOT / "config" / "games").iterdir())
    place.configure(games=games, models=[f"org/M{n}" for n in range(100)])
    code, output = place.run("--dry-run")
    assert code == 0, output
    grid = f"{len(games)} games x 100 models = {len(games) * 100:,} experiments, 0 done"
    assert output.index("This was a dry-run") < output.index(grid)
    assert not (place.folder / "results").exists()


@pytest.mark.slow
def test_the_live_report_is_complete_at_every_moment_and_never_goes_back(place):
    place.control(trials=25, seconds=0.1)
    place.configure(models=["demo"])
    seen = []
    with place.started() as process:
        place.wait(
            lambda: place.all_series() and (place.series / layout.REPORT).exists(), "the report"
        )
        while process.poll() is None:
            report = json.loads((place.series / layout.REPORT).read_text())
            row = report["experiments"]["Prisoners_Dilemma_demo"]
            seen.append((report["last_updated"], row["progress"]["done"]))
            time.sleep(0.01)
    assert seen == sorted(seen) and seen[-1][1] == 25
    assert len({done for _, done in seen}) > 2


@pytest.fixture
def qwen(tmp_path):
    """The folder of a tiny model with random weights and a chat template, as from the hub."""
    from tiny import tiny_model

    made = tiny_model("qwen2")
    made.model.config.max_position_embeddings = 4096
    made.model.save_pretrained(tmp_path / "models" / "tiny-qwen")
    made.tokenizer.save_pretrained(tmp_path / "models" / "tiny-qwen")
    return tmp_path / "models" / "tiny-qwen"


@pytest.mark.slow
def test_a_series_of_real_models_fails_and_resumes_in_the_same_way(tmp_path, qwen, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    damaged = shutil.copytree(qwen, qwen.with_name("damaged"))
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    place = Place(ROOT, tmp_path)
    settings = {
        "emotions": ["anger", "happiness"],
        "intensity": [0.2],
        "num_scenarios": 2,
        "generation": {"max_new_tokens": 8},
        "arms": {"random": {"matched": 2, "isotropic": 0}},
        "runtime": {"device": "cpu"},
    }
    models = ["models/tiny-qwen", "models/damaged"]
    place.configure(games=["Stag_Hunt"], models=models, **settings)
    code, output = place.run()
    assert code == 1, output
    rows = place.rows()
    assert rows["Stag_Hunt_tiny-qwen"]["status"] == "completed", output
    assert rows["Stag_Hunt_damaged"]["status"] == "failed"
    assert "models/damaged: its weights cannot be loaded" in rows["Stag_Hunt_damaged"]["error"]
    finished = place.folder / rows["Stag_Hunt_tiny-qwen"]["output_dir"]
    trials = json.loads((finished / "exp_results.json").read_text())
    assert len(trials) == rows["Stag_Hunt_tiny-qwen"]["progress"]["total"]
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}

    (damaged / "model.safetensors").write_bytes(weights)
    code, output = place.run()
    assert code == 0, output
    assert set(place.statuses().values()) == {"completed"}
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before
    assert (place.series / layout.PAGE).stat().st_size > 1000
