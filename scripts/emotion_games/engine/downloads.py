"""Downloads: how much has arrived, and whether it is what it should be."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Seconds between two lines about a download.
REPORT_SECONDS = 5.0


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def reported(folder: Path, size: int, log: Callable[[str], None]) -> Iterator[None]:
    """Report now and then how much has arrived in a folder while the body runs.

    Args:
        folder: Where files arrive; what is there already does not count.
        size: The bytes that are expected.
        log: Receives the lines.
    """
    ended, before = threading.Event(), _bytes_in(folder)

    def report() -> None:
        while not ended.wait(REPORT_SECONDS):
            arrived = min(_bytes_in(folder) - before, size)
            log(f"{arrived / 1e6:,.0f} of {size / 1e6:,.0f} MB")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            # Files are renamed meanwhile.
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue
    return total
