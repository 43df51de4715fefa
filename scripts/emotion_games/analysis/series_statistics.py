"""One table over all experiments of a series, from their stats_analysis.json.

Knows the report and the finished statistics; reads no trial. An experiment without statistics is named as missing, so
that the table is valid at any moment of a series.
"""

import csv
import io
from pathlib import Path
from typing import Any

from scipy.stats import false_discovery_control

from emotion_games.analysis.experiment_statistics import strict
from emotion_games.analysis.heterogeneity import heterogeneity_records
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL
from emotion_games.files import read_json, replace_text, write_json
from emotion_games.layout import results_folder

COLUMNS = (
    "exp_id", "game", "history", "model", "emotion", "intensity", "measure", "outcome", "n_scenarios", "n_trials",
    "neutral_rate", "emotion_rate", "estimate", "low", "high", "se", "p", "p_holm",
    "random_estimate", "random_low", "random_high", "p_random", "n_directions", "others_estimate",
    "prompted_estimate", "prompted_low", "prompted_high", "p_prompted",
    "p_claim", "p_claim_holm", "q", "claim", "series_claim", "claim_reasons", "damaged", "interim",
    "branch_disagrees", "equivalent",
    "worst_low", "worst_high", "slope", "slope_low", "slope_high", "self_report", "parse_rate",
    "human_of", "human", "human_source", "neutral_distance", "emotion_distance", "confidence", "plan_hash",
)  # fmt: skip
METHODS = {
    "estimate": "emotion - neutral at the headline intensity: mean paired scenario difference; low and high are its t "
    "interval, p its sign-flip mid-p",
    "p_random": "emotion - random directions, t over directions with k - 1 degrees of freedom",
    "p_claim": "the larger of p and p_random; p_claim_holm: Holm over the experiment's emotions and histories",
    "q": "Benjamini-Hochberg false-discovery rate of p_claim over the series' finished, undamaged rows",
    "claim": "the planned claim of the experiment; series_claim: the claim holds and q is at or under 1 - confidence",
    "neutral_distance": "rate less the human mean, in the unit of human_of; people had other stakes and wordings",
}


def summarize(series_dir: Path) -> None:
    """Write series_results.csv and series_results.json into the series folder, for whatever is finished."""
    report = read_json(series_dir / "experiment_report.json") or {"experiments": {}}
    rows: list[dict[str, Any]] = []
    missing, plans, rationality = [], {}, []
    for exp_id, entry in report["experiments"].items():
        analysis = read_json(results_folder(series_dir, entry) / "stats_analysis.json")
        if analysis is None:
            named = {key: entry.get(key) for key in ("game_name", "model_name", "status", "error")}
            missing.append({"exp_id": exp_id} | named)
            continue
        rows += experiment_rows(exp_id, entry, analysis)
        plans[exp_id] = analysis["plan"]["hash"]
        rationality += [{"exp_id": exp_id} | row for row in analysis["rationality"]["rows"]]
    control_false_discovery(rows)
    confidence = rows[0]["confidence"] if rows else 0.95
    content = {
        "n_experiments": len(report["experiments"]),
        "n_analysed": len(plans),
        "missing": missing,
        "rows": rows,
        "heterogeneity": heterogeneity_records(rows, confidence),
        "rationality": rationality,
        "plan_hashes": plans,
        "methods": METHODS,
        "unit": "differences and rates are on each game's outcome scale, 0 to 1",
    }
    write_json(series_dir / "series_results.json", strict(content))
    replace_text(series_dir / "series_results.csv", _as_csv(strict(rows)))


def experiment_rows(
    exp_id: str, entry: dict[str, Any], analysis: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row for each emotion and history of an experiment, at its headline intensity."""
    meta = analysis["meta"]
    common = {
        "exp_id": exp_id,
        "game": entry["game_name"],
        "model": entry["model_name"],
        "outcome": meta["outcome"],
    }
    common |= {
        "interim": meta["interim"],
        "confidence": meta["confidence"],
        "plan_hash": analysis["plan"]["hash"],
    }
    records = [record for group in analysis["emotion_analysis"].values() for record in group]
    return [dict.fromkeys(COLUMNS) | common | _row(record, analysis) for record in records]


def control_false_discovery(rows: list[dict[str, Any]]) -> None:
    """Fill `q` and `series_claim`; damaged and unfinished rows take no part."""
    part = [
        row
        for row in rows
        if row["p_claim"] is not None and not row["damaged"] and not row["interim"]
    ]
    if part:
        adjusted = false_discovery_control([row["p_claim"] for row in part])
        for row, q in zip(part, adjusted, strict=True):
            row["q"] = float(q)
    for row in rows:
        row["series_claim"] = bool(
            row["claim"] and row["q"] is not None and row["q"] <= 1 - row["confidence"]
        )


def _row(record: dict[str, Any], analysis: dict[str, Any]) -> dict[str, Any]:
    place = {key: record[key] for key in ("emotion", "history", "intensity", "measure")}
    steered = place | {"arm": "steered"}
    full = _first(analysis["contrasts"], contrast=EMOTION_MINUS_NEUTRAL, **steered)
    worst = full.get("worst_case") or {}
    random, prompted = record["versus_random"] or {}, record["prompted"] or {}
    human_neutral = _first(analysis["human_reference"], arm="neutral", history=record["history"])
    human = _first(
        analysis["human_reference"],
        arm="steered",
        emotion=record["emotion"],
        history=record["history"],
    )
    at_neutral = {"arm": "neutral", "history": record["history"], "measure": record["measure"]}
    not_at_dose = {key: value for key, value in place.items() if key != "intensity"}
    slope = _first(analysis["dose_response"], **not_at_dose).get("slope") or {}
    equivalent = _first(analysis["equivalence"], **place)
    felt = {key: steered[key] for key in ("arm", "emotion", "intensity")}
    validity = {key: steered[key] for key in ("arm", "emotion", "intensity", "history")}
    low, high = _ends(record["versus_neutral"])
    flat = full["sd"] is None or full["n_scenarios"] < 2
    return (
        place
        | {key: full[key] for key in ("estimate", "n_scenarios", "n_trials", "p", "p_holm")}
        | {
            "low": low,
            "high": high,
            "se": None if flat else full["sd"] / full["n_scenarios"] ** 0.5,
        }
        | {"neutral_rate": _first(analysis["rates"], **at_neutral).get("estimate")}
        | {"emotion_rate": _first(analysis["rates"], **steered).get("estimate")}
        | {
            "random_estimate": random.get("estimate"),
            "p_random": random.get("p"),
            "n_directions": random.get("n_directions"),
        }
        | dict(zip(("random_low", "random_high"), _ends(random), strict=True))
        | {"others_estimate": (record["versus_other_emotions"] or {}).get("estimate")}
        | {"prompted_estimate": prompted.get("estimate"), "p_prompted": prompted.get("p")}
        | dict(zip(("prompted_low", "prompted_high"), _ends(prompted), strict=True))
        | {
            key: record[key]
            for key in ("p_claim", "p_claim_holm", "claim", "damaged", "branch_disagrees")
        }
        | {
            "claim_reasons": "; ".join(record["claim_reasons"]),
            "equivalent": equivalent.get("equivalent"),
        }
        | {
            "worst_low": worst.get("low"),
            "worst_high": worst.get("high"),
            "slope": slope.get("estimate"),
        }
        | dict(zip(("slope_low", "slope_high"), _ends(slope), strict=True))
        | {
            "self_report": _first(analysis["manipulation"], check="self_report", **felt).get(
                "estimate"
            )
        }
        | {"parse_rate": _first(analysis["validity"], **validity).get("parse_rate")}
        | {
            "human_of": human.get("of"),
            "human": human.get("human"),
            "human_source": human.get("source"),
        }
        | {
            "neutral_distance": human_neutral.get("distance"),
            "emotion_distance": human.get("distance"),
        }
    )


def _first(records: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    return next(
        (
            record
            for record in records
            if all(record[key] == value for key, value in wanted.items())
        ),
        {},
    )


def _ends(part: dict[str, Any]) -> tuple[float | None, float | None]:
    low, high = part.get("interval") or (None, None)
    return low, high


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
