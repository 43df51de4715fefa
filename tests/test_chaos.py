"""What a series survives, shown on real trials: kills at random moments, damaged files, a full disk, a wrong clock.

The way back is the plain command every time, and the results are those of a run that nothing happened to.
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

import pytest

from tiny_series import GAMES, PATIENCE, TinySeries, copy_workflow

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
TARGETS = ("job", "snakemake", "group")
# Words of Snakemake that would mean: the plain command is not enough.
OTHER_WAYS_BACK = ("--unlock", "--rerun-incomplete", "LockException", "IncompleteFilesException")


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    return copy_workflow(tmp_path_factory.mktemp("workflow"))


@pytest.fixture(scope="module")
def finished(workflow, tmp_path_factory):
    """A series that nothing happened to."""
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
    """Reads the report again and again in the background, as people and scripts do, and notes what must never be."""

    def __init__(self, place):
        self.place, self.wrong, self.reads = place, [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        before, done_before = "", {}
        while not self._stop.wait(0.02):
            paths = list(self.place.folder.glob("results/ExperimentSeries/*/experiment_report.json"))
            if not paths:
                continue
            text = paths[0].read_text()
            try:
                told = json.loads(text)
            except ValueError:
                self.wrong.append(f"not JSON: {text[:200]!r}")
                continue
            done = {exp_id: row["progress"]["done"] or 0 for exp_id, row in told["experiments"].items()}
            if told["last_updated"] < before or any(done[e] < done_before.get(e, 0) for e in done):
                self.wrong.append(f"went back: {before} {done_before} -> {told['last_updated']} {done}")
            before, done_before, self.reads = told["last_updated"], done, self.reads + 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def hit(place, process, number, target):
    """Send a signal to a run's job, to Snakemake alone, or to everything that a terminal would reach."""
    if target == "job":
        victim = place.job_of(process)
        if victim is None:
            return False
        victim.send_signal(number)
    else:
        (os.killpg if target == "group" else os.kill)(process.pid, number)
    return True


def wait_for_a_moment(place, process, chance):
    """Wait for some batches or for some seconds, whichever chance says, but not beyond the end of the run."""
    begun = len(place.computed()) + chance.randint(1, 4)
    by_batches, seconds = chance.random() < 0.7, chance.uniform(0, 6)
    deadline = time.monotonic() + (30 if by_batches else seconds)
    while process.poll() is None and time.monotonic() < deadline:
        if by_batches and len(place.computed()) >= begun:
            time.sleep(chance.uniform(0, 0.2))
            return
        time.sleep(0.01)


def kill_at_random(place, kills, chance):
    """Run the series with the plain command, again and again, until so many kills have struck; return them."""
    struck = []
    process = None
    while len(struck) < kills:
        if process is None:
            assert not place.all_series() or set(place.statuses().values()) != {"completed"}, "done too early"
            process = place.start()
        number, target = chance.choice(SIGNALS), chance.choice(TARGETS)
        wait_for_a_moment(place, process, chance)
        if process.poll() is None and hit(place, process, number, target):
            struck.append((number.name, target))
        if target == "job" and process.poll() is None:
            continue
        process.wait(PATIENCE)
        process = None
        # Now and then the next run starts at once, beside the last gasps of a job that has lost its Snakemake.
        if chance.random() < 0.7:
            place.wait(lambda: not place.processes(), "the end of all processes")
            # The last thread of a killed process may hold its lock a little longer.
            place.wait(lambda: "running" not in place.rebuilt_statuses(), "a report in which nothing runs")
    if process is not None:
        process.wait(PATIENCE)
    return struck


def survives(place, finished, kills, seed):
    """Kill at random, finish with the plain command, and compare with the series that nothing happened to."""
    began = time.monotonic()
    with Watch(place) as watch:
        struck = kill_at_random(place, kills, random.Random(seed))
        for _ in range(2):  # a job that was killed alone has ended its run with an error
            process = place.start()
            code = process.wait(PATIENCE)
            if code == 0:
                break
    again = place.begun_again()
    told = f"{kills} kills in {time.monotonic() - began:.0f} s, {len(place.computed())} batches, {again} begun again, "
    print(f"{told}{watch.reads} looks at the report: {struck}")
    assert code == 0, place.output()
    assert watch.wrong == [] and watch.reads > 10
    assert again <= kills
    assert len(place.all_series()) == 1 and set(place.statuses().values()) == {"completed"}
    for game in {path.name.rpartition("_tiny")[0] for path in place.series.glob("*_tiny_*")}:
        assert place.results(game) == finished.results(game)
        keys = [
            record["key"] for line in place.journal(game).read_text().splitlines()[1:] for record in json.loads(line)
        ]
        assert len(keys) == len(set(keys))
    leftovers = [path.name for path in place.series.rglob("*") if path.suffix in (".aside", ".cut", ".part", ".tmp")]
    assert leftovers == []
    assert place.processes() == []
    assert not [words for words in OTHER_WAYS_BACK if words in place.output()]


def test_three_kills(place, finished):
    place.configure(games=["Prisoners_Dilemma"])
    survives(place, finished, kills=3, seed=1)


@pytest.mark.slow
def test_twenty_kills(workflow, place, finished):
    place.configure(num_scenarios=6)
    (place.folder / "untouched").mkdir()
    untouched = TinySeries(workflow, place.folder / "untouched")
    untouched.configure(num_scenarios=6)
    untouched.control(seconds=0)
    assert untouched.run()[0] == 0
    survives(place, untouched, kills=20, seed=2)


def test_a_damaged_journal_costs_what_follows_the_damage_and_a_wrong_clock_nothing(copy_of_finished, finished):
    place = copy_of_finished
    tomorrow = time.time() + 86_400
    for path in place.folder.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    before = len(place.computed())
    code, output = place.run()
    assert code == 0, output
    assert len(place.computed()) == before

    lines = place.journal("Prisoners_Dilemma").read_bytes().split(b"\n")
    lines[3] = lines[3][:-20] + b"\0" * 20
    place.journal("Prisoners_Dilemma").write_bytes(b"\n".join(lines))
    place.journal("Stag_Hunt").write_bytes(b"\xff" * 1000)
    for game in GAMES:
        shutil.rmtree(next(place.series.glob(f"{game}_*")))
    code, output = place.run()
    assert code == 0, output
    assert set(place.statuses().values()) == {"completed"}
    for game in GAMES:
        assert place.results(game) == finished.results(game)
    logs = {path.name.split("_tiny")[0]: path.read_text() for path in place.series.glob(".state/*.log")}
    assert "line 4 is damaged; it and what follows is measured again" in logs["Prisoners_Dilemma"]
    assert "is damaged; kept as" in logs["Stag_Hunt"]
    again = [batch.split("/")[0].rpartition("_")[0] for batch in place.computed()[before:]]
    whole = [batch.split("/")[0].rpartition("_")[0] for batch in finished.computed()]
    assert again.count("stag_hunt") == whole.count("stag_hunt")
    assert 0 < again.count("prisoners_dilemma") < whole.count("prisoners_dilemma")


@pytest.mark.slow
def test_damaged_directions_fail_their_experiments_until_they_are_deleted(copy_of_finished, finished):
    place = copy_of_finished
    (file,) = place.folder.glob("results/directions/*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    place.result_files("Stag_Hunt")[1].unlink()
    code, _ = place.run()
    assert code == 1
    rows = place.rows()
    (row,) = (row for row in rows.values() if row["status"] != "completed")
    assert row["status"] == "failed" and row["game_name"] == "Stag_Hunt"
    assert f"{file.name}: not a readable directions file" in row["error"]
    assert "delete it and run again" in row["error"] and "(log: " in row["error"]

    file.unlink()
    before = len(place.computed())
    code, output = place.run()
    assert code == 0, output
    assert file.read_bytes() == whole and len(place.computed()) == before
    assert place.results("Stag_Hunt") == finished.results("Stag_Hunt")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the small disk that is to be filled")
def test_a_full_disk_is_told_and_survived(place, finished):
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
        row = place.rows()["Prisoners_Dilemma_tiny"]
        assert row["status"] == "failed" and "No space left on device" in row["error"], place.output()
        assert "(log: " in row["error"]

        ballast.unlink()
        place.control(seconds=0)
        code, output = place.run()
        assert code == 0, output
        for game in GAMES:
            assert place.results(game) == finished.results(game)
        assert place.begun_again() <= 1
    finally:
        place.end_all()
        subprocess.run(["umount", "--lazy", results], check=True)
