"""The series on a real SLURM cluster of one machine, which this test starts and stops.

It needs Debian's packages slurmctld, slurmd, slurm-client and munge, and Snakemake's SLURM plugin.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tiny_series import GAMES, PATIENCE, TinySeries, copy_workflow

SCRIPTS = Path(__file__).parent / "slurm"
EXPERIMENT = "Prisoners_Dilemma_tiny"
# The daemons are in folders that PATH may not contain.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
MISSING = [
    name
    for name in ("slurmctld", "slurmd", "sbatch", "munged")
    if shutil.which(name, path=PATH) is None
]
HAS_PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"SLURM is not installed here: {', '.join(MISSING)} not found"
    ),
    pytest.mark.skipif(not HAS_PLUGIN, reason="snakemake-executor-plugin-slurm is not installed"),
]


class SlurmSeries(TinySeries):
    """A working directory in which the series runs on the cluster."""

    cluster: Path

    def command(self, *arguments):
        environment = [f"SLURM_CONF={self.cluster}/etc/slurm.conf", f"TEST_CLUSTER={self.cluster}"]
        # A cluster without other users may be polled more often than in the profile.
        often = ["--slurm-init-seconds-before-status-checks", "7", "--latency-wait", "10"]
        profile = ["--workflow-profile", str(self.workflow / "profiles" / "slurm"), *often]
        return [
            "env",
            f"PATH={SCRIPTS / 'bin'}:{PATH}",
            *environment,
            *super().command(*profile, *arguments),
        ]

    def slurm(self, *command):
        environment = os.environ | {"PATH": PATH, "SLURM_CONF": f"{self.cluster}/etc/slurm.conf"}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout

    def jobs(self):
        """Return the jobs that were submitted from here, in order, as {field: value}."""
        lines = self.slurm("scontrol", "show", "jobs", "--oneliner").splitlines()
        jobs = [
            dict(field.split("=", 1) for field in line.split() if "=" in field) for line in lines
        ]
        here = [job for job in jobs if job.get("WorkDir") == str(self.folder)]
        return sorted(here, key=lambda job: int(job["JobId"]))

    def queue(self):
        """Return the states of all jobs that have not ended."""
        return self.slurm("squeue", "--noheader", "--format=%T").split()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    up = subprocess.run([SCRIPTS / "up.sh", folder], capture_output=True, text=True)
    try:
        assert up.returncode == 0, up.stderr
        yield folder
    finally:
        subprocess.run([SCRIPTS / "down.sh", folder], capture_output=True, check=True)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    return copy_workflow(tmp_path_factory.mktemp("workflow"))


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """The same series on this machine, without a cluster."""
    place = TinySeries(workflow, tmp_path_factory.mktemp("finished"))
    place.configure(games=list(GAMES))
    place.control(seconds=0)
    code, output = place.run()
    assert code == 0, output
    return place


@pytest.fixture
def place(cluster, workflow, tmp_path):
    place = SlurmSeries(workflow, tmp_path)
    place.cluster = cluster
    place.control(seconds=0)
    yield place
    place.end_all()


def test_after_a_failed_job_the_others_and_the_same_command_continue(place, finished):
    broken = place.folder / "broken"
    shutil.copytree(place.workflow / "tiny", broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    runtime = {"device": "auto", "threads": 1, "batch_tokens": 1000}
    place.configure(
        games=["Stag_Hunt"], models=[str(place.workflow / "tiny"), "broken"], runtime=runtime
    )
    code, output = place.run("--retries", "0")
    assert code == 1, output
    rows = place.rows()
    assert rows["Stag_Hunt_tiny"]["status"] == "completed"
    assert rows["Stag_Hunt_broken"]["status"] == "failed"
    assert rows["Stag_Hunt_broken"]["error"].startswith(
        "model broken: its weights cannot be loaded"
    )
    assert place.results() == {"Stag_Hunt_tiny": finished.results()["Stag_Hunt_tiny"]}
    jobs = place.jobs()
    assert sorted(job["JobState"] for job in jobs) == [*["COMPLETED"] * 3, "FAILED"]
    # SLURM receives what the rules declare.
    assert {(job["MinMemoryNode"], job["TimeLimit"]) for job in jobs} == {("32000M", "12:00:00")}
    assert all(job["TresPerJob"].endswith("gpu:1") for job in jobs)

    shutil.copy(place.workflow / "tiny" / "model.safetensors", broken)
    code, output = place.run("--retries", "0")
    assert code == 0, output
    assert set(place.statuses().values()) == {"completed"} and len(place.all_series()) == 1
    assert len(place.jobs()) == len(jobs) + 3
    trials, expected = (
        sum("stag_hunt" in batch for batch in of.computed()) for of in (place, finished)
    )
    assert trials == 2 * expected


def test_control_c_leaves_no_job_and_the_same_command_continues(place, finished):
    place.configure(games=list(GAMES))
    place.control(seconds=1)
    process = place.start()
    place.wait(lambda: len(place.computed()) >= 3, "three batches")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 1
    assert "Cancelling the running jobs; their finished trials are kept." in place.output()
    place.wait(
        lambda: place.queue() == [] and not place.processes(), "an empty queue and no process left"
    )
    assert {job["JobState"] for job in place.jobs()} == {"COMPLETED", "CANCELLED"}
    assert set(place.statuses().values()) == {"pending"}

    place.control(seconds=0)
    code, output = place.run()
    assert code == 0, output
    assert set(place.statuses().values()) == {"completed"} and len(place.all_series()) == 1
    assert place.begun_again() == 0
    assert place.results() == finished.results()


def test_a_job_at_its_time_limit_is_finished_by_its_retry(place, finished):
    # The only batches are those of the experiment.
    place.configure(checks={"manipulation": False, "damage": False})
    place.control(seconds=10)
    process = place.start()
    place.wait(place.computed, "the first batch")
    *_, attempt = place.jobs()
    # The limit is reached now. SLURM notices it within 30 s, long before the last batch.
    place.slurm("scontrol", "update", f"JobId={attempt['JobId']}", "EndTime=now")
    # SLURM sends a signal before it kills, so the state is saved.
    place.wait(
        lambda: (place.rows()[EXPERIMENT]["error"] or "").startswith("stopped after"),
        "a saved state",
    )
    assert place.statuses() == {EXPERIMENT: "pending"}
    begun = len(place.computed())
    place.control(seconds=0)
    assert process.wait(PATIENCE) == 0, place.output()
    assert place.statuses() == {EXPERIMENT: "completed"}
    *others, stopped, last = place.jobs()
    assert {job["JobState"] for job in (*others, last)} == {"COMPLETED"} and len(others) == 2
    assert stopped["JobState"] == "TIMEOUT"
    # The retry has more time, and only the remaining trials.
    assert (attempt["TimeLimit"], last["TimeLimit"]) == ("12:00:00", "1-00:00:00")
    assert place.log().count(": batch ") == len(place.computed()) - begun > 0
    assert place.begun_again() == 0
    assert place.results() == {EXPERIMENT: finished.results()[EXPERIMENT]}
