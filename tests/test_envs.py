"""The environment files agree: one list of exact versions, the same for pip and for conda."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ENVS = Path(__file__).parents[1] / "envs"


def pins(lines):
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def test_conda_has_the_same_versions():
    required = pins((ENVS / "requirements.txt").read_text().splitlines())
    llm = yaml.safe_load((ENVS / "llm.yaml").read_text())
    assert llm["name"] == "llm"
    (by_pip,) = [part["pip"] for part in llm["dependencies"] if isinstance(part, dict)]
    assert by_pip == required


def test_every_version_is_exact():
    for name in ("requirements.txt", "slurm.txt"):
        for pin in pins((ENVS / name).read_text().splitlines()):
            assert re.fullmatch(r"[A-Za-z0-9_-]+==[0-9][0-9.]*", pin), pin


def test_the_tests_run_with_these_versions():
    for pin in pins((ENVS / "requirements.txt").read_text().splitlines()):
        name, wanted = pin.split("==")
        # A build for one kind of machine calls itself 2.13.0+cpu and the like.
        assert version(name).split("+")[0] == wanted
