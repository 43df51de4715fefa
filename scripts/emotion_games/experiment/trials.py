"""The trials of an experiment: scenario × history × option order × condition × repeat."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_games.experiment.conditions import Condition, plan_conditions
from emotion_games.experiment.spec import Settings


@dataclass(frozen=True)
class Trial:
    """One decision.

    `wording` numbers the instruction, and `stimulus` the event of the prompted arms. A story has
    its own event, the same in all histories and option orders. `thinks` says whether the model
    thinks before it answers.
    """

    trial_id: str
    scenario_id: str
    history: str
    order: tuple[str, ...]
    wording: int
    stimulus: int
    repeat: int
    condition: Condition
    thinks: bool = False

    @property
    def request_key(self) -> str:
        """The key that the repeats of a prompt under one condition share.

        If the model thinks, each of them has thoughts of its own, and so a key of its own.
        """
        return self.trial_id if self.thinks else self.trial_id.rpartition("/")[0]

    @property
    def place(self) -> int:
        """The place of the trial among the answers of its request."""
        return 0 if self.thinks else self.repeat

    @property
    def sampling_key(self) -> tuple:
        """The trial's part of what the random numbers depend on; game and seed are added to it.

        The condition is left out, so that conditions are compared under the same random numbers.
        """
        return (self.scenario_id, self.history, self.order, self.repeat)


def longest_answer(settings: Settings) -> int:
    """Return the largest number of tokens that the model itself writes in an answer."""
    # A guided decision alone is drawn, without any text of the model.
    is_drawn = settings["decoding"] == "guided" and settings["answer_form"] == "decision"
    return 0 if is_drawn else settings["generation"]["max_new_tokens"]


def longest_thoughts(settings: Settings) -> int:
    """Return the largest number of tokens that the model thinks before it answers."""
    return settings["thinking_budget"] if settings.get("thinking") else 0


def room_advice(settings: Settings) -> str:
    """Return the end of a message about a context that cannot hold what the model writes."""
    answer, thoughts = settings["generation"]["max_new_tokens"], longest_thoughts(settings)
    also, key = (f" and its thoughts {thoughts:,}", " or thinking_budget") if thoughts else ("", "")
    return (
        f"an answer may be {answer:,}{also}; choose a model with a longer context, shorter "
        f"scenarios, or a smaller generation.max_new_tokens{key}"
    )


def option_orders(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all orders of up to three options.

    More options get a Latin square, in which each option takes each place once.
    """
    if len(labels) <= 3:
        return list(itertools.permutations(labels))
    return [tuple(labels[i:]) + tuple(labels[:i]) for i in range(len(labels))]


def choose_scenarios(scenario_ids: Sequence[str], number: int | None, seed: int) -> list[str]:
    """Return a random choice of `number` ids (None: all of them), in the order of the file.

    It depends on the seed and the ids only; a larger number adds to a smaller one's choice.
    """
    if number is None or number >= len(scenario_ids):
        return list(scenario_ids)

    # By a hash of each id, so that the choice of a few is part of the choice of more.
    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    chosen = set(sorted(scenario_ids, key=rank)[:number])
    return [name for name in scenario_ids if name in chosen]


def plan_trials(
    options: Mapping[str, Sequence[str]],
    histories: Sequence[str],
    settings: Settings,
    wordings: int,
) -> list[Trial]:
    """Return every trial of an experiment, in a fixed order.

    The wordings of the instruction are balanced over scenarios and option orders. They never change
    between conditions or repeats, so that repeats share a prompt.

    Args:
        options: The labels of each chosen scenario, by its id.
        histories: The names of the game's histories.
        settings: The settings of the experiment.
        wordings: The number of wordings of the instruction.
    """
    conditions, plan = plan_conditions(settings), []
    for number, (scenario_id, labels) in enumerate(options.items()):
        orders = enumerate(option_orders(sorted(labels)))
        cells = itertools.product(histories, orders, conditions)
        for history, (place, order), condition in cells:
            for repeat in range(_repeats(condition, settings)):
                plan.append(
                    Trial(
                        trial_id=f"{scenario_id}/{history}/o{place}/{condition.name}/r{repeat}",
                        scenario_id=scenario_id,
                        history=history,
                        order=order,
                        wording=(number + place) % wordings,
                        stimulus=number,
                        repeat=repeat,
                        condition=condition,
                        thinks=longest_thoughts(settings) > 0,
                    )
                )
    return plan


def _repeats(condition: Condition, settings: Settings) -> int:
    """Return how often a prompt is asked under a condition.

    Probabilities alone have no randomness that a repeat could average out. Those after thoughts
    have: a condition with other thoughts than neutral would differ from it by the thoughts alone.
    """
    is_random = condition.generated or longest_thoughts(settings) > 0
    return settings["repeat"] if is_random else 1


def count_trials(
    labels: Sequence[str], histories: int, settings: Settings, scenarios: int
) -> dict[str, int]:
    """Return how many trials `plan_trials` makes, and how many of them write an answer.

    The keys are `generated`, `scored` (the others) and `total`.
    """
    prompts = scenarios * histories * len(option_orders(labels))
    conditions = plan_conditions(settings)
    generated = prompts * sum(_repeats(c, settings) for c in conditions if c.generated)
    total = prompts * sum(_repeats(c, settings) for c in conditions)
    return {"generated": generated, "scored": total - generated, "total": total}
