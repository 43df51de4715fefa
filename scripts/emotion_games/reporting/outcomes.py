"""What the outcome of a game is, in words that stand beside a number. Standard library only."""

from collections.abc import Iterator

from emotion_games.analysis.statistics_parts import first
from emotion_games.analysis.statistics_records import HumanDistance, Statistics
from emotion_games.experiment.conditions import Arm


def meaning_of(stats: Statistics) -> str:
    """Return what the outcome counts, such as `share that chooses "cooperate"`."""
    values = {choice["label"]: choice["value"] for choice in stats["meta"]["choices"]}
    ones = [label.replace("_", " ") for label, value in values.items() if value == 1]
    if set(values.values()) <= {0, 1} and ones:
        return "share that chooses " + " or ".join(f'"{label}"' for label in ones)
    counted = ", ".join(
        f'"{label.replace("_", " ")}" {100 * value:g}'
        for label, value in sorted(values.items(), key=lambda item: item[1])
    )
    return f"index: {counted}"


def human_lines(stats: Statistics) -> Iterator[str]:
    """Yield how the neutral model compares with people, where the game has a human mean."""
    mean = stats["plan"]["histories"][0] if len(stats["plan"]["histories"]) == 1 else "mean"
    for record in stats["human_reference"]:
        if record["arm"] == Arm.NEUTRAL and record["history"] == mean:
            shown = _amount(record, record["estimate"])
            yield f"{shown} in neutral; people {_amount(record, record['human'])}"


def amounts_of(stats: Statistics, emotion: str, history: str) -> list[float] | None:
    """Return the shares of the money given in neutral, under an emotion, and by people.

    None if the choices of the game have no amounts, or people's mean is not known.
    """
    place = {"of": "amount", "history": history}
    neutral = first(stats["human_reference"], arm=Arm.NEUTRAL, **place)
    steered = first(stats["human_reference"], arm=Arm.STEERED, emotion=emotion, **place)
    if not neutral or not steered:
        return None
    given = neutral["estimate"], steered["estimate"]
    if given[0] is None or given[1] is None:
        return None
    return [round(share, 4) for share in (given[0], given[1], steered["human"])]


def _amount(record: HumanDistance, share: float | None) -> str:
    of = "of the money" if record["of"] == "amount" else f'choose "{record["of"]}"'
    return "an unknown share" if share is None else f"{100 * share:.1f} % {of}"
