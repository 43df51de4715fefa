"""The records of the secondary analyses: comparisons with people, and the mixed model."""

from typing import TypedDict

from emotion_games.analysis.statistics_parts import Basis, Dosed, Estimate, Tested


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
