"""The tables and the configuration of a finished experiment, from the records of its journal."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from emotion_games.experiment.check_records import check_table
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.inputs import Experiment
from emotion_games.experiment.journal import COMPLETE, PLAN
from emotion_games.experiment.provenance import answering_code_hash, code_commit
from emotion_games.experiment.pushes import push_ratios
from emotion_games.experiment.results import NOT_GENERATED, Outcome
from emotion_games.experiment.spec import Configuration, Record
from emotion_games.experiment.trials import Trial
from emotion_games.prompts.answers import parse


def outcome(experiment: Experiment, records: Mapping[str, Record]) -> Outcome:
    """Return everything that was measured in an experiment."""
    settings, questions = experiment.inputs.spec["settings"], experiment.questions
    return Outcome(
        trials=_trial_table(experiment, records),
        checks=check_table(records, plan_conditions(settings)),
        game=questions.game,
        settings=settings,
        n_planned=len(questions.trials),
        configuration=_configuration(experiment, records),
    )


def _trial_table(experiment: Experiment, records: Mapping[str, Record]) -> pd.DataFrame:
    """Return one row per trial, in the order of the plan."""
    conditions = plan_conditions(experiment.inputs.spec["settings"])
    ratios = push_ratios(experiment.directions, conditions)
    rows = [
        _row(experiment, trial, records[trial.request_key], ratios.get(trial.condition.name, 0.0))
        for trial in experiment.questions.trials
    ]
    # Whole numbers with gaps: an unparsed answer has no category.
    return pd.DataFrame(rows).astype({"category": "Int64"})


def _row(experiment: Experiment, trial: Trial, record: Record, push_ratio: float) -> dict[str, Any]:
    questions, spec = experiment.questions, experiment.inputs.spec
    scenario, condition = questions.scenarios[trial.scenario_id], trial.condition
    scores = record["scores"] or {}
    output, after, decision = "", {}, None
    if condition.generated:
        output = record["answers"][trial.repeat]
        after = record["after"][trial.repeat] or {}
        decision = parse(output, scenario.options, trial.order)
    messages = questions.prompts[trial.request_key]
    return {
        "trial_id": trial.trial_id,
        "game_name": spec["game"],
        "model_name": spec["model_name"],
        "arm": str(condition.arm),
        "emotion": condition.emotion,
        "intensity": condition.intensity,
        "scenario_id": trial.scenario_id,
        "scenario": scenario.title,
        "description": scenario.description,
        "history": trial.history,
        "option_order": json.dumps(trial.order),
        "option_lengths": json.dumps([len(scenario.options[label]) for label in trial.order]),
        "repeat_num": trial.repeat,
        "input": "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in messages),
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
        "push_ratio": push_ratio,
    }


def _json(content: object) -> str:
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def _configuration(experiment: Experiment, records: Mapping[str, Record]) -> Configuration:
    inputs, questions, directions = experiment.inputs, experiment.questions, experiment.directions
    plan, complete = records[PLAN], records[COMPLETE]
    return {
        **inputs.spec,
        "model_path": inputs.model_path,
        "files": {name: str(path) for name, path in inputs.files.items()},
        "plan": {"plan": plan["plan"], "hash": plan["hash"], "frozen": plan["frozen"]},
        "fingerprint": experiment.fingerprint,
        "code": {"commit": code_commit(), "answering_modules": answering_code_hash()},
        "directions": {**directions.about, "content_hash": directions.content_hash},
        "scenarios": {
            "used": list(questions.scenarios),
            "skipped": len(questions.problems),
            "problems": questions.problems,
        },
        "machine": complete["machine"],
        "runtime": inputs.runtime,
        "seconds": complete["seconds"],
    }
