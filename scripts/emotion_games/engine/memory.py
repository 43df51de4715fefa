"""How many tokens a batch may hold: on a GPU, as many as its free memory takes.

What a token takes differs between models: caches, the states of recurrent layers, intermediate
states, and the logits of large vocabularies. So it is measured, on some of the requests.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

import torch

from emotion_games.engine.backend import Ids
from emotion_games.engine.batch_plan import plan_batches, size_of
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.thinking import measure

# Tokens of a batch on a CPU, where larger batches gain nothing.
CPU_BATCH_TOKENS = 16_384
# Rows that are measured, and the tokens of their answers. The room of an answer is set aside before
# its first token, so that longer ones take more time, but no more memory for each token.
SAMPLE_ROWS, SAMPLE_ANSWER = 32, 2
# The share of the free memory that a batch may take. The sample holds twice what its rows have read
# (in their cache, and in the copy that writes). When a quarter of the answers has ended, a batch
# also copies the rest, and takes up to (2 + 3/4) / 2 = 1.375 times as much. What is left is for
# what the memory loses between tensors of different sizes.
USED_SHARE = 0.7


def batch_tokens(
    instrument: Instrument,
    requests: Sequence[Request],
    tokens: Mapping[str, Ids],
    answer_tokens: int,
) -> int:
    """Return how many tokens (prompts and answers) a batch of the requests may hold.

    Args:
        instrument: The model with its pushes.
        requests: What is to be measured.
        tokens: The tokens of each prompt.
        answer_tokens: The largest number of tokens of an answer.
    """
    gpus = instrument.model.gpus
    if not gpus or not requests:
        return CPU_BATCH_TOKENS
    each = token_bytes(instrument, requests, tokens, answer_tokens)
    room = min(free_memory(gpu) / bytes_ for gpu, bytes_ in zip(gpus, each, strict=True))
    return max(1, int(USED_SHARE * room))


def token_bytes(
    instrument: Instrument,
    requests: Sequence[Request],
    tokens: Mapping[str, Ids],
    answer_tokens: int,
) -> list[float]:
    """Measure the bytes that a token of a batch takes on each GPU; see `batch_tokens`."""
    requests, longest = [_shortened(r) for r in requests], min(answer_tokens, SAMPLE_ANSWER)
    widest = max(len(tokens[r.prompt]) for r in requests) + longest
    batches = plan_batches(requests, tokens, longest, SAMPLE_ROWS * widest)
    sizes = [size_of(batch, tokens, longest) for batch in batches]
    size, sample = max(zip(sizes, batches, strict=True), key=itemgetter(0))
    # The first run of a kernel takes memory that stays.
    measure(instrument, sample)
    taken = peak_memory(instrument.model.gpus, lambda: measure(instrument, sample))
    return [max(1, peak) / size for peak in taken]


def _shortened(request: Request) -> Request:
    """Return the request with answers and thoughts of a few tokens."""
    thinking = request.thinking
    if thinking:
        thinking = replace(thinking, uniforms=thinking.uniforms[:SAMPLE_ANSWER])
    uniforms = tuple(numbers[:SAMPLE_ANSWER] for numbers in request.uniforms)
    return replace(request, uniforms=uniforms, thinking=thinking)


def peak_memory(gpus: Sequence[torch.device], run: Callable[[], object]) -> list[int]:
    """Return the bytes that a function takes on each GPU, at most at once."""
    release()
    for gpu in gpus:
        torch.cuda.reset_peak_memory_stats(gpu)
    before = [torch.cuda.memory_allocated(gpu) for gpu in gpus]
    run()
    peaks = [torch.cuda.max_memory_allocated(gpu) for gpu in gpus]
    return [peak - kept for peak, kept in zip(peaks, before, strict=True)]


def free_memory(gpu: torch.device) -> int:
    """Return the bytes that are free on a GPU, those that this process holds unused included."""
    release()
    return torch.cuda.mem_get_info(gpu)[0]


def release() -> None:
    """Give unused memory back to the GPUs."""
    gc.collect()
    torch.cuda.empty_cache()
