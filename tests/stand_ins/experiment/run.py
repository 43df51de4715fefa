"""Stands in for the engine: trials that take a moment, and whatever trouble the controls ask for."""

import json
import os
import signal
import time
from pathlib import Path

from emotion_games.experiment.journal import Journal, digest, read_journal
from emotion_games.series.state import RESULT_FILES
from emotion_games.signals import STOP_SIGNALS, Interrupted


def run(spec, files, model_path, directions_path, journal_path, output_dir, runtime, should_stop, progress, imported):
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
    output_dir.mkdir(parents=True, exist_ok=True)
    for name in RESULT_FILES:
        part = output_dir / f".{name}.part"
        told = {"directions": {"weights_hash": "the only ones"}} if name == "exp_config.yaml" else records
        part.write_text(json.dumps(told))
        os.replace(part, output_dir / name)


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
