"""The answers to the checks: names, keys in the journal, and rows of their table."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from emotion_games.errors import UserError
from emotion_games.experiment.conditions import Condition
from emotion_games.experiment.spec import Record
from emotion_games.files import replace_text

# Separates the parts of a check's key; no key of a trial contains it.
SEPARATOR = "|"
CHECK_COLUMNS = ("check", "arm", "emotion", "intensity", "item", "probabilities", "value")
# Names of the options of a dominance item, of a comprehension question and of a neutral text.
BETTER, WORSE, RIGHT, TEXT = "better", "worse", "right", "text"
# With fewer null directions their sd is too uncertain to judge by. That of 20 is known to within a
# sixth; more of them would only cost time.
LEAST_NULLS, NULLS_CHECKED = 10, 20
# Neutral must choose the better option of the dominance items with this mean probability; guessing
# gives 0.5.
DOMINANCE_READ = 0.7
# Separates an emotion from a word for it in the name of an option.
WORD = "/"


class Check(StrEnum):
    """The kinds of check."""

    NAMED_EMOTION = "named_emotion"
    FELT_EMOTION = "felt_emotion"
    HELD_OUT = "held_out_sentences"
    DOMINANCE = "dominance"
    PERPLEXITY = "perplexity"
    COMPREHENSION = "comprehension"
    # No check: the number of different tokens of the model, by which its perplexity is judged.
    VOCABULARY = "vocabulary"


def check_key(check: Check, condition: str, item: object) -> str:
    """Return the key in the journal for an item of a check under a condition."""
    return f"{check}{SEPARATOR}{condition}{SEPARATOR}{item}"


def check_of(key: str) -> str:
    """Return the kind of check that a key in the journal begins with."""
    return key.split(SEPARATOR)[0]


def check_rows(
    records: Mapping[str, Record], conditions: Sequence[Condition]
) -> list[dict[str, Any]]:
    """Return one row of CHECK_COLUMNS per answer to a check; other records are ignored.

    Their order does not depend on interruptions.
    """
    by_name = {c.name: c for c in conditions}
    kinds, names = list(map(str, Check)), list(by_name)

    def place(record: Record) -> tuple:
        kind, name, item = record["key"].split(SEPARATOR, 2)
        return kinds.index(kind), names.index(name), len(item), item

    found = [record for key, record in records.items() if check_of(key) in kinds]
    return [check_row(record, by_name) for record in sorted(found, key=place)]


def check_row(record: Record, conditions: Mapping[str, Condition]) -> dict[str, Any]:
    """Return the row of a check's record.

    `value` is a mean log-likelihood per token in nats (held-out sentences), a probability
    (dominance), a mean negative log-likelihood per token in nats (perplexity), 1 or 0
    (comprehension), or a number of tokens (vocabulary). The questions about the feeling have the
    `probabilities` of the emotions instead, as JSON.
    """
    kind, name, item = record["key"].split(SEPARATOR, 2)
    condition = conditions[name]
    who = (kind, str(condition.arm), condition.emotion, condition.intensity)
    probabilities, value = _answer(kind, record)
    return dict(zip(CHECK_COLUMNS, (*who, item, probabilities, value), strict=True))


def _answer(kind: str, record: Record) -> tuple[str | None, float | None]:
    """Return the probabilities and the value of a check's record, one of which is None."""
    if kind == Check.VOCABULARY:
        return None, float(record["tokens"])
    scores = record["scores"]
    assert scores is not None
    if kind in (Check.NAMED_EMOTION, Check.FELT_EMOTION):
        return json.dumps(_of_emotions(scores["probabilities"])), None
    if kind == Check.HELD_OUT:
        return None, scores["per_token"][TEXT]
    if kind == Check.DOMINANCE:
        return None, scores["probabilities"][BETTER]
    if kind == Check.PERPLEXITY:
        return None, -scores["per_token"][TEXT]
    answers = scores["probabilities"]
    return None, float(max(answers, key=answers.__getitem__) == RIGHT)


def _of_emotions(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Return the probability of each emotion: that of all its words."""
    sums: dict[str, float] = {}
    for option, probability in probabilities.items():
        emotion = option.split(WORD)[0]
        sums[emotion] = round(sums.get(emotion, 0.0) + probability, 5)
    return sums


def write_checks(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of CHECK_COLUMNS, complete or not at all."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, CHECK_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, table.getvalue())


def read_checks(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table that `write_checks` has written.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [_typed(row) for row in csv.DictReader(file, strict=True)]
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: is missing or damaged ({error}); delete it, and run the series again"
        ) from error


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    value = float(row["value"]) if row["value"] else None
    changes = {"intensity": float(row["intensity"]), "value": value}
    return {name: row[name] or None for name in CHECK_COLUMNS} | changes
