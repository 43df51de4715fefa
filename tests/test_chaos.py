"""A series of real trials survives kills at random moments, damaged files and a full disk.

The same command resumes it every time, and the results are those of an undisturbed run.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import psutil
import pytest

from emotion_games import layout
from emotion_games.experiment.check_requests import FREE
from tiny_series import GAMES, PATIENCE, TinySeries, copy_workflow

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
TARGETS = ("job", "snakemake", "group")
# Output of Snakemake that would mean that the same command is not enough.
MORE_COMMANDS = ("--unlock", "--rerun-incomplete", "LockException", "IncompleteFilesException")


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    return copy_workflow(tmp_path_factory.mktemp("workflow"))


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """An undisturbed series."""
    place = TinySeries(workflow, tmp_path_factory.mktemp("finished"))
    place.control(seconds=0)
    code, output = place.run()
    assert code == 0, output
    assert place.begun_again() == 0
    return place


@pytest.fixture
def place(workflow, tmp_path):
    place = TinySeries(workflow, tmp_path)
    place.control(seconds=0.1)
    yield place
    place.end_all()


@pytest.fixture
def copy_of_finished(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True, symlinks=True)
    place = TinySeries(finished.workflow, tmp_path)
    place.control(seconds=0)
    return place


class Watch:
    """Read the report again and again in the background, and note what must never happen."""

    def __init__(self, place):
        self.place, self.wrong, self.reads = place, [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        before, done_before = "", {}
        while not self._stop.wait(0.02):
            home = layout.series_home(self.place.folder / "results")
            paths = list(home.glob(f"*/{layout.REPORT}"))
            if not paths:
                continue
            text = paths[0].read_text()
            try:
                report = json.loads(text)
            except ValueError:
                self.wrong.append(f"not JSON: {text[:200]!r}")
                continue
            updated, rows = report["last_updated"], report["experiments"]
            done = {exp_id: row["progress"]["done"] for exp_id, row in rows.items()}
            if updated < before or any(done[e] < done_before.get(e, 0) for e in done):
                self.wrong.append(f"went back: {before} {done_before} -> {updated} {done}")
            before, done_before, self.reads = updated, done, self.reads + 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def hit(place, process, number, target):
    """Send a signal to the job of a run, to Snakemake alone, or to both, as a terminal does."""
    if target == "job":
        victim = place.job_of(process)
        if victim is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(number)
    else:
        (os.killpg if target == "group" else os.kill)(process.pid, number)
    return True


def wait_for_a_moment(place, process, chance):
    """Wait for a random number of batches or seconds, but not beyond the end of the run."""
    begun = len(place.computed()) + chance.randint(1, 4)
    by_batches, seconds = chance.random() < 0.7, chance.uniform(0, 6)
    deadline = time.monotonic() + (30 if by_batches else seconds)
    while process.poll() is None and time.monotonic() < deadline:
        if by_batches and len(place.computed()) >= begun:
            time.sleep(chance.uniform(0, 0.2))
            return
        time.sleep(0.01)


def kill_at_random(place, kills, chance):
    """Run the series with the same command until all kills (signal, target) have happened."""
    left = list(kills)
    process = None
    while left:
        if process is None:
            assert not place.all_series() or set(place.statuses().values()) != {"completed"}, (
                "done too early"
            )
            process = place.start()
        number, target = left[0]
        wait_for_a_moment(place, process, chance)
        if process.poll() is None and hit(place, process, number, target):
            del left[0]
        if target == "job" and process.poll() is None:
            continue
        process.wait(PATIENCE)
        process = None
        # Sometimes the next run starts at once, while a job whose Snakemake has died is ending.
        if chance.random() < 0.7:
            place.wait(lambda: not place.processes(), "the end of all processes")
            # The last thread of a killed process may hold its lock a little longer.
            place.wait(
                lambda: "running" not in place.rebuilt_statuses(), "a report in which nothing runs"
            )
    if process is not None:
        process.wait(PATIENCE)


def survives(place, finished, kills, chance):
    """Kill at random, finish with the same command, and compare with the undisturbed series."""
    began = time.monotonic()
    with Watch(place) as watch:
        kill_at_random(place, kills, chance)
        # A job that was killed alone has ended its run with an error.
        for _ in range(2):
            process = place.start()
            code = process.wait(PATIENCE)
            if code == 0:
                break
    again = place.begun_again()
    seconds = time.monotonic() - began
    batches = len(place.computed())
    print(f"{len(kills)} kills in {seconds:.0f} s, {batches} batches, {again} of them repeated")
    assert code == 0, place.output()
    assert watch.wrong == [] and watch.reads > 10
    assert again <= len(kills)
    assert len(place.all_series()) == 1 and set(place.statuses().values()) == {"completed"}
    assert place.results() == finished.results()
    for journal in layout.state_dir(place.series).glob("*.jsonl"):
        batches = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
        keys = [record["key"] for batch in batches for record in batch]
        assert len(keys) == len(set(keys))
    assert not [path for path in place.series.rglob("*") if path.suffix in (".aside", ".cut")]
    assert place.processes() == []
    assert not [words for words in MORE_COMMANDS if words in place.output()]


def test_three_kills(place, finished):
    kills = [(signal.SIGINT, "group"), (signal.SIGKILL, "snakemake"), (signal.SIGKILL, "job")]
    survives(place, finished, kills, random.Random(1))


@pytest.mark.slow
def test_twenty_kills(workflow, place):
    (place.folder / "untouched").mkdir()
    untouched = TinySeries(workflow, place.folder / "untouched")
    for one in (place, untouched):
        one.configure(games=list(GAMES), num_scenarios=6)
    untouched.control(seconds=0)
    code, output = untouched.run()
    assert code == 0, output
    chance = random.Random(5)
    kills = [(chance.choice(SIGNALS), chance.choice(TARGETS)) for _ in range(20)]
    assert len(set(kills)) == len(SIGNALS) * len(TARGETS)
    survives(place, untouched, kills, chance)


@pytest.mark.slow
def test_a_damaged_journal_costs_only_what_follows_the_damage(copy_of_finished, finished):
    place = copy_of_finished
    # The checks of the pushes have a journal of their own.
    in_journal = ("|" not in batch or batch.startswith(FREE) for batch in finished.computed())
    whole = sum(in_journal)

    def run_after_damage(content):
        before = len(place.computed())
        place.journal.write_bytes(content)
        shutil.rmtree(place.result_folder)
        code, output = place.run()
        assert code == 0, output
        assert set(place.statuses().values()) == {"completed"}
        assert place.results() == finished.results()
        return len(place.computed()) - before, place.log()

    lines = place.journal.read_bytes().split(b"\n")
    # After the head, the plan and the hash of the prompts: the second batch of trials.
    lines[4] = lines[4][:-20] + b"\0" * 20
    again, log = run_after_damage(b"\n".join(lines))
    assert 0 < again < whole
    assert "line 5 is damaged; this line and all later ones are measured again" in log
    again, log = run_after_damage(b"\xff" * 1000)
    assert again == whole and "is damaged; it is kept as" in log


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount the small disk that is to be filled"
)
def test_a_full_disk_is_reported_and_survived(place, finished):
    results = place.folder / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", results]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        place.control(seconds=0.3)
        process = place.start()
        place.wait_for_trials(3)
        ballast = results / "ballast"
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        assert process.wait(PATIENCE) == 1
        (row,) = place.rows().values()
        assert row["status"] == "failed" and "No space left on device" in row["error"], (
            place.output()
        )
        assert "(log: " in row["error"]

        ballast.unlink()
        place.control(seconds=0)
        code, output = place.run()
        assert code == 0, output
        assert place.results() == finished.results() and place.begun_again() <= 1
    finally:
        place.end_all()
        subprocess.run(["umount", "--lazy", results], check=True)


@pytest.mark.slow
def test_damaged_directions_fail_their_experiments_until_they_are_deleted(
    copy_of_finished, finished
):
    place = copy_of_finished
    (file,) = place.folder.glob("results/directions/*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    (place.result_folder / "exp_results.csv").unlink()
    code, output = place.run()
    assert code == 1, output
    (row,) = place.rows().values()
    assert row["status"] == "failed"
    assert f"{file.name}: not a readable directions file" in row["error"]
    assert "delete it and run again" in row["error"] and "(log: " in row["error"]

    file.unlink()
    before = len(place.computed())
    code, output = place.run()
    assert code == 0, output
    assert file.read_bytes() == whole and len(place.computed()) == before
    assert place.results() == finished.results()
