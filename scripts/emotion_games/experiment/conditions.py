"""The conditions of an experiment: what is done to the model while it decides."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from emotion_games.experiment.spec import Settings
from emotion_games.prompts.stimuli import NEUTRAL as NO_EMOTION

# The settings that a directions file depends on, besides the number of null directions, the model,
# the stimuli and the prompts.
DIRECTION_SETTINGS = (
    "emotions",
    "layers",
    "direction_method",
    "seed",
    "headline_intensity",
    "intensity_unit",
)


class Position(StrEnum):
    """The tokens of a text at which a push acts."""

    ALL = "all"
    PROMPT = "prompt"
    THOUGHTS = "thoughts"
    RESPONSE = "response"
    ANSWER = "answer"


class Arm(StrEnum):
    """The kinds of treatment. Tables and files hold their values as plain text."""

    NEUTRAL = "neutral"
    STEERED = "steered"
    RANDOM = "random"
    ISOTROPIC = "isotropic"
    FIRST_HALF = "first_half"
    SECOND_HALF = "second_half"
    SHUFFLED = "shuffled"
    PROMPTED = "prompted"
    PROMPTED_NEUTRAL = "prompted_neutral"
    COMBINED = "combined"
    INSTRUCTED = "instructed"
    INSTRUCTED_NEUTRAL = "instructed_neutral"

    @property
    def is_pushed(self) -> bool:
        """Return True if a vector is added to the hidden states."""
        halves = (Arm.FIRST_HALF, Arm.SECOND_HALF)
        return self.is_null or self.pushes_as in (Arm.STEERED, *halves, Arm.SHUFFLED)

    @property
    def pushes_as(self) -> "Arm":
        """The arm with the same pushes: the steered one, if only the prompt differs from it."""
        return Arm.STEERED if self in (Arm.COMBINED, Arm.INSTRUCTED) else self

    @property
    def is_null(self) -> bool:
        """Return True if the directions of the arm have numbers instead of emotions."""
        return self in (Arm.RANDOM, Arm.ISOTROPIC)

    @property
    def has_event(self) -> bool:
        """Return True if an event is described before the story."""
        return self in (Arm.PROMPTED, Arm.PROMPTED_NEUTRAL, Arm.COMBINED)

    @property
    def has_instruction(self) -> bool:
        """Return True if the model is instructed before the story."""
        return self in (Arm.INSTRUCTED, Arm.INSTRUCTED_NEUTRAL)

    @property
    def reference(self) -> "Arm":
        """The arm without an emotion that this arm is compared with, or the arm itself."""
        if self.has_instruction:
            return Arm.INSTRUCTED_NEUTRAL
        return Arm.PROMPTED_NEUTRAL if self.has_event else Arm.NEUTRAL


@dataclass(frozen=True)
class Condition:
    """One treatment.

    Attributes:
        arm: Its kind.
        emotion: The emotion; `<arm>_<number>` of a null direction, `neutral` if there is none.
        intensity: The dose. A described event has none; 1 is a placeholder.
        generated: The model writes answers.
        scored: The probabilities of the options are measured before any answer.
        instruction: The name of the instruction that the model is given; empty without one.
    """

    arm: Arm
    emotion: str
    intensity: float
    generated: bool = True
    scored: bool = True
    instruction: str = ""

    @property
    def name(self) -> str:
        """A stable name, unique within an experiment, and a part of every trial_id."""
        # Tables and files hold arms as plain text.
        arm, parts = Arm(self.arm), [str(self.arm), self.instruction]
        if arm != arm.reference:
            # The number alone: the arm is already in the name.
            parts.append(str(self.number) if arm.is_null else self.emotion)
        if arm.is_pushed:
            parts.append(f"{self.intensity:g}")
        return "-".join(part for part in parts if part)

    @property
    def push(self) -> str | None:
        """The name of the push, or None if nothing is added to the hidden states.

        Conditions that differ only in their prompt share a push.
        """
        if not self.is_pushed:
            return None
        return replace(self, arm=Arm(self.arm).pushes_as, instruction="").name

    @property
    def number(self) -> int:
        """The number of a null direction."""
        return int(self.emotion.rpartition("_")[2])

    @property
    def is_pushed(self) -> bool:
        """Return True if a vector is added to the hidden states."""
        return Arm(self.arm).is_pushed


def direction_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `extraction.extract` needs of the settings of a series."""
    found = {key: settings[key] for key in DIRECTION_SETTINGS}
    return found | {"nulls": dict(settings["arms"]["random"]), "directions": given(settings)}


def position_of(settings: Mapping[str, Any]) -> Position:
    """Return where the pushes of an experiment act; older ones do not say that it is everywhere."""
    return Position(settings.get("position", Position.ALL))


def given(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of the files with given vectors, by emotion."""
    return settings.get("directions", {})


def nulls_needed(emotions: int, confidence: float = 0.95) -> int:
    """Return how many undamaged null directions claims about some emotions need.

    The p of a lone claim must be at most (1 - confidence) over the number of emotions after the
    correction, and the least rank p is 1 / (k + 1).
    """
    # Rounded, because 6 / (1 - 0.95) is a little more than 120.
    return math.ceil(round(emotions / (1 - confidence), 6)) - 1


def plan_conditions(settings: Settings) -> list[Condition]:
    """Return all conditions of an experiment in a fixed order, neutral first."""
    return list(_conditions(settings))


def _conditions(settings: Settings) -> Iterator[Condition]:
    emotions, dose = settings["emotions"], settings["headline_intensity"]
    arms, scored = settings["arms"], settings["scoring"]["direct"]
    # What is compared with an emotion is measured as the claims are.
    written = settings["statistics"]["primary"] != "direct"
    yield Condition(Arm.NEUTRAL, NO_EMOTION, 0.0, scored=scored)
    for emotion in emotions:
        for intensity in settings["intensity"]:
            yield Condition(Arm.STEERED, emotion, intensity, scored=scored)
    # The others at the headline dose only, because claims are made there.
    nulls = {Arm.RANDOM: arms["random"]["matched"], Arm.ISOTROPIC: arms["random"]["isotropic"]}
    for arm, several in nulls.items():
        for number in range(several):
            yield Condition(arm, f"{arm}_{number}", dose, written, scored)
    # Halves of the stimuli show how firm a claim is. Given vectors are not made of stimuli.
    is_testable = arms["random"]["matched"] >= nulls_needed(
        len(emotions), settings["statistics"]["confidence"]
    )
    measured = [emotion for emotion in emotions if emotion not in given(settings)]
    by_emotion = [Arm.FIRST_HALF, Arm.SECOND_HALF] * is_testable + [Arm.SHUFFLED] * arms["shuffled"]
    for arm in by_emotion:
        for emotion in measured:
            yield Condition(arm, emotion, dose, written, scored)
    if arms["prompted"]:
        yield Condition(Arm.PROMPTED_NEUTRAL, NO_EMOTION, 0.0, written, scored)
        for emotion in emotions:
            # An event in words has no dose.
            yield Condition(Arm.PROMPTED, emotion, 1.0, written, scored)
    for emotion in emotions if arms.get("combined") else ():
        yield Condition(Arm.COMBINED, emotion, dose, written, scored)
    for name in settings.get("instructions", {}):
        yield Condition(Arm.INSTRUCTED_NEUTRAL, NO_EMOTION, 0.0, written, scored, name)
        for emotion in emotions:
            yield Condition(Arm.INSTRUCTED, emotion, dose, written, scored, name)
