"""Turns the trials and checks of one experiment into the content of stats_analysis.json.

Knows the order of the parts and nothing of how a part is computed, of files, or of models. Everything returned is
strict JSON: no NaN; a number that cannot be given is null and a `reason` stands beside it.

Shape of stats_analysis.json (values of a simulated experiment; `who` stands for condition, arm, emotion, intensity):

meta               game, model, outcome, choices: [{label, value}], histories, n_trials, n_trials_planned, interim,
                   n_scenarios, n_generated, n_parsed, minimum_scenarios: 12, confidence: 0.95,
                   measures: {name: meaning}, conditions: [{who, n_trials}]
plan               see plan.the_plan; with its hash
rates              [{condition: "steered-anger-1", arm: "steered", emotion: "anger", intensity: 1.0, history: "start",
                   measure: "chosen", estimate: 0.41, interval: [0.33, 0.49], n_scenarios: 24, n_trials: 94,
                   n_missing: 2, design_effect: 1.7, shares: [{choice: "cooperate", estimate, interval}], unit, method}]
contrasts          [{contrast: "emotion_minus_neutral", arm, emotion, intensity, history, measure: "chosen",
                   role: "planned", estimate: -0.17, interval: [-0.25, -0.09], n_scenarios: 24, n_trials: 190,
                   sd: 0.19, t: -4.4, df: 23, p: 0.0002, p_t: 0.0002, p_holm: 0.0012, n_tests: 6, descriptive_only,
                   damaged, reason, unit, method, worst_case: {low, high, interval, n_unparsed}, cramers_v, odds_ratio;
                   against random directions: n_directions: 20, p_rank instead of p_t}]
                   contrast: emotion_minus_neutral | emotion_minus_random | emotion_minus_other_emotions |
                             prompted_minus_prompted_neutral | shuffled_minus_neutral | random_minus_neutral
                   role:     planned (the two of the claim) | secondary (in the plan) | exploratory
                   measure:  chosen | scored | scored_after | branch; for three choices and more chosen:<label> too
emotion_analysis   {anger: [{history, intensity, measure, versus_neutral, versus_random, versus_other_emotions,
                   prompted: {estimate, interval, p, p_holm, n_scenarios, ...} or null, p_claim, p_claim_holm, n_tests,
                   claim: false, claim_reasons: ["..."], damaged, damage_reasons, branch_disagrees, sentence}]}
intensity_analysis {"1": [{emotion, history, measure, estimate, interval, n_scenarios, p, role, headline, ...}]}
dose_response      [{emotion, history, measure, doses: [{intensity, estimate, interval, p, damaged}],
                   slope: {estimate, interval, p, ...}, curvature: {the same}, page_trend: {statistic, p, direction},
                   random_band: {intensity, low, mean, high, n_directions} or null, n_scenarios, unit, method}]
position_bias      [{who, history, measure, estimate, interval, p, versus_neutral: {estimate, interval, p},
                   n_scenarios, n_trials, unit, method}]; length_bias has the same form
validity           [{who, history, n_trials, n_generated, n_parsed, parse_rate, interval, reasons: {reason: n},
                   valid_mass, unit, method}]
damage             [{who, damaged, complete, reasons, checks: {parse_rate: {value, neutral, limit, passed, n}}}]
manipulation       [{check: "self_report", arm, emotion, intensity, estimate, interval, p, n_items, unit, method}]
equivalence        [{emotion, history, measure, intensity, margin, p, p_holm, interval, equivalent, n_scenarios, ...}]
human_reference    [{who, history, measure, of, human, estimate, interval, distance, text, source, ...}]
rationality        {available, reason, rows}
power              smallest_detectable_difference, with_holm, from_random, from_random_with_holm, assumptions,
                   observed: [{history, sd, ...}]
text_description   "Plain sentences ..."
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from emotion_games.analysis.cells import MEANINGS, Cells, cells, measures, on_offer, tidy
from emotion_games.analysis.claims import emotion_analysis, equivalence_records, intensity_analysis
from emotion_games.analysis.contrasts import contrast_records
from emotion_games.analysis.damage import damage_records, text_measures
from emotion_games.analysis.dose_response import dose_records
from emotion_games.analysis.manipulation import manipulation_records
from emotion_games.analysis.rates import (
    human_records,
    preference_records,
    rate_records,
    validity_records,
)
from emotion_games.analysis.rationality import rationality_rows
from emotion_games.analysis.sentences import describe, sentence
from emotion_games.experiment.analysis_plan import (
    EMOTION_MINUS_NEUTRAL,
    MINIMUM_SCENARIOS,
    plan_hash,
    the_plan,
)
from emotion_games.experiment.power import detectable_with_sd, planned_power
from emotion_games.games.records import Game

CHECK_COLUMNS = ["check", "arm", "emotion", "intensity", "item", "probabilities", "value"]
_FIRST_UNIT = "share choosing the option shown first, less equal shares"
_LENGTH_UNIT = "length of the chosen option over the mean option's, less 1"


def analyse(
    trials: pd.DataFrame,
    checks: pd.DataFrame | None,
    game: Game,
    settings: dict[str, Any],
    n_planned: int | None = None,
) -> dict[str, Any]:
    """The content of stats_analysis.json from the two tables of an experiment.

    With fewer trials than `n_planned` the analysis is interim and claims nothing.
    """
    table = tidy(trials)
    rationality = _rationality(game, trials, settings)
    registered = the_plan(settings, game)
    game = on_offer(game, table)
    checks = pd.DataFrame(columns=CHECK_COLUMNS) if checks is None or checks.empty else checks
    found = cells(table, measures(table, game) | text_measures(table))
    plan = _effective(registered, found)
    confidence, interim = plan["confidence"], n_planned is not None and len(trials) < n_planned
    damage = damage_records(found, checks)
    damaged = {record["condition"] for record in damage if record["damaged"]}
    contrasts = contrast_records(found, plan, game.outcome, damaged)
    emotions = emotion_analysis(contrasts, damage, plan, interim)
    equivalences = equivalence_records(found, plan, game.outcome, damaged)
    for record in (record for records in emotions.values() for record in records):
        record["sentence"] = sentence(record, plan, game.outcome, equivalences)
    analysis = {
        "meta": _meta(table, found, game, plan, n_planned, interim),
        "plan": registered | {"hash": plan_hash(registered)},
        "rates": rate_records(found, game, confidence),
        "contrasts": contrasts,
        "emotion_analysis": emotions,
        "intensity_analysis": intensity_analysis(contrasts, plan),
        "dose_response": dose_records(found, plan, game.outcome, damaged),
        "position_bias": preference_records(found, "first", _FIRST_UNIT, confidence),
        "length_bias": preference_records(found, "length", _LENGTH_UNIT, confidence),
        "validity": validity_records(found, table, confidence),
        "damage": damage,
        "manipulation": manipulation_records(checks, confidence),
        "equivalence": equivalences,
        "human_reference": human_records(found, game, plan),
        "rationality": rationality,
        "power": _power(contrasts, plan, table),
    }
    analysis["text_description"] = describe(analysis)
    return strict(analysis)


def strict(value: Any) -> Any:
    """The same value as JSON can hold it: NaN and infinities are null, numbers keep ten significant digits."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        items = [strict(item) for item in value]
        # An interval with one unknown end is no interval.
        return None if len(items) == 2 and items == [None, None] else items
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _effective(plan: dict[str, Any], found: Cells) -> dict[str, Any]:
    """The plan with its own rule for experiments in which nothing was generated."""
    if found.counts["parsed"].any():
        return plan
    instead = plan["claim"]["if_nothing_was_generated"]
    requires = [
        part | {"measure": instead} if part["contrast"] == EMOTION_MINUS_NEUTRAL else part
        for part in plan["claim"]["requires"]
    ]
    return plan | {"claim": plan["claim"] | {"requires": requires}, "measures": [instead]}


def _meta(
    table: pd.DataFrame, found: Cells, game: Game, plan: dict, n_planned: int | None, interim: bool
) -> dict[str, Any]:
    sizes = table["condition"].value_counts()
    conditions = found.conditions.assign(n_trials=found.conditions["condition"].map(sizes)).to_dict(
        "records"
    )
    return {
        "game": game.name,
        "model": str(table["model_name"].iat[0]) if "model_name" in table else None,
        "outcome": game.outcome,
        "choices": [{"label": choice.label, "value": choice.value} for choice in game.choices],
        "histories": found.histories,
        "n_trials": len(table),
        "n_trials_planned": n_planned,
        "interim": interim,
        "n_scenarios": len(found.scenarios),
        "n_generated": int(found.counts["parsed"].sum()),
        "n_parsed": int(found.counts["chosen"].sum()),
        "minimum_scenarios": MINIMUM_SCENARIOS,
        "confidence": plan["confidence"],
        "measures": MEANINGS,
        "conditions": conditions,
    }


def _rationality(game: Game, trials: pd.DataFrame, settings: dict[str, Any]) -> dict[str, Any]:
    if not settings["show_payoffs"]:
        return {
            "available": False,
            "reason": "the prompts did not show the payoffs, so the stories have no fixed equilibrium",
            "rows": [],
        }
    return {"available": True, "reason": None, "rows": rationality_rows(game, trials)}


def _power(
    contrasts: list[dict[str, Any]], plan: dict[str, Any], table: pd.DataFrame
) -> dict[str, Any]:
    """The plan's power, and what could have been found with the variation between scenarios that was met."""
    observed = []
    measure = plan["measures"][0]
    for history in dict.fromkeys(record["history"] for record in contrasts):
        family = [
            record
            for record in contrasts
            if record["contrast"] == EMOTION_MINUS_NEUTRAL
            and record["role"] == "planned"
            and record["history"] == history
        ]
        sds = [
            record["sd"]
            for record in family
            if record["sd"] is not None and np.isfinite(record["sd"])
        ]
        if sds:
            n, sd = (
                min(record["n_scenarios"] for record in family),
                float(np.sqrt(np.mean(np.square(sds)))),
            )
            found = detectable_with_sd(sd, n, plan["confidence"])
            after = detectable_with_sd(
                sd, n, plan["confidence"], len(plan["emotions"]) * len(plan["histories"])
            )
            observed.append(
                {"history": history, "measure": measure, "n_scenarios": n, "sd": sd}
                | {"smallest_detectable_difference": found if math.isfinite(found) else None}
                | {"with_holm": after if math.isfinite(after) else None}
                | {
                    "reason": None if math.isfinite(found) else "too few scenarios",
                    "method": "noncentral t, power 0.8",
                }
            )
    orders = int(table.groupby("scenario_id")["option_order"].nunique().min())
    usable = plan | {
        "planned": plan["planned"] | {"scenarios": int(table["scenario_id"].nunique())}
    }
    return planned_power(usable, orders) | {"observed": observed}
