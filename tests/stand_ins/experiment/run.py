"""Stands in for the running of an experiment: trials that take a moment, and failures.

The file controls.json sets the number of trials, their seconds, and the failure of each model.
"""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from emotion_games.experiment.journal import Journal
from emotion_games.hashing import digest
from emotion_games.signals import STOP_SIGNALS, Interrupted


def run(inputs, control):
    controls, spec = json.loads(Path("controls.json").read_text()), inputs.spec
    trials, trouble = controls["trials"], controls.get(spec["model_name"])
    journal = Journal(inputs.journal, digest(spec))
    for number in range(len(journal.records), trials):
        control.progress({"trials": (number, trials)}, None)
        if control.should_stop():
            raise Interrupted(f"interrupted after {number} of {trials} trials")
        if trouble and number == trials // 2:
            _make(trouble)
        begin = time.monotonic()
        time.sleep(controls["seconds"])
        _note_use(spec["exp_id"], begin)
        with open("computed.txt", "a") as computed:
            computed.write(f"{spec['exp_id']}/{number}\n")
        journal.append([{"key": str(number)}])
    control.progress({"trials": (trials, trials)}, 0.0)
    configuration = {"seconds": {}, "directions": {}, "plan": {"power": {}}}
    trials = list(journal.records.values())
    return SimpleNamespace(trials=trials, checks=None, game=None, configuration=configuration)


def _note_use(exp_id, begin):
    """Add a line with the devices that the job sees, and since when it has used them."""
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    if devices:
        with open("uses.txt", "a") as uses:
            uses.write(f"{exp_id} {devices} {begin} {time.monotonic()}\n")


def _make(trouble):
    if trouble == "error":
        raise ValueError("the model answered nonsense\nand more of it")
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "full disk":
        raise OSError(28, "No space left on device")
    if trouble == "stuck":
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)
