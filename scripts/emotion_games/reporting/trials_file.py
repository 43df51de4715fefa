"""All trials of an experiment as a script that the page loads when a reader searches them.

A page that is opened from a file can load no other kind of file. Standard library only.
"""

import base64
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games.escapes import cell_text
from emotion_games.files import replace_text
from emotion_games.reporting.transcripts import chances, choice_of, number, rows_of

# The texts that many trials share are stored once; a row has their places in the list.
_SHARED = (
    "scenario",
    "history",
    "option_order",
    "arm",
    "emotion",
    "instruction",
    "choice",
    "input",
)


@dataclass(frozen=True)
class Written:
    """What was found while the trials were written.

    Attributes:
        n_trials: Their number.
        n_compared: The written choices of trials with choice probabilities.
        n_likeliest: How many of these are the likeliest option.
    """

    n_trials: int
    n_compared: int
    n_likeliest: int


def write_trials(path: Path, exp_id: str, output: Path) -> Written:
    """Write the trials of exp_results.csv for the page.

    Args:
        path: exp_results.csv.
        exp_id: The experiment.
        output: The script, which calls `trials(exp_id, packed)`; `packed` is gzip in base64 of
            an object with `shared` (a list of texts), and `rows` (see `_row`).
    """
    shared: dict[str, int] = {}
    counts = {"trials": 0, "compared": 0, "likeliest": 0}
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(b'{"rows":[')
        for line in rows_of(path):
            probabilities = chances(line)
            line["choice"] = choice_of(line)
            _count(line["choice"], probabilities, counts)
            comma = b"," if counts["trials"] > 1 else b""
            file.write(comma + _as_json(_row(line, probabilities, shared)))
        file.write(b'],"shared":' + _as_json(list(shared)) + b"}")
    content = base64.b64encode(packed.getvalue()).decode("ascii")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Not durable, because it can be made again.
    replace_text(output, f'trials({json.dumps(exp_id)},"{content}")\n', durable=False)
    return Written(counts["trials"], counts["compared"], counts["likeliest"])


def _row(
    line: Mapping[str, str], probabilities: Mapping[str, float], shared: dict[str, int]
) -> list[Any]:
    """Return the places of the shared texts, then what differs between trials, texts last."""
    texts = [f"{cell_text(line['scenario'])} ({line['scenario_id']})"]
    texts += [cell_text(line[name]) for name in _SHARED[1:]]
    places = [shared.setdefault(text, len(shared)) for text in texts]
    return [
        *places,
        number(float(line["intensity"])),
        line["trial_id"],
        line["extraction_method"],
        {label: round(value, 3) for label, value in probabilities.items()},
        cell_text(line["thoughts"]),
        cell_text(line["output"]),
    ]


def _count(choice: str, probabilities: Mapping[str, float], counts: dict[str, int]) -> None:
    counts["trials"] += 1
    if choice and probabilities:
        counts["compared"] += 1
        counts["likeliest"] += probabilities.get(choice) == max(probabilities.values())


def _as_json(content: Iterable[Any]) -> bytes:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
