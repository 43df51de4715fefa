"""The file that preregisters an experiment: what was decided before its first trial."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from emotion_games import files
from emotion_games.experiment.planned_power import power_lines
from emotion_games.experiment.spec import Record, Spec

_HEAD = """\
# The preregistration of an experiment, written before its first trial. Deposit this file to prove
# the plan. `hash` is the SHA-256 of `plan` as JSON with sorted keys and no spaces, and stands in
# stats_analysis.json, too. exp_config.yaml is written with the results, and adds what is needed to
# repeat the experiment.
"""
# What is known about the power, and the time, are no decisions.
_NO_DECISIONS = ("frozen", "power")


def write_plan(
    path: Path,
    spec: Spec,
    record: Record,
    directions: Mapping[str, str],
    log: Callable[[str], None],
) -> None:
    """Write the plan of an experiment, unless the file has the same plan already.

    A file with another plan is kept under another name, as the trials of that plan are.

    Args:
        path: The file.
        spec: The specification of the experiment.
        record: The journal's record of the plan.
        directions: The hashes of the weights and of the directions.
        log: Called with a line if another plan is set aside.
    """
    content = _content(spec, record, directions)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    if path.exists():
        if _decisions(path.read_bytes()) == _decisions(text):
            return
        aside = files.set_aside(path)
        log(f"{path.name}: has another plan; it is kept as {aside.name}")
    files.replace_text(path, _HEAD + text)


def _content(spec: Spec, record: Record, directions: Mapping[str, str]) -> dict[str, Any]:
    plan = record["plan"]
    # The plan has the others.
    settings = {key: value for key, value in spec["settings"].items() if key not in plan}
    return {
        "experiment": spec["exp_id"],
        "model": {"name": spec["model_name"], **spec["model"]},
        "frozen": record["frozen"],
        "hash": record["hash"],
        "plan": plan,
        "power": power_lines(record["power"]),
        "settings": settings,
        "file_hashes": {**spec["hashes"], **directions},
    }


def _decisions(text: str | bytes) -> Any:
    """Return what a file decides, None if it is damaged."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(content, dict):
        return None
    return {key: value for key, value in content.items() if key not in _NO_DECISIONS}
