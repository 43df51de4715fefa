"""The results of an experiment: what was measured, its four result files, and how to read them.

The files appear together, by rename, when an experiment is complete.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emotion_games.errors import UserError
from emotion_games.experiment.analysis_plan import PRIMARY
from emotion_games.experiment.answers import answer_of
from emotion_games.experiment.check_records import CHECK_COLUMNS, check_rows, read_checks
from emotion_games.experiment.check_requests import format_trials
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.inputs import Experiment
from emotion_games.experiment.journal import (
    COMPLETE,
    PLAN,
    PROMPTS,
    journal_fingerprint,
    read_journal,
)
from emotion_games.experiment.provenance import answering_code_hash, code_commit
from emotion_games.experiment.pushes import push_ratios
from emotion_games.experiment.requests import event_of
from emotion_games.experiment.spec import Configuration, Record, Settings
from emotion_games.experiment.trial_table import outcome_values, read_trials, write_trials
from emotion_games.experiment.trials import Trial
from emotion_games.files import records_text, replace_text
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.games.records import Game
from emotion_games.hashing import content_hash
from emotion_games.layout import CONFIGURATION, RESULT_FILES, STATISTICS
from emotion_games.prompts.answers import parse

_, TRIALS, TRIALS_JSON, _ = RESULT_FILES


@dataclass(frozen=True)
class Outcome:
    """What was measured in a finished experiment.

    Attributes:
        trials: One row per trial.
        checks: One row per answer to a check of the experiment or of the model's pushes.
        game: The game, with its settings.
        configuration: The content of exp_config.yaml.
    """

    trials: pd.DataFrame
    checks: pd.DataFrame
    game: Game
    configuration: Configuration


def outcome(experiment: Experiment, records: Mapping[str, Record]) -> Outcome:
    """Return everything that was measured in an experiment."""
    return Outcome(
        trials=_trial_table(experiment, records),
        checks=_check_table(experiment.settings, records, experiment.inputs.push_checks),
        game=experiment.questions.game,
        configuration=_configuration(experiment, records),
    )


def _trial_table(experiment: Experiment, records: Mapping[str, Record]) -> pd.DataFrame:
    """Return one row per trial, in the order of the plan."""
    settings = experiment.settings
    conditions, unit = plan_conditions(settings), settings["intensity_unit"]
    ratios = push_ratios(experiment.directions, conditions, unit)
    free = {trial.trial_id: records[key] for key, trial in format_trials(experiment.questions)}
    rows = []
    for trial in experiment.questions.trials:
        row = _row(experiment, trial, records[trial.request_key])
        row |= {"push_ratio": ratios.get(trial.condition.name, 0.0)}
        rows.append(row | _free_answer(experiment, trial, free.get(trial.trial_id)))
    # Whole numbers that may be missing: an unparsed answer has no category.
    table = pd.DataFrame(rows).astype({"category": "Int64"})
    measure = PRIMARY[settings["statistics"]["primary"]]
    values = outcome_values(table, experiment.questions.game, measure)
    return table.assign(measure=measure, outcome_value=values)


def _check_table(
    settings: Settings, records: Mapping[str, Record], push_checks: Path | None
) -> pd.DataFrame:
    rows = read_checks(push_checks) if push_checks else []
    rows += check_rows(records, plan_conditions(settings))
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def _row(experiment: Experiment, trial: Trial, record: Record) -> dict[str, Any]:
    questions, spec = experiment.questions, experiment.inputs.spec
    scenario, condition = questions.scenarios[trial.scenario_id], trial.condition
    scores, answer = record["scores"], answer_of(questions, trial, record)
    decision, after = answer.decision, answer.after
    messages = questions.prompts[trial.request_key]
    return {
        "exp_id": spec["exp_id"],
        "trial_id": trial.trial_id,
        "game_name": spec["game"],
        "model_name": spec["model_name"],
        "condition": condition.name,
        "arm": str(condition.arm),
        "emotion": condition.emotion,
        "intensity": condition.intensity,
        "instruction": condition.instruction,
        "scenario_id": trial.scenario_id,
        "scenario": scenario.title,
        "event": event_of(trial, questions.events),
        "history": trial.history,
        "option_order": json.dumps(trial.order),
        "option_lengths": json.dumps([len(scenario.options[label]) for label in trial.order]),
        "repeat_num": trial.repeat,
        "input": "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in messages),
        "thoughts": record.get("thoughts", ""),
        "thoughts_end": record.get("thoughts_end", ""),
        "output": answer.output,
        "response_length": len(answer.output),
        "rationale": decision.rationale,
        "rationale_end": answer.rationale_end,
        "decision": decision.decision,
        "category": decision.category,
        "choice": decision.choice or "",
        "choice_probabilities": _json(scores and scores["probabilities"]),
        "valid_mass": scores and scores["mass"],
        "extraction_method": decision.method,
        "seed": spec["settings"]["seed"],
        "wording": trial.wording,
        "generated": condition.generated,
        "branch_probabilities": _json(scores and scores["branch"]),
        "choice_probabilities_after": _json(after and after["probabilities"]),
        "valid_mass_after": after and after["mass"],
    }


def _free_answer(experiment: Experiment, trial: Trial, record: Record | None) -> dict[str, str]:
    """Return what was read in the free answer beside a guided one; empty texts without one."""
    if record is None:
        return dict.fromkeys(("free_output", "free_choice", "free_method"), "")
    (output,) = record["answers"]
    options = experiment.questions.scenarios[trial.scenario_id].options
    found = parse(output, options, trial.order)
    return {
        "free_output": output,
        "free_choice": found.choice or "",
        "free_method": found.method,
    }


def _json(content: object) -> str:
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def _configuration(experiment: Experiment, records: Mapping[str, Record]) -> Configuration:
    inputs, questions, directions = experiment.inputs, experiment.questions, experiment.directions
    plan, complete = records[PLAN], records[COMPLETE]
    return {
        **inputs.spec,
        "model_path": inputs.model_path,
        "n_parameters": complete.get("parameters"),
        "files": {name: str(path) for name, path in inputs.files.items()},
        "plan": {key: plan[key] for key in ("plan", "hash", "frozen", "power")},
        "fingerprint": experiment.fingerprint,
        "prompts_hash": records[PROMPTS]["hash"],
        "code": {"commit": code_commit(), "answering_modules": answering_code_hash()},
        "directions": {**directions.about, "content_hash": directions.content_hash},
        "scenarios": {
            "used": list(questions.scenarios),
            "skipped": len(questions.skipped),
            "of_other_games": sum(bool(one.other_game) for one in questions.skipped),
            "problems": [str(one) for one in questions.skipped],
        },
        "machine": complete["machine"],
        "runtime": inputs.runtime,
        "seconds": complete["seconds"],
        "resumed": complete["resumed"],
    }


def publish(output_dir: Path, outcome: Outcome, statistics: Mapping[str, Any]) -> None:
    """Write the four result files under temporary names, then rename all of them."""
    output_dir.mkdir(parents=True, exist_ok=True)
    # Everything is written before anything is renamed, so that a failure leaves no mixture.
    content = outcome.configuration
    configuration = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    parts = {name: output_dir / f".{name}.{os.getpid()}.part" for name in RESULT_FILES}
    try:
        write_trials(outcome.trials, parts[TRIALS], parts[TRIALS_JSON])
        parts[STATISTICS].write_text(records_text(statistics), encoding="utf-8")
        parts[CONFIGURATION].write_text(configuration, encoding="utf-8")
        for part in parts.values():
            with open(part, "rb") as written:
                os.fsync(written.fileno())
        for name, part in parts.items():
            os.replace(part, output_dir / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def replace_statistics(output_dir: Path, statistics: Mapping[str, Any]) -> None:
    """Replace the statistics of a finished experiment, atomically."""
    replace_text(output_dir / STATISTICS, records_text(statistics))


def read_configuration(output_dir: Path) -> Configuration:
    """Return the content of exp_config.yaml."""
    return yaml.safe_load((output_dir / CONFIGURATION).read_text(encoding="utf-8"))


def read_outcome(output_dir: Path, journal: Path, push_checks: Path) -> Outcome:
    """Return everything that was measured in a finished experiment, without its model.

    Args:
        output_dir: The folder with its four result files.
        journal: Its journal, which has the answers to its own checks.
        push_checks: The table of the checks of the model's pushes.

    Raises:
        UserError: The table is missing, or the journal or the game is not the one that the
            results were made with.
    """
    configuration = read_configuration(output_dir)
    settings, fingerprint = configuration["settings"], configuration["fingerprint"]
    if journal_fingerprint(journal) != fingerprint:
        raise UserError(
            f"{journal}: is missing, or does not belong to the results in {output_dir}; put the "
            "journal back, or delete the result files and run the experiment again"
        )
    records = {record["key"]: record for record in read_journal(journal, fingerprint)}
    if COMPLETE not in records:
        raise UserError(f"{journal}: is not complete; run the series to its end")
    folder = Path(configuration["files"]["game"])
    path = folder / "game.yaml"
    if content_hash(path) != configuration["hashes"]["game"]:
        raise UserError(f"{path}: is missing, or has changed since the experiment; put it back")
    return Outcome(
        trials=read_trials(output_dir / TRIALS),
        checks=_check_table(settings, records, push_checks),
        game=apply_settings(load_game(folder), settings["game_settings"]),
        configuration=configuration,
    )
