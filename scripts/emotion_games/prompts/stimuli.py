"""Emotions as text files: one file an emotion, one stimulus a line, `neutral.txt` among them.

Knows which emotions there are, and which stimuli make a direction and which are held out to test it.
"""

from collections.abc import Collection
from pathlib import Path

from emotion_games.errors import ProblemList

NEUTRAL = "neutral"
LEAST_STIMULI = 8
HELD_OUT_EVERY = 4


def load_stimuli(folder: Path, emotions: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return the stimuli of `emotions` (None: all there are) and of neutral; ProblemList with all that is wrong.

    Lines that begin with `#` are comments, empty lines are skipped.
    """
    files = sorted(Path(folder).glob("*.txt"))
    if emotions is not None:
        files = [file for file in files if file.stem in (*emotions, NEUTRAL)]
    problems = []
    if not files:
        problems.append(
            f"{folder}: holds no emotions: expected one .txt file an emotion, {NEUTRAL}.txt among them"
        )
    elif not any(file.stem == NEUTRAL for file in files):
        problems.append(
            f"{folder}: {NEUTRAL}.txt is missing; the directions are measured against it"
        )
    stimuli: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for file in files:
        stimuli[file.stem] = []
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            problems.append(f"{file}: cannot be read: {error}")
            continue
        for number, line in enumerate(lines, start=1):
            text = " ".join(line.split())
            if not text or text.startswith("#"):
                continue
            key, place = text.casefold(), f"{file}, line {number}"
            if key in owner:
                problems.append(
                    f"{place}: the same stimulus as in {owner[key]}; remove one of them"
                )
                continue
            owner[key] = place
            stimuli[file.stem].append(text)
        if len(stimuli[file.stem]) < LEAST_STIMULI:
            problems.append(
                f"{file}: {len(stimuli[file.stem])} stimuli; give {LEAST_STIMULI} at least, one a line"
            )
    if problems:
        raise ProblemList(problems)
    return stimuli


def split_stimuli(stimuli: list[str]) -> tuple[list[str], list[str]]:
    """Return the stimuli that make a direction and those held out: every fourth, in the order of the file."""
    held_out = stimuli[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    return [text for place, text in enumerate(stimuli, start=1) if place % HELD_OUT_EVERY], held_out
