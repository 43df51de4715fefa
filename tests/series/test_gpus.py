"""Jobs that run at once never share a GPU, and none is lost when a job is killed.

A made-up `nvidia-smi` lists four devices, and the jobs are real processes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import pytest

from emotion_games import files
from emotion_games.errors import UserError
from emotion_games.series import gpus
from emotion_games.signals import Interrupted
from stand_in_gpus import DEVICES, install

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Claims devices and uses them until a file tells it to end. `{"without_lock": true}` is the fault.
JOB = """
import contextlib, json, os, sys, time
from pathlib import Path
from emotion_games.series import gpus

name, number, without_lock = json.loads(sys.argv[1])
gpus._WAIT_SECONDS = 0.02
if without_lock:
    class NoLock(contextlib.nullcontext):
        acquire = release = lambda self: None
    gpus.files.lock = lambda path, wait=-1: NoLock()

def log(line):
    with open(f"{name}.log", "a") as file:
        file.write(line + "\\n")

gpus.claim({"device": "auto", "gpus": number}, log)
begin, devices = time.monotonic(), os.environ["CUDA_VISIBLE_DEVICES"].split(",")
Path(f"{name}.part").write_text(json.dumps([begin, devices]))
os.replace(f"{name}.part", f"{name}.begun")
while not (Path("end").exists() or Path(f"{name}.end").exists()):
    time.sleep(0.01)
time.sleep(0.05)
Path(f"{name}.ended").write_text(str(time.monotonic()))
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with four GPUs and no locks yet."""
    install(tmp_path / "bin")
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    # So that what a claim sets is undone, whether the variable was set or not.
    monkeypatch.setenv(gpus.VISIBLE, "")
    monkeypatch.delenv(gpus.VISIBLE)
    monkeypatch.setattr(gpus, "_held", [])
    monkeypatch.chdir(tmp_path)


class Jobs:
    """Jobs that use GPUs at the same time, each in its own process."""

    def __init__(self, without_lock=False):
        self.without_lock = without_lock
        self.processes, self.killed = {}, {}

    def start(self, name, number=1):
        job = json.dumps([name, number, self.without_lock])
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-c", JOB, job], env=os.environ | {"PYTHONPATH": str(SCRIPTS)}
        )

    def wait(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"no sign of {what}"
            time.sleep(0.01)

    def devices(self):
        """Return the devices of each job that has begun."""
        return {path.stem: json.loads(path.read_text())[1] for path in Path().glob("*.begun")}

    def waiting(self):
        """Return the jobs whose last line says that they wait."""
        logs = {path.stem: path.read_text().splitlines() for path in Path().glob("*.log")}
        return {name for name, lines in logs.items() if lines[-1:] and "waiting" in lines[-1]}

    def kill(self, name):
        self.killed[name] = time.monotonic()
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def end(self, name=None):
        """Let one job end, or all."""
        Path(f"{name}.end" if name else "end").touch()
        for process in [self.processes[name]] if name else self.processes.values():
            process.wait(60)

    def used_twice(self):
        """Return the pairs of jobs that used the same device at the same time."""
        uses = []
        for path in Path().glob("*.begun"):
            begin, devices = json.loads(path.read_text())
            ended = path.with_suffix(".ended")
            end = float(ended.read_text()) if ended.exists() else self.killed[path.stem]
            uses.append((path.stem, begin, end, set(devices)))
        return [
            (one[0], other[0])
            for one, other in combinations(uses, 2)
            if one[3] & other[3] and one[1] < other[2] and other[1] < one[2]
        ]


@pytest.fixture
def jobs():
    jobs = Jobs()
    yield jobs
    for process in jobs.processes.values():
        process.kill()
        process.wait()


def test_eight_jobs_share_four_gpus_and_a_killed_job_gives_its_own_back(jobs):
    names = [f"job{number}" for number in range(8)]
    for name in names:
        jobs.start(name)
    jobs.wait(lambda: len(jobs.devices()) + len(jobs.waiting()) == 8, "eight jobs")
    first = jobs.devices()
    assert sorted(device for own in first.values() for device in own) == sorted(DEVICES)

    killed = min(first)
    jobs.kill(killed)
    jobs.wait(lambda: len(jobs.devices()) == 5, "a job in place of the killed one")
    (successor,) = set(jobs.devices()) - set(first)
    assert jobs.devices()[successor] == first[killed] and len(jobs.waiting()) == 3

    jobs.end()
    codes = {name: process.returncode for name, process in jobs.processes.items()}
    assert codes == dict.fromkeys(names, 0) | {killed: -signal.SIGKILL}
    assert len(jobs.devices()) == 8 and jobs.used_twice() == []
    # None is lost: all of them can be claimed at once.
    assert claimed({"gpus": 4}) == DEVICES


def test_without_the_lock_the_same_jobs_use_a_device_twice(jobs):
    jobs.without_lock = True
    for number in range(8):
        jobs.start(f"job{number}")
    jobs.wait(lambda: len(jobs.devices()) == 8, "eight jobs")
    jobs.end()
    assert len(jobs.used_twice()) == 8 * 7 / 2


def test_a_job_that_waits_for_several_gpus_holds_none_of_them(jobs):
    os.environ[gpus.VISIBLE] = "0,1"
    jobs.start("one")
    jobs.wait(lambda: "one" in jobs.devices(), "the first job")
    jobs.start("both", number=2)
    jobs.wait(lambda: "both" in jobs.waiting(), "a job that waits")
    jobs.start("other")
    jobs.wait(lambda: "other" in jobs.devices(), "a job on the second device")
    jobs.end("one")
    jobs.end("other")
    jobs.end("both")
    assert jobs.devices() == {
        "one": DEVICES[:1],
        "other": DEVICES[1:2],
        "both": DEVICES[:2],
    }
    assert jobs.used_twice() == []
    assert Path("both.log").read_text().splitlines() == [
        "waiting for 2 of 2 GPUs, which other jobs use",
        f"runs on {DEVICES[0]}, {DEVICES[1]}",
    ]


def claimed(runtime):
    """Return the devices that this process sees after a claim."""
    gpus.claim({"device": "auto"} | runtime, lambda _: None)
    return os.environ[gpus.VISIBLE].split(",")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (None, DEVICES),
        ("2,0", [DEVICES[2], DEVICES[0]]),
        (DEVICES[1][:8], [DEVICES[1]]),
        (" 1 , 3", [DEVICES[1], DEVICES[3]]),
        # As in CUDA, what comes after an unknown name is hidden.
        ("0,4,1", [DEVICES[0]]),
        ("0,-1,1", [DEVICES[0]]),
        ("1,1", [DEVICES[1]]),
        # Of the beginning of several UUIDs, CUDA does not choose.
        ("GPU-", []),
        ("", []),
        ("NoDevFiles", []),
        ("MIG-5a,MIG-5b", ["MIG-5a", "MIG-5b"]),
    ],
)
def test_what_a_user_or_a_scheduler_hides_is_not_claimed(monkeypatch, shown, expected):
    if shown is not None:
        monkeypatch.setenv(gpus.VISIBLE, shown)
    assert gpus.visible_devices() == expected


def test_a_job_that_is_given_one_device_takes_it(monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "3")
    with files.lock(gpus._lock_folder() / f"{DEVICES[0]}.lock"):
        assert claimed({}) == [DEVICES[3]]


def test_more_gpus_than_a_job_sees_are_refused_in_one_line(monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    with pytest.raises(UserError) as caught:
        claimed({"gpus": 3})
    assert str(caught.value) == (
        "gpus: 3 of the model's entry, and this job sees 2; allowed: at most 2; lower it, or make "
        "more visible to the job (CUDA_VISIBLE_DEVICES, or the scheduler)"
    )


def test_a_job_on_the_cpu_claims_and_sees_no_gpu():
    assert claimed({"device": "cpu", "gpus": 2}) == [""]
    assert not gpus._lock_folder().exists()


@pytest.mark.parametrize("script", [None, "#!/bin/sh\necho No devices were found; exit 6\n"])
def test_where_there_is_no_gpu_nothing_is_claimed(monkeypatch, tmp_path, script):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin" / "nvidia-smi").unlink()
    if script:
        install(tmp_path / "bin", script)
    gpus.claim({"device": "auto", "gpus": 2}, lambda _: None)
    assert gpus.VISIBLE not in os.environ and not gpus._lock_folder().exists()


def test_a_job_that_waits_can_be_stopped_and_frees_what_it_tried(monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    lines = []
    with files.lock(gpus._lock_folder() / f"{DEVICES[1]}.lock"):
        with pytest.raises(Interrupted, match="stopped while waiting for a GPU"):
            gpus.claim({"device": "cuda", "gpus": 2}, lines.append, lambda: True)
        assert claimed({}) == [DEVICES[0]]
    assert lines == ["waiting for 2 of 2 GPUs, which other jobs use"]
