"""A series on a machine with four made-up GPUs, on Snakemake's command line."""

import os
import signal
import tempfile
from itertools import combinations

import pytest

from emotion_games.series import gpus, state
from stand_in_gpus import DEVICES, install
from test_workflow import Place, workflow  # noqa: F401  # a fixture

GAMES = ["Battle_Of_Sexes", "Prisoners_Dilemma", "Stag_Hunt", "Wait_Go"]


@pytest.fixture
def place(workflow, tmp_path, monkeypatch):  # noqa: F811
    for name in ("bin", "locks", "series"):
        (tmp_path / name).mkdir()
    install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    # So that what a claim sets is undone, whether the variable was set or not.
    monkeypatch.setenv(gpus.VISIBLE, "")
    monkeypatch.delenv(gpus.VISIBLE)
    monkeypatch.setattr(gpus, "_held", [])
    place = Place(workflow, tmp_path / "series")
    place.configure(games=GAMES, models=["org/M1", {"id": "org/M2", "gpus": 2}])
    place.control(trials=8, seconds=0.25)
    return place


def uses(place):
    """Return the experiment, the devices, the begin and the end of each use."""
    path = place.folder / "uses.txt"
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(who, set(ids.split(",")), float(begin), float(end)) for who, ids, begin, end in rows]


def used_twice(place):
    return [
        (one, other)
        for one, other in combinations(uses(place), 2)
        if one[0] != other[0] and one[1] & other[1] and one[2] < other[3] and other[2] < one[3]
    ]


@pytest.mark.slow
def test_eight_experiments_share_four_gpus_and_a_killed_one_loses_none(place):
    # The rest needs no GPU. With the resource of twice as many devices, jobs must wait.
    options = ("--until", "run_experiment", "--cores", "8", "--resources", "gpu=8")
    with place.started(*options) as process:
        place.wait(lambda: len({use[0] for use in uses(place)}) >= 3, "three experiments at once")
        killed = uses(place)[-1][0]
        os.kill(state.read_state(place.series, killed)["pid"], signal.SIGKILL)
        assert process.wait(240) == 1, place.output()
    statuses = place.statuses()
    assert len(statuses) == 8 and statuses.pop(killed) == "failed"
    assert set(statuses.values()) == {"completed"}
    # None is lost: all of them can be claimed at once.
    gpus.claim({"device": "auto", "gpus": 4}, log=lambda _: None, should_stop=lambda: True)

    assert used_twice(place) == []
    assert set.union(*(use[1] for use in uses(place))) == set(DEVICES)
    for who, devices, *_ in uses(place):
        assert len(devices) == (2 if who.endswith("_M2") else 1)
    logs = {path.stem: path.read_text() for path in place.series.glob(".state/*.log")}
    loading = [name for name in logs if name.startswith(("directions.", "push_checks."))]
    assert len(loading) == 4
    for name in [*loading, *place.rows()]:
        assert "runs on GPU-" in logs[name], name
    assert any("which other jobs use" in log for log in logs.values())


@pytest.mark.slow
def test_the_rules_ask_for_as_many_gpus_as_the_model_needs(place):
    place.configure(models=[{"id": "org/M2", "gpus": 2}])
    options = ("--dry-run", "--quiet", "host", "--cores", "8", "--resources")
    assert place.run(*options, "gpu=4")[1].count("gpu=2") == 4
    # The default profile lets one job at a time use GPUs, however many it needs.
    assert place.run(*options, "gpu=1")[1].count("gpu=1") == 4
    place.configure(models=[{"id": "org/M2", "gpus": 2}], runtime={"device": "cpu"})
    assert place.run(*options, "gpu=4")[1].count("gpu=0") == 4
