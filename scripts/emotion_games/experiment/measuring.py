"""Measure requests into a journal: what it does not hold yet, batch by batch.

Every finished batch is on the disk before the next one starts, so that an interrupted job continues
where it stopped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any, cast

from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import Instrument
from emotion_games.engine.directions import Directions
from emotion_games.engine.memory import batch_tokens
from emotion_games.engine.models import load_model, weights_hash, weights_state
from emotion_games.engine.requests import Request
from emotion_games.engine.self_check import RATIONALE, check_steering
from emotion_games.engine.thinking import after_thoughts, measure
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.inputs import Control
from emotion_games.experiment.journal import PROMPTS, Journal
from emotion_games.experiment.pace import WRITING, Stage, seconds_left
from emotion_games.experiment.spec import Record
from emotion_games.hashing import digest
from emotion_games.progress import Counts
from emotion_games.signals import Interrupted


@dataclass(frozen=True)
class Session:
    """A journal that is being filled.

    Attributes:
        journal: Where the records go.
        control: How the job is watched and stopped.
        counted: The keys of what the progress counts, by what they are; some may share a record.
    """

    journal: Journal
    control: Control
    counted: Mapping[str, Sequence[str]]

    def is_done(self, keys: Sequence[str]) -> bool:
        """Return True if the journal has a record of every key."""
        return all(key in self.journal.records for key in keys)

    def counts(self) -> Counts:
        """Return how much of what is counted is in the journal, and how much there is."""
        records = self.journal.records
        return {
            noun: (sum(key in records for key in keys), len(keys))
            for noun, keys in self.counted.items()
        }

    def report(self, left: float | None = None) -> None:
        """Report the progress, and how many seconds are left if that is known."""
        self.control.progress(self.counts(), left)

    def stop_if_requested(self) -> None:
        """Raise Interrupted if the job should stop."""
        if self.control.should_stop():
            counts = self.counts().items()
            done = ", ".join(f"{done} of {total} {noun}" for noun, (done, total) in counts if total)
            raise Interrupted(f"stopped after {done}; run the same command again to continue")


def load_steerable(
    entry: dict[str, Any], path: str, runtime: dict[str, Any], directions: Directions
) -> Backend:
    """Load the model that directions were measured in.

    Raises:
        ModelError: It cannot be loaded, or has other weights.
    """
    about = directions.about
    # In the number format of the directions, so that a run that continues on another device does
    # not change it.
    model = load_model({"dtype": about.get("dtype")} | entry, path, runtime)
    # The directions of other weights have no meaning in this model.
    is_same = bool(about["weights_state"]) and weights_state(path) == about["weights_state"]
    is_same = is_same or weights_hash(entry, path) == about["weights_hash"]
    if not is_same or directions.shape != (model.depth, model.hidden_size):
        raise ModelError(
            f"model {model.name}: its weights are not those that its directions were measured "
            "with; put the old ones back, or delete the directions file of this model and begin a "
            "new series with `--config new=true`"
        )
    return model


def rendered_prompts(session: Session, requests: Sequence[Request]) -> Record:
    """Return the record of the prompts as the model reads them.

    The journal begins again if it has others.
    """
    # The fingerprint covers the messages. What a template makes of them also depends on the
    # version of the library that fills it in.
    rendered = digest({request.key: request.prompt for request in requests})
    before = session.journal.records.get(PROMPTS)
    if before and before["hash"] != rendered:
        session.journal.begin_again("its prompts were rendered by another template or library")
    return {"key": PROMPTS, "hash": rendered}


def self_checked(
    session: Session,
    instrument: Instrument,
    requests: Sequence[Request],
    arms: Mapping[str, Arm],
) -> Instrument:
    """Run the self-check on some requests; return the instrument to measure with.

    Args:
        session: For its log.
        instrument: The model with its pushes.
        requests: All requests.
        arms: The arm of each request, by its key.
    """
    log = session.control.log
    with instrument.timed("self_check"):
        # Thoughts take long to write, and any text stands for them.
        asked = [after_thoughts(r, RATIONALE.strip()) for r in _to_check(requests, arms)]
        checked = check_steering(instrument, asked, log)
    log("self-check: the pushes arrive as configured, and the engine agrees with the plain model")
    return checked


def _to_check(requests: Sequence[Request], arms: Mapping[str, Arm]) -> list[Request]:
    """Return one request of each unpushed arm, and two similar prompts under one push.

    Pushed arms are all the same to the engine. The two prompts branch off what they have in common.
    """
    first = {"pushed" if r.push else arms[r.key]: r for r in reversed(requests)}
    one = first.get("pushed", requests[0])
    others = (
        r
        for r in requests
        if (r.push, len(r.options)) == (one.push, len(one.options)) and r.prompt != one.prompt
    )
    return [*first.values(), *islice(others, 1)]


def measure_all(
    session: Session,
    instrument: Instrument,
    stages: Mapping[str, Sequence[Request]],
    answer_tokens: int = 0,
    room: int | None = None,
    after_first: Callable[[], None] | None = None,
) -> None:
    """Measure all requests without a record, stage by stage.

    Args:
        session: The journal.
        instrument: The model with its pushes.
        stages: What is to be measured, done or not, by what the log calls it. Each stage has a
            pace of its own.
        answer_tokens: The largest number of tokens of an answer.
        room: The largest number of tokens of a batch; None leaves it to the memory.
        after_first: Called when the first stage is done, which is then measured before any other.
    """
    log = session.control.log
    planned: dict[str, list[list[Request]]] = {}
    for what, requests in stages.items():
        # From all requests, so that the batches do not depend on interruptions.
        batches, budget = _batches(instrument, requests, answer_tokens, room)
        planned[what] = [b for b in batches if not session.is_done([r.key for r in b])]
        log(
            f"{what}: {len(requests)} requests in {len(batches)} batches of at most {budget} "
            f"tokens, {len(batches) - len(planned[what])} done"
        )
    paces = {what: Stage(list(chain(*batches))) for what, batches in planned.items()}
    numbered = [
        (what, number, batch)
        for what, batches in planned.items()
        for number, batch in enumerate(batches, start=1)
    ]
    # One batch of each stage comes first, so that the time of all of them is known early.
    numbered.sort(key=lambda place: place[1] > 1)
    if after_first:
        first = next(iter(stages))
        numbered.sort(key=lambda place: place[0] != first)
    for what, number, batch in numbered:
        if after_first and what != first:
            after_first()
            after_first = None
        session.stop_if_requested()
        start, wrote = time.perf_counter(), instrument.seconds.get(WRITING, 0.0)
        pairs = zip(batch, measure(instrument, batch, log), strict=True)
        session.journal.append([cast(Record, {"key": r.key, **asdict(m)}) for r, m in pairs])
        seconds = time.perf_counter() - start
        paces[what].finish(batch, seconds, instrument.seconds.get(WRITING, 0.0) - wrote)
        session.report(seconds_left(paces.values()))
        where = f"batch {number} of {len(planned[what])}, {len(batch)} requests"
        log(f"  {what}: {where}, {len(batch) / seconds:.1f} a second")


def _batches(
    instrument: Instrument, requests: Sequence[Request], answer_tokens: int, configured: int | None
) -> tuple[list[list[Request]], int]:
    """Return the batches, and the largest number of tokens of each."""
    tokens = {prompt: instrument.model.token_ids(prompt) for prompt in {r.prompt for r in requests}}
    budget = configured or batch_tokens(instrument, requests, tokens, answer_tokens)
    return plan_batches(requests, tokens, answer_tokens, budget), budget
