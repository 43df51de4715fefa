"""What prompts have in common, so that it is read once.

The option orders, wordings and histories of a story begin with the same tokens. This trunk is read
once under each push, and the prompts branch off it. Only whole tokens of whole prompts are
compared, so that every row reads exactly the tokens of its own prompt.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from emotion_games.engine.backend import Ids

# Prompts of one story begin with the same tokens, at least for this share of the longest one.
STORY_SHARE = 0.5
# Shares that are tried for the trunks of a batch; with 0 all prompts may have one trunk.
SHARES = (STORY_SHARE, 0.0)
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Prompts that branch off trunks.

    Attributes:
        trunks: The tokens of each trunk, whose last one is never the last of a prompt.
        sources: For each trunk a row that branches off it, with the same push.
        parents: For each row its trunk.
        suffix: How many of their last tokens all rows read after their trunks. It is the same
            number for all, so that no padding stands inside a row. Where fewer tokens follow the
            trunk, its end is read again.
    """

    trunks: list[Tokens]
    sources: list[int]
    parents: list[int]
    suffix: int

    @property
    def tokens(self) -> int:
        """How many tokens are read, padding included."""
        return len(self.trunks) * max(map(len, self.trunks)) + len(self.parents) * self.suffix

    def kept(self, prompt: Ids) -> int:
        """Return how many tokens of its trunk a prompt goes on from."""
        return max(0, len(prompt) - self.suffix)


def numbered(values: Iterable[Hashable]) -> list[int]:
    """Return a number for each value, equal values alike, counted from 0 as they appear."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def stories(prompts: Sequence[Ids], share: float = STORY_SHARE) -> list[list[Tokens]]:
    """Return different prompts in groups that begin with the same tokens.

    Args:
        prompts: The tokens of each prompt, in any order.
        share: How many tokens the prompts of a group have in common, as a share of the longest.
    """
    groups: list[list[Tokens]] = []
    # In this order, what the first and the last of a group have in common, all have.
    for prompt in sorted(set(map(tuple, prompts))):
        common = len(commonprefix([groups[-1][0], prompt])) if groups else 0
        if common > 0 and common >= share * max(map(len, [*groups[-1], prompt])):
            groups[-1].append(prompt)
        else:
            groups.append([prompt])
    return groups


def branching(prompts: Sequence[Ids], pushes: Sequence[Hashable]) -> Tree | None:
    """Return the tree of a batch that reads the fewest tokens, or None if none saves any.

    Args:
        prompts: The tokens of each row.
        pushes: What tells the pushes of the rows apart.
    """
    rows = [tuple(prompt) for prompt in prompts]
    trees = [_tree(rows, pushes, stories(rows, share)) for share in SHARES]
    found = min(filter(None, trees), key=lambda tree: tree.tokens, default=None)
    alone = len(rows) * max(map(len, rows))
    return found if found and found.tokens < alone else None


def _tree(
    rows: Sequence[Tokens], pushes: Sequence[Hashable], groups: Sequence[Sequence[Tokens]]
) -> Tree | None:
    """Return the tree with one trunk for each group and push; None if a trunk would be empty."""
    trunk_of: dict[Tokens, Tokens] = {}
    for group in groups:
        # Every prompt has a token left, whose logits are wanted.
        length = min(len(commonprefix([group[0], group[-1]])), min(map(len, group)) - 1)
        trunk_of |= {prompt: group[0][:length] for prompt in group}
    if () in trunk_of.values():
        return None
    trunks = [(trunk_of[row], push) for row, push in zip(rows, pushes, strict=True)]
    return Tree(
        trunks=[tokens for tokens, _ in dict.fromkeys(trunks)],
        sources=[trunks.index(trunk) for trunk in dict.fromkeys(trunks)],
        parents=numbered(trunks),
        suffix=max(len(row) - len(tokens) for row, (tokens, _) in zip(rows, trunks, strict=True)),
    )
