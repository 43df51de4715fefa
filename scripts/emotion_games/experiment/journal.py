"""The trial journal: what an experiment has measured so far, safe on disk batch by batch.

A journal is a file of JSON lines. The first line holds the fingerprint of everything that can change an answer; each
further line holds the records of one finished batch. Knows nothing of what a record means.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path


def read_journal(path: Path, fingerprint: str, log: Callable[[str], None] = print) -> list[dict]:
    """Records of a journal with this fingerprint; a torn last line is dropped, a foreign journal is renamed aside."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    complete, torn = lines[:-1], lines[-1]
    header = _parse(complete[0]) if complete else None
    if not isinstance(header, dict) or header.get("fingerprint") != fingerprint:
        aside = path.with_name(f"{path.stem}.{time.strftime('%Y%m%d_%H%M%S')}-{os.getpid()}.aside")
        path.rename(aside)
        reason = "is damaged" if header is None else "belongs to other settings, weights or code"
        log(f"{path.name}: {reason}; kept as {aside.name}, and the trials start anew")
        return []
    records, good = [], len(complete[0]) + 1
    for number, line in enumerate(complete[1:], start=2):
        batch = _parse(line)
        if not isinstance(batch, list):
            log(
                f"{path.name}: line {number} is damaged; it and what follows is measured again (old file: *.cut)"
            )
            path.with_suffix(".cut").write_bytes(path.read_bytes())
            break
        records += batch
        good += len(line) + 1
    if good < path.stat().st_size:
        if torn:
            log(f"{path.name}: an unfinished last line was dropped")
        os.truncate(path, good)
    return records


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


class Journal:
    """Appends batches; each is on disk when `append` returns."""

    def __init__(self, path: Path, fingerprint: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists() or path.stat().st_size == 0
        self._file = open(path, "ab")  # noqa: SIM115 (closed in __exit__)
        if is_new:
            self._write({"fingerprint": fingerprint})

    def append(self, records: list[dict]) -> None:
        """Write the records of one batch and wait until the disk has them."""
        self._write(records)

    def _write(self, content: object) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
