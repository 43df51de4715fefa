"""The real model SmolLM2-135M-Instruct, made once for all tests by the rule of the workflow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from emotion_games.files import lock
from emotion_games.series.models import plan_models

ROOT = Path(__file__).parents[1]


def smollm2_folder(config: pytest.Config) -> Path:
    """Return the folder of the converted model, which is made if it is not there.

    Without a network the test is skipped. On CI it fails.

    Args:
        config: pytest's `request.config`; the folder is in its cache.
    """
    place = Path(config.cache.mkdir("smollm2"))
    (model,) = plan_models(["smollm2"], ROOT)
    folder = place / "results" / "models" / str(model.made_folder)
    # Several processes may run tests.
    with lock(place / "tests.lock"):
        if not (folder / "model.safetensors").is_file():
            _make(place)
    return folder


def use_smollm2(folder: Path, base_dir: Path) -> None:
    """Let series with this output folder find the converted model, as if they had made it."""
    (base_dir / "models").mkdir(parents=True, exist_ok=True)
    os.symlink(folder, base_dir / "models" / folder.name)


def _make(place: Path) -> None:
    experiment = {"name": "Fetch", "games": ["Stag_Hunt"], "models": ["smollm2"]}
    (place / "config.yaml").write_text(yaml.safe_dump({"experiment": experiment}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "config.yaml", "--until", "fetch_model"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=900)
    if done.returncode:
        (reason, *_) = [line for line in done.stderr.splitlines() if "failed: " in line] or [
            done.stderr[-1000:]
        ]
        if os.environ.get("CI") or "pip cannot fetch" not in reason:
            pytest.fail(reason)
        pytest.skip(reason)
