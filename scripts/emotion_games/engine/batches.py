"""Measure requests in batches: score options, write answers, score again after each rationale.

If a GPU runs out of memory, the batch is halved.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emotion_games.engine.backend import Backend, ByLayer, Ids, ModelError, Rows
from emotion_games.engine.requests import (
    BUDGET,
    CLOSED,
    END_TOKEN,
    QUOTE,
    Measurement,
    Request,
)
from emotion_games.engine.sampling import OVERFLOW
from emotion_games.engine.scoring import (
    Continuation,
    Scores,
    score_options,
    shared_tokens,
    whole_texts,
)
from emotion_games.engine.windows import Edges, Window
from emotion_games.escapes import say
from emotion_games.prompts.json_answers import answer_is_closed, string_inside, string_is_closed

LARGEST_BATCH = 256


@dataclass(frozen=True)
class Instrument:
    """A model with its pushes, and how it answers.

    Attributes:
        model: The model.
        layers: The steered layers.
        pushes: {name: (steered layers, hidden)}.
        temperature: Of the answers; 0 always takes the most likely token.
        top_p: Probability mass of the nucleus from which tokens are drawn.
        reopen: Returns the opening after which the options are scored again, or None if a free
            answer has no rationale. Without this function no free answer is scored again.
        share: Whether rows may share what they have in common; see `Backend.read`.
        seconds: Time spent so far, by part of the work.
    """

    model: Backend
    layers: list[int]
    pushes: Mapping[str, Tensor]
    temperature: float
    top_p: float
    reopen: Callable[[str], str | None] | None = None
    share: bool = True
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of the body to `seconds[part]`."""
        start = time.perf_counter()
        yield
        # A GPU works on after the call that started it has returned.
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def batch_pushes(self, names: Sequence[str | None]) -> ByLayer:
        """Return {layer: (rows, hidden)} for one push per row; None is a row of zeros."""
        nothing = torch.zeros(len(self.layers), self.model.hidden_size)
        stack = torch.stack([nothing if name is None else self.pushes[name] for name in names])
        return {layer: stack[:, place].contiguous() for place, layer in enumerate(self.layers)}

    def read(
        self, texts: Sequence[Ids], names: Sequence[str | None], windows: Sequence[Window] = ()
    ) -> Rows:
        """Read the tokens of each text under the push of that name; see `Backend.read`."""
        return self.model.read(texts, self.batch_pushes(names), self.share, windows=windows)


@dataclass(frozen=True)
class Reading:
    """The prompts of a batch, read as far as scored texts begin with the same tokens.

    Attributes:
        requests: The batch.
        texts: Returns the tokens of the options of a request, each as one text with its prompt.
        prompts: The tokens of each prompt with its lead.
        read: How many of them have been read. The rest is tokenized differently if an answer
            follows; only what is written follows it.
        rows: The rows that have read so far.
    """

    requests: Sequence[Request]
    texts: Callable[[Request], list[Continuation]]
    prompts: list[list[int]]
    read: list[int]
    rows: Rows


def measure(
    instrument: Instrument, requests: Sequence[Request], log: Callable[[str], None] = say
) -> list[Measurement]:
    """Measure a batch, or its halves if a GPU runs out of memory.

    The error is raised if a single request is too large.
    """
    try:
        return _measure(instrument, requests)
    except torch.OutOfMemoryError:
        if len(requests) == 1:
            raise
    # Outside the handler, so that the failed batch's tensors are not kept alive by the traceback.
    gc.collect()
    torch.cuda.empty_cache()
    half = len(requests) // 2
    log(f"out of GPU memory with {len(requests)} requests; continuing with {half}")
    first = measure(instrument, requests[:half], log)
    return first + measure(instrument, requests[half:], log)


def _measure(instrument: Instrument, requests: Sequence[Request]) -> list[Measurement]:
    with instrument.timed("prefill"):
        reading = _read(instrument, requests)
    direct = [r.opening if r.scored else None for r in requests]
    scores = _score(instrument, reading, list(enumerate(direct)))
    writing = [(place, numbers) for place, r in enumerate(requests) for numbers in r.uniforms]
    with instrument.timed("decode"):
        written = _write(instrument, reading, writing)
    places = [place for place, _ in writing]
    openings = [
        answer if requests[place].lead else instrument.reopen(answer) if instrument.reopen else None
        for place, (answer, _) in zip(places, written, strict=True)
    ]
    after = _score(instrument, reading, list(zip(places, openings, strict=True)))
    measured = [Measurement(found, [], [], []) for found in scores]
    for place, (answer, end), again in zip(places, written, after, strict=True):
        measured[place].answers.append(answer)
        measured[place].after.append(again)
        measured[place].ends.append(end)
    return measured


def _read(instrument: Instrument, requests: Sequence[Request]) -> Reading:
    """Read each prompt as far as the texts of its options begin with the same tokens."""
    # All conditions of a prompt have the same tokens, which are made once.
    tokens = cache(instrument.model.token_ids)

    @cache
    def edges(prompt: str, begin: int, end: int | None) -> Edges:
        begun = tokens(prompt[:begin]) if begin else ()
        return Edges(begun, None if end is None else tokens(prompt[:end]))

    @cache
    def made(place: Edges, *whole: Any) -> list[Continuation]:
        found = whole_texts(instrument.model, *whole)
        return [replace(text, window=place.window(text.ids)) for text in found]

    def texts(r: Request) -> list[Continuation]:
        whole = r.prompt, r.opening, tuple(r.options.values()), r.closing
        return made(edges(r.prompt, r.begin, r.end), *whole)

    prompts = [tokens(r.prompt + r.lead) for r in requests]
    read = [shared_tokens(ids, texts(r)) for ids, r in zip(prompts, requests, strict=True)]
    if 0 in read:
        raise ModelError(
            f"{requests[read.index(0)].key}: no token of the prompt stays the same if an answer "
            "follows; use a model whose prompts begin with a special token"
        )
    begun = [ids[:length] for ids, length in zip(prompts, read, strict=True)]
    windows = [
        edges(r.prompt, r.begin, r.end).window(ids)
        for ids, r in zip(prompts, requests, strict=True)
    ]
    rows = instrument.read(begun, [r.push for r in requests], windows)
    broken = (~torch.isfinite(rows.logits).all(-1)).nonzero().flatten().tolist()
    if broken:
        raise ModelError(f"{requests[broken[0]].key}: {OVERFLOW}")
    return Reading(requests, texts, prompts, read, rows)


def _score(
    instrument: Instrument, reading: Reading, openings: Sequence[tuple[int, str | None]]
) -> list[Scores | None]:
    """Score the options after each (row, opening); the result is None if there is no opening."""
    following: dict[int, dict[str, Continuation]] = {}
    others: dict[int, Request] = {}
    with instrument.timed("score"):
        for number, (place, opening) in enumerate(openings):
            if opening is None:
                continue
            r = replace(reading.requests[place], opening=opening, scored=True, uniforms=())
            texts, read = reading.texts(r), reading.read[place]
            if shared_tokens(reading.prompts[place][:read], texts) == read:
                following[number] = {
                    label: text.after(read) for label, text in zip(r.options, texts, strict=True)
                }
            else:
                others[number] = r
        places = [openings[number][0] for number in following]
        found = score_options(reading.rows, places, list(following.values())) if places else []
    # Some tokens that were read are others before this opening. So it is read by itself.
    again = [m.scores for m in _measure(instrument, list(others.values()))] if others else []
    results = dict(zip([*following, *others], [*found, *again], strict=True))
    return [results.get(number) for number in range(len(openings))]


def _write(
    instrument: Instrument, reading: Reading, writing: Sequence[tuple[int, np.ndarray]]
) -> list[tuple[str, str]]:
    """Write one answer for each (row, random numbers); return it and why its string ended."""
    rests = [ids[n:] for ids, n in zip(reading.prompts, reading.read, strict=True)]
    # Together only those that read on equally far, so that no padding stands inside a row.
    kinds = [(len(rests[place]), _closing_of(reading.requests[place])) for place, _ in writing]
    answers: dict[int, tuple[str, str]] = {}
    for kind in dict.fromkeys(kinds):
        alike = [i for i, own in enumerate(kinds) if own == kind]
        for start in range(0, len(alike), LARGEST_BATCH):
            part = alike[start : start + LARGEST_BATCH]
            places, numbers = zip(*(writing[i] for i in part), strict=True)
            uniforms = torch.from_numpy(np.stack(numbers))
            sampling = instrument.temperature, instrument.top_p
            begins = [rests[place] for place in places]
            found = reading.rows.generate(places, uniforms, *sampling, kind[1], begins)
            for i, place, ids in zip(part, places, found, strict=True):
                answers[i] = _answer(instrument.model, reading, place, ids, uniforms.shape[1])
    return [answers[i] for i in range(len(writing))]


@cache
def _contains(part: str) -> Callable[[str], bool]:
    return lambda text: part in text


def _closing_of(r: Request) -> Callable[[str], bool]:
    """Return what tells whether an answer to a request is complete."""
    if r.until:
        return _contains(r.until)
    return string_is_closed if r.lead else answer_is_closed


def _answer(
    model: Backend, reading: Reading, place: int, ids: list[int], most: int
) -> tuple[str, str]:
    """Return the answer of written tokens, and why its string ended; nothing if it is free."""
    r = reading.requests[place]
    if r.until:
        is_closed = r.until in model.decode(ids, special=True)
        end = CLOSED if is_closed else BUDGET if len(ids) == most else END_TOKEN
        return model.decode(ids).partition(r.until)[0], end
    if not r.lead:
        return model.decode(ids), ""
    text = model.decode_after(reading.prompts[place][-1], ids)
    end = QUOTE if string_is_closed(text) else BUDGET if len(ids) == most else END_TOKEN
    # Escapes may need more tokens than were written, for which the context may have no room.
    while len(model.token_ids(string_inside(text))) > most:
        text, end = text[:-1], BUDGET
    return r.lead + string_inside(text) + r.link, end
