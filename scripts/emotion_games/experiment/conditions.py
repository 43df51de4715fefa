"""The conditions of an experiment: what is done to the model while it decides.

Knows arms, emotions and intensities; knows nothing of scenarios, prompts or tensors.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """An arm with its emotion (`random_<seed>` in the random arm) and its intensity in natural gaps."""

    arm: str
    emotion: str
    intensity: float
    generated: bool = True
    scored: bool = True

    @property
    def name(self) -> str:
        """Stable and unique within an experiment; part of every trial_id."""
        if self.arm in ("neutral", "prompted_neutral"):
            return self.arm
        if self.arm == "prompted":
            return f"prompted-{self.emotion}"
        label = self.emotion.removeprefix("random_") if self.arm == "random" else self.emotion
        return f"{self.arm}-{label}-{self.intensity:g}"

    @property
    def push(self) -> str | None:
        """The name of the push, or None if nothing is added to the hidden states."""
        return self.name if self.is_pushed else None

    @property
    def random_seed(self) -> int:
        """The number of a random direction."""
        return int(self.emotion.removeprefix("random_"))

    @property
    def is_pushed(self) -> bool:
        """True when a vector is added to the hidden states."""
        return self.arm in ("steered", "random", "shuffled")


def plan_conditions(settings: dict) -> list[Condition]:
    """All conditions of an experiment in a fixed order, neutral first."""
    emotions, headline = settings["emotions"], settings["headline_intensity"]
    arms, scored = settings["arms"], settings["scoring"]["direct"]
    plan = [Condition("neutral", "neutral", 0.0, scored=scored)]
    plan += [
        Condition("steered", e, i, scored=scored) for e in emotions for i in settings["intensity"]
    ]
    random_arm = arms["random"]
    plan += [
        Condition(
            "random",
            f"random_{seed}",
            headline,
            generated=seed < random_arm["generated"],
            scored=scored,
        )
        for seed in range(max(random_arm["generated"], random_arm["scored"] if scored else 0))
    ]
    if arms["shuffled"]:
        plan += [Condition("shuffled", e, headline, scored=scored) for e in emotions]
    if arms["prompted"]:
        plan += [Condition("prompted_neutral", "neutral", 0.0, scored=scored)]
        plan += [Condition("prompted", e, 1.0, scored=scored) for e in emotions]
    return plan
