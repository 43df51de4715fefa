"""The speed of the engine on a CUDA GPU, relative to a bound from the measured rates of the card.

If R repeats share a prefill and the card decodes B rows at once, one trial takes at least, in
seconds,

    prefill FLOP · unshared part / R / matrix rate
    + steps · (weights + B · context · cache bytes per token) / B / bandwidth.

The unshared part counts the layers up to the first steered one once for all conditions. The matrix
rate is that of a large product in the model's number format, the bandwidth that of a large copy,
both measured just before.
"""

from collections.abc import Iterator

import numpy as np
import torch
from plain_ways import write_answers
from table import Line, ratio
from workload import Work, alternate, run, timed

from emotion_games.engine.batch_plan import size_of
from emotion_games.engine.batches import LARGEST_BATCH
from emotion_games.engine.memory import peak_memory, token_bytes

# Rows that are decoded at once, for the bound.
BOUND_ROWS = 128
MATRIX, COPIED_BYTES, TRIES = 8192, 2**32, 10


def gpu_lines(work: Work, rounds: int) -> Iterator[Line]:
    """Compare the job with bound and plain hooks, then prefill and decode with the rates."""
    shape, trials = work.shape, work.shape.scenarios * work.shape.conditions
    flops, bandwidth = matrix_rate(work), copy_rate(work)
    bound = trials * bound_seconds(work, flops, bandwidth)
    rates = f"{flops / 1e12:.0f} TFLOP/s, {bandwidth / 1e12:.2f} TB/s"
    batches = work.batches()
    run(work.instrument(), batches[:1])  # the first run of every kernel is not measured
    prompts, pushes = work.prompt_ids(), work.layer_pushes()
    sizes = shape.answer, 1, shape.scenarios
    seconds = alternate(
        {
            "ours": lambda: timed(work.model.device, lambda: run(work.instrument(), batches)),
            "plain": lambda: timed(
                work.model.device,
                lambda: write_answers("plain hooks", work.model.model, prompts, pushes, *sizes),
            ),
        },
        rounds,
    )
    note = f"bound {trials / bound:.0f} trials/s at {rates}"
    yield Line("GPU: bound / whole job", [bound / s for s in seconds["ours"]], ("≥", 0.5), note)
    note = (
        f"{trials / np.median(seconds['ours']):.1f} trials/s; plain: {shape.scenarios} rows at once"
    )
    yield Line(
        "GPU: trials per second / plain hooks", ratio(seconds, "plain", "ours"), ("≥", 3.0), note
    )
    yield memory_line(work)
    yield from phase_lines(work, rounds, flops, bandwidth)


def memory_line(work: Work) -> Line:
    """Compare the peak memory of the largest batch with what was predicted for it."""
    tokens = {prompt: work.model.token_ids(prompt) for prompt in work.prompts}
    asked, answer, gpus = work.requests(1), work.shape.answer, work.model.gpus
    each = token_bytes(work.instrument(), asked, tokens, answer)
    batch = max(work.batches(), key=len)
    taken = peak_memory(gpus, lambda: run(work.instrument(), [batch]))
    planned = [size_of(batch, tokens, answer) * bytes_ for bytes_ in each]
    note = f"{len(batch)} rows: {taken[0] / 2**30:.1f} GiB, {planned[0] / 2**30:.1f} predicted"
    shares = [peak / size for peak, size in zip(taken, planned, strict=True)]
    return Line("GPU: peak memory / predicted", shares, ("≤", 1.0), note)


def phase_lines(work: Work, rounds: int, flops: float, bandwidth: float) -> Iterator[Line]:
    """Compare prefill (nothing shared) and decode on the largest batch with the card's rates."""
    shape, instrument = work.shape, work.instrument()
    batch = max(work.batches(), key=len)
    pushes = instrument.batch_pushes([r.push for r in batch])
    ids = [work.model.token_ids(r.prompt) for r in batch]
    uniforms = torch.from_numpy(np.stack([r.uniforms[0] for r in batch]))

    def read() -> None:
        work.model.read(ids, pushes, share=False)

    reading = [timed(work.model.device, read) for _ in range(rounds)]
    reached = [len(batch) * prefill_flop(work) / seconds / flops for seconds in reading]
    yield Line(
        "GPU: prefill / matrix rate",
        reached,
        ("≥", 0.6),
        f"{len(batch)} rows of {shape.prompt} tokens",
    )

    rows = work.model.read(ids, pushes)
    sampling = instrument.temperature, instrument.top_p

    def write() -> None:
        rows.generate(range(len(batch)), uniforms, *sampling, lambda _: False)

    # The first token comes from the prompt, so that there is one step less than tokens.
    least = (shape.answer - 1) * step_bytes(work, len(batch)) / bandwidth
    reached = [least / timed(work.model.device, write) for _ in range(rounds)]
    note = f"{len(batch)} rows at once (at most {LARGEST_BATCH})"
    yield Line("GPU: bandwidth bound / decode", reached, ("≥", 0.4), note)


def bound_seconds(
    work: Work, flops: float, bandwidth: float, repeats: int = 1, rows: int = BOUND_ROWS
) -> float:
    """Return the least seconds of a trial by the formula at the top of this file."""
    shape = work.shape
    shared_layers = (shape.steered[0] + 1) / shape.layers
    unshared = 1 - shared_layers * (1 - 1 / shape.conditions)
    prefill = prefill_flop(work) * unshared / repeats / flops
    return prefill + shape.answer * step_bytes(work, rows) / rows / bandwidth


def prefill_flop(work: Work) -> float:
    """Return the FLOP of one prompt: two per token and weight, and causal attention."""
    shape = work.shape
    weights = sum(p.numel() for p in work.model.layers.parameters())
    return 2 * weights * shape.prompt + 2 * shape.hidden * shape.prompt**2 * shape.layers


def step_bytes(work: Work, rows: int) -> float:
    """Return the bytes that a decoding step reads: weights without input embedding, and cache."""
    model, shape = work.model.model, work.shape
    weights = (
        sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()
    )
    context = shape.prompt + shape.answer / 2
    return weights * model.dtype.itemsize + rows * context * _cache_bytes(work)


def _cache_bytes(work: Work) -> int:
    """Return the bytes of keys and values of a token."""
    shape = work.shape
    width = shape.hidden // shape.heads * shape.key_heads
    return 2 * shape.layers * width * work.model.dtype.itemsize


def matrix_rate(work: Work) -> float:
    """Return the FLOP per second of a large matrix product, the best of several."""
    square = torch.randn(MATRIX, MATRIX, device=work.model.device, dtype=work.model.dtype)
    return (
        2 * MATRIX**3 / min(timed(work.model.device, lambda: square @ square) for _ in range(TRIES))
    )


def copy_rate(work: Work) -> float:
    """Return the bytes per second, read and written, of a large copy, the best of several."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device=work.model.device)
    target = torch.empty_like(source)
    return (
        2
        * COPIED_BYTES
        / min(timed(work.model.device, lambda: target.copy_(source)) for _ in range(TRIES))
    )
