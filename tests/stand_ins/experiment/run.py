"""Stands in for the engine: trials that take a moment, and whatever trouble the controls ask for."""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from emotion_games.experiment.journal import Journal, read_journal
from emotion_games.hashing import digest
from emotion_games.signals import STOP_SIGNALS, Interrupted


def run(
    spec, files, model_path, directions_path, journal_path, runtime, should_stop, progress, imported
):
    controls = json.loads(Path("controls.json").read_text())
    trials, trouble = controls["trials"], controls.get(spec["model_name"])
    fingerprint = digest(spec)
    records = read_journal(journal_path, fingerprint)
    with Journal(journal_path, fingerprint) as journal:
        for number in range(len(records), trials):
            progress(number, trials)
            if should_stop():
                raise Interrupted(f"interrupted after {number} of {trials} trials")
            if trouble and number == trials // 2:
                _make(trouble)
            time.sleep(controls["seconds"])
            with open("computed.txt", "a") as computed:
                computed.write(f"{spec['exp_id']}/{number}\n")
            records.append({"number": number})
            journal.append([records[-1]])
    progress(trials, trials)
    return SimpleNamespace(
        trials=records, checks=None, game=None, settings=None, n_planned=trials, configuration={}
    )


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
