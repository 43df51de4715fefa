"""The trials of an experiment: scenario × history × option order × condition × repeat.

Knows how trials are planned and named; knows nothing of prompts, models or answers.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from emotion_games.experiment.conditions import Condition, plan_conditions


@dataclass(frozen=True)
class Trial:
    """One decision. `stimulus` numbers the held-out stimulus that the prompted arms put before the story."""

    trial_id: str
    scenario_id: str
    history: str
    order: tuple[str, ...]
    wording: int
    stimulus: int
    repeat: int
    condition: Condition

    @property
    def request_key(self) -> str:
        """What repeats of one prompt under one condition share."""
        return self.trial_id.rpartition("/")[0]

    @property
    def sampling_key(self) -> tuple:
        """What the random numbers depend on: not the condition, so that conditions are paired."""
        return (self.scenario_id, self.history, self.order, self.repeat)


def option_orders(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """All orders for up to three options; beyond that a Latin square, in which each option takes each place once."""
    if len(labels) <= 3:
        return list(itertools.permutations(labels))
    return [tuple(labels[i:]) + tuple(labels[:i]) for i in range(len(labels))]


def choose_scenarios(scenario_ids: Sequence[str], number: int | None, seed: int) -> list[str]:
    """A random choice that depends only on the seed and the ids, in the order of the file."""
    if number is None or number >= len(scenario_ids):
        return list(scenario_ids)
    ranked = sorted(
        scenario_ids, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()
    )
    chosen = set(ranked[:number])
    return [name for name in scenario_ids if name in chosen]


def plan_trials(
    options: dict[str, Sequence[str]], histories: Sequence[str], settings: dict, wordings: int
) -> list[Trial]:
    """Every trial of an experiment, in a fixed order.

    `options` maps the id of each chosen scenario to its labels. The wording of the instruction is balanced over
    scenarios and option orders and never changes between conditions or repeats, so that repeats share a prompt.
    """
    conditions, plan = plan_conditions(settings), []
    for number, (scenario_id, labels) in enumerate(options.items()):
        for history, (place, order) in itertools.product(
            histories, enumerate(option_orders(sorted(labels)))
        ):
            for condition in conditions:
                for repeat in range(settings["repeat"] if condition.generated else 1):
                    plan.append(
                        Trial(
                            trial_id=f"{scenario_id}/{history}/o{place}/{condition.name}/r{repeat}",
                            scenario_id=scenario_id,
                            history=history,
                            order=order,
                            wording=(number + place) % wordings,
                            stimulus=number + place,
                            repeat=repeat,
                            condition=condition,
                        )
                    )
    return plan


def count_trials(
    labels: Sequence[str], histories: int, settings: dict, scenarios: int
) -> dict[str, int]:
    """The number of trials that `plan_trials` will make, and how many of them write an answer."""
    prompts = scenarios * histories * len(option_orders(labels))
    conditions = plan_conditions(settings)
    generated = prompts * settings["repeat"] * sum(c.generated for c in conditions)
    scored = prompts * sum(not c.generated for c in conditions)
    return {"generated": generated, "scored": scored, "total": generated + scored}
