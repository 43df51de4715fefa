"""The records of the secondary analyses.

Comparisons with people, the mixed model, and pushes under instructions or after events in words.
"""

from typing import TypedDict

from emotion_games.analysis.statistics_parts import (
    Basis,
    Dosed,
    Estimate,
    Interval,
    Tested,
    Where,
)


class Index(Estimate):
    """NDM or NAD."""

    reason: str | None  # why a number is missing


class EmotionAlignment(TypedDict):
    """The indices of one emotion."""

    emotion: str
    damaged: bool
    n_pairs: int
    ndm: Index
    nad: Index
    human_sign: int | None  # of its effect on the outcome among people
    text: str | None  # what was found among people
    source: str | None


class HumanAlignment(Basis):
    """The indices in one measure, over the undamaged emotions and of each one."""

    measure: str
    intensity: float
    ndm: Index
    nad: Index  # over those of them whose sign is known
    # What a push without an emotion does: the mean NDM of the undamaged matched null directions,
    # and their mean NAD with the signs of the emotions.
    null_ndm: float | None
    null_nad: float | None
    n_directions: int
    emotions: list[EmotionAlignment]


class MixedModel(Dosed, Tested, Basis):
    """The emotion less the null directions, in log-odds. None where a number does not exist."""

    measure: str
    df: float | None
    sd_scenarios: float | None  # of the scenarios' intercepts
    sd_effects: float | None  # of the emotion's effect over scenarios, freed of residuals
    sd_directions: float | None  # of the directions' intercepts
    sd_residuals: float | None
    n_directions: int  # null directions
    n_cells: int  # of scenarios, orders, histories and directions
    n_clipped: int
    damaged: bool


class Exploratory(Dosed, Where, Basis):
    """An effect at the headline intensity in a prompt for which there are no null directions."""

    role: str
    damaged: bool


class InstructionEffect(Exploratory):
    """Whether an instruction undoes the effect of an emotion's push."""

    instruction: str  # its name
    alone: Estimate  # the instruction without a push, less neutral
    without: Estimate  # the push without an instruction, less neutral
    under: Estimate  # the push under the instruction, less the instruction alone
    change: Tested  # under - without
    p_corrected: float | None  # over instructions and emotions, Benjamini and Hochberg
    n_tests: int
    # The share of the effect that is gone; None unless choices have moved without an instruction.
    undone: float | None
    undone_interval: Interval | None


class CombinedEffect(Exploratory):
    """What the push of an emotion and an event in words do together."""

    vector: Estimate  # the push, less neutral
    words: Estimate  # the event, less a neutral one
    both: Estimate  # push and event, less the neutral event
    both_minus_vector: Estimate
    both_minus_words: Estimate
