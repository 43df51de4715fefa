"""Where results come from: code, packages and hardware."""

import importlib.metadata
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from emotion_games.hashing import code_hash

PACKAGES = [
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "statsmodels",
    "pandas",
    "snakemake",
]
# A change in these rooms can change an answer, so that trials start again, except in the modules
# that turn trials into files or only check them.
ANSWERING_ROOMS = ("games", "prompts", "engine", "experiment")
_RECORDING = (
    "analysis_plan check_records context headroom journal pace plan_file planned_power power "
    "provenance repeat results spec trial_table"
)
_FILES = "downloads fetching gguf_conversion gguf_files hub smollm2 vector_export"
NOT_ANSWERING = (
    "games/equilibria.py",
    "engine/observer.py",
    "engine/reference.py",
    "engine/self_check.py",
    "engine/self_check_cases.py",
    *(f"engine/{name}.py" for name in _FILES.split()),
    *(f"experiment/{name}.py" for name in _RECORDING.split()),
)


def answering_code_hash() -> str:
    """Return the SHA-256 of the code that can change an answer."""
    return code_hash(ANSWERING_ROOMS, without=NOT_ANSWERING)


def code_commit() -> str | None:
    """Return the commit of the code, with `-changed` if files differ from it.

    None outside a git checkout.
    """
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        command = ["git", "-C", str(folder), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    is_changed = commit and git("status", "--porcelain", "--", str(folder.parents[2]))
    return f"{commit}-changed" if is_changed else commit


def environment() -> dict[str, Any]:
    """Return the versions of packages and the hardware."""
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
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None
