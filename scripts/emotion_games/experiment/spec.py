"""The records of an experiment: its settings, its specification, and the content of its files."""

from typing import Any, NotRequired, TypedDict


class Generation(TypedDict):
    """How answers are sampled."""

    temperature: float
    top_p: float
    max_new_tokens: int


class Scoring(TypedDict):
    """When the probabilities of the options are measured."""

    direct: bool
    after_rationale: bool


class RandomArm(TypedDict):
    """Numbers of null directions, by kind."""

    matched: int
    isotropic: int


class Arms(TypedDict):
    """The arms besides neutral and steered."""

    random: RandomArm
    shuffled: bool
    prompted: bool
    combined: NotRequired[bool]


class Checks(TypedDict):
    """Which checks are measured."""

    manipulation: bool
    damage: bool
    format: bool


class Inference(TypedDict):
    """The settings of the statistics."""

    primary: str
    confidence: float
    equivalence_margin: float


class Choice(TypedDict):
    """Where settings come from that a sweep has chosen.

    `sweep` is the folder of the sweep, `sha256` that of the file with the setting, and
    `weights_hash` that of the model. `stories` are those of the sweep by game: their ids and the
    digests of their texts.
    """

    sweep: str
    sha256: str
    weights_hash: str
    stories: dict[str, dict[str, str]]


class Settings(TypedDict):
    """The settings of a series that can change a result; config/README.md describes each.

    `choice_labels` and `game_settings` are the entries of the experiment's own game; `directions`
    are the hashes of the given files, by emotion. `layers` are those of the `layer_set`, if it has
    a name. Series of earlier versions lack keys.
    """

    emotions: list[str]
    intensity: list[float]
    headline_intensity: float
    intensity_unit: str
    repeat: int
    num_scenarios: int | None
    seed: int
    layers: str | list[int]
    layer_set: NotRequired[str]
    position: NotRequired[str]
    direction_method: str
    directions: NotRequired[dict[str, str]]
    answer_form: str
    thinking: NotRequired[bool]
    thinking_budget: NotRequired[int]
    decoding: str
    generation: Generation
    scoring: Scoring
    arms: Arms
    instructions: NotRequired[dict[str, str]]
    checks: Checks
    show_payoffs: bool
    statistics: Inference
    sweep: NotRequired[bool]
    settings_from: NotRequired[Choice | None]
    choice_labels: dict[str, str]
    game_settings: dict[str, Any]


class Spec(TypedDict):
    """Everything that determines the results of an experiment.

    `model` is the entry of the config without what only affects running, `hashes` those of the
    files that the experiment reads. `date` is the day on which the series began: what chat
    templates take for today.
    """

    exp_id: str
    date: str
    game: str
    model: dict[str, Any]
    model_name: str
    settings: Settings
    hashes: dict[str, str]


class ScoresRecord(TypedDict):
    """The fields of `engine.scoring.Scores`, as the journal holds them."""

    probabilities: dict[str, float]
    mass: float
    branch: dict[str, float]
    per_token: dict[str, float]


class Claim(TypedDict):
    """What a claim needs: the measure, the least numbers, and the whole rule in words."""

    measure: str
    scenarios: int
    null_directions: int
    rule: str


class Planned(TypedDict):
    """The size of an experiment; None if it depends on the scenarios."""

    scenarios: int | None
    repeat: int
    null_directions: int
    trials: int | None


class Plan(TypedDict):
    """The plan of an experiment.

    `hash` is there in files only, `given_directions` if any emotion has a file of vectors,
    `layer_set` if the layers have a name, `position` if pushes do not act at all tokens, and
    `thinking_budget` if the model thinks before it answers. A sweep says so (`sweep`), and a series
    with its setting says of which one (`settings_from`).
    """

    game: str
    outcome: str
    choices: dict[str, float]
    histories: list[str]
    emotions: list[str]
    intensities: list[float]
    headline_intensity: float
    intensity_unit: str
    layers: str | list[int]
    layer_set: NotRequired[str]
    position: NotRequired[str]
    direction_method: str
    given_directions: NotRequired[list[str]]
    thinking_budget: NotRequired[int]
    sweep: NotRequired[bool]
    settings_from: NotRequired[Choice]
    decoding: str
    arms: Arms
    contrasts: list[str]
    measures: list[str]
    claim: Claim
    confidence: float
    equivalence_margin: float
    minimum_scenarios: int
    planned: Planned
    hash: NotRequired[str]


class Record(TypedDict):
    """A record of the journal. Which keys it has besides `key` depends on its kind.

    Trials and checks have `scores`, `thoughts` and why these ended, and `answers`, `after` and
    `ends` with one entry per answer; the first record has `plan`, `hash`, `frozen` (the time) and
    its `power`, the second one the `hash` of all prompts as the model reads them, and the last one
    `seconds`, `machine`, the number of the model's `parameters`, and whether the run was `resumed`,
    so that `seconds` are those of its end only. That of a model's vocabulary has its number of
    `tokens`.
    """

    key: str
    scores: NotRequired[ScoresRecord | None]
    answers: NotRequired[list[str]]
    after: NotRequired[list[ScoresRecord | None]]
    ends: NotRequired[list[str]]
    thoughts: NotRequired[str]
    thoughts_end: NotRequired[str]
    plan: NotRequired[Plan]
    hash: NotRequired[str]
    frozen: NotRequired[str]
    power: NotRequired[dict[str, Any]]
    seconds: NotRequired[dict[str, float]]
    resumed: NotRequired[bool]
    parameters: NotRequired[int]
    machine: NotRequired[dict[str, Any]]
    tokens: NotRequired[int]


class Configuration(Spec):
    """The content of exp_config.yaml: everything that is needed to repeat the experiment.

    `plan` holds the analysis plan, its hash, the time at which it was frozen, and its power as it
    was expected then. `prompts_hash` is that of all prompts as the model reads them, after the chat
    template. `n_parameters` is the number of the model's weights, None if it was not recorded.
    """

    model_path: str
    n_parameters: int | None
    files: dict[str, str]
    plan: dict[str, Any]
    fingerprint: str
    prompts_hash: str
    code: dict[str, str | None]
    directions: dict[str, Any]
    scenarios: dict[str, Any]
    machine: dict[str, Any]
    runtime: dict[str, Any]
    seconds: dict[str, float]
    resumed: bool
