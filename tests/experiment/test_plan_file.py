"""The plan file says what was decided, and stays as it was."""

import pytest
import yaml

from emotion_games.experiment.analysis_plan import plan_hash, the_plan
from emotion_games.experiment.plan_file import write_plan
from emotion_games.experiment.planned_power import planned_power, power_lines
from simulated_trials import SETTINGS, a_game
from tiny_experiment import spec_of

PLAN = the_plan(SETTINGS, a_game())
RECORD = {
    "key": "plan",
    "plan": PLAN,
    "hash": plan_hash(PLAN),
    "frozen": "2026-01-31T12:00:00+01:00",
    "power": planned_power(PLAN, 24, 2),
}
SPEC = spec_of(SETTINGS | {"game_settings": {}}, {"stimuli": "abc"})


@pytest.fixture
def write(tmp_path):
    """A function that writes plan.yaml and returns the lines of the log."""

    def write(record=RECORD, spec=SPEC, weights="w"):
        log = []
        write_plan(tmp_path / "out" / "plan.yaml", spec, record, {"weights": weights}, log.append)
        return log

    return write


def test_the_file_holds_the_plan_whose_hash_it_names_and_the_power(write, tmp_path):
    assert write() == []
    text = (tmp_path / "out" / "plan.yaml").read_text()
    content = yaml.safe_load(text)
    assert text.startswith("# The preregistration of an experiment, written before its first")
    assert content["plan"] == PLAN and plan_hash(content["plan"]) == content["hash"]
    assert content["power"] == power_lines(RECORD["power"])
    assert content["model"] == {"name": "tiny", "id": "tiny"}
    assert content["file_hashes"] == {"stimuli": "abc", "weights": "w"}
    # Each setting stands there once, under its own name or in the plan.
    assert content["settings"]["generation"] == SETTINGS["generation"]
    assert not content["settings"].keys() & content["plan"].keys()


def test_a_rerun_never_changes_it(write, tmp_path):
    write()
    path = tmp_path / "out" / "plan.yaml"
    before, time = path.read_bytes(), path.stat().st_mtime_ns
    # The trials began again, and more is known about the power by now.
    later = RECORD | {"frozen": "2027-01-01", "power": planned_power(PLAN, 48, 2)}
    assert write(later) == []
    assert path.read_bytes() == before and path.stat().st_mtime_ns == time


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": SPEC | {"settings": SPEC["settings"] | {"seed": 1}}},
        {"spec": SPEC | {"hashes": {"stimuli": "other"}}},
        {"weights": "other"},
        {"record": RECORD | {"plan": PLAN | {"confidence": 0.9}, "hash": "other"}},
    ],
)
def test_another_decision_keeps_the_old_file_under_another_name(write, tmp_path, changed):
    write()
    before = (tmp_path / "out" / "plan.yaml").read_bytes()
    (line,) = write(**changed)
    (aside,) = (tmp_path / "out").glob("*.aside")
    assert line == f"plan.yaml: has another plan; it is kept as {aside.name}"
    assert aside.read_bytes() == before
    assert (tmp_path / "out" / "plan.yaml").read_bytes() != before


@pytest.mark.parametrize("damaged", [b"plan: [", b"\xff\xfe\x00", b"a text", b""])
def test_a_damaged_file_is_kept_under_another_name(write, tmp_path, damaged):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.yaml").write_bytes(damaged)
    assert len(write()) == 1
    assert next((tmp_path / "out").glob("*.aside")).read_bytes() == damaged
    assert yaml.safe_load((tmp_path / "out" / "plan.yaml").read_text())["plan"] == PLAN
