"""The first signal stops a job after its batch, a second Ctrl+C at once; a third kills the job."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"

STOPPABLE = """
import os, time
from emotion_games.signals import catch_stop
should_stop = catch_stop()
print("ready", flush=True)
while not should_stop():
    time.sleep(0.01)
print("saved", flush=True)
time.sleep(20)
"""


def started(code, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=SCRIPTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_saves_the_state_and_a_later_ctrl_c_ends_the_job(number):
    process = started(STOPPABLE)
    process.send_signal(number)
    # The terminal and Snakemake both send a signal; they count as one.
    process.send_signal(number)
    assert process.stdout.readline() == "saved\n"
    assert process.poll() is None
    time.sleep(1.2)
    # SLURM repeats SIGTERM, at any time.
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) != 0
    assert "KeyboardInterrupt: stopped at once" in process.stdout.read()


def test_an_ignored_signal_stays_ignored():
    process = started(STOPPABLE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saved\n"
    process.kill()
    process.wait()


ORPHANED = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {child!r}])
time.sleep(1.5)
"""


@pytest.mark.parametrize("function", ["catch_stop", "stop_at_once"])
def test_a_job_ends_when_its_owner_has_died(function, tmp_path):
    ended = tmp_path / "ended"
    child = f"""
import pathlib, time
from emotion_games import signals
should_stop = signals.{function}() or (lambda: False)
began = time.monotonic()
while not should_stop() and time.monotonic() - began < 20:
    pathlib.Path({str(ended)!r}).write_text("running")
    time.sleep(0.05)
pathlib.Path({str(ended)!r}).write_text("stopped")
"""
    subprocess.run(
        [sys.executable, "-c", ORPHANED.format(child=child)], cwd=SCRIPTS, check=True, timeout=20
    )
    time.sleep(2.5)
    last = ended.stat().st_mtime
    time.sleep(0.5)
    assert ended.stat().st_mtime == last
    assert ended.read_text() == ("stopped" if function == "catch_stop" else "running")


def test_a_job_without_a_state_to_save_ends_at_the_first_signal():
    code = """
import time
from emotion_games.signals import stop_at_once
stop_at_once()
print("ready", flush=True)
time.sleep(20)
"""
    process = started(code)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) != 0 and "KeyboardInterrupt: interrupted" in process.stdout.read()


QUICK = """
import subprocess, sys
from emotion_games.signals import stop_workflow_on_signal
job = subprocess.Popen([sys.executable, "-c", {job!r}], stdout=subprocess.PIPE, text=True)
assert job.stdout.readline() == "ready\\n"
stop_workflow_on_signal(lambda: None, jobs_are_local=True)
print("ready", flush=True)
print("job ended by", job.wait(), flush=True)
"""


@pytest.mark.parametrize("pause", [0.1, 0.5, 1.2])
def test_a_second_signal_ends_a_job_however_soon_it_follows(pause):
    process = started(QUICK.format(job=STOPPABLE), start_new_session=True)
    for _ in range(2):
        # As a terminal does: to the job as well.
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
    output = process.communicate(timeout=10)[0]
    assert "KeyboardInterrupt: stopped at once" in output and "job ended by" in output


STUBBORN = (
    "import signal, time; signal.signal(2, lambda *_: None); "
    "print('child', flush=True); time.sleep(30)"
)
WORKFLOW = f"""
import subprocess, sys, time
from emotion_games.signals import stop_workflow_on_signal
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
child.stdout.readline()
received = stop_workflow_on_signal(lambda: print("no more jobs", flush=True), jobs_are_local=True)
print("ready", flush=True)
child.wait()
print("child ended by", child.returncode, "after", len(received), flush=True)
"""
ON_A_CLUSTER = """
import time
from emotion_games.signals import stop_workflow_on_signal
stop_workflow_on_signal(lambda: None, jobs_are_local=False)
print("ready", flush=True)
time.sleep(20)
"""


def test_the_third_signal_kills_the_jobs():
    process = started(WORKFLOW)
    for _ in range(3):
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    output = process.communicate(timeout=5)[0]
    assert output.count("no more jobs") == 3
    assert output.count("Stopping once the running jobs have saved their state") == 1
    assert f"child ended by -{int(signal.SIGKILL)} after 3" in output


def test_the_second_signal_kills_jobs_that_ignore_ctrl_c():
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    process = started(WORKFLOW.replace("signal.signal(2,", "signal.signal(15,"), preexec_fn=ignore)
    for _ in range(2):
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    output = process.communicate(timeout=5)[0]
    assert f"child ended by -{int(signal.SIGKILL)} after 2" in output


def test_jobs_on_a_cluster_are_cancelled_by_snakemake():
    process = started(ON_A_CLUSTER)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=10)[0]
    assert "Cancelling the running jobs" in output and "KeyboardInterrupt" in output
    assert process.returncode != 0
