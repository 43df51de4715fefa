"""Which requests are measured together: those of one story, whose prompts begin alike."""

from collections.abc import Mapping, Sequence

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
    prompts begin with is still read once. The same requests always make the same batches.

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

    batches: list[list[Request]] = []
    rows = first = 0
    for request in sorted(requests, key=place):
        width = _width(request, story_of[tuple(tokens[request.prompt])][0], answer_tokens)
        weight = max(1, len(request.uniforms))
        is_full = (rows + weight) * width > budget or rows + weight > LARGEST_BATCH
        if is_full or width > MOST_PADDING * first:
            batches.append([])
            rows, first = 0, width
        batches[-1].append(request)
        rows += weight
    return batches


def size_of(batch: Sequence[Request], tokens: Mapping[str, Ids], answer_tokens: int) -> int:
    """Return how many tokens a batch has, padding included."""
    rows = sum(max(1, len(r.uniforms)) for r in batch)
    return rows * max(_width(r, len(tokens[r.prompt]), answer_tokens) for r in batch)


def _width(request: Request, prompt_tokens: int, answer_tokens: int) -> int:
    """Return how many tokens a row of a request has."""
    thoughts = len(request.thinking.uniforms) if request.thinking else 0
    return prompt_tokens + thoughts + (answer_tokens if request.uniforms else 0)
