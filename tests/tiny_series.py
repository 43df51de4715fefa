"""A series of real trials with a tiny random model: the workflow without its figures and pages.

Every batch that begins adds a line to `computed.txt`, and takes longer by the `seconds` of
`controls.json`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import yaml

from emotion_games import layout
from emotion_games.series import completeness
from test_workflow import ROOT, Place
from tiny import tiny_model

# Seconds to wait for anything, on a busy machine.
PATIENCE = 600
GAMES = ("Prisoners_Dilemma", "Stag_Hunt")
CHECKS = {
    "contexts": ["You sort the post.", "You wait for the bus."],
    "dominance": [],
    "neutral_texts": ["The river runs past seven old mills to the sea."],
}
_COUNTING = """

_measure_uncounted = measure


def measure(instrument, requests, log):
    import json
    from pathlib import Path

    with open("computed.txt", "a") as computed:
        computed.write(" ".join(request.key for request in requests) + "\\n")
    time.sleep(json.loads(Path("controls.json").read_text())["seconds"])
    return _measure_uncounted(instrument, requests, log)
"""


def copy_workflow(folder: Path) -> Path:
    """Copy the workflow and add a tiny model; figures, series tables and pages are stand-ins."""
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    library = folder / "scripts" / "emotion_games"
    for name in ("reporting/page", "reporting/figure_files", "analysis/series_statistics"):
        shutil.copy(ROOT / "tests" / "stand_ins" / f"{name}.py", library / f"{name}.py")
    with open(library / "experiment" / "measuring.py", "a") as module:
        module.write(_COUNTING)
    (folder / "config" / "tiny_checks.yaml").write_text(yaml.safe_dump(CHECKS))
    loaded = tiny_model("qwen2")
    loaded.model.save_pretrained(folder / "tiny")
    loaded.tokenizer.save_pretrained(folder / "tiny")
    return folder


class TinySeries(Place):
    """A working directory in which the series runs."""

    def configure(self, **changes):
        demo = "config/demo"
        experiment = {
            "name": "Tiny",
            "games": ["Prisoners_Dilemma"],
            "models": [str(self.workflow / "tiny")],
            "emotions": ["anger"],
            "intensity": [0.2],
            "num_scenarios": 2,
            "generation": {"max_new_tokens": 8},
            "arms": {"random": {"matched": 2, "isotropic": 0}},
            "checks": {"damage": False},
            "check_items": "config/tiny_checks.yaml",
            "stimuli": f"{demo}/emotions",
            "prompts": f"{demo}/prompts.yaml",
            "scenarios": {game: f"{demo}/games/{game}/scenarios.yaml" for game in GAMES},
            "runtime": {"device": "cpu", "threads": 1, "batch_tokens": 1000},
        }
        (self.folder / "config.yaml").write_text(
            yaml.safe_dump({"experiment": experiment | changes})
        )

    def run(self, *arguments):
        """Run to the end, and return the exit code and the output of all runs here."""
        process = self.start(*arguments)
        try:
            return process.wait(PATIENCE), self.output()
        finally:
            process.kill()

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"no sign of {what}:\n{self.output()}"
            time.sleep(0.05)

    def start(self, *arguments):
        """Start a run in its own session, with signals as in a terminal; the caller ends it."""
        with open(self.folder / "output.txt", "a") as output:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def end_all(self):
        """Kill the processes that still run here."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def job_of(self, process):
        """Return the current job of a run, or None."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                if ".snakemake/scripts/" in " ".join(child.cmdline()):
                    return child
        return None

    def begun_again(self):
        """Return how many times a batch began that had begun before."""
        return sum(times - 1 for times in Counter(self.computed()).values())

    def rebuilt_statuses(self):
        """Return the statuses in a rebuilt report; none before there is a series."""
        if not self.all_series() or not layout.record_path(self.series).exists():
            return set()
        return {row["status"] for row in completeness.rebuild(self.series).values()}

    @property
    def result_folder(self):
        return next(path for path in self.series.glob("Prisoners_Dilemma_*") if path.is_dir())

    def results(self):
        """Return the table of trials of each experiment."""
        return {
            path.parent.name[:-16]: path.read_text()
            for path in self.series.glob("*/exp_results.csv")
        }

    @property
    def journal(self):
        return layout.journal_path(self.series, "Prisoners_Dilemma_tiny")

    def log(self):
        """Return the log of the experiment."""
        return layout.log_path(self.series, "Prisoners_Dilemma_tiny").read_text()
