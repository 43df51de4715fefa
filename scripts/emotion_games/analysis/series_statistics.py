"""One table over all experiments of a series, from their stats_analysis.json.

An experiment without statistics is listed as missing, so the table can be written at any time.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from emotion_games import layout
from emotion_games.analysis import contrast_table
from emotion_games.analysis.contrast_table import contrast_rows
from emotion_games.analysis.experiment_statistics import strict
from emotion_games.analysis.heterogeneity import Experiment, game_records, model_records
from emotion_games.analysis.mean_tests import TEST
from emotion_games.analysis.statistics_parts import first, shared_basis
from emotion_games.analysis.statistics_records import EmotionEffect, Statistics
from emotion_games.escapes import csv_cell
from emotion_games.experiment.analysis_plan import CLAIM_RULE, EMOTION_MINUS_NEUTRAL
from emotion_games.experiment.conditions import Arm, Position
from emotion_games.files import read_json, records_text, replace_text

Row = dict[str, Any]  # the keys are COLUMNS
COLUMNS = (
    "exp_id", "game_name", "model_name", "n_parameters", "history", "layer_set", "position",
    "emotion", "intensity", "measure", "outcome",
    "n_scenarios", "n_trials", "neutral_rate", "emotion_rate",
    "estimate", "low", "high", "low_corrected", "high_corrected", "se",
    "random_estimate", "random_low", "random_high", "n_nulls", "n_damaged_nulls",
    "null_low", "null_high", "smallest_moved", "smallest_claimed",
    "others_estimate", "first_half_estimate", "second_half_estimate", "halves_agree",
    "prompted_estimate", "prompted_low", "prompted_high", "p_prompted",
    "p_moved", "p_moved_corrected", "p_moved_holm", "moved",
    "p_rank", "p_claim", "p_claim_corrected", "p_claim_holm", "claim", "claim_reasons",
    "damaged", "interim", "came_through", "failed_check", "split_half", "perplexity_ratio",
    "branch_disagrees", "equivalent", "slope", "slope_low", "slope_high", "parse_rate",
    "human_of", "human", "human_source", "neutral_distance", "emotion_distance",
    "confidence", "plan_hash",
)  # fmt: skip
METHODS = {
    "estimate": "emotion - neutral at the headline intensity in the primary measure, mean over "
    f"scenarios and histories of paired differences; low and high: {TEST}; low_corrected and "
    "high_corrected hold for all emotions of the experiment together (Bonferroni)",
    "claim": CLAIM_RULE,
    "p_moved_corrected": "Benjamini and Hochberg over the emotions of the experiment, as "
    "p_claim_corrected; p_moved_holm and p_claim_holm: Holm",
    "random_estimate": "emotion - matched null directions; interval over scenarios and directions",
    "null_low": "to null_high: where one more null direction would fall (prediction interval); "
    "smallest_moved and smallest_claimed: the sizes of effects that are found with 80 % power, "
    "from the observed variation",
    "came_through": "the push raises its own emotion most in two of three manipulation checks, and "
    "more than the null directions do where there are ten of them",
    "perplexity_ratio": "of neutral texts, steered to neutral; split_half: cosine between the "
    "directions of two halves of the stimuli at the last steered layer",
    "neutral_distance": "share of human_of in the written choices, or in the choice probabilities "
    "if nothing was written, less the human mean; people had other stakes",
}


def summarize(series_dir: Path) -> None:
    """Write series_results.csv, series_results.json and contrasts.csv of what is finished."""
    report = read_json(series_dir / layout.REPORT) or {"experiments": {}}
    rows: list[Row] = []
    contrasts: list[Row] = []
    analyses: list[Experiment] = []
    missing, plans, rationality = [], {}, []
    for exp_id, entry in report["experiments"].items():
        folder = layout.results_folder(series_dir, entry)
        analysis = read_json(folder / layout.STATISTICS)
        if analysis is None:
            named = {key: entry.get(key) for key in ("game_name", "model_name", "status", "error")}
            missing.append({"exp_id": exp_id} | named)
            continue
        rows += experiment_rows(exp_id, entry, analysis, _parameters(folder))
        contrasts += contrast_rows(exp_id, entry, analysis)
        analyses.append((entry["game_name"], entry["model_name"], analysis))
        plans[exp_id] = analysis["plan"]["hash"]
        rationality += [{"exp_id": exp_id} | row for row in analysis["rationality"]["rows"]]
    confidence = rows[0]["confidence"] if rows else 0.95
    content = {
        "n_experiments": len(report["experiments"]),
        "n_analysed": len(plans),
        "missing": missing,
        "rows": rows,
        # If no emotion moved anything, one experiment in 1 / alpha would have a claim.
        "false_claims_expected": round((1 - confidence) * len(plans), 2),
        "models": model_records(analyses, confidence),
        "games": game_records(analyses, confidence),
        "rationality": rationality,
        "plan_hashes": plans,
        "methods": METHODS,
        "unit": "differences and rates are on each game's outcome scale, 0 to 1",
    }
    content = strict(content)
    content["basis"] = shared_basis([content["models"], content["games"]])
    replace_text(series_dir / layout.SERIES_STATISTICS, records_text(content))
    replace_text(series_dir / layout.SERIES_TABLE, _as_csv(strict(rows), COLUMNS))
    replace_text(series_dir / layout.CONTRASTS, _as_csv(contrasts, contrast_table.COLUMNS))


def _parameters(folder: Path) -> int | None:
    """Return the number of parameters of an experiment's model, None if it is not known."""
    path = folder / layout.CONFIGURATION
    if not path.is_file():
        return None
    return yaml.safe_load(path.read_text(encoding="utf-8")).get("n_parameters")


def experiment_rows(
    exp_id: str, entry: dict[str, Any], analysis: Statistics, n_parameters: int | None = None
) -> list[Row]:
    """Return one row per emotion of an experiment, at its headline intensity.

    Args:
        exp_id: The id of the experiment.
        entry: Its entry in experiment_report.json.
        analysis: Its statistics.
        n_parameters: Those of its model.
    """
    meta = analysis["meta"]
    plan = analysis["plan"]
    common = {"exp_id": exp_id} | {key: entry[key] for key in ("game_name", "model_name")}
    common |= {"n_parameters": n_parameters, "outcome": meta["outcome"], "plan_hash": plan["hash"]}
    common |= {"layer_set": plan.get("layer_set"), "position": plan.get("position", Position.ALL)}
    common |= {"interim": meta["interim"], "confidence": meta["confidence"]}
    effects = analysis["emotion_analysis"].values()
    return [dict.fromkeys(COLUMNS) | common | _row(effect, analysis) for effect in effects]


def _row(effect: EmotionEffect, analysis: Statistics) -> Row:
    row: Row = {key: value for key, value in effect.items() if key in COLUMNS}
    steered = {"arm": Arm.STEERED} | row

    def find(records: Any, *keys: str, **values: Any) -> Row:
        """The first record that agrees with the steered condition in these keys, or nothing."""
        return first(records, **{key: steered[key] for key in keys}, **values) or {}

    # The keys that the records of a part have; without the others, the first record is taken.
    who, where = ("arm", "emotion", "intensity"), ("history", "measure")
    full = find(analysis["contrasts"], *who, *where, contrast=EMOTION_MINUS_NEUTRAL)
    response = find(analysis["dose_response"], "emotion", *where)
    slope = response.get("slope")
    power = analysis["power"]["observed"] or analysis["power"]["planned"]
    human = find(analysis["human_reference"], "arm", "emotion", "history")
    human_neutral = find(analysis["human_reference"], "history", arm=Arm.NEUTRAL)
    neutral = find(analysis["rates"], *where, arm=Arm.NEUTRAL)
    rate = find(analysis["rates"], *who, *where)
    induced = find(analysis["induced"], "emotion", "intensity")
    equivalence = find(analysis["equivalence"], "emotion", "intensity", *where)
    random, prompted = effect["versus_random"], effect["prompted"]
    row |= {key: full[key] for key in ("estimate", "n_scenarios", "n_trials")}
    # One scenario has no standard deviation.
    row["se"] = None if full["sd"] is None else full["sd"] / full["n_scenarios"] ** 0.5
    row["claim_reasons"] = "; ".join(effect["claim_reasons"])
    row |= _ends("", full) | _ends("random_", random) | _ends("prompted_", prompted)
    row |= _ends("", {"interval": full.get("interval_corrected")}, "_corrected")
    row |= _ends("slope_", slope) | _named(slope, slope="estimate")
    row |= _named(random, random_estimate="estimate")
    row |= _named(response.get("random_band"), null_low="low", null_high="high")
    row |= {key: power[key] for key in ("smallest_moved", "smallest_claimed")}
    row |= _named(effect["first_half"], first_half_estimate="estimate")
    row |= _named(effect["second_half"], second_half_estimate="estimate")
    row |= _named(effect["versus_other_emotions"], others_estimate="estimate")
    row |= _named(prompted, prompted_estimate="estimate", p_prompted="p")
    row |= _named(neutral, neutral_rate="estimate") | _named(rate, emotion_rate="estimate")
    row |= {key: induced.get(key) for key in ("came_through", "split_half", "perplexity_ratio")}
    row |= _named(equivalence, equivalent="equivalent")
    row["parse_rate"] = _parse_rate(analysis, effect)
    row |= _named(human, human_of="of", human="human", human_source="source")
    row |= _named(human, emotion_distance="distance")
    return row | _named(human_neutral, neutral_distance="distance")


def _parse_rate(analysis: Statistics, effect: EmotionEffect) -> float | None:
    """Return the share of the answers under an emotion that could be parsed."""
    who = (Arm.STEERED, effect["emotion"], effect["intensity"])
    own = [r for r in analysis["validity"] if (r["arm"], r["emotion"], r["intensity"]) == who]
    generated = sum(record["n_generated"] for record in own)
    return sum(record["n_parsed"] for record in own) / generated if generated else None


def _named(record: Mapping[str, Any] | None, **names: str) -> Row:
    """Values of a record under other names; None if there is no record."""
    return {name: (record or {}).get(key) for name, key in names.items()}


def _ends(prefix: str, record: Mapping[str, Any] | None, suffix: str = "") -> Row:
    low, high = (record or {}).get("interval") or (None, None)
    return {f"{prefix}low{suffix}": low, f"{prefix}high{suffix}": high}


def _as_csv(rows: list[Row], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: csv_cell(v) if isinstance(v, str) else v for k, v in row.items()})
    return text.getvalue()
