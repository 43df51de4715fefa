"""Which requests are measured together: those of one story, whose prompts begin alike."""

from collections.abc import Mapping, Sequence
from math import ceil

from emotion_games.engine.backend import Ids
from emotion_games.engine.batches import LARGEST_BATCH, Request
from emotion_games.engine.prompt_tree import stories

# The longest prompt of a batch, relative to the shortest one, which is padded.
MOST_PADDING = 1.25


def plan_batches(
    requests: Sequence[Request], tokens: Mapping[str, Ids], answer_tokens: int, budget: int
) -> list[list[Request]]:
    """Return batches of similar prompts, in which the prompts of one story stay together.

    If they need several batches, each has all prompts under some of the pushes, so that what the
    prompts begin with is still read once. Batches are about as large as each other. The same
    requests always make the same batches.

    Args:
        requests: What is to be measured.
        tokens: The tokens of each prompt.
        answer_tokens: The largest number of tokens of an answer.
        budget: The largest number of tokens of a batch.
    """
    groups = stories([tokens[r.prompt] for r in requests])
    story_of = {tuple(ids): (max(map(len, group)), group[0]) for group in groups for ids in group}
    pushes = {push: number for number, push in enumerate(dict.fromkeys(r.push for r in requests))}

    def place(r: Request) -> tuple:
        return story_of[tuple(tokens[r.prompt])], pushes[r.push], r.prompt

    def size(r: Request) -> tuple[int, int]:
        width = story_of[tuple(tokens[r.prompt])][0] + (answer_tokens if r.uniforms else 0)
        return max(1, len(r.uniforms)), width

    # A small last batch would take almost as long as a full one.
    sizes = [size(request) for request in requests]
    taken, rows_in_all = sum(rows * width for rows, width in sizes), sum(rows for rows, _ in sizes)
    even = taken / max(1, ceil(taken / budget), ceil(rows_in_all / LARGEST_BATCH))
    batches: list[list[Request]] = []
    rows = first = 0
    for request in sorted(requests, key=place):
        weight, width = size(request)
        is_full = (rows + weight) * width > budget or rows + weight > LARGEST_BATCH
        if not batches or is_full or rows * width >= even or width > MOST_PADDING * first:
            batches.append([])
            rows, first = 0, width
        batches[-1].append(request)
        rows += weight
    return batches
