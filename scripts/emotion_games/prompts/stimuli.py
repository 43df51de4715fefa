"""Stimuli of emotions: one file per emotion, with one stimulus per line or as a JSON list."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from emotion_games.errors import ProblemList, UserError, shown

NEUTRAL = "neutral"
# The emotions of config/emotions. In a folder that has them all, directions are measured against
# their mean, whichever of them are configured.
SHIPPED = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")
# The mean of a single concept is that concept.
LEAST_REFERENCE = 2
# Of eight stimuli two are held out.
LEAST_STIMULI = 8
# Every fourth stimulus tests the direction that the others make.
HELD_OUT_EVERY = 4
_SUFFIXES = (".json", ".txt")


def stimulus_files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by emotion; of two for one emotion the .txt file."""
    return {file.stem: file for file in _files(folder)}


def reference_emotions(folder: Path) -> list[str]:
    """Return the emotions of a folder against whose mean directions are measured, sorted.

    They are the shipped emotions if the folder has them all, or else all its concepts.
    """
    concepts = set(stimulus_files(folder)) - {NEUTRAL}
    return sorted(SHIPPED if concepts >= set(SHIPPED) else concepts)


def used_stimuli(folder: Path, emotions: Iterable[str]) -> list[str]:
    """Return the names of the files that directions of some emotions depend on, sorted.

    These are the files of the emotions, of the reference, and of neutral if the folder has it.
    """
    files = stimulus_files(folder)
    return sorted({*emotions, *reference_emotions(folder), NEUTRAL} & set(files))


def _files(folder: Path) -> list[Path]:
    # A hidden file is the copy of an editor.
    return sorted(file for file in folder.glob("[!.]*") if file.suffix in _SUFFIXES)


def load_stimuli(
    folder: Path,
    emotions: Collection[str] | None = None,
    log: Callable[[str], None] | None = None,
) -> dict[str, list[str]]:
    """Return stimuli by emotion.

    Empty lines and lines that begin with `#` are skipped, and so is a stimulus that its file holds
    already.

    Args:
        folder: A folder of files `<emotion>.txt` or `<emotion>.json`.
        emotions: Loads the files that the directions of these emotions depend on; None loads all.
        log: Receives a line for each repeated stimulus.

    Raises:
        ProblemList: Everything that is wrong with the files, one line each.
    """
    files = _files(folder)
    if emotions is not None:
        names = used_stimuli(folder, emotions)
        files = [file for file in files if file.stem in names]
    problems = []
    if not any(file.stem != NEUTRAL for file in files):
        problems.append(f"{folder}: no emotions; expected a .txt or .json file for each")
    stimuli: dict[str, list[str]] = {}
    # A stimulus in two files would count for two emotions, so each occurs once in all files.
    first_places: dict[str, tuple[Path, str]] = {}
    for file in files:
        if file.stem in stimuli:
            problems.append(f"{file}: {file.stem} has a .json and a .txt file; remove one of them")
            continue
        kept = stimuli[file.stem] = []
        try:
            texts = list(_texts(file))
        except UserError as error:
            problems.append(str(error))
            continue
        for place, text in texts:
            first_file, first = first_places.setdefault(text.casefold(), (file, place))
            same = f"{place}: the same stimulus as in {first}"
            if first == place:
                kept.append(text)
            elif first_file != file:
                problems.append(f"{same}; remove one of them")
            elif log:
                log(f"{same}; it counts once")
        if len(kept) < LEAST_STIMULI:
            problems.append(
                f"{file}: {len(kept)} stimuli; expected {LEAST_STIMULI} or more, one per line"
            )
    if problems:
        raise ProblemList(problems)
    return stimuli


def _texts(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each stimulus of a file."""
    # This loads yaml, which a page that only names the emotions does without.
    from emotion_games.data_files import read_data, read_text

    if file.suffix == ".json":
        data = read_data(file)
        if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
            raise UserError(f"{file}: expected a list of texts, found {shown(data)}")
        places = [(f"{file}[{index}]", text) for index, text in enumerate(data)]
    else:
        lines = read_text(file).splitlines()
        places = [(f"{file}, line {number}", line) for number, line in enumerate(lines, start=1)]
    for place, line in places:
        text = " ".join(line.split())
        if text and not (file.suffix == ".txt" and text.startswith("#")):
            yield place, text


def split_stimuli(stimuli: list[str]) -> tuple[list[str], list[str]]:
    """Return the stimuli that make a direction, and every fourth, which is held out to test it."""
    held_out = stimuli[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    used = [text for place, text in enumerate(stimuli, start=1) if place % HELD_OUT_EVERY]
    return used, held_out


def story_events(stimuli: list[str]) -> list[str]:
    """Return the stimuli in the order in which stories take them as their events.

    Those that no direction was made from come first. They are fewer than the stories of most
    games, and an event of several stories would make the answers to these stories depend on each
    other, so the others follow.
    """
    used, held_out = split_stimuli(stimuli)
    return held_out + used
