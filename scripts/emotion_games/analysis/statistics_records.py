"""The records of stats_analysis.json.

In the file a number that cannot be computed is null, and the record's `reason` explains why.
Probabilities, rates and effects are on the scale of the outcome, from 0 to 1.
"""

from typing import Any, NotRequired, TypedDict

from emotion_games.analysis import check_results as checks
from emotion_games.analysis import secondary_records as secondary
from emotion_games.analysis.statistics_parts import (
    Basis,
    Dosed,
    Estimate,
    Interval,
    PairedTest,
    Place,
    RateEstimate,
    Tested,
    Treatment,
    Where,
    Who,
)
from emotion_games.experiment.spec import Plan


class Rate(Place, RateEstimate, Basis):
    n_trials: int
    n_missing: int  # answers that could not be parsed
    shares: list[dict[str, Any]]  # choice, estimate and interval
    reason: str | None


# Bounds of an effect over every possible choice of the answers that could not be parsed.
class WorstCase(TypedDict):
    low: float
    high: float
    interval: Interval
    n_unparsed: int


class Contrast(Treatment, Where, PairedTest, Basis):
    contrast: str  # a name of `analysis_plan.CONTRASTS`
    role: str  # planned (part of the claim), secondary (in the plan) or exploratory
    n_trials: int
    damaged: bool
    p_corrected: float | None  # over the contrast's emotions, Benjamini and Hochberg
    p_holm: float | None  # the same by Holm
    n_tests: int | None
    # Of level 1 - (1 - confidence) / emotions; not against null directions.
    interval_corrected: NotRequired[Interval | None]
    # Against null directions only; then `sd` is that of their true effects.
    n_directions: NotRequired[int]
    p_rank: NotRequired[float | None]
    # Pairs of conditions with written choices only.
    worst_case: NotRequired[WorstCase]
    cramers_v: NotRequired[float]
    odds_ratio: NotRequired[float | None]


# The effects of the null directions of one kind.
class NullDirections(Where, Basis):
    arm: str
    intensity: float
    n_directions: int  # without damaged ones
    n_damaged: int
    n_scenarios: int
    mean: float
    sd_of_means: float | None
    sd: float | None  # of the true effects: freed of the variation between scenarios
    effects: dict[str, float]  # by direction


# What the record of an emotion repeats of a contrast.
class Versus(Tested, Basis):
    p_corrected: float | None
    p_holm: float | None
    n_trials: int
    interval_corrected: NotRequired[Interval | None]
    n_directions: NotRequired[int]


# Another measure of the same decisions.
class OtherMeasure(Estimate):
    measure: str
    agrees: bool | None  # its effect has the same sign; None if one is unknown or 0


# One history of an effect. It is tested only if the mean over histories has moved.
class HistoryEffect(Estimate):
    history: str
    p: float | None
    p_holm: float | None  # over the histories


# An emotion at the headline intensity in the primary measure, at the mean over histories.
class EmotionEffect(Dosed, Where):
    versus_neutral: Versus
    versus_random: Versus | None
    versus_isotropic: Versus | None
    versus_other_emotions: Versus | None
    prompted: Versus | None
    first_half: Versus | None  # the direction of half of the emotion's stimuli
    second_half: Versus | None
    halves_agree: bool | None  # both have the sign of the effect
    other_measures: list[OtherMeasure]
    histories: list[HistoryEffect]
    p_moved: float | None
    p_rank: float | None
    p_claim: float | None
    # Corrected over the emotions of the experiment: Benjamini and Hochberg, and Holm.
    p_moved_corrected: float | None
    p_moved_holm: float | None
    p_claim_corrected: float | None
    p_claim_holm: float | None
    n_tests: int
    moved: bool
    claim: bool
    claim_reasons: list[str]  # everything that prevents the claim
    n_nulls: int
    n_damaged_nulls: int
    damaged: bool
    damage_reasons: list[str]
    failed_check: str | None  # what the push does instead of inducing the emotion
    branch_disagrees: bool | None  # the branching tokens have the opposite sign
    scenarios: dict[str, float]  # the effect by scenario
    sentence: str


class IntensityEffect(Where, Estimate, Basis):
    emotion: str
    p: float | None
    role: str
    damaged: bool
    headline: bool


class Dose(Tested):
    intensity: float
    damaged: bool


class PageTrend(TypedDict):
    statistic: float | None  # Page's L
    p: float | None
    direction: str | None  # rising or falling
    n_scenarios: int
    reason: str | None


class RandomBand(TypedDict):
    intensity: float
    low: float  # ends of the prediction interval of one further direction
    mean: float
    high: float
    n_directions: int


class DoseResponse(Where, Basis):
    emotion: str
    doses: list[Dose]
    slope: PairedTest  # effect per unit of intensity
    curvature: PairedTest  # negative if a rising effect levels off
    page_trend: PageTrend
    random_band: RandomBand | None
    n_scenarios: int


class Preference(Place, Tested, Basis):
    n_trials: int
    versus_neutral: Tested | None


class Validity(Who, Basis):
    history: str
    n_trials: int
    n_generated: int
    n_parsed: int
    n_scenarios: int
    parse_rate: float | None
    interval: Interval | None
    reasons: dict[Any, int]  # answers that could not be parsed, by extraction method
    rationale_ends: dict[Any, int]  # guided rationales by why they ended
    # Probability of all options together, at once and after the rationale.
    valid_mass: Estimate | None
    valid_mass_after: Estimate | None
    reason: str | None


class Equivalence(Dosed, Where, Basis):
    margin: float
    p: float | None
    p_holm: float | None
    interval: Interval  # of level 2 * confidence - 1
    n_scenarios: int
    damaged: bool
    equivalent: bool
    reason: str | None


class HumanDistance(Place, Estimate, Basis):
    of: str  # `amount`, or the choice whose share is compared
    human: float
    distance: float
    n_trials: int
    text: str
    source: str


# How many scenarios are at a bound in neutral, where effects in one direction have no room.
class Headroom(Where, Basis):
    floor: float  # the largest outcome at floor
    ceiling: float  # the smallest outcome at ceiling
    n_scenarios: int
    at_floor: int
    at_ceiling: int


class PowerOfEffect(TypedDict):
    effect: float
    moved: float
    claimed: float


# The chances that an emotion with an effect is found to move choices, and claimed. Smallest effects
# are those with 80 % power.
class PowerFigures(TypedDict):
    n_scenarios: int
    n_null_directions: int  # without damaged ones
    n_emotions: int
    sds: dict[str, float]  # see `power.Variation`
    effects: list[PowerOfEffect]  # of one emotion, if the others have none
    smallest_moved: float | None
    smallest_claimed: float | None
    n_together: int
    smallest_claimed_together: float | None  # if so many emotions have it
    scenarios_needed: int | None  # to claim the first of the effects; None if none are enough
    smallest_with_endless_scenarios: float | None  # claimed, if none are enough
    not_testable: str | None  # why nothing can be claimed
    damaged: float  # share of null directions that damage the model
    source: str  # of the standard deviations and of this share


class Power(Basis):
    measure: str
    planned: PowerFigures
    observed: PowerFigures | None
    reason: str | None  # why there is no observed one


class Meta(TypedDict):
    game: str
    model: str | None
    outcome: str
    choices: list[dict[str, Any]]  # label and value
    histories: list[str]
    n_trials: int
    n_trials_planned: int | None
    interim: bool  # some planned trials are missing
    n_scenarios: int
    n_generated: int
    n_parsed: int
    minimum_scenarios: int
    confidence: float
    measures: dict[str, str]  # meaning by name
    conditions: list[Any]  # Who, push_ratio and n_trials
    n_events: dict[str, int]  # different events of each prompted condition


class Statistics(TypedDict):
    """The content of stats_analysis.json, in the order of the file."""

    meta: Meta
    plan: Plan  # with its hash
    rates: list[Rate]
    contrasts: list[Contrast]
    null_directions: list[NullDirections]
    emotion_analysis: dict[str, EmotionEffect]  # by emotion
    intensity_analysis: dict[str, list[IntensityEffect]]  # by intensity
    dose_response: list[DoseResponse]
    position_bias: list[Preference]
    length_bias: list[Preference]
    validity: list[Validity]
    format_check: list[checks.FormatCheck]
    damage: list[checks.Damage]
    manipulation: list[checks.Manipulation]
    induced: list[checks.Induced]
    null_passes: checks.NullPasses | None
    equivalence: list[Equivalence]
    mixed_model: list[secondary.MixedModel]
    instructions: list[secondary.InstructionEffect]
    combined: list[secondary.CombinedEffect]
    human_reference: list[HumanDistance]
    human_alignment: list[secondary.HumanAlignment]
    rationality: dict[str, Any]  # available, reason and rows, see `rationality_rows`
    headroom: list[Headroom]
    power: Power
    text_description: str
    basis: list[Basis]  # of all records
