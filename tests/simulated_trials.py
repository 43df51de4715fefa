"""Simulated experiments with a known truth, as tables of the shape of exp_results.csv."""

import json
from itertools import permutations

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import average_trials, tidy, trial_measures
from emotion_games.analysis.damage import text_measures
from emotion_games.games.records import Choice, Game, History

SETTINGS = {
    "emotions": ["anger", "happiness", "sadness"],
    "intensity": [0.5, 1.0, 1.5],
    "headline_intensity": 1.0,
    "intensity_unit": "hidden_norm",
    "layers": "past_middle",
    "direction_method": "contrast",
    "answer_form": "rationale",
    "decoding": "free",
    "repeat": 1,
    "num_scenarios": 24,
    "seed": 0,
    "show_payoffs": False,
    "generation": {"temperature": 0.7, "top_p": 0.95, "max_new_tokens": 256},
    "scoring": {"direct": True, "after_rationale": True},
    "arms": {"random": {"matched": 20, "isotropic": 0}, "shuffled": False, "prompted": True},
    "checks": {"manipulation": True, "damage": True, "format": True},
    "statistics": {"primary": "direct", "confidence": 0.95, "equivalence_margin": 0.1},
}


def a_game(labels=("cooperate", "defect"), values=(1.0, 0.0), histories=("none",)) -> Game:
    """Return a game that only has what the statistics use."""
    return Game(
        name="Prisoners_Dilemma",
        title="A simulated game",
        kind="simultaneous",
        outcome="cooperation",
        choices=tuple(
            Choice(label, label, value) for label, value in zip(labels, values, strict=True)
        ),
        histories=tuple(History(name) for name in histories),
        players=("row", "column"),
        payoffs={},
    )


def simulate(
    game: Game,
    seed: int = 0,
    n_scenarios: int = 24,
    repeats: int = 1,
    emotions=("anger", "happiness", "sadness"),
    intensities=(0.5, 1.0, 1.5),
    effects: dict[str, float | np.ndarray] | None = None,
    prompted: bool = True,
    halves: bool = False,
    base: float | np.ndarray = 0.5,
    scenario_sd: float = 0.15,
    effect_sd: float = 0.05,
    random_sd: float = 0.08,
    n_random: int = 20,
    nulls_written: bool = False,
    unparsed: float = 0.0,
    position: float = 0.0,
    texts: bool = True,
) -> pd.DataFrame:
    """Return the trials of one experiment.

    Args:
        effects: Differences in the probability of the first choice at intensity 1, one number or
            one for each scenario, by emotion or by the name of a null direction, such as
            `random_3`. Other null directions have a random effect.
        halves: There are directions of two halves of the stimuli, with the effect of the whole.
        base: The mean probability of the first choice, or one for each scenario.
        nulls_written: Null directions and described events write answers too.
    """
    rng = np.random.default_rng(seed)
    effects = effects or {}
    conditions = [("neutral", "neutral", 0.0, 0.0, True)]
    conditions += [
        ("steered", e, i, effects.get(e, 0.0) * i, True) for e in emotions for i in intensities
    ]
    pushes = {f"random_{j}": push for j, push in enumerate(rng.normal(0, random_sd, n_random))}
    pushes |= {name: effects[name] for name in pushes.keys() & effects.keys()}
    conditions += [("random", name, 1.0, push, nulls_written) for name, push in pushes.items()]
    if halves:
        conditions += [
            (arm, e, 1.0, effects.get(e, 0.0), nulls_written)
            for arm in ("first_half", "second_half")
            for e in emotions
        ]
    if prompted:
        conditions += [("prompted_neutral", "neutral", 0.0, 0.0, nulls_written)]
        conditions += [
            ("prompted", e, 1.0, 1.5 * effects.get(e, 0.0), nulls_written) for e in emotions
        ]
    labels = [choice.label for choice in game.choices]
    orders = (
        list(permutations(labels))
        if len(labels) <= 3
        else [labels[i:] + labels[:i] for i in range(len(labels))]
    )
    parts = []
    for history in game.histories:
        own = np.clip(rng.normal(base, scenario_sd, n_scenarios), 0.02, 0.98)
        for arm, emotion, intensity, effect, generated in conditions:
            is_neutral = arm in ("neutral", "prompted_neutral")
            varying = 0.0 if is_neutral else rng.normal(0, effect_sd, n_scenarios)
            pushed = own + effect + varying
            for place, order in enumerate(orders):
                lead = position * (1 if order[0] == labels[0] else -1)
                p = np.clip(pushed + lead, 0.0, 1.0)
                for repeat in range(repeats if generated else 1):
                    part = pd.DataFrame({"p": p})
                    part["scenario_id"] = [f"s{i:03d}" for i in range(n_scenarios)]
                    part["history"] = history.name
                    part["arm"], part["emotion"], part["intensity"] = arm, emotion, intensity
                    part["option_order"] = json.dumps(list(order))
                    part["wording"] = (np.arange(n_scenarios) + place) % 2
                    part["repeat_num"], part["generated"] = repeat, generated
                    parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    return _answers(table, game, labels, rng, unparsed, texts)


def _answers(table, game, labels, rng, unparsed, texts) -> pd.DataFrame:
    n, others = len(table), len(labels) - 1
    shares = np.column_stack([table["p"]] + [(1 - table["p"]) / others] * others)
    choice = (rng.random(n)[:, None] > np.cumsum(shares, 1)).sum(1).clip(0, others)
    failed = rng.random(n) < unparsed
    answered = table["generated"].to_numpy() & ~failed
    table["choice"] = np.where(answered, np.array(labels)[choice], "")
    table["category"] = [
        json.loads(order).index(label) + 1 if label else np.nan
        for order, label in zip(table["option_order"], table["choice"], strict=True)
    ]
    table["extraction_method"] = np.where(
        ~table["generated"], "not generated", np.where(failed, "unparsed: no json", "strict")
    )
    rounded = np.round(shares, 6)
    for column in ("choice_probabilities", "branch_probabilities", "choice_probabilities_after"):
        table[column] = [
            json.dumps(dict(zip(labels, row, strict=True))) for row in rounded.tolist()
        ]
    table.loc[~table["generated"], "choice_probabilities_after"] = ""
    table["valid_mass"] = 0.9 + 0.05 * rng.random(n)
    table["valid_mass_after"] = table["valid_mass"]
    table["push_ratio"] = np.where(
        table["arm"].isin(["steered", "random"]), 0.12 * table["intensity"], 0.0
    )
    lengths = {label: len(f"I will {label} with them.") for label in labels}
    table["option_lengths"] = [
        json.dumps([lengths[x] for x in json.loads(o)]) for o in table["option_order"]
    ]
    table["game_name"], table["model_name"] = game.name, "demo"
    table["scenario"] = "Scenario " + table["scenario_id"]
    table["description"] = "You share a garden with a neighbour."
    table["decision"] = np.where(
        table["choice"] == "", "", "I will " + table["choice"] + " with them."
    )
    table["rationale"] = np.where(
        answered, "We both do better if I think of " + table["choice"] + ".", ""
    )
    table["output"] = [
        json.dumps({"rationale": r, "decision": d}) if d else ("no idea" if g else "")
        for r, d, g in zip(table["rationale"], table["decision"], table["generated"], strict=True)
    ]
    if texts:
        table["input"] = [
            "You share a garden.\n"
            + "\n".join(
                f'Option {i}. "I will {x} with them."' for i, x in enumerate(json.loads(order), 1)
            )
            + "\nAnswer as JSON."
            for order in table["option_order"]
        ]
    keys = ["scenario_id", "history", "option_order", "repeat_num", "arm", "emotion", "intensity"]
    table["trial_id"] = table[keys].astype(str).agg("/".join, axis=1)
    table["seed"] = 0
    return table.drop(columns="p")


def simulate_checks(
    emotions=("anger", "happiness", "sadness"), intensities=(0.5, 1.0, 1.5), seed=0, broken=()
):
    """Return the table of checks; the emotions in `broken` fail dominance and perplexity."""
    rng = np.random.default_rng(seed)
    conditions = [("neutral", "neutral", 0.0)] + [
        ("steered", e, i) for e in emotions for i in intensities
    ]
    conditions += [("random", f"random_{j}", 1.0) for j in range(5)]
    rows = [("vocabulary", "neutral", "neutral", 0.0, "tokens", "", 49_152.0)]
    for arm, emotion, intensity in conditions:
        bad = emotion in broken
        for item in range(12):
            rows.append(
                (
                    "dominance",
                    arm,
                    emotion,
                    intensity,
                    f"d{item}",
                    "",
                    0.4 if bad else 0.9 + rng.normal(0, 0.01),
                )
            )
            rows.append(
                (
                    "perplexity",
                    arm,
                    emotion,
                    intensity,
                    f"x{item}",
                    "",
                    (6.0 if bad else 3.0) + rng.normal(0, 0.05),
                )
            )
        for item in range(24):
            for check in ("named_emotion", "felt_emotion"):
                weights = np.array(
                    [1.0 + (3 * intensity if e == emotion else 0) for e in (*emotions, "neutral")]
                )
                weights *= rng.uniform(0.8, 1.2, len(weights))
                shares = (weights / weights.sum()).round(6).tolist()
                given = dict(zip((*emotions, "neutral"), shares, strict=True))
                row = (check, arm, emotion, intensity, str(item), json.dumps(given), np.nan)
                rows.append(row)
        for about in emotions:
            for item in range(8):
                value = -4.0 + item / 4 + (0.2 * intensity if about == emotion else 0)
                value += rng.normal(0, 0.02)
                name = f"{about}/{item}"
                rows.append(("held_out_sentences", arm, emotion, intensity, name, "", value))
    return pd.DataFrame(
        rows, columns=["check", "arm", "emotion", "intensity", "item", "probabilities", "value"]
    )


def cells_of(trials: pd.DataFrame, game: Game):
    """Return trials as cells, with the measures of the texts."""
    table = tidy(trials)
    return average_trials(table, trial_measures(table, game) | text_measures(table))
