"""Stimuli of emotions: one text file per emotion with one stimulus per line."""

from collections.abc import Collection
from pathlib import Path

from emotion_games.errors import ProblemList

NEUTRAL = "neutral"
# Of eight stimuli two are held out.
LEAST_STIMULI = 8
# Every fourth stimulus tests the direction that the others make.
HELD_OUT_EVERY = 4


def load_stimuli(folder: Path, emotions: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return stimuli by emotion.

    Empty lines and lines that begin with `#` are skipped.

    Args:
        folder: A folder of files `<emotion>.txt`, with `neutral.txt` among them.
        emotions: The emotions to load beside neutral; None loads all files.

    Raises:
        ProblemList: Everything that is wrong with the files, one line each.
    """
    files = sorted(folder.glob("*.txt"))
    if emotions is not None:
        files = [file for file in files if file.stem in (*emotions, NEUTRAL)]
    problems = []
    if not files:
        problems.append(
            f"{folder}: no emotions; expected one .txt file for each, with {NEUTRAL}.txt among them"
        )
    elif not any(file.stem == NEUTRAL for file in files):
        problems.append(
            f"{folder}: {NEUTRAL}.txt is missing; directions are measured against neutral stimuli"
        )
    stimuli: dict[str, list[str]] = {}
    # A stimulus in two files would count for two emotions, so each occurs once in all files.
    first_places: dict[str, str] = {}
    for file in files:
        kept = stimuli[file.stem] = []
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            problems.append(f"{file}: cannot be read: {error}")
            continue
        for number, line in enumerate(lines, start=1):
            text = " ".join(line.split())
            if not text or text.startswith("#"):
                continue
            place = f"{file}, line {number}"
            first = first_places.setdefault(text.casefold(), place)
            if first == place:
                kept.append(text)
            else:
                problems.append(f"{place}: the same stimulus as in {first}; remove one of them")
        if len(kept) < LEAST_STIMULI:
            problems.append(
                f"{file}: {len(kept)} stimuli; expected {LEAST_STIMULI} or more, one per line"
            )
    if problems:
        raise ProblemList(problems)
    return stimuli


def split_stimuli(stimuli: list[str]) -> tuple[list[str], list[str]]:
    """Return the stimuli that make a direction, and every fourth, which is held out to test it."""
    held_out = stimuli[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    used = [text for place, text in enumerate(stimuli, start=1) if place % HELD_OUT_EVERY]
    return used, held_out
