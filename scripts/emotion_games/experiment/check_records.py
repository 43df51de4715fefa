"""The answers to the checks: their names, their keys in the journal, and their table."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import pandas as pd

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
    """Return the journal's key of a check, of the name of its condition, and of its item."""
    return f"{check}{SEPARATOR}{condition}{SEPARATOR}{item}"


def check_table(records: Mapping[str, Record], conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return one row per answer to a check; other records are ignored."""
    by_name = {c.name: c for c in conditions}
    kinds = set(Check)
    rows = [check_row(r, by_name) for key, r in records.items() if key.split(SEPARATOR)[0] in kinds]
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def check_row(record: Record, conditions: Mapping[str, Condition]) -> dict[str, Any]:
    """Return the row of a check's record.

    `value` is a probability (dominance), a mean negative log-likelihood per token in nats
    (perplexity), 1 or 0 (comprehension), or a shift in natural gaps (projection). The other checks
    have the `probabilities` of the labels instead, as JSON.
    """
    kind, name, item = record["key"].split(SEPARATOR, 2)
    condition = conditions[name]
    scores = record.get("scores") or {}
    probabilities, value = None, None
    if kind in (Check.SELF_REPORT, Check.BLIND_LABEL):
        probabilities = json.dumps(scores["probabilities"])
    elif kind == Check.DOMINANCE:
        value = scores["probabilities"][BETTER]
    elif kind == Check.PERPLEXITY:
        value = -scores["per_token"][TEXT]
    elif kind == Check.COMPREHENSION:
        likeliest = max(scores["probabilities"], key=scores["probabilities"].get)
        value = float(likeliest == RIGHT)
    else:
        value = record["value"]
    who = (kind, str(condition.arm), condition.emotion, condition.intensity)
    return dict(zip(CHECK_COLUMNS, (*who, item, probabilities, value), strict=True))
