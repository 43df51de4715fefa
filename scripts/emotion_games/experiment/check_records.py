"""The answers to the checks: names, keys in the journal, and rows of their table."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from emotion_games.experiment.conditions import Condition
from emotion_games.experiment.spec import Record

# Separates the parts of a check's key; no key of a trial contains it.
SEPARATOR = "|"
CHECK_COLUMNS = ("check", "arm", "emotion", "intensity", "item", "probabilities", "value")
# Names of the options of a dominance item, of a comprehension question and of a neutral text.
BETTER, WORSE, RIGHT, TEXT = "better", "worse", "right", "text"


class Check(StrEnum):
    """The kinds of check."""

    SELF_REPORT = "self_report"
    BLIND_LABEL = "blind_label"
    PROJECTION = "projection"
    DOMINANCE = "dominance"
    PERPLEXITY = "perplexity"
    COMPREHENSION = "comprehension"


def check_key(check: Check, condition: str, item: object) -> str:
    """Return the key in the journal for an item of a check under a condition."""
    return f"{check}{SEPARATOR}{condition}{SEPARATOR}{item}"


def check_rows(
    records: Mapping[str, Record], conditions: Sequence[Condition]
) -> list[dict[str, Any]]:
    """Return one row of CHECK_COLUMNS per answer to a check; other records are ignored."""
    by_name = {c.name: c for c in conditions}
    kinds = set(Check)
    return [check_row(r, by_name) for key, r in records.items() if key.split(SEPARATOR)[0] in kinds]


def check_row(record: Record, conditions: Mapping[str, Condition]) -> dict[str, Any]:
    """Return the row of a check's record.

    `value` is a probability (dominance), a mean negative log-likelihood per token in nats
    (perplexity), 1 or 0 (comprehension), or a shift in natural gaps (projection). The other checks
    have the `probabilities` of the labels instead, as JSON.
    """
    kind, name, item = record["key"].split(SEPARATOR, 2)
    condition = conditions[name]
    scores = record.get("scores")
    probabilities, value = None, None
    if not scores:
        value = record["value"]
    elif kind in (Check.SELF_REPORT, Check.BLIND_LABEL):
        probabilities = json.dumps(scores["probabilities"])
    elif kind == Check.DOMINANCE:
        value = scores["probabilities"][BETTER]
    elif kind == Check.PERPLEXITY:
        value = -scores["per_token"][TEXT]
    else:
        answers = scores["probabilities"]
        value = float(max(answers, key=answers.__getitem__) == RIGHT)
    who = (kind, str(condition.arm), condition.emotion, condition.intensity)
    return dict(zip(CHECK_COLUMNS, (*who, item, probabilities, value), strict=True))
