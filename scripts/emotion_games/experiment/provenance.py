"""Where results come from: code, packages and hardware, and the fingerprint of all that can change an answer.

Knows versions and hashes; knows nothing of what they belong to.
"""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch

from emotion_games.hashing import code_hash

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "statsmodels",
    "pandas",
    "snakemake",
)
# A change in these packages makes earlier trials those of another experiment, except in the modules
# that turn trials into files or only check them.
ANSWERING_ROOMS = ("games", "prompts", "engine", "experiment")
NOT_ANSWERING = (
    "games/equilibria.py",
    "engine/self_check.py",
    "experiment/analysis_plan.py",
    "experiment/journal.py",
    "experiment/power.py",
    "experiment/provenance.py",
    "experiment/repeat.py",
    "experiment/results.py",
)


def answering_code_hash() -> str:
    """Return the SHA-256 of the code that makes answers."""
    return code_hash(ANSWERING_ROOMS, without=NOT_ANSWERING)


def code_commit() -> str | None:
    """The commit of the code, with `-changed` where files differ from it; None outside a git checkout."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", folder, *words], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return commit and commit + (
        "-changed" if git("status", "--porcelain", "--", folder.parents[2]) else ""
    )


def environment() -> dict:
    """Versions and hardware."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
