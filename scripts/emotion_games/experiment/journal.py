"""The trial journal: what an experiment has measured so far, on disk batch by batch.

A journal is a file of JSON lines. The first line holds the fingerprint of everything that can
change an answer, and each further line the records of one batch.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emotion_games.escapes import say
from emotion_games.experiment.spec import Record
from emotion_games.files import set_aside

# Keys of the first two records and the last one; the keys of trials and checks contain other
# characters.
PLAN = "plan"
PROMPTS = "prompts"
COMPLETE = "complete"


def read_journal(path: Path, fingerprint: str, log: Callable[[str], None] = say) -> list[Record]:
    """Repair a journal after a crash and return its records.

    An unfinished last line is cut off. Lines from a damaged one on are kept in another file and
    measured again. A journal with another fingerprint is renamed and has no records.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    complete, torn = lines[:-1], lines[-1]
    header = _parse(complete[0]) if complete else None
    # Trials of another fingerprint cannot be mixed with new ones, but they are never deleted.
    if not isinstance(header, dict) or header.get("fingerprint") != fingerprint:
        reason = "is damaged" if header is None else "belongs to other settings, weights or code"
        _set_aside(path, reason, log)
        return []
    records: list[Record] = []
    good = len(complete[0]) + 1
    for number, line in enumerate(complete[1:], start=2):
        batch = _parse(line)
        if not isinstance(batch, list):
            log(
                f"{path.name}: line {number} is damaged; this line and all later ones are measured "
                "again (old file: *.cut)"
            )
            path.with_suffix(".cut").write_bytes(path.read_bytes())
            break
        records += batch
        good += len(line) + 1
    if good < path.stat().st_size:
        if torn:
            log(f"{path.name}: an unfinished last line was dropped")
        # New lines are appended after what is left.
        os.truncate(path, good)
    return records


def _set_aside(path: Path, reason: str, log: Callable[[str], None]) -> None:
    aside = set_aside(path)
    log(f"{path.name}: {reason}; it is kept as {aside.name}, and all trials start again")


def journal_fingerprint(path: Path) -> str | None:
    """Return the fingerprint of a journal, or None if the file is missing or damaged."""
    if not path.exists():
        return None
    with open(path, "rb") as file:
        header = _parse(file.readline())
    return header.get("fingerprint") if isinstance(header, dict) else None


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


class Journal:
    """A journal that is continued. `records` holds its records by their keys."""

    def __init__(self, path: Path, fingerprint: str, log: Callable[[str], None] = say) -> None:
        self.records = {record["key"]: record for record in read_journal(path, fingerprint, log)}
        self._path, self._fingerprint, self._log = path, fingerprint, log
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size == 0:
            self._write({"fingerprint": fingerprint})

    def begin_again(self, reason: str) -> None:
        """Keep the file under another name, and go on with an empty journal."""
        _set_aside(self._path, reason, self._log)
        self.records.clear()
        self._write({"fingerprint": self._fingerprint})

    def append(self, records: list[Record]) -> None:
        """Write the records of one batch; they are on the disk when this returns."""
        self._write(records)
        self.records |= {record["key"]: record for record in records}

    def _write(self, content: object) -> None:
        line = json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with open(self._path, "ab") as file:
            file.write(line)
            file.flush()
            # A batch may take minutes to measure, and the machine may fail at any time.
            os.fsync(file.fileno())
