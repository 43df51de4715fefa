"""Measure requests in batches: score options, write answers, and score again after each rationale.

A request is one prompt under one push. If the memory of a GPU runs out, a batch is halved.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from emotion_games.engine.generation import Rows, generate, read
from emotion_games.engine.models import LoadedModel, ModelError, token_ids
from emotion_games.engine.sampling import OVERFLOW
from emotion_games.engine.scoring import Scores, continuation, score_options
from emotion_games.prompts.answers import answer_is_closed

# Tokens (prompt and answer) that are held at once on a CPU, where larger batches gain nothing.
CPU_BATCH_TOKENS = 16_384
# Share of the free GPU memory that the cache of a batch may take: answers are written into a copy of it, and another
# copy takes over when finished rows leave.
GPU_MEMORY_SHARE = 0.25
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Request:
    """A prompt (with its special tokens), and what is wanted of it.

    `push` names a push of the instrument, None stands for an unsteered model; `options` maps labels to the texts whose probabilities are wanted between `opening` and `closing`; `uniforms` holds
    one array of random numbers (steps,) for each answer to be written.
    """

    key: str
    prompt: str
    push: str | None
    options: Mapping[str, str]
    opening: str = ""
    closing: str = ""
    scored: bool = True
    uniforms: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """What came of a request: scores of the options, the answers, and the scores after each answer's rationale."""

    scores: Scores | None
    answers: list[str]
    after: list[Scores | None]


@dataclass(frozen=True)
class Instrument:
    """A model with its pushes {name: (steered layers, hidden)} and how it answers.

    `reopen` turns an answer into the opening after which its options are scored again, or None; `share` lets rows of
    one prompt share the layers below the first steered one.
    """

    loaded: LoadedModel
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
        if self.loaded.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def batch_pushes(self, names: Sequence[str | None]) -> dict[int, Tensor]:
        """{layer: (rows, hidden)} for one named push a row; zeros where the name is None."""
        nothing = torch.zeros(len(self.layers), self.loaded.hidden_size)
        stack = torch.stack([nothing if name is None else self.pushes[name] for name in names])
        stack = stack.to(self.loaded.device, self.loaded.model.dtype)
        return {layer: stack[:, place].contiguous() for place, layer in enumerate(self.layers)}


def batch_budget(loaded: LoadedModel, wanted: int | None) -> int:
    """Tokens that a batch may hold: as configured, or from the free memory and the size of the key-value cache."""
    if wanted:
        return wanted
    if loaded.device.type != "cuda":
        return CPU_BATCH_TOKENS
    free, _ = torch.cuda.mem_get_info(loaded.device)
    return max(1, int(free * GPU_MEMORY_SHARE / cache_bytes(loaded)))


def cache_bytes(loaded: LoadedModel) -> int:
    """Bytes of one token in the key-value cache."""
    config = loaded.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * width * loaded.model.dtype.itemsize


def plan_batches(
    requests: Sequence[Request], lengths: Mapping[str, int], answer_tokens: int, budget: int
) -> list[list[Request]]:
    """Deal requests into batches of at most `budget` tokens, neighbours of like length, one prompt's rows together.

    `lengths` gives the tokens of each prompt. The same requests always make the same batches.
    """
    batches: list[list[Request]] = []
    rows = 0
    for request in sorted(requests, key=lambda r: (lengths[r.prompt], r.prompt)):
        width = lengths[request.prompt] + answer_tokens
        weight = max(1, len(request.uniforms))
        if not batches or (rows + weight) * width > budget or rows + weight > LARGEST_BATCH:
            batches.append([])
            rows = 0
        batches[-1].append(request)
        rows += weight
    return batches


def measure(
    instrument: Instrument, requests: Sequence[Request], log: Callable[[str], None] = print
) -> list[Measurement]:
    """Measure a batch; where a GPU's memory runs out, its halves."""
    return in_halves(partial(_measure, instrument), requests, log)


def in_halves(
    work: Callable[[Sequence[Request]], list],
    requests: Sequence[Request],
    log: Callable[[str], None],
) -> list:
    """`work(requests)`, one result a request; where a GPU's memory runs out, that of its halves."""
    try:
        return work(requests)
    except torch.OutOfMemoryError:
        if len(requests) == 1:
            raise
    # Outside the handler, so that the failed batch's tensors are not kept alive by the traceback.
    gc.collect()
    torch.cuda.empty_cache()
    half = len(requests) // 2
    log(f"out of GPU memory with {len(requests)} rows; going on with {half}")
    return in_halves(work, requests[:half], log) + in_halves(work, requests[half:], log)


def _measure(instrument: Instrument, requests: Sequence[Request]) -> list[Measurement]:
    loaded = instrument.loaded
    ids = {
        prompt: token_ids(loaded.tokenizer, prompt)
        for prompt in dict.fromkeys(r.prompt for r in requests)
    }
    with instrument.timed("prefill"):
        pushes = instrument.batch_pushes([r.push for r in requests])
        rows = read(loaded, [ids[r.prompt] for r in requests], pushes, instrument.share)
    broken = (~torch.isfinite(rows.logits).all(-1)).nonzero().flatten().tolist()
    if broken:
        raise ModelError(f"{requests[broken[0]].key}: {OVERFLOW}")
    scored = [place for place, r in enumerate(requests) if r.scored]
    with instrument.timed("score"):
        direct = _score(loaded, rows, [(i, requests[i], requests[i].opening) for i in scored])
    writing = [(place, numbers) for place, r in enumerate(requests) for numbers in r.uniforms]
    with instrument.timed("decode"):
        answers = _write(instrument, rows, writing)
    openings = [instrument.reopen(text) if instrument.reopen else None for text in answers]
    reopened = [
        (place, requests[place], o)
        for (place, _), o in zip(writing, openings, strict=True)
        if o is not None
    ]
    with instrument.timed("score"):
        again = iter(_score(loaded, rows, reopened))
    found = dict(zip(scored, direct, strict=True))
    measured = [Measurement(found.get(place), [], []) for place in range(len(requests))]
    for (place, _), text, opening in zip(writing, answers, openings, strict=True):
        measured[place].answers.append(text)
        measured[place].after.append(None if opening is None else next(again))
    return measured


def _score(
    loaded: LoadedModel, rows: Rows, wanted: Sequence[tuple[int, Request, str]]
) -> list[Scores]:
    """Scores for (row, request, opening), the options in the request's order."""
    if not wanted:
        return []
    # All conditions of a prompt ask for the same options, whose tokens are made once.
    tokens = cache(partial(continuation, loaded.tokenizer))
    options = [
        {label: tokens(r.prompt, opening, text, r.closing) for label, text in r.options.items()}
        for _, r, opening in wanted
    ]
    return score_options(loaded, rows, [place for place, _, _ in wanted], options)


def _write(
    instrument: Instrument, rows: Rows, writing: Sequence[tuple[int, np.ndarray]]
) -> list[str]:
    """One answer for each (row, random numbers), at most LARGEST_BATCH at once."""
    loaded, answers = instrument.loaded, []
    for start in range(0, len(writing), LARGEST_BATCH):
        part = writing[start : start + LARGEST_BATCH]
        numbers = torch.from_numpy(np.stack([numbers for _, numbers in part]))
        branch = rows.take([place for place, _ in part], room=numbers.shape[1])
        found = generate(
            loaded, branch, numbers, instrument.temperature, instrument.top_p, answer_is_closed
        )
        answers += [loaded.tokenizer.decode(ids, skip_special_tokens=True) for ids in found]
    return answers
