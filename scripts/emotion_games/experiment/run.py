"""One experiment: a game and a model, from the plan of trials to the four result files.

Every finished batch is in the journal before the next one starts, so an interrupted experiment goes on where it was;
one whose trials are all in the journal does not load the model again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from emotion_games.engine.batches import (
    Instrument,
    Measurement,
    Request,
    batch_budget,
    in_halves,
    measure,
    plan_batches,
)
from emotion_games.engine.directions import Directions
from emotion_games.engine.directions import load as load_directions
from emotion_games.engine.models import (
    LoadedModel,
    ModelError,
    chat_text,
    load_model,
    plain_text,
    token_ids,
    weights_hash,
)
from emotion_games.engine.self_check import check_steering
from emotion_games.experiment import check_requests, results
from emotion_games.experiment.analysis_plan import plan_hash, the_plan
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.journal import Journal, read_journal
from emotion_games.experiment.provenance import answering_code_hash, code_commit, environment
from emotion_games.experiment.pushes import condition_pushes, push_ratios
from emotion_games.experiment.requests import (
    Questions,
    load_questions,
    reopen_after_rationale,
    trial_requests,
)
from emotion_games.files import now
from emotion_games.games.records import Game
from emotion_games.hashing import digest
from emotion_games.prompts.check_items import CheckItems, load_check_items
from emotion_games.signals import Interrupted


@dataclass
class Run:
    """What one run of an experiment works with."""

    spec: dict
    files: Mapping[str, Path]
    model_path: str
    runtime: dict
    questions: Questions
    items: CheckItems
    directions: Directions
    journal: Path
    records: dict[str, dict]
    should_stop: Callable[[], bool]
    progress: Callable[[int, int], None]
    log: Callable[[str], None]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """What was measured in a finished experiment: one row a trial, one row a check item, and the configuration."""

    trials: pd.DataFrame
    checks: pd.DataFrame
    game: Game
    settings: dict
    n_planned: int
    configuration: dict


def run(
    spec: dict,
    files: Mapping[str, Path],
    model_path: str,
    directions_path: Path,
    journal_path: Path,
    runtime: dict,
    should_stop: Callable[[], bool],
    progress: Callable[[int, int], None],
    log: Callable[[str], None] = print,
    imported: float = 0.0,
) -> Outcome:
    """Measure what is missing and return all that was measured.

    `spec` is all that determines the results (exp_id, game, model, model_name, settings, hashes); `files` names game
    folder, scenarios, stimuli, prompts and checks; `runtime` only affects running. Raises Interrupted when
    `should_stop` says so after a batch, UserError for what a user can mend. `imported` is the time (seconds) that
    loading this module took, which is only written down.
    """
    start = time.perf_counter()
    questions = load_questions(spec, files)
    for problem in questions.problems:
        log(f"skipped scenario: {problem}")
    directions = load_directions(directions_path)
    fingerprint = digest(_identity(spec, questions, directions, files))
    records = {r["key"]: r for r in read_journal(journal_path, fingerprint, log)}
    seconds = {"import": imported, "read": time.perf_counter() - start}
    work = Run(
        spec=spec,
        files=files,
        model_path=model_path,
        runtime=runtime,
        questions=questions,
        items=load_check_items(files["checks"]),
        directions=directions,
        journal=journal_path,
        records=records,
        should_stop=should_stop,
        progress=progress,
        log=log,
        seconds=seconds,
    )
    _report_progress(work)
    if "complete" not in records:
        with Journal(journal_path, fingerprint) as journal:
            _freeze_plan(work, journal)
            _measure_missing(work, journal)
    return _outcome(work, fingerprint)


def _identity(
    spec: dict, questions: Questions, directions: Directions, files: Mapping[str, Path]
) -> dict:
    """Everything that can change an answer."""
    return {
        "spec": {key: spec[key] for key in ("game", "model", "settings")},
        "weights": directions.about["weights_hash"],
        "directions": directions.content_hash,
        "prompts": digest(questions.prompts),
        "options": digest({name: dict(s.options) for name, s in questions.scenarios.items()}),
        "templates": digest(asdict(questions.templates)),
        "checks": files["checks"].read_text(encoding="utf-8"),
        "code": answering_code_hash(),
    }


def _freeze_plan(work: Run, journal: Journal) -> None:
    """What will be tested is on disk before the first trial."""
    if "plan" not in work.records:
        plan = the_plan(work.spec["settings"], work.questions.game)
        work.records["plan"] = {
            "key": "plan",
            "plan": plan,
            "hash": plan_hash(plan),
            "frozen": now(),
        }
        journal.append([work.records["plan"]])


def _measure_missing(work: Run, journal: Journal) -> None:
    """Load the model and measure trials, then the checks that build on their answers."""
    start = time.perf_counter()
    # The number format of the directions, so that a series that goes on at another device does not change it.
    entry = {"dtype": work.directions.about.get("dtype")} | work.spec["model"]
    loaded = load_model(entry, work.model_path, work.runtime)
    if weights_hash(work.spec["model"], work.model_path) != work.directions.about["weights_hash"]:
        raise ModelError(
            f"model {loaded.name}: its weights are not those that its directions were measured with; "
            "put the old ones back, or delete the directions file of this model and begin a new series with "
            "`--config new=true`"
        )
    instrument = _instrument(work, loaded)
    work.seconds["load"] = time.perf_counter() - start

    def to_text(messages: list[dict]) -> str:
        return chat_text(loaded.tokenizer, messages, answering=messages[-1]["role"] == "user")

    requests = trial_requests(work.questions, work.spec, to_text)
    if any(r.key not in work.records for r in requests):
        by_key = {request.key: request for request in requests}
        # One request of each arm.
        by_arm = {trial.condition.arm: trial.request_key for trial in work.questions.trials}
        _check_steering(work, instrument, [by_key[key] for key in by_arm.values()])
    _measure_all(work, instrument, requests, journal, "trials")
    _measure_all(work, instrument, _check_requests(work, loaded, to_text), journal, "checks")
    _project(work, instrument, requests, journal)
    work.seconds |= instrument.seconds
    complete = {
        "key": "complete",
        "seconds": {k: round(v, 2) for k, v in work.seconds.items()},
        "machine": environment(),
    }
    work.records["complete"] = complete
    journal.append([complete])


def _instrument(work: Run, loaded: LoadedModel) -> Instrument:
    generation, settings = work.spec["settings"]["generation"], work.spec["settings"]
    reopen = settings["scoring"]["after_rationale"] and settings["answer_form"] == "rationale"
    return Instrument(
        loaded=loaded,
        layers=work.directions.layers,
        pushes=condition_pushes(work.directions, plan_conditions(settings)),
        temperature=generation["temperature"],
        top_p=generation["top_p"],
        reopen=reopen_after_rationale if reopen else None,
        share=work.runtime.get("share_layers", True),
    )


def _check_steering(work: Run, instrument: Instrument, requests: Sequence[Request]) -> None:
    with instrument.timed("self_check"):
        check_steering(instrument, requests)
    work.log(
        "self-check: pushes arrive on their own rows and layers, and the engine agrees with the plain model"
    )


def _measure_all(
    work: Run, instrument: Instrument, requests: Sequence[Request], journal: Journal, what: str
) -> None:
    """Measure all requests without a record, batch by batch, planned from the full list."""
    lengths = {
        p: len(token_ids(instrument.loaded.tokenizer, p)) for p in {r.prompt for r in requests}
    }
    budget = batch_budget(instrument.loaded, work.runtime.get("batch_tokens"))
    batches = plan_batches(
        requests, lengths, work.spec["settings"]["generation"]["max_new_tokens"], budget
    )
    work.log(
        f"{what}: {len(requests)} requests in {len(batches)} batches of at most {budget} tokens"
    )
    start, done = time.perf_counter(), 0
    for number, batch in enumerate(batches, start=1):
        if all(r.key in work.records for r in batch):
            continue
        _stop_if_asked(work)
        _keep(
            work,
            journal,
            [
                _record(r, m)
                for r, m in zip(batch, measure(instrument, batch, work.log), strict=True)
            ],
        )
        done += len(batch)
        rate = done / (time.perf_counter() - start)
        work.log(
            f"  {what}: batch {number} of {len(batches)}, {len(batch)} requests, {rate:.1f} a second"
        )


def _record(request: Request, measured: Measurement) -> dict:
    return {
        "key": request.key,
        "scores": asdict(measured.scores) if measured.scores else None,
        "answers": measured.answers,
        "after": [asdict(s) if s else None for s in measured.after],
    }


def _keep(work: Run, journal: Journal, records: list[dict]) -> None:
    journal.append(records)
    work.records.update({r["key"]: r for r in records})
    _report_progress(work)


def _stop_if_asked(work: Run) -> None:
    if work.should_stop():
        done, total = _progress(work)
        raise Interrupted(
            f"stopped after {done} of {total} trials; run the same command again to go on"
        )


def _progress(work: Run) -> tuple[int, int]:
    return sum(t.request_key in work.records for t in work.questions.trials), len(
        work.questions.trials
    )


def _report_progress(work: Run) -> None:
    work.progress(*_progress(work))


def _check_requests(work: Run, loaded: LoadedModel, to_text: Callable) -> list[Request]:
    outputs = {
        t.trial_id: work.records[t.request_key]["answers"][t.repeat]
        for t in work.questions.trials
        if t.condition.generated
    }
    to_plain = partial(plain_text, loaded.tokenizer)
    return check_requests.check_requests(
        work.questions, work.spec["settings"], outputs, work.items, to_text, to_plain
    )


def _project(
    work: Run, instrument: Instrument, requests: Sequence[Request], journal: Journal
) -> None:
    """The shift in a later layer, for the prompts that the manipulation checks use."""
    if (
        not work.spec["settings"]["checks"]["manipulation"]
        or check_requests.later_layer(work.directions) is None
    ):
        return
    wanted = {
        t.request_key
        for t in check_requests.checked_trials(work.questions)
        if t.condition.arm == "steered"
    }
    by_prompt: dict[str, list[Request]] = {}
    for request in requests:
        if request.key in wanted:
            by_prompt.setdefault(request.prompt, []).append(request)
    emotions = {c.name: c.emotion for c in plan_conditions(work.spec["settings"])}
    project = partial(check_requests.projections, instrument, work.directions, emotions=emotions)
    for group in by_prompt.values():
        keys = [check_requests.projection_key(r) for r in group]
        if all(key in work.records for key in keys):
            continue
        _stop_if_asked(work)
        values = in_halves(project, group, work.log)
        _keep(work, journal, [{"key": k, "value": v} for k, v in zip(keys, values, strict=True)])


def _outcome(work: Run, fingerprint: str) -> Outcome:
    """Tables and configuration from the records."""
    settings, questions = work.spec["settings"], work.questions
    conditions = plan_conditions(settings)
    ratios = push_ratios(work.directions, conditions)
    table = results.trial_table(questions, work.spec, work.records, ratios)
    work.log(
        "seconds: "
        + ", ".join(
            f"{part} {spent:.1f}" for part, spent in work.records["complete"]["seconds"].items()
        )
    )
    return Outcome(
        trials=table,
        checks=check_requests.check_table(work.records, conditions),
        game=questions.game,
        settings=settings,
        n_planned=len(questions.trials),
        configuration=_configuration(work, fingerprint),
    )


def _configuration(work: Run, fingerprint: str) -> dict:
    """The content of exp_config.yaml: all that is needed to repeat the experiment."""
    questions = work.questions
    return {
        **work.spec,
        "model_path": work.model_path,
        "files": {name: str(path) for name, path in work.files.items()},
        "plan": {key: work.records["plan"][key] for key in ("plan", "hash", "frozen")},
        "fingerprint": fingerprint,
        "code": {"commit": code_commit(), "answering_modules": answering_code_hash()},
        "directions": {**work.directions.about, "content_hash": work.directions.content_hash},
        "scenarios": {
            "used": list(questions.scenarios),
            "skipped": len(questions.problems),
            "problems": questions.problems,
        },
        "machine": work.records["complete"]["machine"],
        "runtime": work.runtime,
        "seconds": work.records["complete"]["seconds"],
    }
