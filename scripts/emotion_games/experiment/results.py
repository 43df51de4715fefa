"""The result files of an experiment: one table of trials as CSV and JSON, its configuration, and its statistics.

Knows columns and files. All four files appear together, by rename, when an experiment is complete.
"""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

from emotion_games.experiment.requests import Questions
from emotion_games.experiment.trials import Trial
from emotion_games.layout import RESULT_FILES
from emotion_games.prompts.answers import parse

NOT_GENERATED = "not generated"


def trial_table(
    questions: Questions, spec: dict, records: Mapping[str, dict], push_ratios: Mapping[str, float]
) -> pd.DataFrame:
    """One row a trial in the order of the plan; `records` maps request keys to what was measured."""
    rows = [
        _row(questions, spec, trial, records[trial.request_key], push_ratios)
        for trial in questions.trials
    ]
    table = pd.DataFrame(rows)
    # Whole numbers with gaps: an unparsed answer has no shown position.
    return table.astype({"category": "Int64"})


def _row(
    questions: Questions, spec: dict, trial: Trial, record: dict, push_ratios: Mapping[str, float]
) -> dict:
    scenario, condition = questions.scenarios[trial.scenario_id], trial.condition
    scores = record["scores"] or {}
    output = record["answers"][trial.repeat] if condition.generated else ""
    after = (record["after"][trial.repeat] if condition.generated else None) or {}
    decision = parse(output, scenario.options, trial.order) if condition.generated else None
    return {
        "trial_id": trial.trial_id,
        "game_name": spec["game"],
        "model_name": spec["model_name"],
        "arm": condition.arm,
        "emotion": condition.emotion,
        "intensity": condition.intensity,
        "scenario_id": trial.scenario_id,
        "scenario": scenario.title,
        "description": scenario.description,
        "history": trial.history,
        "option_order": json.dumps(trial.order),
        "option_lengths": json.dumps([len(scenario.options[label]) for label in trial.order]),
        "repeat_num": trial.repeat,
        "input": "\n\n".join(
            f"[{m['role']}]\n{m['content']}" for m in questions.prompts[trial.request_key]
        ),
        "output": output,
        "rationale": decision.rationale if decision else "",
        "decision": decision.decision if decision else "",
        "category": decision.category if decision else None,
        "choice": (decision.choice if decision else None) or "",
        "choice_probabilities": _json(scores.get("probabilities")),
        "valid_mass": scores.get("mass"),
        "extraction_method": decision.method if decision else NOT_GENERATED,
        "seed": spec["settings"]["seed"],
        "wording": trial.wording,
        "generated": condition.generated,
        "branch_probabilities": _json(scores.get("branch")),
        "choice_probabilities_after": _json(after.get("probabilities")),
        "valid_mass_after": after.get("mass"),
        "push_ratio": push_ratios.get(condition.name, 0.0),
    }


def _json(content: object) -> str:
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def publish(output_dir: Path, table: pd.DataFrame, configuration: dict, statistics: dict) -> None:
    """Write the four result files beside their places, then move all of them in by rename."""
    output_dir.mkdir(parents=True, exist_ok=True)
    parts = {name: output_dir / f".{name}.{os.getpid()}.part" for name in RESULT_FILES}
    try:
        # All text in quotes: a model may write a lone carriage return, which would else end the row.
        table.to_csv(parts["exp_results.csv"], index=False, quoting=csv.QUOTE_NONNUMERIC)
        table.to_json(parts["exp_results.json"], orient="records", indent=1, force_ascii=False)
        parts["stats_analysis.json"].write_text(
            json.dumps(statistics, indent=2, allow_nan=False, ensure_ascii=False), encoding="utf-8"
        )
        parts["exp_config.yaml"].write_text(
            yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=120),
            encoding="utf-8",
        )
        for part in parts.values():
            with open(part, "rb") as written:
                os.fsync(written.fileno())
        for name, part in parts.items():
            os.replace(part, output_dir / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
