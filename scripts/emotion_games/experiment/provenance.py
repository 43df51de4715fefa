"""Where results come from: code, packages and hardware, and the fingerprint of all that can change an answer.

Knows versions and hashes; knows nothing of what they belong to.
"""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch

from emotion_games.experiment.journal import digest

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
# The modules that make answers: a change in one of them makes earlier trials another experiment's.
ANSWERING = (
    "engine/directions", "engine/generation", "engine/batches", "engine/models", "engine/probes", "engine/sampling",
    "engine/scoring", "engine/sharing", "engine/hooks", "experiment/check_requests", "experiment/conditions",
    "experiment/run", "experiment/pushes", "experiment/requests", "experiment/trials", "prompts/answers",
    "prompts/payoffs", "prompts/messages", "prompts/templates",
)  # fmt: skip


def answering_code_hash() -> str:
    """SHA-256 over the source of the modules that make answers."""
    folder = Path(__file__).parents[1]
    return digest({name: hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest() for name in ANSWERING})


def code_commit() -> str | None:
    """The commit of the code, with `-changed` where files differ from it; None outside a git checkout."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return commit and commit + ("-changed" if git("status", "--porcelain", "--", folder.parents[2]) else "")


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
