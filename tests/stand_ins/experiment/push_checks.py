"""A replacement for the checks of pushes, which needs no model.

The file controls.json names the model whose checks fail, and the seconds that all checks take.
"""

import json
import time
from pathlib import Path

from emotion_games.errors import UserError
from emotion_games.experiment.check_records import write_checks
from emotion_games.signals import Interrupted


def check_pushes(inputs, output, control):
    controls = json.loads(Path("controls.json").read_text())
    if controls.get("push_checks") == inputs.spec["model"]["id"]:
        raise UserError(f"model {inputs.spec['model']['id']}: no check can be made")
    control.progress({"check items": (0, 2)}, None)
    for _ in range(int(controls.get("check_seconds", 0) / 0.1)):
        if control.should_stop():
            raise Interrupted("interrupted after 0 of 2 check items")
        time.sleep(0.1)
    control.progress({"check items": (2, 2)}, 0.0)
    write_checks(output, [])
