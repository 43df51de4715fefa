"""Simulated experiments with a known truth, as tables of the shape of exp_results.csv."""

import json

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import average_trials, tidy, trial_measures
from emotion_games.analysis.damage import text_measures
from emotion_games.experiment.check_records import NULLS_CHECKED
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.trials import option_orders
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
    effects: dict[str, float] | None = None,
    arms=("prompted",),
    instructions: dict[str, float] | None = None,
    base: float = 0.5,
    scenario_sd: float = 0.15,
    effect_sd: float = 0.05,
    random_sd: float = 0.08,
    n_random: int = 20,
    n_isotropic: int = 0,
    writes_nulls: bool = False,
    unparsed: float = 0.0,
    position: float = 0.0,
    texts: bool = True,
) -> pd.DataFrame:
    """Return the trials of one experiment.

    A scenario has a neutral probability of the first choice at each history, and each push an
    effect that varies over scenarios.

    Args:
        game: The game, with its histories.
        seed: Of all random numbers.
        n_scenarios: Their number.
        repeats: Written answers to a prompt.
        emotions: Those that are steered.
        intensities: Their doses; all other pushes have 1.
        effects: Differences in the probability of the first choice at intensity 1, by emotion.
        arms: Further ones: prompted (with one and a half times the effect), first_half and
            second_half (with the same effect), shuffled (without an effect), combined (with twice
            the effect).
        instructions: The share of the effects that is left under each instruction.
        base: The mean neutral probability of the first choice.
        scenario_sd: Its standard deviation over scenarios.
        effect_sd: That of an effect over scenarios.
        random_sd: That of the null directions' mean effects.
        n_random: Matched null directions.
        n_isotropic: Isotropic ones.
        writes_nulls: Null directions and the arms above write answers, too.
        unparsed: The share of written answers without a choice.
        position: What the first place adds to the probability of a choice.
        texts: Add the prompts.
    """
    rng = np.random.default_rng(seed)
    effects = effects or {}
    conditions: list[tuple] = [("neutral", "neutral", 0.0, 0.0, True)]
    conditions += [
        ("steered", e, i, effects.get(e, 0.0) * i, True) for e in emotions for i in intensities
    ]
    for arm, number in (("random", n_random), ("isotropic", n_isotropic)):
        pushes = rng.normal(0, random_sd, number)
        conditions += [(arm, f"{arm}_{j}", 1.0, p, writes_nulls) for j, p in enumerate(pushes)]
    if "prompted" in arms:
        conditions.append(("prompted_neutral", "neutral", 0.0, 0.0, writes_nulls))
    share = {"prompted": 1.5, "first_half": 1.0, "second_half": 1.0, "shuffled": 0.0}
    share |= {"combined": 2.0}
    for arm in arms:
        own = [(e, 1.0, share[arm] * effects.get(e, 0.0)) for e in emotions]
        conditions += [(arm, *who, writes_nulls) for who in own]
    for name, left in (instructions or {}).items():
        conditions.append(("instructed_neutral", "neutral", 0.0, 0.0, writes_nulls, name))
        own = [(e, 1.0, left * effects.get(e, 0.0)) for e in emotions]
        conditions += [("instructed", *who, writes_nulls, name) for who in own]
    labels = [choice.label for choice in game.choices]
    chances, rows = [], []
    for history in game.histories:
        own = np.clip(rng.normal(base, scenario_sd, n_scenarios), 0.02, 0.98)
        for arm, emotion, intensity, effect, written, *told in conditions:
            varying = rng.normal(0, effect_sd, n_scenarios) * (Arm(arm) != Arm(arm).reference)
            pushed = np.clip(own + effect + varying, 0.01, 0.99)
            for place, order in enumerate(option_orders(labels)):
                p = np.clip(pushed + position * (1 if order[0] == labels[0] else -1), 0.005, 0.995)
                who = (arm, emotion, intensity, "".join(told))
                row = (history.name, *who, json.dumps(order), place)
                for repeat in range(repeats if written else 1):
                    rows.append((*row, repeat, written))
                    chances.append(p)
    columns = ["history", "arm", "emotion", "intensity", "instruction", "option_order", "wording"]
    table = pd.DataFrame(rows, columns=[*columns, "repeat_num", "generated"])
    table = table.loc[np.repeat(table.index, n_scenarios)].reset_index(drop=True)
    number = np.tile(np.arange(n_scenarios), len(rows))
    table["scenario_id"] = [f"s{n:03d}" for n in number]
    table["wording"] = (number + table["wording"]) % 2
    table["p"] = np.concatenate(chances)
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
    rounded = np.round(shares, 6).tolist()
    probabilities = [json.dumps(dict(zip(labels, row, strict=True))) for row in rounded]
    for column in ("choice_probabilities", "branch_probabilities", "choice_probabilities_after"):
        table[column] = probabilities
    table.loc[~table["generated"], "choice_probabilities_after"] = ""
    table["valid_mass"] = 0.9 + 0.05 * rng.random(n)
    table["valid_mass_after"] = table["valid_mass"]
    pushed = table["arm"].map(lambda arm: Arm(arm).is_pushed)
    table["push_ratio"] = np.where(pushed, 0.12 * table["intensity"], 0.0)
    lengths = {label: len(f"I will {label} with them.") for label in labels}
    lengths_of = {
        order: json.dumps([lengths[label] for label in json.loads(order)])
        for order in table["option_order"].unique()
    }
    table["option_lengths"] = table["option_order"].map(lengths_of)
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
        table["input"] = table["option_order"].map(_prompt)
    keys = ["scenario_id", "history", "option_order", "repeat_num", "arm", "emotion", "intensity"]
    keys += ["instruction"] * bool(table["instruction"].any())
    rows = table[keys].astype(str).itertuples(index=False, name=None)
    table["trial_id"] = ["/".join(row) for row in rows]
    table["thoughts"], table["seed"] = "", 0
    return table.drop(columns="p")


def _prompt(order: str) -> str:
    options = [
        f'Option {i}. "I will {label} with them."' for i, label in enumerate(json.loads(order), 1)
    ]
    return "\n".join(["You share a garden.", *options, "Answer as JSON."])


def simulate_checks(
    emotions=("anger", "happiness", "sadness"),
    intensities=(0.5, 1.0, 1.5),
    seed=0,
    broken=(),
    n_random=5,
):
    """Return the table of checks.

    Args:
        emotions: Those that are steered; each push raises its own.
        intensities: Their doses.
        seed: Of all random numbers.
        broken: Emotions and null directions that fail dominance and perplexity.
        n_random: Null directions; the first ones have manipulation checks, as in experiments.
    """
    rng = np.random.default_rng(seed)
    conditions = [("neutral", "neutral", 0.0)] + [
        ("steered", e, i) for e in emotions for i in intensities
    ]
    conditions += [("random", f"random_{j}", 1.0) for j in range(n_random)]
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
        if arm == "random" and int(emotion.split("_")[1]) >= NULLS_CHECKED:
            continue
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
